public import Logging
public import Threading

/// Feeds systemd's watchdog while every part turns its loop, and says once which one hangs when it does not. It hangs itself with them:
/// nothing is fed by a mere timer. Off systemd it still tells who hangs, and sleeps while all parts do.
public final class Watchdog: Sendable {
    private struct State {
        var isStopped = false
        /// Since it went to sleep with all of them.
        var oneIsAwake = false
    }

    private let state = Monitor(State())
    private let thread: ThreadHandle

    /// Begins to watch. A part counts as hanging when it is silent for half of the unit's WatchdogSec=, of 120 s without one.
    public init(_ heartbeats: Heartbeats, manager: ServiceManager = ServiceManager(), logger: Logger) {
        let interval = manager.watchdogInterval
        let limit = (interval ?? .seconds(120)) / 2
        thread = startThread(name: "watchdog") { [state] in
            var watch = Watch(left: interval.map { $0 - limit / 2 })
            while true {
                let verdict = watch.look(heartbeats.look(limit: limit))
                if verdict.feed { manager.feedWatchdog() }
                for silence in verdict.tell { logger.partHangs(silence.part, silentFor: silence.time, killedIn: watch.left) }
                for part in verdict.back { logger.partTurnsAgain(part) }
                if state.wait(for: limit / 2, until: { $0.isStopped ? true : nil }) != nil { return }
                // Nobody is to be fed, and nobody can hang.
                if interval == nil { Self.sleep(while: heartbeats, state) }
            }
        }
    }

    /// Sleeps until a part is awake, or a stop.
    private static func sleep(while parts: Heartbeats, _ state: Monitor<State>) {
        state.withLock { $0.oneIsAwake = false }
        let allSleep = parts.allSleep {
            state.withLock { $0.oneIsAwake = true }
            state.broadcast()
        }
        if allSleep { state.wait { $0.oneIsAwake || $0.isStopped ? Look.go(()) : .sleep } }
    }

    /// Returns when the thread has ended. From now on nobody feeds: systemd's stop timeout holds.
    public func stop() {
        state.withLock { $0.isStopped = true }
        state.broadcast()
        thread.join()
    }
}

/// What to do at each look, as a value: feed or not, and which silences are news.
struct Watch {
    struct Verdict: Equatable {
        var feed: Bool
        var tell: [Heartbeats.Silence]
        var back: [String]
    }

    /// From the look that finds the first part hanging until systemd ends the process: the look before it was the last to feed.
    let left: Duration?
    private var hanging: Set<String> = []

    init(left: Duration?) { self.left = left }

    mutating func look(_ silent: [Heartbeats.Silence]) -> Verdict {
        let now = Set(silent.map(\.part))
        defer { hanging = now }
        return Verdict(feed: silent.isEmpty, tell: silent.filter { !hanging.contains($0.part) }, back: hanging.subtracting(now).sorted())
    }
}
