import Testing

@testable import Pricing

extension PriceTable {
    /// All that it says of models, to compare two tables.
    var summary: [String] { models.map { "\($0.provider)/\($0.model) \($0.match.text) \($0.dated) \($0.variants)" } }
}

extension NameMatch {
    fileprivate var text: String {
        switch self {
        case .equals(let text), .prefix(let text), .suffix(let text), .contains(let text):
            "\(self.kind) \(String(decoding: text, as: UTF8.self))"
        case .pattern(let pattern): "pattern \(pattern.source)"
        case .not(let match): "not \(match.text)"
        case .any(let matches): "any \(matches.map(\.text))"
        case .all(let matches): "all \(matches.map(\.text))"
        }
    }

    private var kind: String {
        switch self {
        case .equals: "equals"
        case .prefix: "prefix"
        case .suffix: "suffix"
        default: "contains"
        }
    }
}

@Suite("The shipped prices")
struct ShippedPricesTests {
    @Test("the table is read, and says of when and from where its facts are")
    func facts() throws {
        let table = try PriceTable.shipped()
        #expect(table.modelCount > 400)
        #expect(Day(table.asOf) != nil)
        #expect(table.sources.contains { $0.contains("(MIT)") })
        #expect(table.providers.allSatisfy { !$0.models.isEmpty })
    }

    @Test(
        "names as they are met in the field find their entries",
        arguments: [
            ("openai", "gpt-4o-2024-11-20", "openai/gpt-4o"), ("OpenAI", "GPT-4o", "openai/gpt-4o"),
            ("openai", "openai/gpt-4o", "openai/gpt-4o"), ("", "openai/gpt-4o", "openai/gpt-4o"),
            ("", "azure/o3-mini", "azure/o3-mini"), ("litellm", "azure/eu/o3-mini", "azure/o3-mini"),
            ("openai", "ft:gpt-4o-2024-08-06:acme::abc", "openai/ft:gpt-4o"),
            ("anthropic", "claude-opus-4-1-20250805", "anthropic/claude-opus-4-1"),
            ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"), ("gcp.vertex_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
            ("x_ai", "grok-4-0709", "x-ai/grok-4-0709"), ("mistral_ai", "mistral-large-latest", "mistral/mistral-large"),
        ])
    func names(provider: String, model: String, entry: String) throws {
        #expect(try PriceBook(.shipped()).entry(Asked(provider: provider, response: model)) == entry)
    }

    @Test(
        "costs stay what they were when the call began",
        arguments: [
            ("2025-06-09T23:59:59Z", "10"), ("2025-06-10T00:00:00Z", "2"), ("2026-11-24T12:00:00Z", "2"),
        ])
    func history(at: String, cost: String) throws {
        #expect(try PriceBook(.shipped()).cost(Asked(provider: "openai", response: "o3", at: at)) == cost)
    }

    @Test("each entry's prices, on chance usages, are the data's formula worked out the long way", arguments: [7, 8, 9] as [UInt64])
    func formula(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for model in try PriceTable.shipped().models {
            let row = try #require(model.dated.first).row
            let input = Int64.random(in: 0...400_000, using: &rng)
            let read = Int64.random(in: 0...input, using: &rng)
            let write = Int64.random(in: 0...(input - read), using: &rng)
            let output = Int64.random(in: 0...20_000, using: &rng)
            let prices = row.tiers.first { input > $0.above }?.prices ?? row.prices
            var sum = Dollars.zero
            for (count, price) in [
                (input - read - write, prices.input), (read, prices.cacheRead), (write, prices.cacheWrite), (output, prices.output),
            ] {
                sum += Dollars(attodollars: Int128(count) * Int128(price))
            }
            let usage = TokenUsage(input: input, output: output, cacheRead: read, cacheWrite: write)
            let total = row.prices(input: Int128(input)).cost(of: TokenParts(usage)).total
            #expect(total == sum, "seed \(seed), \(model.provider)/\(model.model), \(usage)")
        }
    }
}
