import Foundation
import Pricing
import Testing

/// `../shared/data/model-prices-cases.json`: what calls cost.
struct SharedCase: Decodable {
    struct Usage: Decodable {
        let input_tokens: Int64
        let output_tokens: Int64
        let cache_read_tokens: Int64?
        let cache_write_tokens: Int64?
    }
    let provider: String
    let model: String
    let usage: Usage
    let cost_usd: String?
    let matched: String?
    let at: String?

    static let all: [SharedCase]? = {
        guard let data = sharedData("model-prices-cases.json") else { return nil }
        return try? JSONDecoder().decode([SharedCase].self, from: data)
    }()
}

/// Whether the checkout has shared/ beside it; told once where it has not.
private let hasShared: Bool = {
    let isThere = sharedData("model-prices-cases.json") != nil
    if !isThere { print("PricingTests: ../shared/data/model-prices-cases.json is absent, its cases are left out") }
    return isThere
}()

private func sharedData(_ name: String) -> Data? {
    let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return try? Data(contentsOf: checkout.deletingLastPathComponent().appending(path: "shared/data/\(name)"))
}

@Suite("The shared cases", .enabled(if: hasShared))
struct SharedCaseTests {
    @Test("each call costs exactly what its case says, by the entry that it says")
    func cases() throws {
        let cases = try #require(SharedCase.all)
        #expect(cases.count > 100)
        let book = PriceBook(try .shipped())
        for shared in cases {
            let usage = TokenUsage(
                input: shared.usage.input_tokens, output: shared.usage.output_tokens, cacheRead: shared.usage.cache_read_tokens,
                cacheWrite: shared.usage.cache_write_tokens)
            let asked = Asked(
                provider: shared.provider, response: shared.model, usage: usage,
                at: shared.at?.replacing("+00:00", with: "Z") ?? "2026-11-24T12:00:00Z")
            let quote = try book.quote(asked)
            let told = Comment(rawValue: "\(shared)")
            #expect(try book.entry(asked) == shared.matched, told)
            if let cost = shared.cost_usd {
                guard case .cost(let quoted) = quote else {
                    Issue.record("no cost: \(shared)")
                    continue
                }
                #expect(quoted.total == Dollars(cost), told)
            } else {
                #expect(quote == .unknownModel(isNews: true), told)
            }
        }
    }

    @Test("the file itself says what the program ships: packaging/shipped-prices was run after the last change")
    func current() throws {
        let data = try #require(sharedData("model-prices.json"))
        let file = try PriceTable(json: Array(data), file: "model-prices.json")
        let shipped = try PriceTable.shipped()
        #expect(shipped.asOf == file.asOf && shipped.sources == file.sources)
        #expect(shipped.summary == file.summary)
    }
}
