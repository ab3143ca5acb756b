import Testing

@testable import Pricing

@Suite("Finding prices")
struct PriceBookTests {
    @Test(
        "the provider is found by name, else by address, else by who has such a model; the response's model comes first",
        arguments: [
            (Asked(provider: "alpha", response: "one"), "alpha/one"), (Asked(provider: "ALPHA.cloud", response: "ONE"), "alpha/one"),
            (Asked(provider: "alpha", response: "one-20260101"), "alpha/one"), (Asked(provider: "alpha", response: "ONE-20260101"), nil),
            (Asked(provider: "alpha", response: "one-2026"), nil), (Asked(provider: "alpha", response: "two"), nil),
            (Asked(provider: "beta", response: "one"), "alpha/one"), (Asked(provider: "beta", response: "one", request: "two"), "beta/two"),
            (Asked(provider: "alpha", response: "served", request: "one"), "alpha/served"),
            (Asked(provider: "alpha", response: "new", request: "one"), "alpha/one"), (Asked(request: "my-two-b"), "beta/two"),
            (Asked(provider: "nobody", response: "one"), "alpha/one"), (Asked(response: "two", server: "api.alpha.example"), nil),
            (Asked(response: "one", server: "eu.beta.example"), "alpha/one"),
            (Asked(response: "two", server: "https://beta.example/v1"), "beta/two"),
            (Asked(response: "alpha/one"), "alpha/one"), (Asked(response: "beta/eu/one"), "alpha/one"),
            (Asked(provider: "alpha", response: "alpha/one"), "alpha/one"), (Asked(provider: "alpha", response: "beta/two"), nil),
            (Asked(response: "gamma/one"), nil), (Asked(provider: "alpha", response: "talk-2"), "alpha/talk"),
            (Asked(provider: "alpha", response: "talk-TTS-2"), nil), (Asked(provider: "alpha", response: "talk-ttss"), "alpha/talk"),
        ] as [(Asked, String?)])
    func finding(asked: Asked, entry: String?) throws {
        let book = try smallBook()
        #expect(try book.entry(asked) == entry, "\(asked)")
        #expect(try book.entry(asked) == entry, "the second time it is remembered: \(asked)")
    }

    @Test(
        "the price of the call's start holds, by day and by time of day (UTC)",
        arguments: [
            ("2025-06-01T12:00:00Z", "5"), ("2025-12-31T23:59:59Z", "5"), ("2026-01-01T00:00:00Z", "4"), ("2026-03-12T23:59:59Z", "4"),
            ("2026-03-13T00:00:00Z", "9"), ("2026-03-13T02:29:59Z", "9"), ("2026-03-13T02:30:00Z", "3"), ("2026-12-31T21:59:59Z", "3"),
            ("2026-12-31T22:00:00Z", "9"), ("2027-01-01T00:00:00Z", "2"), ("2030-02-28T23:00:00Z", "2"),
        ])
    func dates(at: String, cost: String) throws {
        #expect(try smallBook().cost(Asked(provider: "alpha", response: "dated", at: at)) == cost)
    }

