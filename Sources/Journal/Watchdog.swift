public import Logging
public import Threading

/// Feeds systemd's watchdog while every part turns its loop, and says once which one hangs when it does not. It hangs itself with them:
/// nothing is fed by a mere timer. Off systemd it still tells who hangs.
public final class Watchdog: Sendable {
    private let isStopped = Monitor(false)
    private let thread: ThreadHandle

    /// Begins to watch. A part counts as hanging when it is silent for half of the unit's WatchdogSec=, of 120 s without one.
    public init(_ heartbeats: Heartbeats, manager: ServiceManager = ServiceManager(), logger: Logger) {
        let limit = (manager.watchdogInterval ?? .seconds(120)) / 2
        thread = startThread(name: "watchdog") { [isStopped] in
            var watch = Watch(left: manager.watchdogInterval.map { $0 - limit / 2 })
            repeat {
                let verdict = watch.look(heartbeats.look(limit: limit))
                if verdict.feed { manager.feedWatchdog() }
                for silence in verdict.tell { logger.partHangs(silence.part, silentFor: silence.time, killedIn: watch.left) }
                for part in verdict.back { logger.partTurnsAgain(part) }
            } while isStopped.wait(for: limit / 2, until: { $0 ? true : nil }) == nil
        }
    }

    /// Returns when the thread has ended. From now on nobody feeds: systemd's stop timeout holds.
    public func stop() {
        isStopped.withLock { $0 = true }
        isStopped.broadcast()
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
