import CShim
import Synchronization

/// The parts that must turn their loops, as the watchdog looks at them: a part is silent that neither turns nor answers.
///
/// A part beats as it works, at each turn and at each call into SQLite, so that a slow disk is no silence. A part that sleeps until
/// something happens does not wake up to beat: the watchdog asks it, that is, wakes it for one turn, and who does not turn then is silent
/// from that moment on. `now` is the monotonic clock, in nanoseconds.
public final class Heartbeats: Sendable {
    /// A part that has not beaten for too long.
    public struct Silence: Sendable, Equatable {
        /// The part's name.
        public let part: String
        /// Since its last beat, or since it was asked for one.
        public let time: Duration

        /// A silence.
        public init(part: String, time: Duration) { (self.part, self.time) = (part, time) }
    }

    private let parts = Mutex<[Heartbeat]>([])
    private let awaited = Awaited()

    /// No part yet.
    public init() {}

    /// A new part; it counts as alive from now on, until `end`. Give it to `startThread`.
    public func register(_ part: String) -> Heartbeat {
        let heartbeat = Heartbeat(part, awaited)
        parts.withLock {
            $0.removeAll(where: \.hasEnded)
            $0.append(heartbeat)
        }
        return heartbeat
    }

    /// The parts that are silent for longer than `limit`, the longest silence first. Those that sleep are asked, and so have an answer to
    /// give by the next look.
    public func look(limit: Duration, now: UInt64 = Clock.system.monotonic()) -> [Silence] {
        let parts = parts.withLock { $0.filter { !$0.hasEnded } }
        return parts.map { Silence(part: $0.part, time: .nanoseconds($0.silence(now: now))) }
            .filter { $0.time > limit }.sorted { $0.time > $1.time }
    }

    /// Whether every part sleeps and owes no answer: nothing can hang before one of them wakes up. When one does, `wakes` is called, once, by
    /// its thread: be quick.
    public func allSleep(until wakes: @escaping @Sendable () -> Void) -> Bool {
        // First this: who wakes up behind the look finds it.
        awaited.set(wakes)
        let sleep = parts.withLock { $0.allSatisfy { $0.hasEnded || $0.sleepsUnasked } }
        if !sleep { awaited.set(nil) }
        return sleep
    }
}

/// Whom a part tells that it wakes up.
private final class Awaited: Sendable {
    private let isSet = Atomic(false)
    private let wakes = Mutex<(@Sendable () -> Void)?>(nil)

    func set(_ wakes: (@Sendable () -> Void)?) {
        self.wakes.withLock { $0 = wakes }
        isSet.store(wakes != nil, ordering: .releasing)
    }

    /// A look at a flag, where nobody waits.
    func oneWakes() {
        guard isSet.load(ordering: .acquiring), isSet.exchange(false, ordering: .acquiring) else { return }
        wakes.withLock { wakes in
            defer { wakes = nil }
            return wakes
        }?()
    }
}

/// One part's heartbeat. It belongs to the thread that was started with it.
public final class Heartbeat: Sendable {
    private struct Sleep: Sendable {
        let wake: @Sendable () -> Void
        var askedAt: UInt64?
    }

    /// Who it is, as the journal will name it.
    public let part: String
    /// The last beat, nanoseconds of the monotonic clock.
    private let beaten: Atomic<UInt64>
    /// Nil while it is awake.
    private let sleep = Mutex<Sleep?>(nil)
    private let ended = Atomic(false)
    private let awaited: Awaited

    fileprivate init(_ part: String, _ awaited: Awaited) {
        (self.part, self.awaited) = (part, awaited)
        beaten = Atomic(Clock.system.monotonic())
    }

    /// I live. A look at the clock and a store.
    public func beat(now: UInt64 = Clock.system.monotonic()) { beaten.store(now, ordering: .relaxed) }

    /// The part has ended as it should: nobody waits for its beat any more. A thread that was started with it does so when it ends.
    public func end() { ended.store(true, ordering: .relaxed) }

    /// Runs `body`, which sleeps until there is something to do. `wake`, called from any thread at any time, ends the sleep, the next one
    /// where it comes too late for this one: the watchdog may call it when the part has long been awake.
    public func asleep<Result>(wake: @escaping @Sendable () -> Void, _ body: () -> Result) -> Result {
        sleep.withLock { $0 = Sleep(wake: wake) }
        defer {
            // First the beat: awake with the old one it would be silent since before it slept.
            beat()
            sleep.withLock { $0 = nil }
            awaited.oneWakes()
        }
        return body()
    }

    fileprivate var sleepsUnasked: Bool { sleep.withLock { $0.map { $0.askedAt == nil } ?? false } }

    var hasEnded: Bool { ended.load(ordering: .relaxed) }

    /// Nanoseconds since the last beat. Who sleeps and has not been asked yet is asked.
    func silence(now: UInt64) -> UInt64 {
        let (since, wake): (UInt64, (@Sendable () -> Void)?) = sleep.withLock { sleep in
            guard let asleep = sleep else { return (beaten.load(ordering: .relaxed), nil) }
            if let askedAt = asleep.askedAt { return (askedAt, nil) }
            sleep?.askedAt = now
            return (now, asleep.wake)
        }
        wake?()
        return now - min(now, since)
    }
}

// MARK: Of the calling thread

extension Heartbeat {
    /// A beat of the part whose thread this is; nothing on any other.
    public static func beatHere() { tracefwd_heartbeat().map(of)?.beat() }

    /// `asleep` for the part whose thread this is; on any other the body alone.
    public static func asleepHere<Result>(wake: @escaping @Sendable () -> Void, _ body: () -> Result) -> Result {
        guard let here = tracefwd_heartbeat() else { return body() }
        return of(here).asleep(wake: wake, body)
    }

    /// Runs a thread's `body` as this part, and ends it.
    func run(_ body: () -> Void) {
        tracefwd_set_heartbeat(Unmanaged.passUnretained(self).toOpaque())
        withExtendedLifetime(self, body)
        tracefwd_set_heartbeat(nil)
        end()
    }

    /// `run` holds it for as long as the thread has it.
    private static func of(_ pointer: UnsafeMutableRawPointer) -> Heartbeat { Unmanaged.fromOpaque(pointer).takeUnretainedValue() }
}
