import CSQLite
import Threading

/// What a look at the file that is bounded in time found.
public enum QuickCheck: Sendable, Equatable {
    /// All pages were looked at, and nothing is wrong with them.
    case sound
    /// What is wrong, in SQLite's words.
    case damaged([String])
    /// The time was over before all was looked at; what was seen until then is right.
    case unfinished
}

extension LogReader {
    /// SQLite's `quick_check`: structure, not contents. It is one read transaction, so it must not last.
    public func quickCheck(within time: Duration) throws(SpoolError) -> QuickCheck {
        try reading { database throws(SQLiteError) -> QuickCheck in
            var findings: [String] = []
            do throws(SQLiteError) {
                try database.within(time) { () throws(SQLiteError) in
                    try database.each("PRAGMA quick_check(10)") { row in if row.text(0) != "ok" { findings.append(row.text(0)) } }
                }
            } catch {
                guard error.primary == SQLITE_INTERRUPT else { throw error }
                return .unfinished
            }
            // Older versions of SQLite report the end of the time as a finding.
            if findings.contains("interrupted") { return .unfinished }
            return findings.isEmpty ? .sound : .damaged(findings)
        }
    }
}

extension Database {
    /// Runs `body`, of which each statement that still runs after this time is interrupted.
    fileprivate func within(_ time: Duration, _ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        let isDone = Monitor(false)
        // sqlite3_interrupt may be called from any thread while the connection is open, and it is until the thread is joined.
        let connection = UInt(bitPattern: handle)
        let watch = startThread(name: "quick-check") {
            var left = time
            // Again and again: what has not begun to run yet is not interrupted.
            while isDone.wait(for: left, until: { $0 ? true : nil }) == nil {
                sqlite3_interrupt(OpaquePointer(bitPattern: connection))
                left = .milliseconds(10)
            }
        }
        defer {
            isDone.withLock { $0 = true }
            isDone.broadcast()
            watch.join()
        }
        try body()
    }
}
