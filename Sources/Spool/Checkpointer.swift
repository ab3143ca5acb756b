import CSQLite
import Threading

/// Copies the WAL into the file beside the writer, so that no commit waits for it: a thread with a connection of its own that sleeps until it is
/// asked. What is committed meanwhile is left to the next pass; only to begin the WAL anew must the writer pause (`LogFile.checkpoint`), when
/// little is left.
///
/// Its methods are the writer's to call, on its thread.
final class Checkpointer: Sendable {
    private enum Order {
        /// Copy what is in the WAL now.
        case pass(PageCache.Progress)
        /// Let the files go.
        case letGo
        case end
    }
    private enum State: Sendable {
        case idle
        case asked(Order)
        case atWork
        case done(Result<WALCopy?, SQLiteError>)
    }
    private let state = Monitor(State.idle)
    private let thread: ThreadHandle

    /// `done` is called on its thread when a pass has ended.
    init(_ options: SpoolOptions, heartbeat: Heartbeat? = nil, done: @escaping @Sendable () -> Void) {
        thread = startThread(name: "checkpoint", heartbeat: heartbeat) { [state] in
            var database: Database?
            var cache = PageCache(path: options.path)
            while true {
                let order = state.wait { (state: inout State) -> Look<Order> in
                    guard case .asked(let order) = state else { return .sleep }
                    state = .atWork
                    return .go(order)
                }
                switch order {
                case .pass(let progress):
                    let result = Result { () throws(SQLiteError) in try Self.pass(&database, options) }
                    if case .success(_?) = result { cache.copied(progress) }
                    Self.set(.done(result), state)
                    done()
                case .letGo:
                    database = nil
                    Self.set(.idle, state)
                case .end: return
                }
            }
        }
    }

    deinit {
        rest()
        ask(.end)
        thread.join()
    }

    private static func set(_ new: State, _ state: Monitor<State>) {
        state.withLock { $0 = new }
        state.broadcast()
    }

    private static func pass(_ kept: inout Database?, _ options: SpoolOptions) throws(SQLiteError) -> WALCopy? {
        let database: Database
        if let kept { database = kept } else { database = try connect(options) }
        kept = database
        guard let copy = try database.copyWAL(.passive) else { return nil }
        // SQLite syncs the file when all of the WAL was copied, which a writer that goes on does not let happen: then the last copy, which it
        // waits for, would have to.
        try database.syncFile()
        return copy
    }

    private static func connect(_ options: SpoolOptions) throws(SQLiteError) -> Database {
        let database = try Database(path: options.path, readOnly: false, vfs: options.disk.vfs)
        // Its name may lead to another file by the time that it ends; and the WAL is the writer's.
        database.leaveFiles()
        try Schema.synchronise(database, options.durability)
        // A connection that has read nothing does not know yet that there is a WAL.
        _ = try database.integer("PRAGMA schema_version")
        return database
    }

    private func ask(_ order: Order) {
        state.withLock { if case .idle = $0 { $0 = .asked(order) } }
        state.broadcast()
    }

    /// Begins a pass where none is under way, and none has ended whose `result` nobody took.
    func begin(at progress: PageCache.Progress) { ask(.pass(progress)) }

    /// Whether a pass is under way.
    var isAtWork: Bool {
        state.withLock { state in
            switch state {
            case .asked, .atWork: true
            case .idle, .done: false
            }
        }
    }

    /// What the last pass did, told once; nil where none has ended, or where somebody else was at it.
    func result() throws(SQLiteError) -> WALCopy? {
        let result = state.withLock { state -> Result<WALCopy?, SQLiteError>? in
            guard case .done(let result) = state else { return nil }
            state = .idle
            return result
        }
        return try result?.get()
    }

    /// Waits for the pass that is under way, and forgets what it did: SQLite lets one at a time copy the WAL.
    func rest() {
        state.wait { (state: inout State) -> Look<Void> in
            switch state {
            case .asked, .atWork: return .sleep
            case .done: state = .idle
            case .idle: break
            }
            return .go(())
        }
    }

    /// The same, and lets the files go: they are about to be replaced.
    func letGo() {
        rest()
        ask(.letGo)
        rest()
    }
}
