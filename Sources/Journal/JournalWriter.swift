// The journal: what we tell a person. Events with their fields, and the talk with the service manager.
// Promises: to log never blocks, whatever the journal does; a journal that is stuck costs lines, which are counted and told, never
// spans. A storm of equal lines is one line every 10 s. No value can begin a line of its own. Does not know: what happened; the
// sentences are in Events.swift, their callers bring plain values.
// Start here, then Events.swift (every sentence), LineQueue.swift and Storm.swift (the decisions), Outlet.swift (where lines go),
// ServiceManager.swift (READY, sockets handed over), Watchdog.swift (fed while every part turns).
public import Logging
import Threading

/// The thread that writes the log, and the bounded ring before it. One a process; it lives until `stop`.
public final class JournalWriter: Sendable {
    private struct State {
        var queue = LineQueue()
        var hasEnded = false
    }

    private let state = Monitor(State())
    private let thread: ThreadHandle

    /// Whether standard error is the journal.
    public static var isJournalHere: Bool { outletOfThisProcess() is JournaldOutlet }

    /// Writes to journald where standard error is the journal, else to standard error.
    public convenience init() { self.init(outlet: outletOfThisProcess()) }

    init(outlet: any Outlet) {
        thread = startThread(name: "journal") { [state] in
            while let line = Self.next(state) {
                if !outlet.write(line) { state.withLock { $0.queue.lose() } }
            }
            state.withLock { $0.hasEnded = true }
            state.broadcast()
        }
    }

    /// A logger that writes here: `LoggingSystem.bootstrap { _ in journal.handler() }`, or `Logger(label:factory:)`.
    public func handler(level: Logger.Level = .info) -> JournalHandler { JournalHandler(self, level: level) }

    /// Lines that were never written, since the start: the metric `journal_lines_lost`.
    public var linesLost: Int { state.withLock { $0.queue.lost } }

    /// Writes what waits, `limit` at most, and ends. False: the journal was stuck, what still waits is lost. Later lines are lost too.
    @discardableResult
    public func stop(within limit: Duration = .seconds(2)) -> Bool {
        state.withLock { $0.queue.close() }
        state.broadcast()
        guard state.wait(for: limit, until: { $0.hasEnded ? true : nil }) != nil else { return false }
        thread.join()
        return true
    }

    func add(_ line: Line) {
        let now = Clock.system.monotonic()
        if state.withLock({ $0.queue.add(line, now: now) }) { state.signal() }
    }

    /// Nil: closed and empty.
    private static func next(_ state: Monitor<State>) -> Line? {
        state.wait { state -> Look<Line?> in
            let now = Clock.system.monotonic()
            if let line = state.queue.next(now: now, at: Clock.system.wall()) { return .go(line) }
            if state.queue.isClosed { return .go(nil) }
            return state.queue.nextDue.map { .sleepFor(.nanoseconds($0 - now)) } ?? .sleep
        }
    }
}
