import Delivery
import SpanModel
import Spool
import Testing

@testable import Destinations

/// What a user of Keywords AI sees, before a platform that is as strict as the contract: at each door, and behind each step of the fallback.
@Suite("Keywords AI, as its users see it")
struct KeywordsAIJourneyTests {
    private typealias Door = KeywordsAI.Door

    private func keywordsAI(_ yaml: String = "") throws -> KeywordsAI {
        KeywordsAI(try settings("type: keywordsai, api_key: sesame" + (yaml.isEmpty ? "" : ", " + yaml)))
    }

    private func context(door: Int) -> EncodeContext { EncodeContext(destination: "test", now: 0, door: door) }

    private func journey(_ yaml: String = "", to platform: FakeKeywordsAI) throws -> Journey {
        try Journey("type: keywordsai, api_key: sesame" + (yaml.isEmpty ? "" : ", " + yaml), to: platform)
    }

    private func paths(_ journey: Journey) -> [String] { journey.requests.map { String($0.url.dropFirst("https://api.respan.ai".count)) } }

    // MARK: What is seen

    /// One that is cut to the request's limit is cut in another place in another form.
    private static let cases = KeywordsAIFixtureTests.golden.names.filter { $0 != "large" }

    @Test(
        "each door shows the same of a span, a sender's own names for the platform too, but that a row has no place in a tree",
        arguments: cases)
    func sameAtEachDoor(name: String) throws {
        let span = try KeywordsAIFixtureTests.golden.span(name)
        let seen = try (0..<4).map { door in
            let platform = FakeKeywordsAI(key: "sesame")
            for request in try keywordsAI().encode([span], context(door: door)) {
                let response = platform.answer(request)
                #expect(try keywordsAI().judge(response, to: request) == .delivered(), "\(String(decoding: response.body, as: UTF8.self))")
            }
            return try #require(platform.entries.first)
        }
        #expect(seen[1] == seen[0])
        #expect(seen[2] == seen[0])
        var row = seen[0]
        row.customIdentifier = "\(row.trace):\(row.span ?? "")"
        (row.span, row.parent) = (nil, nil)
        #expect(seen[3] == row)
    }

