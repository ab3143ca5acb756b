import Delivery
import Foundation
import Settings
import SpanModel
import Testing

@testable import Destinations

@Suite("langfuse")
struct LangfuseTests {
    private static let golden = Golden("langfuse")

    private func langfuse(_ yaml: String = "") throws -> Langfuse {
        Langfuse(try settings("type: langfuse, public_key: pk-lf-1, secret_key: sk-lf-1, " + yaml))
    }
    private func ingestion(_ yaml: String = "") throws -> Langfuse {
        try langfuse("endpoint: 'http://127.0.0.1:3000', mode: ingestion, " + yaml)
    }

    // MARK: Configuration

    @Test(
        "a region or an endpoint, with one slash before the path",
        arguments: [
            ("", "https://cloud.langfuse.com"), ("region: eu", "https://cloud.langfuse.com"),
            ("region: us", "https://us.cloud.langfuse.com"),
            ("region: jp", "https://jp.cloud.langfuse.com"), ("region: hipaa", "https://hipaa.cloud.langfuse.com"),
            ("endpoint: 'http://127.0.0.1:3000/'", "http://127.0.0.1:3000"), ("endpoint: 'https://a.example/lf'", "https://a.example/lf"),
        ])
    func base(yaml: String, base: String) throws {
        let request = try langfuse(yaml).encode(views([TestSpan()]), context)[0]
        #expect(request.url == base + "/api/public/otel/v1/traces")
        #expect(try langfuse(yaml).target == base)
    }

    @Test(
        "mistakes are told with their remedy",
        arguments: [
            ("type: langfuse, public_key: sk-lf-1, secret_key: pk-lf-1", "the two keys are exchanged"),
            ("type: langfuse, public_key: pk, secret_key: sk, region: us, endpoint: 'http://a'", "stands beside endpoint"),
            ("type: langfuse, public_key: pk, secret_key: sk, mode: ingestion", "which the cloud takes no more"),
            ("type: langfuse, public_key: pk, secret_key: sk, endpoint: 'http://a/api/public/otel'", "is put behind it"),
            ("type: langfuse, public_key: pk, secret_key: sk, headers: {authorization: x}", "authorization is set by type: langfuse"),
            ("type: langfuse, public_key: pk", "secret_key"),
        ])
    func wrong(yaml: String, mistake: String) {
        #expect(mistakes(yaml).contains(mistake))
    }

    @Test("a request carries the key, the version and gzip")
    func headers() throws {
        let request = try langfuse("headers: {x-tenant: a}").encode(views([TestSpan()]), context)[0]
        #expect(request["Authorization"] == "Basic cGstbGYtMTpzay1sZi0x")
        #expect(request["Content-Type"] == "application/x-protobuf")
        #expect(request["Content-Encoding"] == "gzip")
        #expect(request["x-langfuse-ingestion-version"] == "4")
        #expect(request["x-tenant"] == "a")
        #expect(!request.headers.contains { $0.name.lowercased().hasPrefix("x-langfuse-sdk") })
    }

    // MARK: Golden files

    @Test("there are golden files of every kind of span")
    func kinds() {
        let wanted: Set = [
            "chat", "chat-with-tools", "streaming", "embeddings", "tool", "retrieval", "agent", "error", "image", "bare", "large", "tokens",
            "openinference", "openllmetry", "guardrail", "own-names", "sdk", "event",
        ]
        #expect(wanted == Set(Self.golden.names))
    }

    @Test("a span becomes the bytes of its golden file", arguments: golden.names)
    func otlp(name: String) throws {
        var langfuse = try langfuse(name == "chat-with-tools" ? "link_prompts: true, release: '2.1'" : "")
        if name == "large" { langfuse.requestBytesMax = 4000 }
        try Self.golden.check(name, try Self.golden.request(name, to: langfuse), hiding: "Authorization")
    }

    @Test("a span becomes the events of its golden file", arguments: golden.names)
    func events(name: String) throws {
        var langfuse = try ingestion(name == "chat-with-tools" ? "link_prompts: true, release: '2.1'" : "")
        if name == "large" { langfuse.requestBytesMax = 4000 }
        let request = try Self.golden.request(name, to: langfuse)
        #expect(request.url == "http://127.0.0.1:3000/api/public/ingestion")
        try Self.golden.check(request.body + [UInt8(ascii: "\n")], name + ".ingestion.out")
    }

    // MARK: What a user sees

