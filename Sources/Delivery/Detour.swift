/// Which door and which host a destination's requests take where its platform has several (`Declaration.doors`, `.hosts`). Both are numbers
/// of the declaration; 0 is what the platform wants. Any other is a makeshift, so it holds for a time, and then the first one is tried again.
struct Detour: Sendable, Equatable {
    /// Something else than the first, until then (monotonic nanoseconds).
    private struct Makeshift: Sendable, Equatable {
        var number = 0
        var until: UInt64 = 0

        func number(now: UInt64) -> Int { now < until ? number : 0 }
    }

    private static let second: UInt64 = 1_000_000_000
    /// How long another door holds: what a platform has moved it seldom moves back, but a proxy that is set right should not cost a day.
    static let doorHolds = 3600 * second
    /// How long another host holds (contract keywordsai, section 4).
    static let hostHolds = 300 * second

    private var doors = Makeshift()
    private var hosts = Makeshift()

    /// The door that requests take now.
    func door(now: UInt64) -> Int { doors.number(now: now) }
    /// The host that they go to now.
    func host(now: UInt64) -> Int { hosts.number(now: now) }

    /// A batch that had been sent on to `door` was delivered there: those that follow take it at once. True where they did not until now.
    mutating func delivered(sentOnTo door: Int, now: UInt64) -> Bool {
        guard door != self.door(now: now) else { return false }
        doors = Makeshift(number: door, until: now + Self.doorHolds)
        return true
    }

    /// Connecting to `host`, one of `count`, failed: the next one is asked, behind the last the first. True where it is another than before.
    mutating func unreachable(_ host: Int, of count: Int, now: UInt64) -> Bool {
        // Of several requests that were on their way to one host the first tells all.
        guard count > 1, host == self.host(now: now) else { return false }
        let next = (host + 1) % count
        hosts = next == 0 ? Makeshift() : Makeshift(number: next, until: now + Self.hostHolds)
        return true
    }
}