    @Test("the contract's example is a call with its model, messages, tokens, cost, user and session; nothing of it is guessed")
    func example() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        _ = platform.answer(try KeywordsAIFixtureTests.golden.request("contract", to: try keywordsAI()))
        let expected = FakeKeywordsAI.Entry(
            name: "chat gpt-4o", type: "chat", trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7", model: "gpt-4o",
            input: #"[{"content":"Weather in Paris?","role":"user"}]"#, output: #"{"content":"Rainy.","role":"assistant"}"#,
            promptTokens: 120, completionTokens: 30, cost: 0.0006, seconds: 1, customer: "u-1", thread: "conv-1")
        #expect(platform.entries == [expected])
    }

    @Test("a tree is whole, though children come first and one request each")
    func tree() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        let family = (0..<4).map { TestSpan(name: "span \($0)", id: UInt8($0 + 1), parent: $0 == 0 ? nil : UInt8($0)) }
        for span in family.reversed() {
            for request in try keywordsAI().encode(views([span]), context(door: 0)) { #expect(platform.answer(request).status == 200) }
        }
        let names = Dictionary(uniqueKeysWithValues: platform.entries.map { ($0.span ?? "", $0.name) })
        let parents = platform.entries.map { [$0.name, $0.parent.flatMap { names[$0] } ?? "-"] }.sorted { $0[0] < $1[0] }
        #expect(parents == [["span 0", "-"], ["span 1", "span 0"], ["span 2", "span 1"], ["span 3", "span 2"]])
    }

    @Test("a sender's own word that another row owns the usage hides none, and its word to the platform drops no row", arguments: [0, 3])
    func steering(door: Int) throws {
        let platform = FakeKeywordsAI(key: "sesame")
        let texts = [
            ("gen_ai.operation.name", "chat"), ("respan.gateway.log_id", "log-1"), ("respan_params", #"{"disable_log":true}"#),
            ("keywordsai_params", #"{"disable_log":true}"#),
        ]
        for request in try keywordsAI().encode(views([TestSpan(texts: texts)]), context(door: door)) { _ = platform.answer(request) }
        #expect(platform.entries.map(\.promptTokens) == [120])
    }

    // MARK: What is refused

    @Test("the platform refuses what the contract says it refuses")
    func strict() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        func status(door: Int = 0, _ change: (inout Request) -> Void = { _ in }) throws -> Int {
            var request = try keywordsAI().encode(views(TestSpan.many(2)), context(door: door))[0]
            change(&request)
            return platform.answer(request).status
        }
        #expect(try (0..<4).map { try status(door: $0) } == [200, 200, 200, 201])
        #expect(try status { $0.method = "GET" } == 405)
        #expect(try status { $0.url = "https://api.respan.ai/api/v3/traces" } == 404)
        #expect(try status { $0.headers = $0.headers.filter { $0.name != "Authorization" } } == 401)
        #expect(try status { $0.headers.append(Header("Content-Encoding", "gzip")) } == 415)
        #expect(try status(door: 2) { $0.headers.append(Header("Content-Type", "application/json")) } == 415)
        #expect(try status { $0.body.removeLast(40) } == 400)
        #expect(try status(door: 1) { $0.body.removeLast() } == 400)
        #expect(try status(door: 3) { $0.body = Array(#"{"logs":[]}"#.utf8) } == 400)
        #expect(try status(door: 3) { $0.body = Array(#"{"logs":[{"span_name":"no model"}]}"#.utf8) } == 400)
        #expect(try status { $0.body = [UInt8](repeating: 0, count: 20_000_001) } == 413)
        platform.closed = { $0 == .bulk ? 405 : nil }
        #expect(try (0..<4).map { try status(door: $0) } == [200, 200, 200, 405])
    }

    @Test("OTLP spans that are refused and not named are counted; a row that is refused is named, and the others are there")
    func refused() throws {
        for (yaml, reasons, seen) in [("", ["partial_unknown"], 9), ("mode: logs", ["refused"], 9)] {
            let platform = FakeKeywordsAI(key: "sesame")
            platform.refused = ["span 4"]
            let journey = try journey(yaml, to: platform)
            try journey.send(TestSpan.many(10))
            #expect(try journey.outcomes == [.delivered: 9, .dead: 1])
            #expect(try journey.deadReasons == reasons)
            #expect(journey.names.count == seen && !journey.names.contains("span 4"))
            #expect(journey.requests.count == 1)
        }
    }

    @Test("where a batch of rows has nothing that is taken, each is asked for by itself before it is given up")
    func noRow() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        platform.refused = Set((0..<4).map { "span \($0)" })
        let journey = try journey("mode: logs", to: platform)
        try journey.send(TestSpan.many(4))
        #expect(try journey.deadReasons == Array(repeating: "http_400", count: 4))
    }

    // MARK: The chain

    private struct Chain: Sendable, CustomTestStringConvertible {
        var closed: [(door: Door, status: Int)]
        var path: String
        var isTree = true
        var testDescription: String { "\(closed.map { "\($0.door.name): \($0.status)" })" }

        static let all = [
            Chain(closed: [(.v2(.protobuf), 400)], path: "/api/v2/traces"), Chain(closed: [(.v2(.protobuf), 415)], path: "/api/v2/traces"),
            Chain(closed: [(.v2(.protobuf), 404), (.v2(.json), 404)], path: "/api/v1/traces"),
            Chain(closed: [(.v2(.protobuf), 415), (.v2(.json), 405)], path: "/api/v1/traces"),
            Chain(
                closed: [(.v2(.protobuf), 404), (.v2(.json), 404), (.v1, 404)], path: "/api/request-logs/bulk/", isTree: false),
        ]
    }

    @Test("a door that is shut costs no span and doubles none; what follows goes by the one that took them, for an hour")
    func chain() throws {
        for chain in Chain.all {
            let platform = FakeKeywordsAI(key: "sesame")
            platform.closed = { door in chain.closed.first { $0.door == door }?.status }
            let journey = try journey(to: platform)
            try journey.send(TestSpan.many(5))
            let first = journey.requests.count
            try journey.send(TestSpan.many(5))
            #expect(try journey.outcomes == [.delivered: 10], "\(chain.testDescription)")
            #expect(platform.entries.count == 10)
            #expect(platform.entries.allSatisfy { ($0.span != nil) == chain.isTree })
            #expect(paths(journey).last == chain.path)
            #expect(journey.requests.count == first + 1, "\(chain.testDescription)")
            #expect(journey.pauses.isEmpty)
            // The installation is put right, and an hour is over.
            platform.closed = { _ in nil }
            try journey.wait(.seconds(3700))
            try journey.send(TestSpan.many(1))
            #expect(paths(journey).last == "/api/v2/traces")
            #expect(journey.requests.last?["Content-Type"] == "application/x-protobuf")
        }
    }

    @Test("behind the last door a person is asked, and nothing is lost")
    func noDoor() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        platform.closed = { _ in 404 }
        let journey = try journey(to: platform)
        try journey.send(TestSpan.many(5), for: .seconds(50))
        #expect(paths(journey) == ["/api/v2/traces", "/api/v1/traces", "/api/request-logs/bulk/"])
        #expect(journey.pauses == ["answered 404: closed"])
        platform.closed = { _ in nil }
        try journey.run(.seconds(600))
        #expect(try journey.outcomes == [.delivered: 5])
        #expect(platform.entries.count == 5 && platform.entries.allSatisfy { $0.span != nil })
    }

    @Test("another host is asked where connecting failed, for five minutes, and by no answer")
    func host() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        let journey = try journey("fallback_endpoint: 'https://api.keywordsai.co/api'", to: platform)
        var answers: [Journey.Fault] = [.answer(Response(status: 503)), .noEnd]
        journey.fault = { request, _ in
            if !answers.isEmpty { return answers.removeFirst() }
            return request.url.hasPrefix("https://api.respan.ai") ? .refusedConnection : nil
        }
        try journey.send(TestSpan.many(5))
        let hosts = journey.requests.map { $0.url.contains("keywordsai.co") }
        #expect(hosts == [false, false, false, true])
        #expect(platform.entries.count == 5)
        journey.fault = { _, _ in nil }
        try journey.send(TestSpan.many(1))
        #expect(journey.requests.last?.url.contains("keywordsai.co") == true)
        try journey.wait(.seconds(300))
        try journey.send(TestSpan.many(1))
        #expect(journey.requests.last?.url.contains("api.respan.ai") == true)
        #expect(try journey.outcomes == [.delivered: 7])
    }

    // MARK: Rate

    @Test("rows keep within 30 requests a minute, so that the platform need not say it")
    func rate() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        let journey = try journey("mode: logs", to: platform)
        for _ in 0..<100 { try journey.send(TestSpan.many(1), for: .seconds(3)) }
        try journey.run(.seconds(600))
        #expect(try journey.outcomes == [.delivered: 100])
        #expect(platform.entries.count == 100, "an answer of 429 takes none")
        for (early, late) in zip(journey.times, journey.times.dropFirst(30)) { #expect(late - early >= 60) }
        #expect(journey.requests.count > 60)
    }

    @Test("what other senders of the organisation leave is what there is: the wait stands in the answer's body, and is kept")
    func shared() throws {
        let platform = FakeKeywordsAI(key: "sesame")
        let journey = try journey("mode: logs", to: platform)
        let theirs = try keywordsAI("mode: logs").encode(views(TestSpan.many(1)), context(door: 0))[0]
        for _ in 0..<30 { #expect(platform.answer(theirs).status == 201) }
        try journey.send(TestSpan.many(5))
        #expect(try journey.outcomes == [.delivered: 5])
        #expect(platform.entries.count == 35)
        #expect(journey.times.count == 2 && journey.times[1] >= 60)
    }
}
