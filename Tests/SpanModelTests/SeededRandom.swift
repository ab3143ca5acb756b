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

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &self) == 0 }
}

extension TestSpan {
    /// Any span at all: each member is there or not, texts of every script, values of every kind.
    static func random(using rng: inout SeededRandom) -> TestSpan {
        var span = TestSpan()
        span.resource = pairs(0...2, using: &rng)
        if rng.chance(3) { span.resourceSchema = text(using: &rng) }
        if rng.chance(2) { span.scopeName = text(using: &rng) }
        if rng.chance(3) { span.scopeVersion = text(using: &rng) }
        if rng.chance(3) { span.scopeAttributes = pairs(0...2, using: &rng) }
        if rng.chance(3) { span.scopeSchema = text(using: &rng) }
        span.traceID = bytes(16, using: &rng)
        span.spanID = bytes(8, using: &rng)
        if rng.chance(2) { span.parent = bytes(8, using: &rng) }
        if rng.chance(3) { span.traceState = text(using: &rng) }
        span.name = text(using: &rng)
        span.kind = .random(in: 0...5, using: &rng)
        span.start = rng.chance(8) ? nil : rng.next() >> UInt64.random(in: 0...40, using: &rng)
        span.end = rng.chance(8) ? nil : rng.next() >> UInt64.random(in: 0...40, using: &rng)
        span.attributes = pairs(0...8, using: &rng)
        for _ in 0..<Int.random(in: 0...3, using: &rng) {
            span.events.append(
                Event(
                    time: rng.chance(3) ? nil : rng.next(), name: text(using: &rng), attributes: pairs(0...3, using: &rng),
                    dropped: rng.chance(3) ? 7 : 0))
        }
        for _ in 0..<Int.random(in: 0...2, using: &rng) {
            span.links.append(
                Link(
                    traceID: bytes(16, using: &rng), spanID: bytes(8, using: &rng), traceState: rng.chance(2) ? "a=1" : "",
                    attributes: pairs(0...3, using: &rng), dropped: rng.chance(3) ? 3 : 0, flags: rng.chance(2) ? 257 : 0))
        }
        span.status = .random(in: 0...2, using: &rng)
        if rng.chance(3) { span.statusMessage = text(using: &rng) }
        if rng.chance(3) { span.flags = UInt32(truncatingIfNeeded: rng.next()) }
        span.dropped = (rng.chance(4) ? 1 : 0, rng.chance(4) ? 4_294_967_295 : 0, rng.chance(4) ? 2 : 0)
        return span
    }

    private static func bytes(_ count: Int, using rng: inout SeededRandom) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &rng) }
    }

    private static func text(using rng: inout SeededRandom) -> String {
        let alphabet = Array("abcxyz 0189\"\\/\n\t\u{0}\u{1f}\u{7f}\u{80}é\u{7ff}\u{800}\u{2028}中語\u{ffff}😀\u{10ffff}é")
        return String((0..<Int.random(in: 0...24, using: &rng)).compactMap { _ in alphabet.randomElement(using: &rng) })
    }

    private static func pairs(_ count: ClosedRange<Int>, depth: Int = 0, using rng: inout SeededRandom) -> [Pair] {
        (0..<Int.random(in: count, using: &rng)).map { Pair("k\($0)." + text(using: &rng), value(depth: depth, using: &rng)) }
    }

    private static func value(depth: Int, using rng: inout SeededRandom) -> Value {
        switch Int.random(in: 0..<(depth < 4 ? 9 : 7), using: &rng) {
        case 0: return depth == 0 ? .absent : .null
        case 1: return .null
        case 2: return .string(text(using: &rng))
        case 3: return .bool(rng.chance(2))
        case 4: return .int(Int64(bitPattern: rng.next()) >> Int64.random(in: 0...63, using: &rng))
        case 5:
            let special: [Double] = [
                0, -0.0, 1, -2.5, 1e20, 1e-7, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity, .nan, 0.1 + 0.2,
            ]
            return .double(rng.chance(2) ? special.randomElement(using: &rng) ?? 0 : Double(bitPattern: rng.next()))
        case 6: return .bytes(bytes(Int.random(in: 0...7, using: &rng), using: &rng))
        case 7: return .array((0..<Int.random(in: 0...3, using: &rng)).map { _ in value(depth: depth + 1, using: &rng) })
        default: return .map(pairs(0...3, depth: depth + 1, using: &rng))
        }
    }
}
