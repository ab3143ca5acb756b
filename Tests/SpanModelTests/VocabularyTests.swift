import Testing

@testable import SpanModel

/// Each row of contract `otlp`, B.4, as a list of names: whichever of them are there, the first wins.
@Suite("The view's precedence")
struct VocabularyTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var member: String
        var names: [String]
        var read: @Sendable (LLMFields) -> String?
        var testDescription: String { member }

        init(_ member: String, _ names: [String], _ read: @escaping @Sendable (LLMFields) -> String?) {
            (self.member, self.names, self.read) = (member, names, read)
        }

        init(count member: String, _ names: [String], _ read: @escaping @Sendable (LLMFields) -> Int64?) {
            self.init(member, names) { read($0).map(String.init) }
        }

        init(text member: String, _ names: [String], _ read: @escaping @Sendable (LLMFields) -> SpanText?) {
            self.init(member, names) { read($0)?.string }
        }
    }

    static let rows = [
        Row(text: "operation", ["gen_ai.operation.name", "llm.request.type"]) { $0.operation },
        Row(text: "provider", ["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]) { $0.provider },
        Row(
            text: "request model",
            ["gen_ai.request.model", "llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name"]
        ) { $0.requestModel },
        Row(text: "response model", ["gen_ai.response.model", "llm.response.model_name"]) { $0.responseModel },
        Row(
            text: "model",
            [
                "gen_ai.response.model", "llm.response.model_name", "gen_ai.request.model", "llm.request.model_name", "llm.model_name",
                "embedding.model_name", "reranker.model_name",
            ]
        ) { $0.model },
        Row(count: "input tokens", ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"]) {
            $0.inputTokens
        },
        Row(count: "output tokens", ["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"]) {
            $0.outputTokens
        },
        Row(count: "total", ["llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens"]) { $0.totalTokens },
        Row(
            count: "cache read",
            [
                "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
                "llm.token_count.prompt_details.cache_read",
            ]
        ) { $0.cacheReadTokens },
        Row(
            count: "cache write",
            [
                "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
                "gen_ai.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
            ]
        ) { $0.cacheWriteTokens },
        Row(
            count: "reasoning",
            [
                "gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning", "gen_ai.usage.reasoning_tokens",
                "llm.usage.reasoning_tokens",
            ]
        ) { $0.reasoningTokens },
        Row(count: "audio input", ["gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"]) { $0.audioTokens.input },
        Row("cost", ["tracefwd.cost_usd", "gen_ai.usage.cost", "llm.cost.total"]) { $0.cost.map { String(Int($0.usd)) } },
        Row(text: "session", ["session.id", "gen_ai.conversation.id", "traceloop.association.properties.session_id"]) { $0.session },
        Row(text: "user", ["user.id", "enduser.id", "llm.user", "gen_ai.user", "traceloop.association.properties.user_id"]) { $0.user },
        Row(text: "environment", ["deployment.environment.name", "deployment.environment"]) { $0.environment },
        Row(count: "time to first token", ["gen_ai.response.time_to_first_chunk"]) { $0.timeToFirstToken.map { Int64($0) } },
        Row("finish reason", ["gen_ai.response.finish_reasons", "llm.finish_reason", "llm.response.finish_reason"]) {
            $0.finishReasons.first?.string
        },
        Row("tags", ["tracefwd.tags", "tag.tags"]) { $0.tags.first?.string },
        Row(text: "tool name", ["gen_ai.tool.name", "tool.name"]) { $0.toolName },
        Row(text: "tool call id", ["gen_ai.tool.call.id", "tool.id"]) { $0.toolCallID },
        Row(text: "agent", ["gen_ai.agent.name", "agent.name"]) { $0.agentName },
        Row(text: "workflow", ["gen_ai.workflow.name", "traceloop.workflow.name"]) { $0.workflowName },
        Row(
            "input",
            [
                "gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages.0.message.content", "llm.prompts.0.prompt.text",
                "input.value", "gen_ai.prompt.0.content", "traceloop.entity.input",
            ]
        ) { $0.input == nil ? nil : $0.inputText },
        Row(
            "output",
            [
                "gen_ai.output.messages", "gen_ai.completion", "llm.output_messages.0.message.content",
                "llm.choices.0.completion.text", "output.value", "gen_ai.completion.0.content", "traceloop.entity.output",
            ]
        ) { $0.output == nil ? nil : $0.outputText },
    ]

    /// Values are their names' places, counted from 10, so that a text is a number too.
    private func span(_ names: some Collection<(offset: Int, element: String)>) -> SpanView {
        var span = TestSpan()
        span.attributes = names.map { TestSpan.Pair($0.element, .string(String(10 + $0.offset))) }
        return view(span)
    }

    @Test("takes the first name that is there, in whichever order they stand", arguments: rows)
    func first(row: Row) {
        let names = Array(row.names.enumerated())
        for first in names.indices {
            let expected = String(10 + first)
            #expect(span(names[first...]).withLLM(row.read) == expected, "\(row.member): \(names[first].element)")
            #expect(span(names[first...].reversed()).withLLM(row.read) == expected, "\(row.member): \(names[first].element)")
        }
        #expect(view(TestSpan()).withLLM(row.read) == nil)
    }

    @Test("passes over a name that holds null, or nothing", arguments: rows)
    func empty(row: Row) {
        guard let newest = row.names.first else { return }
        var span = TestSpan()
        for value in [TestSpan.Value.null, .absent, .string("")] {
            span.attributes = [TestSpan.Pair(newest, value)]
            #expect(view(span).withLLM(row.read) ?? "" == "", "\(row.member)")
            guard row.names.count > 1, row.member != "input", row.member != "output" else { continue }
            span.attributes.append(TestSpan.Pair(row.names[1], .string("11")))
            #expect(view(span).withLLM(row.read) == "11", "\(row.member)")
        }
    }

    @Test("knows every name by itself")
    func names() {
        for name in KnownName.allCases {
            let bytes = Array(name.rawValue.utf8)
            #expect(bytes.withUnsafeBytes { KnownNameTable.shared.find($0) } == name.ordinal)
            for other in [bytes + [0x2e], Array(bytes.dropLast()), [UInt8(ascii: "x")] + bytes.dropFirst()] {
                let found = other.withUnsafeBytes { KnownNameTable.shared.find($0) }
                #expect(
                    found.map { KnownName.allCases[$0].rawValue } == KnownName(rawValue: String(decoding: other, as: UTF8.self))?.rawValue)
            }
        }
    }

    @Test(
        "names providers as GenAI does",
        arguments: [
            ("openai", "openai"), ("OpenAI", "openai"), ("Anthropic", "anthropic"), ("az.ai.openai", "azure.ai.openai"),
            ("az.ai.inference", "azure.ai.inference"), ("xai", "x_ai"), ("gemini", "gcp.gemini"), ("vertex_ai", "gcp.vertex_ai"),
            ("mistralai", "mistral_ai"), ("google", "gcp.gen_ai"), ("vertexai", "gcp.vertex_ai"), ("aws", "aws.bedrock"),
            ("azure", "azure.ai.openai"), ("moonshot", "moonshot_ai"), ("aws.bedrock", "aws.bedrock"), ("MyLLM", "MyLLM"),
        ])
    func provider(sent: String, name: String) {
        for key in ["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"] {
            #expect(view(.with([key: sent])).withLLM { $0.provider?.string } == name)
        }
    }

    @Test(
        "names operations as GenAI does",
        arguments: [
            ("openinference.span.kind", "CHAIN", "invoke_workflow"), ("openinference.span.kind", "AGENT", "invoke_agent"),
            ("openinference.span.kind", "TOOL", "execute_tool"), ("openinference.span.kind", "EMBEDDING", "embeddings"),
            ("openinference.span.kind", "RERANKER", nil), ("llm.request.type", "completion", "text_completion"),
            ("llm.request.type", "embedding", "embeddings"), ("llm.request.type", "chat", "chat"),
            ("traceloop.span.kind", "agent", "invoke_agent"), ("traceloop.span.kind", "tool", "execute_tool"),
        ] as [(String, String, String?)])
    func operation(key: String, sent: String, name: String?) {
        #expect(view(.with([key: sent])).withLLM { $0.operation?.string } == name)
    }

    @Test(
        "sums up tokens, and takes a total that was sent only where the sum is not known",
        arguments: [
            (["gen_ai.usage.input_tokens": 2, "llm.token_count.completion": 3, "gen_ai.usage.total_tokens": 9], 5),
            (["gen_ai.usage.input_tokens": 2, "gen_ai.usage.total_tokens": 9], 9), (["gen_ai.usage.input_tokens": 2], 2),
            (["gen_ai.usage.output_tokens": 3], 3), (["gen_ai.usage.input_tokens": .max, "gen_ai.usage.output_tokens": 1], .max),
            ([:], nil),
        ] as [([String: Int64], Int64?)])
    func total(counts: [String: Int64], total: Int64?) {
        var span = TestSpan()
        span.attributes = counts.map { TestSpan.Pair($0.key, .int($0.value)) }
        #expect(view(span).withLLM { $0.totalTokens } == total)
    }

    @Test(
        "reads a cost in any form, and none that is no amount",
        arguments: [
            (.double(0.0006), .number(0.0006)), (.int(2), .number(2)), (.string("0.000600"), .text("0.000600")),
            (.string("1e-3"), .text("1e-3")),
            (.double(-1), nil), (.string("nan"), nil), (.string("0x10"), nil), (.string(""), nil), (.double(.infinity), nil),
            (.bool(true), nil),
            (.double(0), .number(0)),
        ] as [(TestSpan.Value, LLMCost.Amount?)])
    func cost(value: TestSpan.Value, amount: LLMCost.Amount?) {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("tracefwd.cost_usd", value)]
        #expect(view(span).withLLM { $0.cost?.amount } == amount)
    }

    @Test(
        "a span failed where its status says so, and not for an exception or a type alone",
        arguments: [(0, nil, nil), (1, nil, nil), (2, "timeout", "late")] as [(UInt64, String?, String?)])
    func error(status: UInt64, type: String?, message: String?) {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("error.type", .string("timeout"))]
        span.events = [TestSpan.Event(name: "exception", attributes: [TestSpan.Pair("exception.message", .string("late"))])]
        span.status = status
        #expect(view(span).withLLM { $0.isError } == (status == 2))
        #expect(view(span).withLLM { $0.errorType?.string } == type)
        #expect(view(span).withLLM { $0.errorMessage?.string } == message)
    }

    @Test("looks for service and environment at the span, then at its resource")
    func resource() {
        var span = TestSpan()
        span.resource = [TestSpan.Pair("service.name", .string("shop")), TestSpan.Pair("deployment.environment", .string("old"))]
        #expect(view(span).withLLM { $0.service?.string } == "shop")
        #expect(view(span).withLLM { $0.environment?.string } == "old")
        span.resource.append(TestSpan.Pair("deployment.environment.name", .string("new")))
        #expect(view(span).withLLM { $0.environment?.string } == "new")
        span.attributes = [TestSpan.Pair("deployment.environment.name", .string("own")), TestSpan.Pair("service.name", .string("mine"))]
        #expect(view(span).withLLM { $0.environment?.string } == "own")
        #expect(view(span).withLLM { $0.service?.string } == "mine")
    }

    @Test("adds the parts of a cost where there is no whole")
    func partialCost() {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("llm.cost.prompt", .double(0.25)), TestSpan.Pair("llm.cost.completion", .string("0.5"))]
        #expect(view(span).withLLM { $0.cost } == LLMCost(amount: .number(0.75), source: .openInference))
        span.attributes.removeLast()
        #expect(view(span).withLLM { $0.cost?.usd } == 0.25)
    }
}