    private func seen(_ name: String, _ yaml: String = "") throws -> FakeLangfuse.Observation {
        let platform = FakeLangfuse()
        #expect(platform.answer(try Self.golden.request(name, to: try langfuse(yaml))).status == 200)
        return try #require(platform.observations.values.first)
    }

    @Test("the contract's example is written as it says")
    func example() throws {
        let body = try #require(try Self.golden.request("chat", to: try langfuse()).plainBody)
        let span = try #require(decodeOTLP(body)?.first)
        let expected: [String: AttributeValue] = [
            "langfuse.observation.type": .string("generation"), "langfuse.observation.model.name": .string("gpt-4o"),
            "langfuse.observation.input": .string(#"[{"role":"user","content":"Weather in Paris?"}]"#),
            "langfuse.observation.output": .string(#"{"role":"assistant","content":"Rainy."}"#),
            "langfuse.observation.usage_details": .string(#"{"input":100,"input_cached_tokens":20,"output":30,"total":150}"#),
            "langfuse.observation.cost_details": .string(#"{"total":0.0006}"#), "langfuse.session.id": .string("conv-1"),
            "langfuse.user.id": .string("u-1"), "langfuse.trace.tags": .array([.string("a"), .string("b")]),
            "langfuse.environment": .string("prod"),
        ]
        for (key, value) in expected { #expect(span[key] == value, "\(key)") }
        #expect(Set(span.attributeKeys.filter { $0.hasPrefix("langfuse.") }) == Set(expected.keys))
        #expect(Set(span.attributeKeys).count == span.attributeKeys.count)
    }

    @Test(
        "each operation has its kind",
        arguments: [
            ("chat", "generation"), ("generate_content", "generation"), ("text_completion", "generation"), ("embeddings", "embedding"),
            ("execute_tool", "tool"), ("retrieval", "retriever"), ("invoke_agent", "agent"), ("create_agent", "agent"),
            ("invoke_workflow", "chain"), ("plan", "chain"), ("search_memory", "span"),
        ])
    func type(operation: String, kind: String) throws {
        let platform = FakeLangfuse()
        let span = TestSpan(texts: [("gen_ai.operation.name", operation)])
        _ = platform.answer(try langfuse().encode(views([span]), context)[0])
        #expect(platform.observations.values.first?.type == kind)
    }

    @Test("a span that says nothing is a span; one that names a model alone was a generation; evaluators and guardrails are told")
    func otherTypes() throws {
        for (texts, kind) in [
            ([], "span"), ([("gen_ai.request.model", "gpt-4o")], "generation"), ([("openinference.span.kind", "EVALUATOR")], "evaluator"),
            ([("openinference.span.kind", "GUARDRAIL")], "guardrail"), ([("openinference.span.kind", "RERANKER")], "span"),
        ] as [([(String, String)], String)] {
            let platform = FakeLangfuse()
            _ = platform.answer(try langfuse().encode(views([TestSpan(texts: texts)]), context)[0])
            #expect(platform.observations.values.first?.type == kind, "\(texts)")
        }
    }

    @Test("a chat that offers a tool keeps its name, a tool span has the tool's")
    func names() throws {
        #expect(try seen("chat-with-tools").name == "chat gpt-4o")
        #expect(try seen("tool").name == "weather")
    }

    @Test(
        "tokens are in buckets that do not overlap, and their sum is the total",
        arguments: ["chat", "tokens", "openinference", "openllmetry"])
    func usage(name: String) throws {
        let usage = try seen(name).usage
        #expect(usage.filter { $0.key != "total" }.values.reduce(0, +) == usage["total"])
        #expect(usage.values.allSatisfy { $0 > 0 })
    }

    @Test("the view of each dialect comes out alike")
    func dialects() throws {
        for name in ["chat", "openinference", "openllmetry"] {
            let seen = try seen(name)
            #expect(seen.type == "generation" && seen.user == "u-1" && seen.session == "conv-1", "\(name)")
            #expect((seen.input as? [[String: Any]])?.last?["content"] as? String == "Weather in Paris?", "\(name)")
            #expect((seen.output as? [String: Any])?["role"] as? String == "assistant", "\(name)")
        }
        #expect(try seen("openinference").cost == 0.0003)
        #expect(try seen("openinference").metadata["tier"] == .string("gold"))
    }

    @Test(
        "an environment that the server would call default is mended",
        arguments: [("Prod EU", "prod-eu"), ("langfuse-x", "-x"), ("a", "a")])
    func environment(name: String, seen: String) throws {
        let platform = FakeLangfuse()
        _ = platform.answer(try langfuse().encode(views([TestSpan(texts: [("deployment.environment.name", name)])]), context)[0])
        #expect(platform.observations.values.first?.environment == seen)
    }

    @Test("what an application with Langfuse's own SDK wrote stays")
    func ownNames() throws {
        let seen = try seen("own-names")
        #expect(seen.type == "evaluator" && seen.environment == "staging")
        #expect(seen.metadata["tier"] == .string("silver"))
    }

    @Test("an error has its level and its message")
    func error() throws {
        let seen = try seen("error")
        #expect(seen.level == "ERROR" && seen.statusMessage == "the provider is overloaded")
    }

    @Test("a span without times has the same ones at every resend")
    func times() throws {
        for (start, end) in [(0, nil), (0, 1_700_000_001_000_000_000), (1_700_000_000_000_000_000, nil)] as [(UInt64, UInt64?)] {
            let platform = FakeLangfuse()
            var batch = spanBatch([TestSpan(start: start, end: end)])
            batch.entries[0].receivedAt = 1_700_000_002_000_000_000
            let view = SpanView(segment: Segment(firstID: 1, payload: batch.payload, entries: batch.entries), index: 0)
            for _ in 0..<2 { _ = platform.answer(try langfuse().encode([view], context)[0]) }
            #expect(platform.observations.count == 1)
        }
    }

    @Test("media are sent, or taken out")
    func media() throws {
        let data = String(repeating: "iVBORw0KGgo/", count: 200)
        let span = TestSpan(texts: [
            (
                "gen_ai.input.messages",
                #"[{"role":"user","parts":[{"type":"uri","modality":"image","uri":"data:image/png;base64,\#(data)"}]}]"#
            )
        ])
        for (yaml, isThere) in [("media: inline", true), ("media: strip", false)] {
            let request = try langfuse(yaml).encode(views([span]), context)[0]
            let text = "\(try #require(decodeOTLP(request.plainBody ?? [])?.first?["langfuse.observation.input"]))"
            #expect(text.contains(data) == isThere)
            #expect(text.contains("[image/png +2400 bytes]") == !isThere)
            #expect(request.cutSpans == 0)
        }
    }

    // MARK: Size

    @Test("a span that is larger than a request may be is cut, stripped or a dead letter, as oversize says")
    func oversize() throws {
        let text = String(repeating: "kettle ", count: 20_000)
        let spans = views([TestSpan(), TestSpan(texts: [("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", text)])])
        for destination in [try langfuse(), try ingestion()] {
            var destination = destination
            destination.requestBytesMax = 64 << 10
            let requests = try destination.encode(spans, context)
            #expect(requests.flatMap { Array($0.spans) } == [0, 1])
            #expect(requests.map(\.cutSpans).reduce(0, +) == 1)
            for request in requests {
                let body = try #require(request.plainBody)
                #expect(body.count <= 64 << 10)
            }
            let cut = try #require(requests.first { $0.cutSpans == 1 }?.plainBody)
            #expect(cut.count >= 56 << 10, "more is cut than must be")
            let last = String(decoding: cut, as: UTF8.self)
            #expect(last.contains(/\ \[\+[0-9]+ bytes\]/))
        }
        for policy in ["dead", "strip_media"] {
            var strict = try langfuse("oversize: \(policy)")
            strict.requestBytesMax = 64 << 10
            #expect(throws: EncodeError(span: 1, reason: "too_large")) { try strict.encode(spans, context) }
        }
    }

    @Test("a batch that is too large becomes several requests, with nothing cut")
    func halves() throws {
        let spans = (0..<40).map { TestSpan(name: "span \($0)", id: UInt8($0 + 1), texts: [("k", String(repeating: "x", count: 5_000))]) }
        for destination in [try langfuse(), try ingestion()] {
            var destination = destination
            destination.requestBytesMax = 32 << 10
            let requests = try destination.encode(views(spans), context)
            #expect(requests.flatMap { Array($0.spans) } == Array(0..<40))
            #expect(requests.allSatisfy { ($0.plainBody?.count ?? .max) <= 32 << 10 && $0.cutSpans == 0 })
        }
    }

    // MARK: The JSON door

    @Test("a root makes its trace, and an event's id is the same at every resend")
    func eventIDs() throws {
        let platform = FakeLangfuseIngestion()
        let request = try Self.golden.request("chat", to: try ingestion())
        #expect(platform.answer(request).status == 207)
        let again = try Self.golden.request("chat", to: try ingestion())
        #expect(again.spanOfItem == request.spanOfItem && request.spanOfItem.count == 2)
        #expect(
            request.spanOfItem.keys.allSatisfy {
                $0.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil
            })
        #expect(platform.answer(again).status == 207)
        #expect(platform.traces.count == 1 && platform.observations.count == 1)
        let observation = try #require(platform.observations["00f067aa0ba902b7"])
        #expect(observation["traceId"] as? String == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(observation["usageDetails"] as? [String: Int] == ["input": 100, "input_cached_tokens": 20, "output": 30, "total": 150])
        #expect(platform.traces.values.first?["userId"] as? String == "u-1")
    }

    @Test("every fixture is taken by the strict door", arguments: golden.names)
    func strict(name: String) throws {
        let platform = FakeLangfuseIngestion()
        let (langfuse, request) = (try ingestion(), try Self.golden.request(name, to: try ingestion()))
        #expect(langfuse.judge(platform.answer(request), to: request) == .delivered())
    }

    @Test("what Langfuse's own SDK wrote arrives at the JSON door too, in place of what the span says otherwise")
    func ownNamesAsEvents() throws {
        let platform = FakeLangfuseIngestion()
        _ = platform.answer(try Self.golden.request("sdk", to: try ingestion("release: '1.0'")))
        let trace = try #require(platform.traces.values.first)
        #expect(trace["name"] as? String == "checkout" && trace["userId"] as? String == "u-7" && trace["sessionId"] as? String == "s-7")
        #expect(trace["tags"] as? [String] == ["x", "y"] && trace["release"] as? String == "2.1")
        #expect((trace["metadata"] as? [String: Any])?["cart"] as? String == "7")
        let seen = try #require(platform.observations.values.first)
        #expect((seen["input"] as? [[String: String]])?.first == ["role": "user", "content": "Weather?"])
        #expect(seen["output"] as? String == "Rainy." && seen["model"] as? String == "gpt-4o")
        #expect(seen["usageDetails"] as? [String: Int] == ["input": 100, "output": 30, "total": 130])
        #expect(seen["costDetails"] as? [String: Double] == ["total": 0.0006])
        #expect((seen["modelParameters"] as? [String: Any])?["temperature"] as? Double == 0.2)
        #expect(seen["level"] as? String == "WARNING" && seen["statusMessage"] as? String == "slow")
        #expect((seen["metadata"] as? [String: Any])?["tier"] as? String == "gold")
        #expect(seen["promptName"] as? String == "weather" && seen["promptVersion"] as? Int == 3)
        #expect(seen["environment"] as? String == "staging")
        #expect(seen["completionStartTime"] as? String == "2023-11-14T22:13:20.250000Z")
    }

    @Test("what that door would refuse of it is not said: a level of another name, counts that are no integers")
    func unsoundOwnNames() throws {
        let texts = [
            ("gen_ai.operation.name", "chat"), ("langfuse.observation.level", "LOUD"),
            ("langfuse.observation.usage_details", #"{"input":"many"}"#), ("langfuse.observation.cost_details", "[1]"),
            ("langfuse.observation.prompt.name", "no version"), ("langfuse.observation.completion_start_time", "soon"),
            ("langfuse.observation.model.parameters", "none"),
        ]
        let platform = FakeLangfuseIngestion()
        let (langfuse, request) = (try ingestion(), try ingestion().encode(views([TestSpan(texts: texts)]), context)[0])
        #expect(langfuse.judge(platform.answer(request), to: request) == .delivered())
        let seen = try #require(platform.observations.values.first)
        #expect(seen["level"] as? String == "DEFAULT" && seen["costDetails"] == nil && seen["promptName"] == nil)
        #expect(seen["usageDetails"] as? [String: Int] == ["input": 120, "output": 30, "total": 150])
    }

    @Test("an event has no end")
    func event() throws {
        let platform = FakeLangfuseIngestion()
        let request = try Self.golden.request("event", to: try ingestion())
        #expect(try ingestion().judge(platform.answer(request), to: request) == .delivered())
        #expect(request.text.contains(#""type":"event-create""#) && platform.observations.values.first?["endTime"] == nil)
    }

    @Test("a 207 is judged event by event: a span is delivered when each of its events is")
    func eventByEvent() throws {
        let langfuse = try ingestion()
        let spans = views([TestSpan(id: 1), TestSpan(id: 2), TestSpan(id: 3)])
        let request = try langfuse.encode(spans, context)[0]
        let ids = (0..<3).map { span in request.spanOfItem.filter { $0.value == span }.map(\.key).sorted() }
        #expect(ids.allSatisfy { $0.count == 2 })
        let successes = (ids[0] + [ids[1][0], ids[2][0]]).map { #"{"id":"\#($0)","status":201}"# }.joined(separator: ",")
        let errors = """
            {"id":"\(ids[1][1])","status":400,"message":"Invalid request data","error":"prompt text"},
            {"id":"\(ids[2][1])","status":500,"message":"Internal server error"}
            """
        let response = Response(status: 207, body: Array(#"{"successes":[\#(successes)],"errors":[\#(errors)]}"#.utf8))
        #expect(
            langfuse.judge(response, to: request)
                == .perSpan([.delivered, .refused(reason: "http_400", detail: "answered 400: Invalid request data"), .retry]))
    }

    @Test("an event that fails for a time is sent again, alone")
    func retriedEvent() throws {
        let platform = FakeLangfuseIngestion()
        let journey = try Journey(
            "type: langfuse, public_key: pk-lf-1, secret_key: sk-lf-1, endpoint: 'http://127.0.0.1:3000', mode: ingestion", to: platform)
        let request = try ingestion().encode(views(TestSpan.many(3)), context)[0]
        platform.failing = Set(request.spanOfItem.filter { $0.value == 1 }.map(\.key))
        try journey.send(TestSpan.many(3))
        #expect(try journey.outcomes == [.delivered: 3])
        #expect(journey.names == ["span 0", "span 1", "span 2"])
        #expect(journey.requests.map(\.spans.count) == [3, 1])
    }

    @Test("one span with bad ids refuses a request, and alone becomes a dead letter")
    func poison() throws {
        let journey = try Journey("type: langfuse, public_key: pk-lf-1, secret_key: sk-lf-1", to: FakeLangfuse())
        var spans = TestSpan.many(12)
        spans[5].traceID = [1, 2, 3]
        try journey.send(spans)
        #expect(try journey.outcomes == [.delivered: 11, .dead: 1])
        #expect(try journey.deadReasons == ["http_400"])
        #expect(journey.names.count == 11 && !journey.names.contains("span 5"))
    }

    // MARK: Probes

    @Test("health and key are told in words")
    func probes() throws {
        let langfuse = try langfuse()
        let probes = langfuse.probes
        #expect(probes.map(\.url) == ["https://cloud.langfuse.com/api/public/health", "https://cloud.langfuse.com/api/public/projects"])
        #expect(probes.allSatisfy { $0.method == "GET" && $0.body.isEmpty && $0.spans.isEmpty })
        #expect(probes[0]["Authorization"] == nil && probes[1]["Authorization"] == "Basic cGstbGYtMTpzay1sZi0x")
        func verdict(_ probe: Int, _ status: Int, _ body: String, _ destination: Langfuse) -> ProbeVerdict {
            destination.judgeProbe(
                Response(status: status, headers: ["content-type": "application/json"], body: Array(body.utf8)), to: probes[probe])
        }
        #expect(verdict(0, 200, #"{"status":"OK","version":"4.16.0"}"#, langfuse) == .works("Langfuse 4.16.0 is up"))
        #expect(verdict(1, 200, #"{"data":[{"id":"p","name":"shop"}]}"#, langfuse) == .works(#"the key is of the project "shop""#))
        for (probe, status, body, words) in [
            (0, 200, #"{"status":"OK","version":"3.21.9"}"#, "no OTLP door"), (0, 503, "{}", "its health answered 503"),
            (0, 200, "<html>", "not as Langfuse does"), (0, 404, "", "its health answered 404"),
            (1, 401, #"{"message":"Invalid credentials"}"#, "Invalid credentials"), (1, 403, "{}", "may not do that"),
            (1, 200, #"{"data":[]}"#, "belongs to no project"),
        ] {
            guard case .fails(let text, let remedy) = verdict(probe, status, body, langfuse) else {
                Issue.record("\(status) \(body) works")
                continue
            }
            #expect(text.contains(words) && !remedy.isEmpty)
        }
        let old = verdict(0, 200, #"{"version":"4.0.0"}"#, try ingestion())
        #expect(old == .fails("Langfuse 4.0.0 refuses mode: ingestion", remedy: "leave mode out"))
    }
}
