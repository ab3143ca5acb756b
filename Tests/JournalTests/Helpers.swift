import Logging
import Synchronization
import Threading

@testable import Journal

extension Line {
    /// A line as an event would make it.
    static func event(_ event: String, level: Logger.Level = .warning, _ fields: [String: String] = [:], message: String = "it happened")
        -> Line
    {
        let all = fields.merging(["event": event]) { $1 }
        return Line(level: level, at: 0, message: message, fields: all.map { Line.Field(name: $0.key, value: $0.value) })
    }
}

/// An outlet that keeps what it gets, and can be stuck.
final class Recorder: Outlet {
    private let state = Monitor((lines: [Line](), isStuck: false, holds: 0))

    func write(_ line: Line) -> Bool {
        state.withLock { $0.holds += 1 }
        state.broadcast()
        state.wait { $0.isStuck ? .sleep : .go(()) }
        state.withLock {
            $0.holds -= 1
            $0.lines.append(line)
        }
        state.broadcast()
        return true
    }

    var lines: [Line] { state.withLock { $0.lines } }

    func stick() { state.withLock { $0.isStuck = true } }

    func flow() {
        state.withLock { $0.isStuck = false }
        state.broadcast()
    }

    /// Returns when `count` lines have come, or after 10 s.
    func wait(for count: Int) { _ = state.wait(for: .seconds(10)) { $0.lines.count >= count ? true : nil } }

    /// Returns when the writer's thread is stuck in `write`.
    func waitUntilHeld() { _ = state.wait(for: .seconds(10)) { $0.holds > 0 && $0.isStuck ? true : nil } }
}

extension UInt64 {
    static func seconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }
}

/// SplitMix64: small, and the same everywhere.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
