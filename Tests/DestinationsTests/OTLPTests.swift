import Delivery
import Settings
import SpanModel
import Testing

@testable import Destinations

@Suite("otlp")
struct OTLPDestinationTests {
    private func otlp(_ yaml: String = "") throws -> OTLP {
        OTLP(try settings("type: otlp, " + (yaml.contains("endpoint") ? yaml : "endpoint: 'http://127.0.0.1:4318', " + yaml)))
    }

    // MARK: Configuration

    @Test(
        "endpoint is a base: its path stays, /v1/traces follows with one slash between",
        arguments: [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"), ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://example.com/otlp", "https://example.com/otlp/v1/traces"),
            ("https://example.com/a/b//", "https://example.com/a/b/v1/traces"),
            ("https://example.com/a?key=1", "https://example.com/a/v1/traces?key=1"),
        ])
    func base(endpoint: String, url: String) throws {
        #expect(try otlp("endpoint: '\(endpoint)'").url == url)
    }

    @Test(
        "traces_endpoint is used as it is",
        arguments: ["http://127.0.0.1:4318", "https://example.com/otel/", "https://example.com/v1/traces"])
    func literal(url: String) throws {
        #expect(try otlp("traces_endpoint: '\(url)'").url == url)
    }

    @Test(
        "mistakes are told with their remedy",
        arguments: [
            ("type: otlp", "needs endpoint"), ("type: otlp, endpoint: 'http://a', traces_endpoint: 'http://b'", "stands beside endpoint"),
            ("type: otlp, endpoint: 'http://a/v1/traces/'", "ends with /v1/traces"),
            ("type: otlp, endpoint: 'http://a', headers: {content-type: text/plain}", "content-type is set by encoding"),
            ("type: otlp, endpoint: 'http://a', encoding: xml", "encoding"),
        ])
    func wrong(yaml: String, mistake: String) {
        #expect(mistakes(yaml).contains(mistake))
    }

    @Test("idempotent, limits and timeout are declared")
    func declaration() throws {
        #expect(try otlp().declaration.idempotent == false)
        #expect(try otlp("idempotent: true").declaration.idempotent)
        #expect(try otlp().declaration.limits == BatchLimits(spans: 500, bytes: 4 << 20))
        #expect(try otlp().declaration.timeout == .seconds(10))
        #expect(try otlp("endpoint: 'https://u:p@example.com/?k=1'").target == "https://example.com/v1/traces")
    }

    // MARK: Encoding

    @Test("protobuf is the contract's vector, byte for byte")
    func protobuf() throws {
        let requests = try otlp().encode(views([TestSpan()]), context)
        #expect(requests.count == 1)
        #expect(requests[0].url == "http://127.0.0.1:4318/v1/traces")
        #expect(requests[0].method == "POST")
        #expect(requests[0].spans == 0..<1)
        #expect(requests[0]["Content-Type"] == "application/x-protobuf")
        #expect(requests[0]["Content-Encoding"] == nil)
        #expect(requests[0]["User-Agent"] == "tracefwd/\(version) OTel-OTLP-Exporter-Swift/\(version)")
        let vector = """
            0af3010a180a160a0c736572766963652e6e616d6512060a0473686f7012d6010a0a0a08747261636566776412c7010a104bf92f3577b34da6a3ce929d0e0e4736120800f0
            67aa0ba902b72a0b63686174206770742d346f30033900002a36fe9c97174100cac471fe9c97174a1f0a1567656e5f61692e6f7065726174696f6e2e6e616d6512060a0463
            6861744a200a1467656e5f61692e726571756573742e6d6f64656c12080a066770742d346f4a1f0a1967656e5f61692e75736167652e696e7075745f746f6b656e73120218
            784a200a1a67656e5f61692e75736167652e6f75747075745f746f6b656e731202181e7a021801
            """
        #expect(requests[0].body == [UInt8](hex: vector))
    }

    @Test("JSON is the contract's, byte for byte")
    func json() throws {
        let requests = try otlp("encoding: json").encode(views([TestSpan()]), context)
        #expect(requests[0]["Content-Type"] == "application/json")
        #expect(
            requests[0].text.hasPrefix(
                #"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"#))
        #expect(requests[0].text.hasSuffix(#"{"key":"gen_ai.usage.output_tokens","value":{"intValue":"30"}}],"status":{"code":1}}]}]}]}"#))
    }

    @Test("gzip is told, and holds the same bytes")
    func gzip() throws {
        let plain = try otlp().encode(views(TestSpan.many(20)), context)[0]
        let packed = try otlp("compression: gzip").encode(views(TestSpan.many(20)), context)[0]
        #expect(packed["Content-Encoding"] == "gzip")
        #expect(packed.body.count < plain.body.count / 2)
        #expect(try Gzip.decompress(packed.body, limit: 1 << 20) == plain.body)
    }

    @Test("configured headers are sent, and replace ours of the same name")
    func headers() throws {
        let sent = try otlp("headers: {x-api-key: sesame, user-agent: mine}").encode(views([TestSpan()]), context)[0]
        #expect(sent["x-api-key"] == "sesame")
        #expect(sent.headers.filter { $0.name.lowercased() == "user-agent" }.map { $0.value.reveal() } == ["mine"])
    }

    @Test("what is larger than a request may be is sent in parts, and a span that is larger alone is told")
    func parts() throws {
        var otlp = try otlp()
        otlp.requestBytesMax = 1000
        let requests = try otlp.encode(views(TestSpan.many(20)), context)
        #expect(requests.count > 1)
        #expect(requests.flatMap { Array($0.spans) } == Array(0..<20))
        #expect(requests.allSatisfy { $0.body.count <= 1000 })
        var spans = TestSpan.many(5)
        spans[3].name = String(repeating: "x", count: 2000)
        #expect(throws: EncodeError(span: 3, reason: "too_large")) { try otlp.encode(views(spans), context) }
    }

    @Test("a damaged span is told, so that the others go on")
    func damaged() throws {
        let otlp = try otlp()
        #expect(throws: EncodeError(span: 2, reason: "malformed_span")) {
            try otlp.encode(views(TestSpan.many(2)) + [damagedView()], context)
        }
    }

    // MARK: Answers

    private static let protobufType = ["content-type": "application/x-protobuf"]
    private static let jsonType = ["content-type": "application/json; charset=utf-8"]

    @Test(
        "a success without a partial success is a delivery, whatever its body is",
        arguments: [
            Response(status: 200), Response(status: 202), Response(status: 204), Response(status: 200, headers: protobufType),
            Response(status: 200, headers: protobufType, body: [UInt8](hex: "0a00")),
            Response(status: 200, headers: jsonType, body: Array("{}".utf8)),
            Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{}}"#.utf8)),
            Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":"0"}}"#.utf8)),
            Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":null}"#.utf8)),
            Response(status: 200, headers: ["content-type": "text/plain"], body: Array("{\"partialSuccess\":{\"rejectedSpans\":5}}".utf8)),
            Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":"5""#.utf8)),
            Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":[]}}"#.utf8)),
            Response(status: 200, headers: protobufType, body: [UInt8](hex: "0a0808021206626164")),
            Response(status: 200, headers: protobufType, body: [0xff, 0xff, 0xff]), Response(status: 200, body: [1, 2, 3]),
            Response(status: 200, headers: protobufType, body: [UInt8](hex: "0a0b08ffffffffffffffffff01")),
            Response(status: 200, headers: jsonType, body: [UInt8](repeating: UInt8(ascii: "["), count: 100_000)),
        ])
    func delivered(response: Response) throws {
        #expect(try otlp().judge(response, to: request()) == .delivered())
        #expect(try otlp("encoding: json").judge(response, to: request()) == .delivered())
    }

    @Test("a page of HTML is a delivery too, and a person is told where to look")
    func page() throws {
        let response = Response(status: 200, headers: ["content-type": "text/html; charset=utf-8"], body: Array("<html>log in</html>".utf8))
        let note = "answered 200 with text/html, not as a collector does; check its endpoint"
        #expect(try otlp().judge(response, to: request()) == .delivered(note: note))
    }

    private static let partials = [
        Response(status: 200, headers: protobufType, body: [UInt8](hex: "0a0a08021206626164206964")),
        Response(status: 200, headers: ["content-type": "application/protobuf"], body: [UInt8](hex: "0a0a08021206626164206964")),
        Response(status: 200, body: [UInt8](hex: "0a0a08021206626164206964")),
        Response(status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"bad id"}}"#.utf8)),
        Response(
            status: 200, headers: jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":2,"errorMessage":"bad id","x":1}}"#.utf8)),
    ]

    @Test("some refused, and which is unknown", arguments: partials)
    func partial(response: Response) throws {
        #expect(try otlp().judge(response, to: request()) == .partialUnknown(refused: 2, detail: "bad id"))
    }

    @Test("some refused where sending again does no harm: the batch is bisected", arguments: partials)
    func bisected(response: Response) throws {
        #expect(try otlp("idempotent: true").judge(response, to: request()) == .refused(reason: "partial", detail: "bad id"))
    }

    @Test("as many refused as were sent, or more, are all of them", arguments: [1, 2])
    func all(spans: Int) throws {
        let refused = Verdict.perSpan(Array(repeating: .refused(reason: "partial", detail: "bad id"), count: spans))
        #expect(try otlp().judge(Self.partials[0], to: request(spans: spans)) == refused)
        #expect(try otlp("idempotent: true").judge(Self.partials[0], to: request(spans: spans)) == refused)
    }

    @Test("a warning without a refusal is a delivery with a note")
    func warning() throws {
        let response = Response(status: 200, headers: Self.jsonType, body: Array(#"{"partialSuccess":{"errorMessage":"old names"}}"#.utf8))
        #expect(try otlp().judge(response, to: request()) == .delivered(note: "old names"))
        let silent = Response(status: 200, headers: Self.jsonType, body: Array(#"{"partialSuccess":{"rejectedSpans":3}}"#.utf8))
        #expect(try otlp().judge(silent, to: request()) == .partialUnknown(refused: 3, detail: "3 of 10 spans refused"))
    }

    @Test(
        "the rest is judged by its status",
        arguments: [
            (400, Verdict.refused(reason: "http_400", detail: "answered 400")),
            (401, .pause(reason: "unauthorized", detail: "answered 401")),
            (403, .pause(reason: "forbidden", detail: "answered 403")), (404, .pause(reason: "not_found", detail: "answered 404")),
            (405, .refused(reason: "http_405", detail: "answered 405")), (408, .retry(detail: "answered 408")), (413, .tooLarge),
            (415, .refused(reason: "http_415", detail: "answered 415")), (429, .retry(detail: "answered 429", throttle: true)),
            (500, .retry(detail: "answered 500")), (502, .retry(detail: "answered 502", throttle: true)),
            (503, .retry(detail: "answered 503", throttle: true)), (504, .retry(detail: "answered 504", throttle: true)),
        ])
    func statuses(status: Int, verdict: Verdict) throws {
        #expect(try otlp().judge(Response(status: status), to: request()) == verdict)
    }
}
