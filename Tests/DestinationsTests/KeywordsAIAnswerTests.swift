import Delivery
import SpanModel
import Testing

@testable import Destinations

/// Contract keywordsai, section 4: a test a status, at each door that answers it otherwise.
@Suite("what Keywords AI's answers mean")
struct KeywordsAIAnswerTests {
    private static let json = ["content-type": "application/json"]
    private let otlp: KeywordsAI
    private let logs: KeywordsAI

    init() throws {
        otlp = KeywordsAI(try settings("type: keywordsai, api_key: sesame"))
        logs = KeywordsAI(try settings("type: keywordsai, api_key: sesame, mode: logs"))
    }

    private func request(door: Int, spans: Int = 10) -> Request {
        Request(url: "http://127.0.0.1/", body: [], spans: 0..<spans, door: door)
    }

    private func reply(_ status: Int, _ body: String = "", headers: [String: String] = [:]) -> Response {
        Response(status: status, headers: Self.json.merging(headers) { $1 }, body: Array(body.utf8))
    }

    // MARK: Taken

    @Test("200, 201 and 202 are deliveries at every door", arguments: [200, 201, 202], 0..<4)
    func delivered(status: Int, door: Int) {
        #expect(otlp.judge(reply(status), to: request(door: door)) == .delivered())
        let nothing = #"{"partialSuccess":{"rejectedSpans":0,"errorMessage":""},"success_count":10,"error_count":0,"errors":[]}"#
        #expect(otlp.judge(reply(status, nothing), to: request(door: door)) == .delivered())
    }

