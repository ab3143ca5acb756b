import Testing

@testable import SpanModel

@Suite("Rewriting a stored span")
struct SpanRewriterTests {
    private func rewritten(_ span: TestSpan, _ change: (inout SpanEdit) -> Void) throws -> SpanView {
        var rewriter = SpanRewriter()
        try rewriter.rewrite(view(span), change)
        let spans = rewriter.finish()
        return try #require(spans.first)
    }

    private func bytes(_ span: SpanView) -> [UInt8] { span.withBytes { [UInt8]($0) } }

    @Test("changes nothing where nothing is asked for, whatever the span", arguments: Seeds.thisRun)
    func identity(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let spans = views((0..<20).map { _ in TestSpan.random(using: &rng) })
        var rewriter = SpanRewriter()
        for span in spans { try rewriter.rewrite(span) { _ in } }
        #expect(rewriter.finish().map(bytes) == spans.map(bytes), "again: TRACEFWD_SEED=\(seed) make test")
    }

    @Test("takes attributes out by name, by prefix and by a predicate, and leaves the others as they are")
    func drop() throws {
        var span = TestSpan.vector
        span.attributes += [
            TestSpan.Pair("gen_ai.prompt", .string("a")), TestSpan.Pair("gen_ai.prompt.0.role", .string("user")),
            TestSpan.Pair("gen_ai.prompts", .int(1)), TestSpan.Pair("gen_ai.prompt.name", .string("n")),
            TestSpan.Pair("last", .array([.null])),
        ]
        let view = try rewritten(span) { edit in
            edit.drop(AttributeNames(["gen_ai.prompt"], prefixes: ["gen_ai.prompt.0."]))
            edit.drop { $0.count == "gen_ai.usage.input_tokens".utf8.count }
        }
        let keys = view.withFields { $0.attributes.map { String(decoding: $0.key, as: UTF8.self) } }
        #expect(
            keys == [
                "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.output_tokens", "gen_ai.prompts", "gen_ai.prompt.name",
                "last",
            ])
        #expect(view.attribute("last") == .array([.null]))
    }

    @Test("adds attributes of every kind")
    func append() throws {
        let view = try rewritten(.vector) { edit in
            edit.attributes.set("string", string: "é")
            edit.attributes.set("empty", string: "")
            edit.attributes.set("text", text: .digits(-7))
            edit.attributes.set("int", int: .min)
            edit.attributes.set("double", double: 0.2)
            edit.attributes.set("bool", bool: false)
            edit.attributes.set("strings", strings: ["a", "", String(repeating: "b", count: 300)])
            edit.attributes.set("json") { $0.object { $0.member("k", "v") } }
            edit.attributes.set("none", int: nil)
            edit.attributes.set("nothing", strings: [])
            edit.attributes.set("silent") { _ in }
        }
        #expect(view.attribute("string") == .string("é"))
        #expect(view.attribute("empty") == .string(""))
        #expect(view.attribute("text") == .string("-7"))
        #expect(view.attribute("int") == .int(.min))
        #expect(view.attribute("double") == .double(0.2))
        #expect(view.attribute("bool") == .bool(false))
        #expect(view.attribute("strings") == .array([.string("a"), .string(""), .string(String(repeating: "b", count: 300))]))
        #expect(view.attribute("json") == .string(#"{"k":"v"}"#))
        for key in ["none", "nothing", "silent"] { #expect(view.attribute(key) == nil) }
        #expect(view.attribute("gen_ai.request.model") == .string("gpt-4o"))
    }

    @Test("an attribute that is added takes the place of the span's own, and the first that is added counts")
    func replace() throws {
        let view = try rewritten(.vector) { edit in
            edit.attributes.set("gen_ai.request.model", string: "first")
            edit.attributes.set("gen_ai.request.model", string: "second")
        }
        let models = view.withFields { $0.attributes.filter { $0.key.equals("gen_ai.request.model") }.map { AttributeValue($0.value) } }
        #expect(models == [.string("first")])
    }

    @Test("changes name, parent, tracestate and status")
    func members() throws {
        var span = TestSpan.vector
        span.parent = hexBytes("0102030405060708")
        let changed = try rewritten(span) { edit in
            edit.setName("other")
            edit.setParent(view(span).spanID)
            edit.setTraceState("ot=th:8")
            edit.setStatus(.error, message: "timeout")
        }
        #expect(changed.name == "other")
        #expect(changed.parentSpanID == changed.spanID)
        #expect(changed.withFields { String(decoding: $0.traceState, as: UTF8.self) } == "ot=th:8")
        #expect(changed.status == .error)
        #expect(changed.statusMessage == "timeout")
        let root = try rewritten(span) { edit in
            edit.setParent(nil)
            edit.setStatus(.unset)
        }
        #expect(root.parentSpanID == nil)
        #expect(root.status == .unset)
        #expect(root.traceID == changed.traceID)
    }

    @Test("adds an event behind the others")
    func event() throws {
        var span = TestSpan.vector
        span.events = [TestSpan.Event(time: 1, name: "first")]
        span.status = 2
        let view = try rewritten(span) { edit in
            edit.appendEvent("exception", time: 2) { $0.set("exception.message", string: "timeout") }
        }
        let names = view.withFields { $0.events.map { String(decoding: EventFields($0).name, as: UTF8.self) } }
        #expect(names == ["first", "exception"])
        #expect(view.withLLM { $0.exception?.message?.string } == "timeout")
    }

    @Test("changes the resource, and leaves its schema")
    func resource() throws {
        var span = TestSpan.vector
        span.resource.append(TestSpan.Pair("host.name", .string("h")))
        span.resourceSchema = "schema"
        let view = try rewritten(span) { edit in
            edit.resourceAttributes.set("service.name", string: "other")
            edit.dropOfResource { $0.equals("host.name") }
        }
        #expect(view.resourceAttribute("service.name") == .string("other"))
        #expect(view.resourceAttribute("host.name") == nil)
        #expect(view.withParts { $0.map { String(decoding: SpanParts.message(3, of: $0.resource), as: UTF8.self) } } == "schema")
        #expect(view.model == "gpt-4o")
    }

    @Test("keeps fields that nobody knows")
    func unknown() throws {
        let stored = TestSpan.vector.stored
        let spanBytes = TestSpan.vector.spanBytes + Protobuf.message { $0.text(99, "kept") }
        let scopeHead = view(.vector).withParts { [UInt8]($0?.scope ?? .empty) }
        let message = Protobuf.message { out in
            out.bytes = Array(stored.bytes[..<stored.resourceLength])
            out.bytes(
                2,
                Protobuf.message { out in
                    out.bytes = scopeHead
                    out.bytes(2, spanBytes)
                })
        }
        let entry = entry(length: message.count, resource: stored.resourceLength, scope: stored.scopeLength)
        var rewriter = SpanRewriter()
        try rewriter.rewrite(SpanView(segment: Segment(firstID: 1, payload: message, entries: [entry]), index: 0)) { $0.setName("x") }
        let rewritten = try #require(rewriter.finish().first)
        #expect(rewritten.withParts { values(of: 99, in: [UInt8]($0?.span ?? .empty)) } == [Array("kept".utf8)])
    }

    @Test("what comes out still merges into one resource and scope")
    func merge() throws {
        var rewriter = SpanRewriter()
        for span in views([.vector, .vector, .vector]) { try rewriter.rewriteLLM(span) { $0.attributes.set("m", text: $1.model) } }
        var body: [UInt8] = []
        try appendOTLPRequest(rewriter.finish(), to: &body)
        let resources = values(of: 1, in: body)
        #expect(resources.count == 1)
        let scopes = values(of: 2, in: try #require(resources.first))
        #expect(scopes.count == 1)
        #expect(values(of: 2, in: try #require(scopes.first)).count == 3)
    }

    @Test("refuses damaged bytes, and takes the next span as if nothing had happened", arguments: Seeds.thisRun)
    func malformed(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        var rewriter = SpanRewriter()
        var taken = 0
        for _ in 0..<200 {
            let stored = TestSpan.random(using: &rng).stored
            var bytes = stored.bytes
            for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &rng)] = UInt8.random(in: 0...255, using: &rng) }
            let entry = entry(length: bytes.count, resource: stored.resourceLength, scope: stored.scopeLength)
            let damaged = SpanView(segment: Segment(firstID: 1, payload: bytes, entries: [entry]), index: 0)
            do {
                try rewriter.rewriteLLM(damaged) { edit, llm in
                    edit.attributes.set("model", text: llm.model)
                    edit.resourceAttributes.set("k", string: "v")
                    edit.setParent(nil)
                }
                taken += 1
            } catch {
                #expect(error as? MalformedSpan == MalformedSpan(index: taken), "again: TRACEFWD_SEED=\(seed) make test")
            }
        }
        try rewriter.rewrite(view(.vector)) { _ in }
        let spans = rewriter.finish()
        #expect(spans.count == taken + 1)
        #expect(spans.last.map(bytes) == TestSpan.vector.stored.bytes)
    }
}
