import Foundation

@testable import CEL

/// Repeatable chance (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014: SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int.random(in: 0..<elements.count, using: &self)] }
}

/// The seeds of this run: the ones that are kept, or the one that is asked for (`TRACEFWD_SEED=7 make test`).
enum Seeds {
    static let thisRun: [UInt64] =
        ProcessInfo.processInfo.environment["TRACEFWD_SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(1...20)
}

/// A world of a few variables of every type, for tests that need some.
enum Shop {
    static let environment: Environment = {
        var environment = Environment()
        for (name, value) in values.sorted(by: { $0.key < $1.key }) { environment.declare(name, type(of: value)) }
        return environment
    }()

    static let values: [String: OwnedValue] = [
        "model": .string("gpt-4o"), "environment": .string("prod"), "status": .string("ok"), "service": .string("shop"),
        "text": .string("añb🐱c"),
        "empty": .string(""), "input_tokens": .int(1200), "count": .uint(7), "cost_usd": .double(0.3), "root": .bool(true),
        "duration": .duration(nanoseconds: 6_500_000_000), "start": .timestamp(Timestamp(unixNanoseconds: 1_700_000_000_123_456_789)),
        "tags": .list([.string("vip"), .string("eu")]), "data": .bytes([0, 255]), "maybe": .optional(.int(3)), "nothing": .optional(nil),
        "attributes": .map([
            .string("shop.tier"): .string("gold"), .string("depth"): .int(3), .string("nested"): .map([.string("a"): .list([.int(1)])]),
        ]),
    ]

    static var activation: Bindings { Bindings(values, in: environment) }

    private static func type(of value: OwnedValue) -> ValueType {
        switch value {
        case .string: .string
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .bool: .bool
        case .bytes: .bytes
        case .duration: .duration
        case .timestamp: .timestamp
        case .list: .list(.string)
        case .map: .map(.string, .dyn)
        case .optional: .optional(.int)
        default: .dyn
        }
    }
}
