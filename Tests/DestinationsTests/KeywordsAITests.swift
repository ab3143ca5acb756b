import Delivery
import Settings
import SpanModel
import Testing

@testable import Destinations

@Suite("keywordsai")
struct KeywordsAITests {
    private func keywordsAI(_ yaml: String = "") throws -> KeywordsAI {
        KeywordsAI(try settings("type: keywordsai, api_key: sesame" + (yaml.isEmpty ? "" : ", " + yaml)))
    }

    private func context(door: Int = 0, host: Int = 0) -> EncodeContext {
        EncodeContext(destination: "test", now: 1_700_000_002_500_000_000, door: door, host: host)
    }

    // MARK: Configuration

    @Test(
        "endpoint is a base: slashes at its end and one /api, which the vendor's own variable has, are left out",
        arguments: [
            ("https://api.respan.ai", "https://api.respan.ai/api/v2/traces"),
            ("https://api.respan.ai/api", "https://api.respan.ai/api/v2/traces"),
            ("https://api.keywordsai.co/api/", "https://api.keywordsai.co/api/v2/traces"),
            ("http://127.0.0.1:8000/proxy//", "http://127.0.0.1:8000/proxy/api/v2/traces"),
            ("http://127.0.0.1/api/api", "http://127.0.0.1/api/api/v2/traces"),
            ("https://example.com/?a=1", "https://example.com/api/v2/traces"),
        ])
    func endpoint(endpoint: String, url: String) throws {
        #expect(try keywordsAI("endpoint: '\(endpoint)'").encode(views([TestSpan()]), context())[0].url == url)
    }

    @Test("without an endpoint it is the vendor's own, and respan is another word for the type")
    func defaults() throws {
        let request = try keywordsAI().encode(views([TestSpan()]), context())[0]
        #expect(request.url == "https://api.respan.ai/api/v2/traces")
        #expect(request["Authorization"] == "Bearer sesame")
        #expect(request["Content-Type"] == "application/x-protobuf")
        #expect(request["Content-Encoding"] == nil)
        let other = makeDestination(try settings("type: respan, api_key: sesame"))
        #expect(try other.encode(views([TestSpan()]), context())[0].body == request.body)
    }

    @Test(
        "mistakes are told with their remedy",
        arguments: [
            ("type: keywordsai", "api_key"),
            ("type: keywordsai, api_key: k, headers: {authorization: Bearer x}", "authorization is set by api_key"),
            ("type: keywordsai, api_key: k, headers: {Content-Type: text/plain}", "Content-Type is set by mode and encoding"),
            ("type: keywordsai, api_key: k, fallback_endpoint: 'https://api.respan.ai/api/'", "is endpoint once more"),
            ("type: respan, api_key: k, mode: bulk", "mode"), ("type: keywordsai, api_key: k, encoding: xml", "encoding"),
        ])
    func wrong(yaml: String, mistake: String) {
        #expect(mistakes(yaml).contains(mistake))
    }

    @Test("what it declares: batches, doors, hosts, and the bulk door's limit, which destinations of one key share")
    func declared() throws {
        let otlp = try keywordsAI("fallback_endpoint: 'https://u:p@api.keywordsai.co/api'").declaration
        #expect(otlp.limits == BatchLimits(spans: 500, bytes: 4 << 20))
        #expect(otlp.timeout == .seconds(30) && !otlp.idempotent && otlp.lingerMin == .zero)
        #expect(
            otlp.doors == [
                "/api/v2/traces with protobuf", "/api/v2/traces with json", "/api/v1/traces", "/api/request-logs/bulk/",
            ])
        #expect(otlp.hosts == ["https://api.respan.ai", "https://api.keywordsai.co"])
        let shared = try #require(otlp.sharedRate)
        #expect(shared.requestsPerSecond == 0.5 && shared.firstDoor == 3)
        #expect(!shared.account.contains("sesame"))

