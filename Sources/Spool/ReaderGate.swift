import Threading

/// Where readers of this process wait for the writer, for the moment in which it needs the WAL for itself (`LogFile.checkpoint`). SQLite would
/// only look again and again whether somebody reads, and under load somebody always does.
final class ReaderGate: Sendable {
    private struct State {
        var readers = 0
        var isClosed = false
    }
    private let state = Monitor(State())

    /// Reads once the gate is open.
    func read<Answer, Failure: Error>(_ body: () throws(Failure) -> Answer) throws(Failure) -> Answer {
        state.wait { (state: inout State) -> Look<Void> in
            guard !state.isClosed else { return .sleep }
            state.readers += 1
            return .go(())
        }
        defer {
            let isAwaited = state.withLock { state in
                state.readers -= 1
                return state.isClosed && state.readers == 0
            }
            if isAwaited { state.broadcast() }
        }
        return try body()
    }

    /// Runs `body` while nobody reads. Who is not done within `patience` is not waited for: `body` must see for itself.
    func close<Answer, Failure: Error>(
        waiting patience: Duration, _ body: () throws(Failure) -> Answer
    ) throws(Failure) -> Answer {
        state.withLock { $0.isClosed = true }
        defer {
            state.withLock { $0.isClosed = false }
            state.broadcast()
        }
        _ = state.wait(for: patience) { (state: inout State) -> Bool? in state.readers == 0 ? true : nil }
        return try body()
    }
}
