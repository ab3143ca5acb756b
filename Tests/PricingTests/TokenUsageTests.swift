import Testing

@testable import Pricing

@Suite("Costs of usages")
struct TokenUsageTests {
    @Test(
        "cached tokens are charged once, at their price; a part larger than its whole was counted beside it",
        arguments: [
            // one: input 2, cache_read 0.5, cache_write 2.5, cache_write_1h 4, output 8 (USD a million)
            (TokenUsage(input: 100, output: 0, cacheRead: 40), "0.00014"),
            (TokenUsage(input: 100, output: 0, cacheRead: 40, cacheWrite: 20), "0.00015"),
            (TokenUsage(input: 10, output: 0, cacheRead: 40), "0.00004"), (TokenUsage(input: nil, output: nil, cacheWrite: 40), "0.0001"),
            (TokenUsage(input: nil, output: 5), "0.00004"), (TokenUsage(input: 5, output: nil), "0.00001"),
            (TokenUsage(input: 0, output: 5, reasoning: 5), "0.00004"), (TokenUsage(input: 0, output: 0, reasoning: 5), "0.00004"),
            (TokenUsage(input: 0, output: 5, reasoning: 6), "0.000088"), (TokenUsage(input: 5, output: -1, cacheRead: -5), "0.00001"),
            (TokenUsage(input: 0, output: 0), "0"),
        ])
    func parts(usage: TokenUsage, cost: String) throws {
        #expect(try smallBook().cost(Asked(provider: "alpha", response: "one", usage: usage)) == cost)
    }

    @Test(
        "what is read and made, and nothing else, costs by the short way what it costs by the long one",
        arguments: 1...5 as ClosedRange<UInt64>)
    func plain(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<1_000 {
            func count() -> Int64? { [nil, -1, 0, .max, Int64.random(in: 0...1 << 40, using: &rng)].randomElement(using: &rng) ?? nil }
            let usage = TokenUsage(input: count(), output: count())
            let prices = Prices(input: UInt64.random(in: 0...1 << 59, using: &rng)) { _ in UInt64.random(in: 0...1 << 59, using: &rng) }
            let (input, output) = try #require(usage.plain)
            #expect(prices.cost(input: input, output: output) == prices.cost(of: TokenParts(usage)), "seed \(seed): \(usage)")
            var partial = usage
            partial.reasoning = 0
            #expect(partial.plain == nil)
        }
    }

    @Test("writes for an hour have their own price, those for five minutes theirs")
    func writes() throws {
        var usage = TokenUsage(input: 100, output: 0, cacheWrite: 50)
        usage.cacheWrite1h = 30
        // 50 x 2 + 20 x 2.5 + 30 x 4
        #expect(try smallBook().cost(Asked(provider: "alpha", response: "one", usage: usage)) == "0.00027")
    }

    @Test("sound, pictures and reasoning have their own prices where the row says so")
    func modalities() throws {
        var usage = TokenUsage(input: 100, output: 100, reasoning: 10)
        (usage.inputAudio, usage.inputImage, usage.outputAudio, usage.outputImage) = (20, 30, 5, 5)
        // 50 x 1 + 20 x 10 + 30 x 3 + 80 x 2 + 10 x 5 + 5 x 20 + 5 x 30
        #expect(try smallBook().cost(Asked(provider: "alpha", response: "talk", usage: usage)) == "0.0008")
    }

    @Test(
        "a tier holds for the whole request once its input is over the border, caches included",
        arguments: [(100, "0.0002"), (101, "0.000404"), (200, "0.0008"), (201, "0.001206")])
    func tiers(input: Int64, cost: String) throws {
        #expect(try smallBook().cost(Asked(provider: "alpha", response: "one", usage: TokenUsage(input: input, output: 0))) == cost)
        let cached = TokenUsage(input: input, output: 0, cacheRead: input)
        let own = #"{"flat": {"input": 1, "cache_read": 1, "above": [{"input_tokens": 100, "input": 0, "cache_read": 2}]}}"#
        let isOver = input > 100
        let book = try smallBook(own: own)
        #expect(
            try book.cost(Asked(response: "flat", usage: cached))
                == Dollars(attodollars: Int128(input * (isOver ? 2 : 1)) * 1_000_000_000_000).description)
    }

    @Test("a usage without counts is none, whatever the model; tokens without a model are told apart")
    func absence() throws {
        let book = try smallBook()
        #expect(try book.quote(Asked(response: "one", usage: TokenUsage())) == .noUsage)
        #expect(try book.quote(Asked(response: "nobody", usage: TokenUsage(input: -1, output: nil))) == .noUsage)
        #expect(try book.quote(Asked()) == .noModel)
    }

    @Test(
        "whatever is counted: each token stands in one part, no part is negative, no cost is, and none overflows",
        arguments: 1...20 as ClosedRange<UInt64>)
    func properties(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let prices = Prices(input: 1_000_000_000_000_000_000) { _ in 1_000_000_000_000_000_000 }
        for _ in 0..<2_000 {
            func count() -> Int64? {
                switch Int.random(in: 0..<6, using: &rng) {
                case 0: nil
                case 1: .max
                case 2: Int64.random(in: .min ... .max, using: &rng)
                default: Int64.random(in: 0...50, using: &rng)
                }
            }
            var usage = TokenUsage(input: count(), output: count(), cacheRead: count(), cacheWrite: count(), reasoning: count())
            (usage.cacheWrite1h, usage.inputAudio, usage.cacheReadAudio) = (count(), count(), count())
            (usage.inputImage, usage.outputAudio, usage.outputImage) = (count(), count(), count())
            let parts = TokenParts(usage)
            let all = Mirror(reflecting: parts).children.compactMap { $0.value as? Int128 }
            #expect(all.count == 11 && all.allSatisfy { $0 >= 0 }, "seed \(seed), \(usage)")
            #expect(parts.input >= Int128(max(0, usage.input ?? 0)), "seed \(seed), \(usage)")
            let cost = prices.cost(of: parts)
            // At a dollar a token the cost is the number of tokens.
            #expect(cost.total.attodollars == all.reduce(0, +) * 1_000_000_000_000_000_000, "seed \(seed), \(usage)")
            #expect(cost.input + cost.output == cost.total && cost.input >= .zero && cost.output >= .zero, "seed \(seed), \(usage)")
        }
    }
}
