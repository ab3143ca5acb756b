import Synchronization
public import Threading

/// The parts that must turn their loops: each beats at every turn, and the watchdog is fed only while all of them do.
/// `now` is the monotonic clock, in nanoseconds.
public final class Heartbeats: Sendable {
    /// A part that has not beaten for too long.
    public struct Silence: Sendable, Equatable {
        /// The part's name.
        public let part: String
        /// Since its last beat.
        public let time: Duration
    }

    private let parts = Mutex<[Heartbeat]>([])

    /// No part yet.
    public init() {}

    /// A new part; it counts as alive from now on, until `end`.
    public func register(_ part: String) -> Heartbeat {
        let heartbeat = Heartbeat(part)
        parts.withLock {
            $0.removeAll(where: \.hasEnded)
            $0.append(heartbeat)
        }
        return heartbeat
    }

    /// The parts whose last beat is longer ago than `limit`, the longest silence first.
    public func silent(longerThan limit: Duration, now: UInt64 = Clock.system.monotonic()) -> [Silence] {
        parts.withLock { parts in
            parts.filter { !$0.hasEnded }.map { Silence(part: $0.part, time: .nanoseconds(max(now, $0.last) - $0.last)) }
                .filter { $0.time > limit }.sorted { $0.time > $1.time }
        }
    }

    /// Whether every part has beaten within `limit`.
    public func allAlive(within limit: Duration, now: UInt64 = Clock.system.monotonic()) -> Bool {
        silent(longerThan: limit, now: now).isEmpty
    }
}

/// One part's heartbeat. A loop beats once a turn, and sleeps for no longer than a few seconds, so that an idle part is not a dead one.
public final class Heartbeat: Sendable {
    /// Who it is, as the journal will name it.
    public let part: String
    /// The last beat, nanoseconds of the monotonic clock.
    private let beaten: Atomic<UInt64>
    private let ended = Atomic(false)

    init(_ part: String) {
        self.part = part
        beaten = Atomic(Clock.system.monotonic())
    }

    /// I live. A look at the clock and a store.
    public func beat(now: UInt64 = Clock.system.monotonic()) { beaten.store(now, ordering: .relaxed) }

    /// The part has ended as it should: nobody waits for its beat any more.
    public func end() { ended.store(true, ordering: .relaxed) }

    var hasEnded: Bool { ended.load(ordering: .relaxed) }

    var last: UInt64 { beaten.load(ordering: .relaxed) }
}
