import Testing

@testable import SpanModel

@Suite("A view of a stored span")
struct SpanViewTests {
    @Test("gives every member")
    func members() {
        var span = TestSpan.vector
        span.parent = hexBytes("0102030405060708")
        span.status = 2
        span.statusMessage = "timeout"
        let view = view(span)
        #expect(view.id == 1)
        #expect(view.traceID?.description == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(view.spanID?.description == "00f067aa0ba902b7")
        #expect(view.parentSpanID?.description == "0102030405060708")
        #expect(view.name == "chat gpt-4o")
        #expect(view.kind == .client)
        #expect(view.startTime == 1_700_000_000_000_000_000)
        #expect(view.endTime == 1_700_000_001_000_000_000)
        #expect(view.status == .error)
        #expect(view.statusMessage == "timeout")
        #expect(view.attribute("gen_ai.usage.input_tokens") == .int(120))
        #expect(view.attribute("gen_ai.usage") == nil)
        #expect(view.resourceAttribute("service.name")?.text == "shop")
        #expect(view.resourceAttribute("service") == nil)
    }

    @Test("has absent members where the span has none")
    func absent() {
        var span = TestSpan()
        span.start = nil
        span.end = nil
        span.name = ""
        span.resource = []
        let view = view(span)
        #expect(view.parentSpanID == nil)
        #expect(view.startTime == nil)
        #expect(view.endTime == nil)
        #expect(view.name.isEmpty)
        #expect(view.status == .unset)
        #expect(view.attribute("x") == nil)
        #expect(view.resourceAttribute("service.name") == nil)
        #expect(view.model == nil)
        #expect(view.operation == nil)
    }

    @Test("takes the last of a repeated attribute, as JSON does")
    func repeated() {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("a", .int(1)), TestSpan.Pair("b", .int(2)), TestSpan.Pair("a", .int(3))]
        #expect(view(span).attribute("a") == .int(3))
    }

    @Test("decodes every kind of value")
    func values() {
        var span = TestSpan()
        span.attributes = [
            TestSpan.Pair(
                "a",
                .array([
                    .null, .string("é"), .bool(false), .int(.min), .double(0.2), .bytes([0, 255]), .array([]),
                    .map([TestSpan.Pair("k", .absent), TestSpan.Pair("", .string(""))]),
                ]))
        ]
        let expected: [AttributeValue] = [
            .null, .string("é"), .bool(false), .int(.min), .double(0.2), .bytes([0, 255]), .array([]), .map(["k": .null, "": .string("")]),
        ]
        #expect(view(span).attribute("a") == .array(expected))
    }

    @Test(
        "knows the model that answered, else the one asked for, by its newest name and by its foreign ones",
        arguments: [
            (["gen_ai.response.model": "b", "gen_ai.request.model": "a"], "b"), (["gen_ai.response.model": "b"], "b"),
            (["llm.model_name": "c"], "c"), (["llm.model_name": "c", "gen_ai.request.model": "a"], "a"),
            (["embedding.model_name": "d"], "d"),
        ])
    func model(attributes: [String: String], model: String) {
        #expect(view(.with(attributes)).model == model)
    }

    @Test(
        "knows the operation in three dialects",
        arguments: [
            (["gen_ai.operation.name": "chat"], "chat"), (["openinference.span.kind": "LLM"], "chat"),
            (["openinference.span.kind": "RETRIEVER"], "retrieval"), (["openinference.span.kind": "GUARDRAIL"], nil),
            (["llm.request.type": "rerank"], "rerank"), (["traceloop.span.kind": "workflow"], "invoke_workflow"),
            (["traceloop.span.kind": "task"], nil),
            (["gen_ai.operation.name": "embeddings", "openinference.span.kind": "LLM"], "embeddings"),
        ] as [([String: String], String?)])
    func operation(attributes: [String: String], operation: String?) {
        #expect(view(.with(attributes)).operation == operation)
    }

    @Test(
        "counts tokens whatever they are written as, and no negative ones",
        arguments: [
            (TestSpan.Value.int(120), 120), (.double(120), 120), (.string("120"), 120), (.string("many"), nil), (.int(-1), nil),
            (.double(.nan), nil),
            (.bool(true), nil),
        ] as [(TestSpan.Value, Int64?)])
    func tokens(value: TestSpan.Value, count: Int64?) {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("gen_ai.usage.prompt_tokens", value), TestSpan.Pair("llm.token_count.completion", value)]
        #expect(view(span).inputTokens == count)
        #expect(view(span).outputTokens == count)
    }
}

extension TestSpan {
    static func with(_ attributes: [String: String]) -> TestSpan {
        var span = TestSpan()
        span.attributes = attributes.map { Pair($0.key, .string($0.value)) }
        return span
    }
}
