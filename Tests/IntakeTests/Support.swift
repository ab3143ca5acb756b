import Intake
import SpanModel

/// When the tests' spans are received.
let receivedAt: UInt64 = 1_800_000_000_123_456_789

struct Outcome {
    var result: ParsedLine
    var batch: SpanBatch
}

/// Parses one line behind whatever is in `batch`.
func parse(_ line: [UInt8], limits: IntakeLimits = IntakeLimits(), acceptsAck: Bool = false, into batch: SpanBatch = SpanBatch()) -> Outcome
{
    let parser = LineParser(limits: limits, ids: IDGenerator(seed: 7))
    return parse(line, with: parser, acceptsAck: acceptsAck, into: batch)
}

func parse(_ line: [UInt8], with parser: LineParser, acceptsAck: Bool = false, into batch: SpanBatch = SpanBatch()) -> Outcome {
    var batch = batch
    let stamp = Stamp(receivedAt: receivedAt, sender: 1_000, source: .unix)
    // The line lies at the end of an allocation of its own, so that an address sanitizer sees a read beyond it.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(line.count, 1), alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: line)
    let text = UnsafeRawBufferPointer(rebasing: copy[0..<line.count])
    let result = parser.parse(text, stamp: stamp, acceptsAck: acceptsAck, into: &batch)
    return Outcome(result: result, batch: batch)
}

func parse(_ line: String, limits: IntakeLimits = IntakeLimits(), acceptsAck: Bool = false) -> Outcome {
    parse(Array(line.utf8), limits: limits, acceptsAck: acceptsAck)
}

/// The span that a line becomes; throws where it is rejected, or not well-formed.
func span(_ line: String) throws -> DecodedSpan {
    let outcome = parse(line)
    guard outcome.result == .span else { throw Unexpected(description: "\(outcome.result) for \(line)") }
    return try DecodedSpan(outcome.batch, at: 0)
}

/// The code with which a line is rejected, nil where it is not.
func code(_ line: String, limits: IntakeLimits = IntakeLimits()) -> String? { code(Array(line.utf8), limits: limits) }

func code(_ line: [UInt8], limits: IntakeLimits = IntakeLimits()) -> String? {
    guard case .rejected(let rejection) = parse(line, limits: limits).result else { return nil }
    return rejection.code
}

struct Unexpected: Error, CustomStringConvertible {
    var description: String
}

func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Unexpected(description: what()) }
}

/// Text as bytes: Swift's own strings take canonically equivalent ones for equal.
struct Name: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible, Comparable {
    var bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    init(_ text: String) { bytes = Array(text.utf8) }
    init(stringLiteral text: String) { self.init(text) }
    var description: String { String(decoding: bytes, as: UTF8.self) }
    static func + (left: Name, right: Name) -> Name { Name(left.bytes + right.bytes) }
    static func < (left: Name, right: Name) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
}

/// What an AnyValue holds.
indirect enum Value: Hashable, Sendable {
    case null
    case string(Name)
    case bool(Bool)
    case int(Int64)
    /// By its bits: -0 is not 0.
    case double(UInt64)
    case array([Value])
    case map([Name: Value])

    static func text(_ text: String) -> Value { .string(Name(text)) }
    static func real(_ value: Double) -> Value { .double(value.bitPattern) }
}

/// The state of SplitMix64: small, and equal everywhere.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// True once in `n` times.
    mutating func one(in n: Int) -> Bool { Int.random(in: 0..<n, using: &self) == 0 }
    mutating func pick<Element>(_ from: [Element]) -> Element { from[Int.random(in: 0..<from.count, using: &self)] }
}
