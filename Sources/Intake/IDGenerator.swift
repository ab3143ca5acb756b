/// Random trace and span ids: xoshiro256++ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2019). Ids must be
/// unique, not secret, so its 256 bits of state come from the system once and no id costs a system call.
public struct IDGenerator: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Seeded by the system.
    public init() {
        var system = SystemRandomNumberGenerator()
        state = (system.next() | 1, system.next(), system.next(), system.next())  // all zero is the one state that never moves
    }

    /// Seeded by hand, for a run that can be repeated. The state is drawn with SplitMix64, as its authors advise.
    public init(seed: UInt64) {
        var at = seed
        func next() -> UInt64 {
            at &+= 0x9e37_79b9_7f4a_7c15
            var value = at
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
        state = (next(), next(), next(), next())
    }

    /// 64 random bits that are not all zero.
    mutating func next() -> UInt64 {
        while true {
            let value = rotated(state.0 &+ state.3, 23) &+ state.0
            let shifted = state.1 << 17
            state.2 ^= state.0
            state.3 ^= state.1
            state.1 ^= state.2
            state.0 ^= state.3
            state.2 ^= shifted
            state.3 = rotated(state.3, 45)
            if value != 0 { return value }
        }
    }

    private func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }
}
