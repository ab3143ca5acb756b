// What pricing a call costs: a name seen before, a name never seen, and reading the shipped table. `swift run -c release pricing-bench`.
// Exits 1 where the project's limit is missed: 200 ns for a name seen before.
import Pricing

#if canImport(Glibc)
    import Glibc
#endif

let limit = 200.0
let clock = ContinuousClock()

/// Nanoseconds a turn: the best of seven runs.
func measure(_ turns: Int, _ body: (Int) -> Void) -> Double {
    let runs = (0..<7).map { _ in
        clock.measure {
            for turn in 0..<turns { body(turn) }
        }
    }
    let best = runs.min() ?? .zero
    return Double(best.components.attoseconds) / 1e9 / Double(turns) + Double(best.components.seconds) * 1e9 / Double(turns)
}

let loading = measure(5) { _ in _ = try? PriceTable.shipped() }
print("read the shipped table   \(Int(loading / 1_000)) us")

/// Prices one call after the other and adds them up.
struct Prices {
    let book: PriceBook
    let usage = TokenUsage(input: 12_345, output: 678, cacheRead: 10_000, cacheWrite: 100, reasoning: 300)
    let provider = Array("openai".utf8)
    var sum = Dollars.zero

    mutating func add(_ model: [UInt8]) {
        sum += provider.withUnsafeBytes { provider in
            model.withUnsafeBytes { model in
                var call = PricedCall(usage: usage, startTime: 1_795_000_000_000_000_000)
                call.provider = provider
                call.responseModel = model
                call.requestModel = model
                guard case .cost(let cost) = book.quote(call) else { return .zero }
                return cost.total
            }
        }
    }
}

var prices = Prices(book: PriceBook(try PriceTable.shipped()))
let models = ["gpt-4o-2024-11-20", "gpt-5-mini", "o3", "gpt-6.1-sol", "gpt-4.1", "text-embedding-3-small"].map { Array($0.utf8) }
let seen = measure(1_000_000) { prices.add(models[$0 % models.count]) }
print("a name seen before       \(Int(seen)) ns (limit \(Int(limit)))")

let unknown = Array("no-such-model".utf8)
let seenUnknown = measure(1_000_000) { _ in prices.add(unknown) }
print("an unknown one, again    \(Int(seenUnknown)) ns")

var name = Array("gpt-4o-0000000".utf8)
let unseen = measure(2_000) { turn in
    var number = turn + Int.random(in: 0..<1_000_000)
    for place in (7..<14).reversed() { (name[place], number) = (UInt8(48 + number % 10), number / 10) }
    prices.add(name)
}
print("a name never seen        \(Int(unseen)) ns")
print("sum of all               \(prices.sum) USD")
if seen > limit {
    print("a name seen before takes more than \(Int(limit)) ns")
    exit(1)
}
