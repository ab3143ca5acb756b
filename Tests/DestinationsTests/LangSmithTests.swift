import Delivery
import Foundation
import Settings
import SpanModel
import Testing

@testable import Destinations

@Suite("langsmith")
struct LangSmithTests {
    static func langSmith(_ yaml: String = "") throws -> LangSmith {
        LangSmith(try settings("type: langsmith, api_key: lsv2_sk_sesame" + (yaml.isEmpty ? "" : ", " + yaml)))
    }

    // MARK: Configuration

    @Test(
        "each region has its own address, and an installation of one's own the one that is configured",
        arguments: [
            ("", "https://api.smith.langchain.com/otel/v1/traces"), ("region: us", "https://api.smith.langchain.com/otel/v1/traces"),
            ("region: eu", "https://eu.api.smith.langchain.com/otel/v1/traces"),
            ("region: apac", "https://apac.api.smith.langchain.com/otel/v1/traces"),
            ("region: aws", "https://aws.api.smith.langchain.com/otel/v1/traces"),
            ("endpoint: 'https://smith.example.com/api/v1'", "https://smith.example.com/api/v1/otel/v1/traces"),
            ("endpoint: 'https://smith.example.com/api/v1//'", "https://smith.example.com/api/v1/otel/v1/traces"),
            ("endpoint: 'http://127.0.0.1:1984/api/v1'", "http://127.0.0.1:1984/api/v1/otel/v1/traces"),
        ])
    func address(yaml: String, url: String) throws {
        let langSmith = try Self.langSmith(yaml)
        #expect(try langSmith.encode(views([TestSpan()]), context).map(\.url) == [url])
        #expect(langSmith.target == url)
        #expect(langSmith.probes.map(\.url) == [url.replacing("/otel/v1/traces", with: "/info"), url])
    }

    @Test(
        "mistakes are told with their remedy",
        arguments: [
            ("type: langsmith", "api_key"), ("type: langsmith, api_key: k, region: jp", "region"),
            ("type: langsmith, api_key: k, region: eu, endpoint: 'https://a/api/v1'", "stands beside endpoint"),
            ("type: langsmith, api_key: k, endpoint: 'https://a/api/v1/otel/v1/traces'", "end it before /otel/v1/traces"),
            ("type: langsmith, api_key: k, endpoint: 'https://a/api/v1?x=1'", "is more than a base"),
            ("type: langsmith, api_key: k, project: \"a\\nb\"", "is no name of a project"),
            ("type: langsmith, api_key: k, project: ''", "is no name of a project"),
            ("type: langsmith, api_key: k, headers: {X-API-Key: x}", "X-API-Key is set by api_key"),
            ("type: langsmith, api_key: k, headers: {x-tenant-id: x}", "x-tenant-id is set by workspace_id"),
            ("type: langsmith, api_key: k, headers: {langsmith-project: x}", "langsmith-project is set by project"),
            ("type: langsmith, api_key: k, headers: {content-type: text/plain}", "content-type is set by the destination itself"),
            ("type: langsmith, api_key: k, project: p, headers: {Langsmith-Agent-Id: x}", "stands beside an agent's address"),
            ("type: langsmith, api_key: k, remote_parent: drop", "remote_parent"),
        ])
    func wrong(yaml: String, mistake: String) {
        #expect(mistakes(yaml).contains(mistake))
    }

    @Test("limits are declared, and that parents are needed")
    func declaration() throws {
        let declaration = try Self.langSmith().declaration
        #expect(declaration.limits.spans == 200)
        #expect(declaration.parents == .keep)
        #expect(try Self.langSmith("remote_parent: root").declaration.parents == .root)
        #expect(declaration.throttleWait == ThrottleWait(base: .seconds(5), cap: .seconds(600)))
    }

    // MARK: Requests

