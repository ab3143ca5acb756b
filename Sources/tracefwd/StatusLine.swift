import Journal
import Threading

/// Keeps the line that `systemctl status` shows up to date: once in 10 s while something happens or is the matter, not at all while nothing
/// does. Without a service manager nobody sees it, and it does nothing.
final class StatusLine: Sendable {
    private struct State {
        var isStale = true
        var isOver = false
    }

    private static let every = Duration.seconds(10)
    private let manager: ServiceManager
    private let state = Monitor(State())

    init(_ manager: ServiceManager) { self.manager = manager }

    /// Something happened that the line may tell of. Any thread.
    func happened() {
        let isNews = state.withLock { state in
            defer { state.isStale = true }
            return !state.isStale
        }
        if isNews { state.signal() }
    }

    /// Begins to tell. `line` gives the text, and whether it holds until something happens.
    func start(_ line: @escaping @Sendable () -> (text: String, holds: Bool)) {
        guard manager.isPresent else { return }
        _ = startThread(name: "status") { [manager, state] in
            var told = ""
            while state.wait({ $0.isOver ? .go(false) : $0.isStale ? .go(true) : .sleep }) {
                state.withLock { $0.isStale = false }
                let (text, holds) = line()
                if text != told { manager.status(text) }
                told = text
                if !holds { state.withLock { $0.isStale = true } }
                if state.wait(for: Self.every, until: { $0.isOver ? true : nil }) != nil { return }
            }
        }
    }

    /// Tells nothing more: the daemon stops, and says so itself.
    func stop() {
        state.withLock { $0.isOver = true }
        state.broadcast()
    }
}