        let logs = try keywordsAI("mode: logs").declaration
        #expect(logs.doors == ["/api/request-logs/bulk/"] && logs.hosts == ["https://api.respan.ai"])
        #expect(logs.lingerMin == .seconds(2))
        #expect(logs.sharedRate == SharedRate(account: shared.account, requestsPerSecond: 0.5, firstDoor: 0))
        let other = KeywordsAI(try settings("type: keywordsai, api_key: open")).declaration.sharedRate
        #expect(other?.account != shared.account)
    }

    // MARK: Doors

    @Test("each door has its address and its form, at either host")
    func doors() throws {
        let destination = try keywordsAI("endpoint: 'http://127.0.0.1:1', fallback_endpoint: 'http://127.0.0.1:2/api'")
        let forms = try (0..<4).map { try destination.encode(views(TestSpan.many(2)), context(door: $0))[0] }
        #expect(
            forms.map(\.url) == ["/v2/traces", "/v2/traces", "/v1/traces", "/request-logs/bulk/"].map { "http://127.0.0.1:1/api" + $0 })
        #expect(
            forms.map { $0["Content-Type"] } == [
                "application/x-protobuf", "application/json", "application/x-protobuf", "application/json",
            ])
        #expect(forms.map(\.door) == [0, 1, 2, 3])
        #expect(forms[0].body == forms[2].body)
        #expect(forms[1].text.hasPrefix(#"{"resourceSpans":["#))
        #expect(forms[3].text.hasPrefix(#"{"logs":[{"model":"#))
        let fallback = try destination.encode(views([TestSpan()]), context(door: 2, host: 1))[0]
        #expect(fallback.url == "http://127.0.0.1:2/api/v1/traces")
        let json = try keywordsAI("encoding: json")
        #expect(
            try (0..<4).map { try json.encode(views([TestSpan()]), context(door: $0))[0]["Content-Type"] } == [
                "application/json", "application/x-protobuf", "application/x-protobuf", "application/json",
            ])
    }

    @Test(
        "what is larger than a request may be is sent in parts; a span that is larger alone is cut, or told", arguments: ["otlp", "logs"])
    func parts(mode: String) throws {
        var spans = TestSpan.many(20)
        spans[7].texts.append(("gen_ai.input.messages", String(repeating: "x", count: 8000)))
        var destination = try keywordsAI("mode: \(mode)")
        destination.requestBytesMax = 4000
        let requests = try destination.encode(views(spans), context())
        #expect(requests.count > 1)
        #expect(requests.flatMap { Array($0.spans) } == Array(0..<20))
        #expect(requests.allSatisfy { $0.body.count <= 4000 })
        #expect(requests.map(\.cutSpans).reduce(0, +) == 1)
        #expect(requests.first { $0.spans.contains(7) }?.text.contains(" bytes]") == true)

        var strict = try keywordsAI("mode: \(mode), oversize: dead")
        strict.requestBytesMax = 4000
        #expect(throws: EncodeError(span: 7, reason: "too_large")) { try strict.encode(views(spans), context()) }
        #expect(try keywordsAI("mode: \(mode)").encode(views(spans), context()).count == 1, "the platform's own limit is 20 MB")
    }

    @Test("a damaged span is told, so that the others go on", arguments: 0..<4)
    func damaged(door: Int) throws {
        #expect(throws: EncodeError(span: 2, reason: "malformed_span")) {
            try keywordsAI().encode(views(TestSpan.many(2)) + [damagedView()], context(door: door))
        }
    }

    @Test("the probe asks each host for the key and sends no span")
    func probes() throws {
        let destination = try keywordsAI("fallback_endpoint: 'https://api.keywordsai.co/api'")
        #expect(
            destination.probes.map(\.url) == ["https://api.respan.ai/api/v2/traces", "https://api.keywordsai.co/api/v2/traces"])
        #expect(destination.probes.allSatisfy { $0["Authorization"] == "Bearer sesame" && $0.text == #"{"resourceSpans":[]}"# })
        func judged(_ status: Int) -> String {
            switch destination.judgeProbe(Response(status: status), to: destination.probes[0]) {
            case .works(let words): "works: \(words)"
            case .fails(let words, _): "fails: \(words)"
            }
        }
        #expect(judged(200) == "works: https://api.respan.ai/api/v2/traces takes the key (answered 200)")
        #expect(judged(401) == "fails: https://api.respan.ai/api/v2/traces refuses the key (answered 401)")
        for status in [402, 403, 404, 405, 500, 503] { #expect(judged(status).hasPrefix("fails")) }
        for status in [202, 400, 422, 429] { #expect(judged(status).hasPrefix("works")) }
    }

    // MARK: Fields

    private func attributes(_ span: TestSpan) throws -> [String: String] {
        let body = try keywordsAI("encoding: json").encode(views([span]), context())[0].text
        return Dictionary(
            body.matches(of: /\{"key":"([^"]*)","value":\{"[a-zA-Z]*":"?((?:[^"\\}]|\\.)*)"?\}\}/).map { (String($0.1), String($0.2)) }
        ) { "\($0) and \($1)" }
    }

    @Test(
        "log_type says what the span was; model calls have llm.request.type, all others a kind of OpenLLMetry's",
        arguments: [
            ("chat", "chat", "llm.request.type", "chat"), ("generate_content", "chat", "llm.request.type", "chat"),
            ("text_completion", "completion", "llm.request.type", "completion"),
            ("embeddings", "embedding", "llm.request.type", "embedding"), ("execute_tool", "tool", "traceloop.span.kind", "tool"),
            ("invoke_agent", "agent", "traceloop.span.kind", "agent"), ("create_agent", "agent", "traceloop.span.kind", "agent"),
            ("invoke_workflow", "workflow", "traceloop.span.kind", "workflow"),
            ("guardrail", "guardrail", "traceloop.span.kind", "task"), ("retrieval", "task", "traceloop.span.kind", "task"),
            ("plan", "task", "traceloop.span.kind", "task"), ("something_new", "task", "traceloop.span.kind", "task"),
        ])
    func logType(operation: String, type: String, key: String, kind: String) throws {
        let attributes = try attributes(TestSpan(texts: [("gen_ai.operation.name", operation)], counts: []))
        #expect(attributes["respan.entity.log_type"] == type)
        #expect(attributes[key] == kind)
        #expect((attributes["llm.request.type"] == nil) != (attributes["traceloop.span.kind"] == nil))
    }

    @Test("a span that says nothing of itself is a workflow where it is a root, a call of a model where it names one")
    func unknown() throws {
        #expect(try attributes(TestSpan(texts: [], counts: []))["respan.entity.log_type"] == "workflow")
        #expect(try attributes(TestSpan(texts: [("gen_ai.request.model", "m")], counts: []))["respan.entity.log_type"] == "chat")
    }

    @Test("zeros are said, since the platform estimates what is missing")
    func zeros() throws {
        let attributes = try attributes(TestSpan(counts: [("gen_ai.usage.input_tokens", 0), ("gen_ai.usage.output_tokens", 0)]))
        #expect(attributes["gen_ai.usage.prompt_tokens"] == "0" && attributes["gen_ai.usage.completion_tokens"] == "0")
        #expect(attributes["llm.usage.total_tokens"] == "0")
    }

    @Test("a user is cut at 254 characters, a name at 255")
    func cut() throws {
        let long = String(repeating: "é", count: 300)
        let span = TestSpan(name: long, texts: [("user.id", long), ("gen_ai.operation.name", "chat")])
        #expect(try attributes(span)["respan.customer_params.customer_identifier"] == String(repeating: "é", count: 254))
        let row = try keywordsAI("mode: logs").encode(views([span]), context())[0].text
        #expect(row.contains("\"customer_identifier\":\"\(String(repeating: "é", count: 254))\""))
        #expect(row.contains("\"span_name\":\"\(String(repeating: "é", count: 255))\""))
    }

    @Test("no attribute is there twice, whatever the sender had")
    func once() throws {
        let texts = [
            "respan.entity.log_type", "llm.request.type", "gen_ai.system", "gen_ai.response.model", "gen_ai.prompt.0.content",
            "gen_ai.prompt.7.content", "gen_ai.completion.0.role", "traceloop.entity.input", "traceloop.entity.output", "error.message",
            "respan.metadata", "cost", "llm.request.functions", "traceloop.workflow.name", "gen_ai.prompt.name",
        ].map { ($0, "mine") }
        let body = try keywordsAI("encoding: json").encode(
            views([
                TestSpan(
                    texts: texts + [
                        ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", "in"), ("gen_ai.output.messages", "out"),
                        ("tracefwd.metadata.a", "b"), ("tracefwd.cost_usd", "0.5"),
                    ], status: 2, statusMessage: "broke")
            ]), context())[0].text
        let keys = body.matches(of: /"key":"([^"]*)"/).map { String($0.1) }
        #expect(keys.count == Set(keys).count, "\(keys.filter { key in keys.count { $0 == key } > 1 })")
        #expect(keys.contains("gen_ai.prompt.name") && !keys.contains("gen_ai.prompt.7.content"))
    }
}