    @Test("a request has the key, the workspace and the project, and is gzip unless that is switched off")
    func headers() throws {
        let request = try Self.langSmith("project: shop, workspace_id: w-1").encode(views([TestSpan()]), context)[0]
        #expect(request.method == "POST")
        #expect(request["x-api-key"] == "lsv2_sk_sesame")
        #expect(request["X-Tenant-Id"] == "w-1")
        #expect(request["Langsmith-Project"] == "shop")
        #expect(request["Content-Type"] == "application/x-protobuf")
        #expect(request["Content-Encoding"] == "gzip")
        let plain = try Self.langSmith("compression: none").encode(views([TestSpan()]), context)[0]
        #expect(plain["Content-Encoding"] == nil && plain["Langsmith-Project"] == nil && plain["X-Tenant-Id"] == nil)
        #expect(request.plainBody == plain.body)
    }

    @Test("spans that name another project go in requests of their own")
    func projects() throws {
        var spans = TestSpan.many(7)
        for (index, project) in [(1, "a"), (2, "a"), (3, "b"), (5, "bad\nname"), (6, "")] {
            spans[index].texts.append(("langsmith.trace.session_name", project))
        }
        let requests = try Self.langSmith("project: shop").encode(views(spans), context)
        #expect(requests.map { $0["Langsmith-Project"] } == ["shop", "a", "b", "shop"])
        #expect(requests.map(\.spans) == [0..<1, 1..<3, 3..<4, 4..<7])
        for request in requests {
            let names = try #require(decodeOTLP(request.plainBody ?? [])).map(\.name)
            #expect(names == request.spans.map { "span \($0)" })
        }
        // A damaged span is told by its place in the batch, not in its request.
        #expect(throws: EncodeError(span: 7, reason: "malformed_span")) {
            try Self.langSmith().encode(views(spans) + [damagedView()], context)
        }
    }

    @Test("beside an agent's address no project is sent")
    func agent() throws {
        var span = TestSpan()
        span.texts.append(("langsmith.trace.session_name", "a"))
        let request = try Self.langSmith("headers: {Langsmith-Agent-Id: shopper}").encode(views([TestSpan(), span]), context)
        #expect(request.count == 1)
        #expect(request[0]["Langsmith-Project"] == nil && request[0]["Langsmith-Agent-Id"] == "shopper")
    }

    @Test("a span that is larger than a request may be is cut, or a dead letter, as oversize says")
    func oversize() throws {
        #expect(LangSmith.requestBytesMax == 8 << 20)
        #expect(try Self.langSmith().dialect.bytesMax == LangSmith.requestBytesMax)
        let spans = views([TestSpan(), TestSpan(texts: [("gen_ai.input.messages", String(repeating: "kettle ", count: 20_000))])])
        var (langSmith, strict) = (try Self.langSmith(), try Self.langSmith("oversize: dead"))
        (langSmith.dialect.bytesMax, strict.dialect.bytesMax) = (64 << 10, 64 << 10)
        let requests = try langSmith.encode(spans, context)
        #expect(requests.map(\.spans) == [0..<1, 1..<2])
        #expect(requests.map(\.cutSpans) == [0, 1])
        let body = try #require(requests[1].plainBody)
        #expect(body.count <= 64 << 10)
        let span = try #require(decodeOTLP(body)?.first)
        #expect("\(span["gen_ai.prompt"] ?? .null)".contains(/\ \[\+[0-9]+ bytes\]/))
        #expect(throws: EncodeError(span: 1, reason: "too_large")) { try strict.encode(spans, context) }
    }

    // MARK: Golden files

    static let files = Golden("langsmith")

    @Test("there are golden files of every kind of span")
    func kinds() {
        let wanted: Set = [
            "chat", "chat-with-tools", "streaming", "embeddings", "tool", "retrieval", "agent", "error", "image", "bare", "tokens",
            "openinference", "openllmetry",
        ]
        #expect(wanted.isSubset(of: Self.files.names))
    }

    @Test("a span becomes the bytes of its golden file", arguments: files.names)
    func bytes(name: String) throws {
        let options = name == "attachments" ? "project: shop, attachments: true" : "project: shop"
        try Self.files.check(name, try Self.files.request(name, to: Self.langSmith(options)), hiding: "x-api-key")
    }

    // MARK: What is written

    @Test("the contract's example is written as it says")
    func example() throws {
        let request = try Self.langSmith("project: shop").encode([try Self.files.span("chat")], context)[0]
        let span = try #require(decodeOTLP(request.plainBody ?? [])?.first)
        let expected: [String: AttributeValue] = [
            "gen_ai.operation.name": .string("chat"), "gen_ai.provider.name": .string("openai"), "gen_ai.system": .string("openai"),
            "gen_ai.request.model": .string("gpt-4o"), "gen_ai.usage.input_tokens": .int(120), "gen_ai.usage.output_tokens": .int(30),
            "gen_ai.usage.total_tokens": .int(150), "gen_ai.usage.cache_read.input_tokens": .int(20),
            "langsmith.span.kind": .string("llm"), "langsmith.trace.name": .string("chat gpt-4o"),
            "langsmith.metadata.ls_provider": .string("openai"), "langsmith.metadata.ls_model_name": .string("gpt-4o"),
            "langsmith.metadata.thread_id": .string("conv-1"), "langsmith.metadata.user_id": .string("u-1"),
            "langsmith.span.tags": .string("a, b"),
            "gen_ai.prompt": .string(#"{"messages":[{"role":"user","content":"Weather in Paris?"}]}"#),
            "gen_ai.completion": .string(#"{"messages":[{"role":"assistant","content":"Rainy."}]}"#),
            "langsmith.usage_metadata": .string(
                #"{"input_tokens":120,"output_tokens":30,"total_tokens":150,"input_token_details":{"cache_read":20},"total_cost":0.0006}"#),
        ]
        for (key, value) in expected { #expect(span[key] == value, "\(key)") }
        // What the native form stores under names of its own stays, and nothing else is there.
        #expect(Set(span.attributeKeys).subtracting(expected.keys) == ["session.id", "user.id", "tracefwd.tags", "tracefwd.cost_usd"])
        #expect(Set(span.attributeKeys).count == span.attributeKeys.count)
        #expect(span.resource == ["service.name": .string("shop")])
    }

    @Test("no span says twice what it says, says it under a name that competes, or names ids of its own", arguments: files.names)
    func competing(name: String) throws {
        let span = try #require(decodeOTLP(try Self.langSmith().encode([try Self.files.span(name)], context)[0].plainBody ?? [])?.first)
        #expect(Set(span.attributeKeys).count == span.attributeKeys.count)
        let forbidden = [
            "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "input.value", "output.value",
            "traceloop.entity.input", "traceloop.entity.output", "langsmith.trace.id", "langsmith.span.id", "langsmith.span.parent_id",
            "langsmith.span.dotted_order", "langsmith.trace.session_id",
        ]
        for key in span.attributeKeys {
            #expect(!forbidden.contains(key))
            #expect(!key.hasPrefix("llm.input_messages.") && !key.hasPrefix("llm.output_messages."))
            #expect(key.wholeMatch(of: /gen_ai\.(prompt|completion)\.[0-9].*/) == nil)
            if span["langsmith.span.kind"] != .string("tool") { #expect(key != "gen_ai.tool.name" && key != "gen_ai.tool.call.id") }
        }
        for key in ["gen_ai.prompt", "gen_ai.completion", "langsmith.usage_metadata"] {
            guard let value = span[key] else { continue }
            guard case .string(let text) = value else {
                Issue.record("\(key) is no string")
                continue
            }
            #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any], "\(key)")
        }
    }

    @Test(
        "an operation has its kind of run",
        arguments: [
            ("chat", "llm"), ("generate_content", "llm"), ("text_completion", "llm"), ("embeddings", "embedding"), ("execute_tool", "tool"),
            ("retrieval", "retriever"), ("invoke_agent", "chain"), ("create_agent", "chain"), ("plan", "chain"), ("", "chain"),
            ("whatever", "chain"),
        ])
    func kind(operation: String, kind: String) throws {
        let span = TestSpan(texts: operation.isEmpty ? [] : [("gen_ai.operation.name", operation)])
        let sent = try #require(decodeOTLP(try Self.langSmith().encode(views([span]), context)[0].plainBody ?? [])?.first)
        #expect(sent["langsmith.span.kind"] == .string(kind))
    }

    // MARK: Parents

    /// `root > agent > step > call`, by ids 1 to 4.
    private static let family = ["root", "agent", "step", "call"].enumerated().map { index, name in
        TestSpan(name: name, id: UInt8(index + 1), parent: index == 0 ? nil : UInt8(index))
    }

    private func link(_ span: TestSpan) throws -> SpanLink {
        try #require(views([span])[0].withFields { SpanLink($0, remoteParent: .keep) })
    }

    @Test("a user sees every span that routes let through, under the nearest ancestor that they let through too", arguments: 0..<16)
    func reparented(dropped: Int) throws {
        let platform = FakeLangSmith()
        var parents = ParentMemory()
        for (index, span) in Self.family.enumerated() where dropped & 1 << index != 0 { parents.drop(try link(span)) }
        let kept = Self.family.enumerated().filter { dropped & 1 << $0.offset == 0 }.map(\.element)
        let context = EncodeContext(destination: "test", now: 0, parents: parents)
        // Children come first, each in a request of its own.
        for span in kept.reversed() {
            for request in try Self.langSmith().encode(views([span]), context) { #expect(platform.answer(request).status == 200) }
        }
        let paths = kept.indices.map { kept[...$0].map(\.name).joined(separator: " > ") }
        #expect(platform.visible == Set(paths))
    }

    @Test("without a memory the parent is the span's own")
    func unchanged() throws {
        let sent = try #require(decodeOTLP(try Self.langSmith().encode(views(Self.family), context)[0].plainBody ?? []))
        #expect(sent.map(\.parentSpanID) == ["", "00f067aa0ba90201", "00f067aa0ba90202", "00f067aa0ba90203"])
    }

    @Test(
        "a parent in another service stays, or the span becomes a root",
        arguments: [
            ("keep", 0x300, true), ("root", 0x300, false), ("root", 0x301, false), ("root", 0x100, true), ("root", 0x200, true),
            ("root", 0, true), ("root", 1, true),
        ] as [(String, UInt32, Bool)])
    func remote(policy: String, flags: UInt32, keeps: Bool) throws {
        var span = Self.family[1]
        span.flags = flags
        let sent = try #require(
            decodeOTLP(try Self.langSmith("remote_parent: \(policy)").encode(views([span]), context)[0].plainBody ?? [])?.first)
        #expect(sent.parentSpanID == (keeps ? "00f067aa0ba90201" : ""))
    }

    @Test("the platform takes what is sent, and refuses what the contract says it refuses")
    func strict() throws {
        func status(_ yaml: String, _ platform: FakeLangSmith) throws -> Int {
            platform.answer(try Self.langSmith(yaml).encode(views(TestSpan.many(3)), context)[0]).status
        }
        #expect(try status("", FakeLangSmith()) == 200)
        #expect(try status("", FakeLangSmith(key: "another")) == 401)
        #expect(try status("", FakeLangSmith(workspace: "w-1")) == 403)
        #expect(try status("workspace_id: w-1", FakeLangSmith(workspace: "w-1")) == 200)
        #expect(try status("headers: {Langsmith-Agent-Id: shopper}", FakeLangSmith()) == 200)
        // The same again is the same runs.
        let platform = FakeLangSmith()
        for _ in 0..<2 { #expect(try status("project: shop", platform) == 200) }
        #expect(platform.visible == ["span 0", "span 1", "span 2"])
    }

    // MARK: Answers

    private static let forbidden = "; the key belongs to another region or workspace, or may not write runs"
    private static let json = ["content-type": "application/json"]

    @Test(
        "every answer is judged as the contract says",
        arguments: [
            (200, 10, Verdict.delivered()), (202, 10, .delivered()),
            (400, 10, .refused(reason: "http_400", detail: "answered 400")),
            (401, 10, .pause(reason: "unauthorized", detail: "answered 401")),
            (403, 10, .pause(reason: "forbidden", detail: "answered 403" + forbidden)),
            (
                404, 10,
                .pause(
                    reason: "not_found", detail: "answered 404; check endpoint: that of an installation of one's own ends with /api/v1")
            ),
            (408, 10, .retry(detail: "answered 408")),
            // Which of them was there is not said: they are sent once more, apart.
            (409, 10, .refused(reason: "duplicate", detail: "answered 409")), (409, 1, .delivered()),
            (413, 10, .tooLarge), (413, 1, .refused(reason: "too_large", detail: "answered 413")),
            (422, 10, .refused(reason: "http_422", detail: "answered 422")), (425, 10, .retry(detail: "answered 425")),
            (429, 10, .retry(detail: "answered 429", throttle: true)), (500, 10, .retry(detail: "answered 500")),
            (502, 10, .retry(detail: "answered 502", throttle: true)), (503, 10, .retry(detail: "answered 503", throttle: true)),
            (504, 10, .retry(detail: "answered 504", throttle: true)),
        ])
    func statuses(status: Int, spans: Int, verdict: Verdict) throws {
        #expect(try Self.langSmith().judge(Response(status: status), to: request(spans: spans)) == verdict)
    }

    @Test("a 403 says which of its reasons it has")
    func forbiddenReasons() throws {
        let response = Response(status: 403, headers: Self.json, body: Array(#"{"error":"org_scoped_key_requires_workspace"}"#.utf8))
        let said = "answered 403: org_scoped_key_requires_workspace"
        #expect(
            try Self.langSmith().judge(response, to: request())
                == .pause(reason: "forbidden", detail: said + "; the key is one of an organisation: set workspace_id"))
        #expect(
            try Self.langSmith("workspace_id: w-1").judge(response, to: request())
                == .pause(reason: "forbidden", detail: said + "; the key does not belong to workspace_id w-1"))
        let other = Response(status: 403, headers: Self.json, body: Array(#"{"detail":"Forbidden"}"#.utf8))
        #expect(
            try Self.langSmith().judge(other, to: request())
                == .pause(reason: "forbidden", detail: "answered 403: Forbidden" + Self.forbidden))
    }

    @Test("a proxy's page that says too large is judged by its status")
    func page() throws {
        let response = Response(status: 413, headers: ["content-type": "text/html"], body: Array("<html>413</html>".utf8))
        #expect(try Self.langSmith().judge(response, to: request()) == .tooLarge)
    }

    // MARK: Probes

    @Test(
        "a probe says in words what is wrong and what helps",
        arguments: [
            (0, 200, #"{"version":"0.13.5"}"#, ProbeVerdict.works("LangSmith 0.13.5 answers")), (0, 200, "", .works("answers")),
            (0, 404, "", .fails("answered 404", remedy: "check endpoint: that of an installation of one's own ends with /api/v1")),
            (0, 503, "", .fails("answered 503", remedy: "try again later")), (1, 200, "", .works("the key is taken")),
            (1, 400, #"{"error":"no spans"}"#, .works("the key is taken")),
            (
                1, 401, #"{"error":"Invalid token"}"#,
                .fails(
                    "the key is refused: answered 401: Invalid token", remedy: "look at api_key, and at region: each has keys of its own")
            ),
            (
                1, 403, #"{"error":"org_scoped_key_requires_workspace"}"#,
                .fails(
                    "the key may not be used here: answered 403: org_scoped_key_requires_workspace",
                    remedy: "the key is one of an organisation: set workspace_id")
            ),
            (1, 500, "", .fails("answered 500", remedy: "try again later")),
        ])
    func probe(index: Int, status: Int, body: String, verdict: ProbeVerdict) throws {
        let langSmith = try Self.langSmith()
        let probe = langSmith.probes[index]
        #expect(probe.body.isEmpty && probe.spans.isEmpty && probe["x-api-key"] == "lsv2_sk_sesame")
        #expect(langSmith.judgeProbe(Response(status: status, headers: Self.json, body: Array(body.utf8)), to: probe) == verdict)
    }
}