    @Test(
        "how a call was served has its price where the response says it",
        arguments: [
            (Asked(response: "served"), "8"), (Asked(response: "served", tier: "priority"), "16"),
            (Asked(response: "served", tier: "Priority"), "16"),
            (Asked(response: "served", tier: "default"), "8"), (Asked(response: "served", processing: "batch"), "3"),
            (Asked(response: "served", processing: "batch", at: "2026-08-31T00:00:00Z"), "4"),
            (Asked(response: "served", processing: "batch", at: "2026-05-31T00:00:00Z"), "8"),
            (Asked(response: "served", speed: "fast"), "20"),
        ])
    func variants(asked: Asked, cost: String) throws { #expect(try smallBook().cost(asked) == cost, "\(asked)") }

    @Test(
        "own prices come first: by name, by a star, by a match, for a provider, and from their day on",
        arguments: [
            ("ONE", "alpha", "0.5"), ("acme-7", "", "0.25"), ("my/llama", "vllm", "0.125"), ("x-mid-y", "", "0.0625"),
            ("served", "alpha", "7"),
            ("served", "beta", "8"), ("9-re", "", "11"), ("two", "beta", "1.5"),
        ])
    func own(model: String, provider: String, cost: String) throws {
        let book = try smallBook(
            own: #"""
                {"one": {"input": 0.5}, "acme-*": {"input": "0.25"}, "*/llama": {"input": 0.125}, "*mid*": {"input": 0.0625},
                 "served": {"provider": "alpha", "input": 7}, "by pattern": {"match": {"regex": "^\\d-re$"}, "input": 11},
                 "two": {"from": "2027-01-01", "input": 100}}
                """#)
        #expect(try book.cost(Asked(provider: provider, response: model)) == cost)
    }

    @Test("an own price from a day on leaves the table's before it")
    func ownLater() throws {
        let book = try smallBook(own: #"{"two": {"from": "2027-01-01", "input": 100}, "mine": {"from": "2027-01-01", "input": 1}}"#)
        let before = Asked(provider: "beta", response: "two")
        let after = Asked(provider: "beta", response: "two", at: "2027-01-01T00:00:00Z")
        #expect(try book.entry(before) == "beta/two" && book.entry(after) == "own:two")
        #expect(try book.cost(before) == "1.5" && book.cost(after) == "100")
        #expect(try book.quote(Asked(response: "mine")) == .unknownModel(isNews: true))
    }

    @Test("an unknown model is news once a name, and only for so many names")
    func news() throws {
        let book = try smallBook()
        let first = try (0..<NameCache.newsMax + 500).filter {
            try book.quote(Asked(provider: "alpha", response: "no-\($0)")) == .unknownModel(isNews: true)
        }
        #expect(first == Array(0..<NameCache.newsMax))
        #expect(try book.quote(Asked(provider: "alpha", response: "no-1")) == .unknownModel(isNews: false))
        let behindMany = try smallBook()
        let told = try (0..<50).filter { try behindMany.quote(Asked(response: "no", server: "host-\($0)")) == .unknownModel(isNews: true) }
        #expect(told == [0])
    }

    @Test("many names keep their entries, also those that have fallen out of memory, and from several threads")
    func manyNames() async throws {
        let book = try smallBook()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for round in 0..<5_000 {
                        let isOne = (round + task) % 2 == 0
                        let number = 10_000_000 + round % 3_000
                        let asked = Asked(provider: isOne ? "alpha" : "beta", response: isOne ? "one-\(number)" : "x-two-\(number)")
                        let entry = try book.entry(asked)
                        #expect(entry == (isOne ? "alpha/one" : "beta/two"))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("names that share their bytes but not their borders are not taken for one another")
    func borders() throws {
        let book = try smallBook()
        #expect(try book.entry(Asked(provider: "alpha", response: "one")) == "alpha/one")
        #expect(try book.entry(Asked(provider: "alphaone", response: "")) == nil)
        #expect(try book.entry(Asked(provider: "", response: "alphaone")) == nil)
        #expect(try book.entry(Asked(provider: "alpha", request: "one")) == "alpha/one")
        #expect(try book.entry(Asked(provider: "alp", response: "haone")) == nil)
    }

    @Test(
        "any bytes as a name give an answer, the same the second time; endless ones are no model's",
        arguments: 1...10 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let book = PriceBook(try .shipped())
        let pieces = ["openai/", "azure/", "gpt-4o", "claude-", "/", "-2026", ":", "@", "ft:", "\u{0}", "é", "us.", "gemini", "-tts", "*"]
            .map { Array($0.utf8) }
        for _ in 0..<100 {
            var names: [[UInt8]] = []
            for _ in 0..<4 {
                var name: [UInt8] = []
                for _ in 0..<Int.random(in: 0..<8, using: &rng) {
                    name += Bool.random(using: &rng) ? pieces.randomElement(using: &rng) ?? [] : [UInt8.random(in: 0...255, using: &rng)]
                }
                names.append(name)
            }
            if Int.random(in: 0..<20, using: &rng) == 0 { names[1] = Array(repeating: UInt8(ascii: "g"), count: 600) }
            names[0].withUnsafeBytes { provider in
                names[1].withUnsafeBytes { response in
                    names[2].withUnsafeBytes { request in
                        names[3].withUnsafeBytes { server in
                            var call = PricedCall(usage: TokenUsage(input: 10, output: 10), startTime: .random(in: 0 ... .max, using: &rng))
                            (call.provider, call.responseModel, call.requestModel, call.serverAddress) = (
                                provider, response, request, server
                            )
                            let first = book.quote(call)
                            let second = book.quote(call)
                            let told = Comment(rawValue: "seed \(seed), \(names)")
                            switch first {
                            case .cost(let cost):
                                #expect(cost.total >= .zero && second == first, told)
                                #expect(book.match(call) != nil, told)
                            case .unknownModel: #expect(second == .unknownModel(isNews: false) && book.match(call) == nil, told)
                            case .noModel: #expect(response.isEmpty && request.isEmpty, told)
                            case .noUsage: Issue.record(told)
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("a name of a megabyte is unknown, and not searched for")
    func endless() throws {
        let long = String(repeating: "gpt-4o/", count: 150_000)
        #expect(
            try PriceBook(.shipped()).quote(Asked(provider: long, response: long, request: long, server: long))
                == .unknownModel(isNews: true))
    }
}
