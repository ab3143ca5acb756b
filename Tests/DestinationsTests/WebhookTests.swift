import Crypto
import Delivery
import Foundation
import Settings
import SpanModel
import Testing

@testable import Destinations

@Suite("webhook")
struct WebhookTests {
    private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    private func webhook(_ yaml: String) throws -> Webhook {
        Webhook(try settings("type: webhook, url: 'https://example.com/hooks', " + yaml))
    }

    // MARK: Signatures (the contract's vectors)

    private static let first = (
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: UInt64(1_614_265_330), body: Array(#"{"test": 2432232314}"#.utf8)
    )
    private static let second = (
        id: "tfw_0190a1b2c3d4", seconds: UInt64(1_700_000_001),
        body: Array(#"{"type":"llm.span","timestamp":"2023-11-14T22:13:21Z","data":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}}"#.utf8)
    )

    private func headers(_ signature: Signature, _ vector: (id: String, seconds: UInt64, body: [UInt8])) -> [String: String] {
        let headers = signature.headers(id: vector.id, seconds: vector.seconds, event: "llm.spans", body: vector.body)
        #expect(headers.map(\.name) == signature.headerNames)
        return Dictionary(uniqueKeysWithValues: headers.map { ($0.name, $0.value.reveal()) })
    }

    @Test("v1: the specification's vector and ours, with and without prefix", arguments: [secret, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    func symmetric(secret: String) throws {
        let signature = Signature.standard([try #require(StandardKey(Secret(secret)))])
        #expect(headers(signature, Self.first)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        #expect(headers(signature, Self.second)["webhook-signature"] == "v1,ZdK5grt5AmvQctjjqh/0yTjEZBV9Zx6J6bUJTwnkn38=")
        #expect(headers(signature, Self.second)["webhook-id"] == "tfw_0190a1b2c3d4")
        #expect(headers(signature, Self.second)["webhook-timestamp"] == "1700000001")
    }

    @Test("v1a: ed25519, from a seed or a seed with its public key")
    func ed25519() throws {
        let seed = Data(0..<32)
        let expected = "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ=="
        let publicKey = try #require(Data(base64Encoded: "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="))
        for key in [seed, seed + publicKey] {
            let signature = Signature.standard([try #require(StandardKey(Secret("whsk_" + key.base64EncodedString())))])
            let header = try #require(headers(signature, Self.first)["webhook-signature"])
            let bytes = try #require(Data(base64Encoded: String(header.dropFirst(4))))
            let content = Array("\(Self.first.id).\(Self.first.seconds).".utf8) + Self.first.body
            #expect(try Curve25519.Signing.PublicKey(rawRepresentation: publicKey).isValidSignature(bytes, for: content))
            #expect(header == expected)
        }
    }

    @Test("rotation: every key signs, newest first, and the receiver's old one still verifies")
    func rotation() throws {
        let old = try #require(StandardKey(Secret(Self.secret)))
        let new = try #require(StandardKey(Secret("whsec_" + Data(repeating: 7, count: 32).base64EncodedString())))
        let header = try #require(headers(.standard([new, old]), Self.first)["webhook-signature"])
        let entries = header.split(separator: " ")
        #expect(entries.count == 2)
        #expect(entries[1] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        #expect(entries[0].hasPrefix("v1,"))
    }

    @Test(
        "secrets are read with or without padding, and what decodes to nothing is no secret",
        arguments: [
            ("whsec_YQ==", true), ("whsec_YQ", true), ("YWI=", true), ("YWI", true), ("whsec_", false), ("whsec_?", false),
            ("whsec_Y", false), ("", false),
            ("whsk_YQ==", false), ("whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", false),
        ])
    func parsing(text: String, isKey: Bool) {
        #expect((StandardKey(Secret(text)) != nil) == isKey)
    }

    @Test("GitHub's published vector")
    func github() {
        let sent = headers(.github(Secret("It's a Secret to Everybody")), (id: "tfw_1", seconds: 1, body: Array("Hello, World!".utf8)))
        #expect(sent["X-Hub-Signature-256"] == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
        #expect(sent["X-TraceFwd-Delivery"] == "tfw_1")
        #expect(sent["X-TraceFwd-Event"] == "llm.spans")
    }

    @Test("Stripe's style: the secret's text is the key, and several keys sign")
    func stripe() {
        let vector = (id: "", seconds: UInt64(1_614_265_330), body: Array(#"{"id":"evt_1"}"#.utf8))
        let expected = "t=1614265330,v1=e135cdbed3dda004bf8a2fb350f2541d299393c770e0b9e6e319dc595e9072aa"
        #expect(headers(.stripe([Secret("whsec_test_secret")]), vector)["TraceFwd-Signature"] == expected)
        let rotated = headers(.stripe([Secret("new"), Secret("whsec_test_secret")]), vector)["TraceFwd-Signature"]
        #expect(rotated?.hasSuffix(",v1=e135cdbed3dda004bf8a2fb350f2541d299393c770e0b9e6e319dc595e9072aa") == true)
    }

    @Test("a style of one's own: header, hash, encoding, prefix and what is signed")
    func hmac() throws {
        let body = Array("{id} {body}".utf8)
        let vector = (id: "tfw_1", seconds: UInt64(5), body: body)
        let hex = HMACStyle(
            secret: Secret("k"), header: "X-Sig", algorithm: .sha256, encoding: .hex, prefix: "v0=",
            template: "v0:{timestamp}:{id}:é:{body}")
        let code = HMAC<SHA256>.authenticationCode(for: Array("v0:5:tfw_1:é:{id} {body}".utf8), using: SymmetricKey(data: Array("k".utf8)))
        #expect(headers(.hmac(hex), vector)["X-Sig"] == "v0=" + hexText(code))
        let base64 = HMACStyle(secret: Secret("k"), header: "X-Sig", algorithm: .sha512, encoding: .base64, prefix: "", template: "{body}")
        let long = HMAC<SHA512>.authenticationCode(for: body, using: SymmetricKey(data: Array("k".utf8)))
        #expect(headers(.hmac(base64), vector)["X-Sig"] == Data(long).base64EncodedString())
    }

    @Test("bearer, basic and none")
    func plain() {
        let vector = (id: "", seconds: UInt64(0), body: [UInt8]())
        #expect(headers(.bearer(Secret("sesame")), vector) == ["Authorization": "Bearer sesame"])
        #expect(
            headers(.basic(user: "Aladdin", password: Secret("open sesame")), vector) == [
                "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
            ])
        #expect(headers(.unsigned, vector).isEmpty)
    }

    // MARK: Bodies

    private static let native =
        #"{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","name":"chat gpt-4o","kind":"client","start_time":"2023-11-14T22:13:20.000000000Z","end_time":"2023-11-14T22:13:21.000000000Z","duration_ms":1000,"status":{"code":"ok"},"attributes":{"gen_ai.operation.name":"chat","gen_ai.request.model":"gpt-4o","gen_ai.usage.input_tokens":120,"gen_ai.usage.output_tokens":30},"resource":{"service.name":"shop"},"scope":{"name":"tracefwd"}}"#

    @Test(
        "each format has its body, type and event",
        arguments: [
            (
                "batch", "application/json",
                #"{"type":"llm.spans","timestamp":"2023-11-14T22:13:22Z","data":{"spans":["# + native + #"],"count":1}}"#
            ),
            ("single", "application/json", #"{"type":"llm.span","timestamp":"2023-11-14T22:13:21Z","data":"# + native + "}"),
            ("ndjson", "application/x-ndjson", native + "\n"),
            (
                "thin", "application/json",
                #"{"type":"llm.spans","timestamp":"2023-11-14T22:13:22Z","data":{"spans":[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","name":"chat gpt-4o","model":"gpt-4o","status":"ok"}],"count":1}}"#
            ),
        ])
    func bodies(format: String, type: String, body: String) throws {
        let sent = try webhook("sign: none, format: \(format)").encode(views([TestSpan()]), context)
        #expect(sent.count == 1)
        #expect(sent[0].text == body)
        #expect(sent[0]["Content-Type"] == type)
        #expect(sent[0]["User-Agent"] == "tracefwd/\(version)")
        #expect(sent[0].url == "https://example.com/hooks")
    }

    @Test("otlp is an OTLP request, in JSON or in protobuf")
    func otlp() throws {
        let json = try webhook("sign: none, format: otlp").encode(views([TestSpan()]), context)[0]
        #expect(json["Content-Type"] == "application/json")
        #expect(json.text.hasPrefix(#"{"resourceSpans":[{"#))
        let protobuf = try webhook("sign: none, format: otlp, encoding: protobuf").encode(views([TestSpan()]), context)[0]
        #expect(protobuf["Content-Type"] == "application/x-protobuf")
        var expected: [UInt8] = []
        try appendOTLPRequest(views([TestSpan()]), to: &expected)
        #expect(protobuf.body == expected)
    }

    @Test("single sends a request a span, each with its own id")
    func single() throws {
        let sent = try webhook("format: single, secrets: ['\(Self.secret)']").encode(views(TestSpan.many(3)), context)
        #expect(sent.map(\.spans) == [0..<1, 1..<2, 2..<3])
        #expect(Set(sent.compactMap { $0["webhook-id"] }).count == 3)
        let parts = try webhook("format: single, secrets: ['\(Self.secret)']").encode(Array(views(TestSpan.many(3))[1...]), context)
        #expect(parts.map { $0["webhook-id"] } == sent[1...].map { $0["webhook-id"] })
    }

    @Test("a signed request verifies, compressed or not")
    func verifies() throws {
        for compression in ["none", "gzip"] {
            let hook = try webhook("secrets: ['\(Self.secret)'], compression: \(compression)")
            let sent = try hook.encode(views([TestSpan(name: "Grüße\n")]), context)[0]
            #expect(sent["webhook-timestamp"] == "1700000002")
            let content = "\(try #require(sent["webhook-id"])).1700000002."
            let key = SymmetricKey(data: try #require(Data(base64Encoded: String(Self.secret.dropFirst(6)))))
            let code = HMAC<SHA256>.authenticationCode(for: Array(content.utf8) + sent.body, using: key)
            #expect(sent["webhook-signature"] == "v1," + Data(code).base64EncodedString())
        }
    }

    // MARK: The id

    @Test("the id is the same at every attempt, and another for other spans or another destination")
    func identity() throws {
        let spans = views(TestSpan.many(4), firstID: 77)
        let id = webhookID(spans[...], destination: "a")
        #expect(id.wholeMatch(of: /tfw_[0-9a-f]{32}/) != nil)
        #expect(webhookID(views(TestSpan.many(4), firstID: 77)[...], destination: "a") == id)
        let others = [
            webhookID(spans[...], destination: "b"), webhookID(spans[..<2], destination: "a"), webhookID(spans[2...], destination: "a"),
            webhookID(views(TestSpan.many(4), firstID: 78)[...], destination: "a"),
        ]
        #expect(Set(others + [id]).count == 5)

        let hook = try webhook("secrets: ['\(Self.secret)']")
        let later = EncodeContext(destination: context.destination, now: context.now + 60_000_000_000)
        let (one, two) = (try hook.encode(spans, context)[0], try hook.encode(spans, later)[0])
        #expect(one["webhook-id"] == two["webhook-id"])
        #expect(one["webhook-timestamp"] == "1700000002")
        #expect(two["webhook-timestamp"] == "1700000062")
        #expect(one["webhook-signature"] != two["webhook-signature"])
    }

    @Test("the id is the contract's hash: destination, first and last row, span ids")
    func hash() {
        var hash = SHA256()
        hash.update(data: Array("test".utf8) + [0, 0, 0, 0, 0, 0, 0, 9] + [0, 0, 0, 0, 0, 0, 0, 9] + [UInt8](hex: "00f067aa0ba902b7"))
        #expect(webhookID(views([TestSpan()], firstID: 9)[...], destination: "test") == "tfw_" + hexText(hash.finalize()).prefix(32))
    }

    // MARK: Configuration

    @Test(
        "mistakes are told with their remedy, and no secret with them",
        arguments: [
            ("", "is standard, which needs secrets; sign: none sends without a signature"),
            ("secrets: ['hunter2 is no base64']", "one of them is not"),
            ("sign: github", "needs secrets"), ("sign: stripe", "needs secrets"), ("sign: bearer", "needs token"),
            ("sign: basic, user: a", "needs user and password"),
            ("sign: hmac, secrets: [k]", "needs a section hmac"), ("sign: hmac, secrets: [k], hmac: {}", "header"),
            ("sign: hmac, secrets: [k], hmac: {header: 'a b'}", "no name of a header"),
            ("sign: hmac, secrets: [k], hmac: {header: X, template: '{id}'}", "does not sign the {body}"),
            ("sign: github, secrets: [a, b]", "sends one signature"), ("sign: none, headers: {Host: x}", "Host"),
            ("sign: none, headers: {content-length: '1'}", "content-length"),
            ("sign: bearer, token: t, headers: {authorization: x}", "authorization is set by sign: bearer"),
            ("secrets: ['\(secret)'], headers: {Webhook-Id: x}", "Webhook-Id is set by sign: standard"),
            ("sign: github, secrets: [a], headers: {X-Hub-Signature-256: x}", "X-Hub-Signature-256 is set by sign: github"),
            ("sign: hmac, secrets: [a], hmac: {header: X-Sig}, headers: {x-sig: x}", "x-sig is set by sign: hmac"),
        ])
    func wrong(yaml: String, mistake: String) {
        let told = mistakes("type: webhook, url: 'https://example.com/', " + yaml)
        #expect(told.contains(mistake))
        #expect(!told.contains("hunter2"))
    }

    @Test("other headers may be set, the content type too")
    func headers() throws {
        let sent = try webhook("sign: none, headers: {content-type: application/cloudevents+json, x-a: b}").encode(
            views([TestSpan()]), context)[0]
        #expect(sent["Content-Type"] == "application/cloudevents+json")
        #expect(sent.headers.filter { $0.name.lowercased() == "content-type" }.count == 1)
        #expect(sent["x-a"] == "b")
    }

    @Test("limits and timeout are declared")
    func declaration() throws {
        let declaration = try webhook("sign: none").declaration
        #expect(declaration.limits == BatchLimits(spans: 100, bytes: 1 << 20))
        #expect(declaration.timeout == .seconds(15))
    }

    // MARK: Answers

    @Test(
        "each status has its verdict",
        arguments: [
            (200, Verdict.delivered()), (204, .delivered()),
            (302, .pause(reason: "redirect", detail: "answered 302; redirects are not followed, configure the new address")),
            (410, .disable(reason: "gone", detail: "answered 410")), (401, .pause(reason: "unauthorized", detail: "answered 401")),
            (403, .pause(reason: "forbidden", detail: "answered 403")), (404, .pause(reason: "not_found", detail: "answered 404")),
            (413, .tooLarge),
            (408, .retry(detail: "answered 408")), (425, .retry(detail: "answered 425")),
            (429, .retry(detail: "answered 429", throttle: true)),
            (500, .retry(detail: "answered 500")), (502, .retry(detail: "answered 502", throttle: true)),
            (504, .retry(detail: "answered 504", throttle: true)), (400, .refused(reason: "http_400", detail: "answered 400")),
            (409, .refused(reason: "http_409", detail: "answered 409")),
        ])
    func statuses(status: Int, verdict: Verdict) throws {
        #expect(try webhook("sign: none").judge(Response(status: status), to: request()) == verdict)
    }
}
