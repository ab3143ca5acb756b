// What pricing a call costs: a name seen before, a name never seen, and reading the shipped table. `swift run -c release pricing-bench`.
// Exits 1 where the project's limit is missed: 200 ns for a name seen before.
import Pricing

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

let book = PriceBook(try PriceTable.shipped())
let usage = TokenUsage(input: 12_345, output: 678, cacheRead: 10_000, cacheWrite: 100, reasoning: 300)
let provider = Array("openai".utf8)
let models = ["gpt-4o-2024-11-20", "gpt-5-mini", "o3", "gpt-6.1-sol", "gpt-4.1", "text-embedding-3-small", "no-such-model"].map {
    Array($0.utf8)
}
var sum = Dollars.zero

func price(_ model: [UInt8]) {
    provider.withUnsafeBytes { provider in
        model.withUnsafeBytes { model in
            var call = PricedCall(usage: usage, startTime: 1_795_000_000_000_000_000)
            call.provider = provider
            call.responseModel = model
            call.requestModel = model
            if case .cost(let cost) = book.quote(call) { sum += cost.total }
        }
    }
}

let seen = measure(1_000_000) { price(models[$0 % models.count]) }
print("a name seen before       \(Int(seen)) ns (limit \(Int(limit)))")

var name = Array("gpt-4o-0000000".utf8)
let unseen = measure(2_000) { turn in
    var number = turn + Int.random(in: 0..<1_000_000)
    for place in (7..<14).reversed() { (name[place], number) = (UInt8(48 + number % 10), number / 10) }
    price(name)
}
print("a name never seen        \(Int(unseen)) ns")
print("sum of all               \(sum) USD")
if seen > limit { fatalError("a name seen before takes more than \(Int(limit)) ns") }