    @Test("OTLP counts what it refuses and names none: as the contract of OTLP has it, without a second attempt", arguments: 0..<3)
    func partial(door: Int) {
        let some = reply(200, #"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"bad id"}}"#)
        #expect(otlp.judge(some, to: request(door: door)) == .partialUnknown(refused: 2, detail: "bad id"))
        let refused = SpanVerdict.refused(reason: "partial", detail: "bad id")
        #expect(otlp.judge(some, to: request(door: door, spans: 2)) == .perSpan([refused, refused]))
        let warning = reply(200, #"{"partialSuccess":{"rejectedSpans":0,"errorMessage":"old names"}}"#)
        #expect(otlp.judge(warning, to: request(door: door)) == .delivered(note: "old names"))
    }

    @Test("the bulk door names the rows that it refuses; the others are delivered")
    func rows() {
        let body = #"{"success_count":2,"error_count":2,"errors":[{"index":1,"error":"model is required"},{"index":3,"error":"bad time"}]}"#
        let verdict = Verdict.perSpan([
            .delivered, .refused(reason: "refused", detail: "model is required"), .delivered,
            .refused(reason: "refused", detail: "bad time"),
        ])
        #expect(logs.judge(reply(201, body), to: request(door: 0, spans: 4)) == verdict)
        #expect(otlp.judge(reply(201, body), to: request(door: 3, spans: 4)) == verdict)
    }

    @Test(
        "rows that are refused and not named are counted, all of them where that is all",
        arguments: [
            (
                #"{"error_count":2,"errors":[{"index":0,"error":"x"}]}"#,
                Verdict.partialUnknown(refused: 2, detail: "2 of 4 rows refused, 1 of them named")
            ),
            (#"{"error_count":1}"#, .partialUnknown(refused: 1, detail: "1 of 4 rows refused, 0 of them named")),
            (#"{"error_count":4,"errors":[]}"#, .perSpan(Array(repeating: .refused(reason: "refused", detail: "answered 201"), count: 4))),
            (#"{"error_count":9}"#, .perSpan(Array(repeating: .refused(reason: "refused", detail: "answered 201"), count: 4))),
            (#"{"error_count":-1}"#, .delivered()), (#"{"error_count":0,"errors":null}"#, .delivered()),
            (
                #"{"error_count":1,"errors":[{"index":99,"error":"x"}]}"#,
                .partialUnknown(refused: 1, detail: "1 of 4 rows refused, 0 of them named")
            ),
            (
                #"{"errors":[{"index":-1},{"error":{"model":[]}}]}"#,
                .partialUnknown(refused: 2, detail: "2 of 4 rows refused, 0 of them named")
            ),
            (#"{"error_count":"many","errors":7}"#, .delivered()), ("[]", .delivered()), ("<html>", .delivered()), ("", .delivered()),
        ])
    func unnamed(body: String, verdict: Verdict) {
        #expect(logs.judge(reply(201, body), to: request(door: 0, spans: 4)) == verdict)
    }

    // MARK: Refused

    @Test("400 and 422 are bisected, with what the platform said", arguments: [400, 422])
    func malformed(status: Int) {
        for (body, words) in [
            (#"{"error":"bad model"}"#, ": bad model"), (#"{"detail":"bad request"}"#, ": bad request"),
            (#"{"detail":"invalid","errors":{"model":["This field is required."]}}"#, ": invalid"), ("{", ""),
        ] {
            let verdict = Verdict.refused(reason: "http_\(status)", detail: "answered \(status)\(words)")
            #expect(logs.judge(reply(status, body), to: request(door: 0)) == verdict)
            for door in 1..<4 { #expect(otlp.judge(reply(status, body), to: request(door: door)) == verdict) }
        }
        #expect(otlp.judge(reply(422), to: request(door: 0)) == .refused(reason: "http_422", detail: "answered 422"))
    }

    @Test(
        "a key that is refused, a plan that is over: the destination pauses",
        arguments: [(401, "unauthorized"), (403, "forbidden"), (402, "payment_required")])
    func pauses(status: Int, reason: String) {
        let response = reply(status, #"{"detail":"Authentication failed"}"#)
        let verdict = Verdict.pause(reason: reason, detail: "answered \(status): Authentication failed")
        for door in 0..<4 { #expect(otlp.judge(response, to: request(door: door)) == verdict) }
        #expect(logs.judge(response, to: request(door: 0)) == verdict)
    }

    @Test("413 halves; a span that is too large alone is a dead letter")
    func tooLarge() {
        #expect(otlp.judge(reply(413), to: request(door: 0)) == .tooLarge)
        #expect(logs.judge(reply(413), to: request(door: 0, spans: 1)) == .refused(reason: "too_large", detail: "answered 413"))
    }

    @Test("408, 409 and 5xx are tried again at the same door", arguments: [408, 409, 500, 502, 503, 504], 0..<4)
    func again(status: Int, door: Int) {
        let throttles = [502, 503, 504].contains(status)
        #expect(otlp.judge(reply(status), to: request(door: door)) == .retry(detail: "answered \(status)", throttle: throttles))
    }

    // MARK: Other doors

    @Test(
        "the chain: another encoding for 415, and for 400 to the protobuf that begins; another door for 404 and 405; then a person",
        arguments: [
            (400, [1, nil, nil, nil]), (415, [1, 2, 3, nil]), (404, [2, 2, 3, nil]), (405, [2, 2, 3, nil]),
        ] as [(Int, [Int?])])
    func chain(status: Int, next: [Int?]) {
        for (door, next) in next.enumerated() {
            let verdict = otlp.judge(reply(status), to: request(door: door))
            if let next {
                #expect(verdict == .otherDoor(next, detail: "answered \(status)"))
            } else if status == 400 {
                #expect(verdict == .refused(reason: "http_400", detail: "answered 400"))
            } else {
                #expect(verdict == .pause(reason: status == 415 ? "wrong_encoding" : "not_found", detail: "answered \(status)"))
            }
        }
    }

    @Test("JSON that is refused is no question of encoding; mode: logs has no other door")
    func noChain() throws {
        let json = KeywordsAI(try settings("type: keywordsai, api_key: sesame, encoding: json"))
        #expect(json.judge(reply(400), to: request(door: 0)) == .refused(reason: "http_400", detail: "answered 400"))
        #expect(json.judge(reply(415), to: request(door: 0)) == .otherDoor(1, detail: "answered 415"))
        for status in [404, 405] {
            #expect(logs.judge(reply(status), to: request(door: 0)) == .pause(reason: "not_found", detail: "answered \(status)"))
        }
        #expect(logs.judge(reply(415), to: request(door: 0)) == .pause(reason: "wrong_encoding", detail: "answered 415"))
    }

    // MARK: The wait of a 429

    @Test(
        "the wait: Retry-After, else X-RateLimit-Reset, else the body's retry_after, else delivery's own",
        arguments: [
            (["retry-after": "7", "x-ratelimit-reset": "1700000020", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], #"{"retry_after":30}"#, 7),
            (["x-ratelimit-reset": "1700000020", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], #"{"retry_after":30}"#, 20),
            (["x-ratelimit-reset": "1699999999", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], #"{"retry_after":30}"#, 0),
            (["x-ratelimit-reset": "1700000020"], #"{"detail":"Rate limit exceeded","retry_after":30}"#, 30),
            (["x-ratelimit-reset": "soon", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], #"{"retry_after":30}"#, 30),
            ([:], #"{"detail":"Rate limit exceeded","retry_after":30}"#, 30), ([:], #"{"retry_after":1.5}"#, 1.5),
            ([:], #"{"retry_after":-3}"#, 0), ([:], #"{"retry_after":null}"#, nil), ([:], #"{"retry_after":"30"}"#, nil), ([:], "", nil),
            (["x-ratelimit-reset": "nan", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], "<html>", nil),
            ([:], #"{"retry_after":1e300}"#, 366 * 86_400),
        ] as [([String: String], String, Double?)])
    func wait(headers: [String: String], body: String, seconds: Double?) {
        for door in 0..<4 {
            guard case .retry(let after, _, let throttle) = otlp.judge(reply(429, body, headers: headers), to: request(door: door)) else {
                Issue.record("a 429 is no other thing than a wait")
                return
            }
            #expect(after == seconds.map { .seconds($0) })
            #expect(throttle)
        }
    }
}
