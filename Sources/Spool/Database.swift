import CSQLite
import CShim
import Threading

/// What SQLite said, where, and what was asked of it. Never the values that were bound.
public struct SQLiteError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The extended result code, e.g. `SQLITE_IOERR_FSYNC`.
    public var code: Int32
    /// SQLite's own sentence.
    public var message: String
    /// The statement or step that failed.
    public var during: String

    /// The primary code: the extended one without its upper bits.
    public var primary: Int32 { code & 0xff }

    /// No space left, on the file system or by a quota.
    public var isFull: Bool { primary == SQLITE_FULL }
    /// The file itself is damaged.
    public var isCorrupt: Bool { primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB }

    /// The sentence, the code and the step, without values.
    public var description: String { "\(message) (SQLite \(code)) during \(during)" }
}

/// How much of the WAL lies in the database file too.
struct WALCopy: Sendable, Equatable {
    /// Pages in the WAL.
    var frames = 0
    /// The first of them that were copied.
    var copied = 0

    /// Those that were not.
    var left: Int { frames - copied }
}

/// One SQLite connection, with its prepared statements. It stays on the thread that opened it; nothing of it is Sendable.
final class Database {
    let handle: OpaquePointer
    private var statements: [String: Statement] = [:]
    /// The WAL as the last commit, and the last copy that was told of, left it. Its file keeps the length it once had, so its size does not tell.
    private(set) var wal = WALCopy()

    /// `vfs` is nil for the system's own; the simulator passes a faulty one. `gathersWAL`: for the one that writes most, see `tracefwd_wal_vfs`.
    init(path: String, readOnly: Bool, vfs base: String? = nil, gathersWAL: Bool = false) throws(SQLiteError) {
        var opened: OpaquePointer?
        let vfs = gathersWAL ? tracefwd_wal_vfs(base).map { String(cString: $0) } ?? base : base
        let flags = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        // SQLITE_OPEN_URI is for `attach`.
        let code = sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI, vfs)
        guard let opened else { throw SQLiteError(code: code, message: "out of memory", during: "open") }
        guard code == SQLITE_OK else {
            let error = SQLiteError(code: code, message: String(cString: sqlite3_errmsg(opened)), during: "open of \(path)")
            sqlite3_close_v2(opened)
            throw error
        }
        handle = opened
        sqlite3_busy_timeout(handle, Self.patience)
        // A statement that takes its time on a slow disk is no hang: the thread beats as it gets on, here and at each call below.
        sqlite3_progress_handler(
            handle, 1_000,
            { _ in
                Heartbeat.beatHere(); return 0
            }, nil)
    }

    deinit { sqlite3_close_v2(handle) }

    /// The file bears another name by now, or none: nothing is done to it, nor to what bears its name, when the connection ends.
    func leaveFiles() { _ = tracefwd_sqlite_leave_wal(handle) }

    /// Keeps `wal` from now on. SQLite has one hook, and `PRAGMA wal_autocheckpoint` takes it: to be called after that.
    func countFrames() {
        let count: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = {
            context, _, _, frames in
            guard let context else { return SQLITE_OK }
            Unmanaged<Database>.fromOpaque(context).takeUnretainedValue().committed(frames: Int(frames))
            return SQLITE_OK
        }
        sqlite3_wal_hook(handle, count, Unmanaged.passUnretained(self).toOpaque())
    }

    private func committed(frames: Int) {
        // A commit adds frames: where there are not more than before, it has begun the WAL anew.
        if frames <= wal.frames { wal.copied = 0 }
        wal.frames = frames
    }

    /// Another connection has copied this much of the WAL.
    func noteCopied(_ frames: Int) { wal.copied = max(wal.copied, min(frames, wal.frames)) }

    /// Adds another file to this connection, of which it can do no more than read.
    func attach(_ path: String, as name: String, vfs: String? = nil) throws(SQLiteError) {
        // A URI is the one way to say read-only here; what would mean something in it is written as its number.
        let special = [UInt8(ascii: "%"): "%25", UInt8(ascii: "?"): "%3f", UInt8(ascii: "#"): "%23"]
        let bytes = path.utf8.flatMap { special[$0].map { Array($0.utf8) } ?? [$0] }
        let uri = "file:" + (path.hasPrefix("/") ? "//" : "") + String(decoding: bytes, as: UTF8.self) + "?mode=ro"
        try run("ATTACH ? AS \(name)", .text(uri + (vfs.map { "&vfs=\($0)" } ?? "")))
    }

    /// Runs statements that return nothing of interest.
    func execute(_ sql: String) throws(SQLiteError) {
        Heartbeat.beatHere()
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code, sql) }
    }

    /// The prepared statement for this text, ready to be bound. Prepared once, kept.
    func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let kept = statements[sql] { return kept }
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else { throw error(code, sql) }
        let statement = Statement(prepared, sql: sql, database: self)
        statements[sql] = statement
        return statement
    }

    /// Binds, runs to the end, and resets.
    func run(_ sql: String, _ values: Value...) throws(SQLiteError) { try run(sql, values) }

    func run(_ sql: String, _ values: [Value]) throws(SQLiteError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        try statement.bind(values)
        while try statement.step() {}
    }

    /// The first column of the first row as an integer, or nil where there is no row or a NULL.
    func integer(_ sql: String, _ values: Value...) throws(SQLiteError) -> Int64? {
        let statement = try statement(sql)
        defer { statement.reset() }
        try statement.bind(values)
        return try statement.step() ? statement.optionalInteger(0) : nil
    }

    /// Calls `row` for each row of the answer.
    func each(_ sql: String, _ values: Value..., row: (Statement) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try each(sql, values, row: row)
    }

    func each(_ sql: String, _ values: [Value], row: (Statement) throws(SQLiteError) -> Void) throws(SQLiteError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        try statement.bind(values)
        while try statement.step() { try row(statement) }
    }

    /// Runs `body` in one write transaction: all of it, or nothing.
    func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try execute("BEGIN IMMEDIATE")
        do {
            try body()
            try commit()
        } catch {
            // After some errors SQLite has rolled back by itself; asking again is harmless.
            if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    /// An interrupt behind its last step says that it failed though all of it has come to pass: no transaction is open any more. Any other
    /// error leaves nothing of it.
    private func commit() throws(SQLiteError) {
        do throws(SQLiteError) {
            try execute("COMMIT")
        } catch {
            guard error.primary == SQLITE_INTERRUPT, sqlite3_get_autocommit(handle) != 0 else { throw error }
        }
    }

    /// Milliseconds for which a statement waits for another process: the writer is meant to be the only one that writes.
    private static let patience: Int32 = 5_000

    /// How far a checkpoint goes.
    enum Checkpoint {
        /// What can be copied at once; nobody is waited for.
        case passive
        /// All, so that the next commit begins the WAL anew, over the pages that it has.
        case restart
        /// All, and the WAL's file is cut to nothing.
        case truncate

        fileprivate var mode: Int32 {
            switch self {
            case .passive: SQLITE_CHECKPOINT_PASSIVE
            case .restart: SQLITE_CHECKPOINT_RESTART
            case .truncate: SQLITE_CHECKPOINT_TRUNCATE
            }
        }
    }

    /// Copies the WAL into the database file. True where all of it could be copied (no reader held it); who reads is waited for only as long
    /// as `milliseconds`, since acks wait meanwhile.
    func checkpoint(_ kind: Checkpoint, waitingFor milliseconds: Int32 = 100) throws(SQLiteError) -> Bool {
        guard let copy = try copyWAL(kind, waitingFor: milliseconds) else { return false }
        let isWhole = copy.frames == copy.copied
        // The next commit begins the WAL anew.
        wal = isWhole && kind != .passive ? WALCopy() : copy
        return isWhole
    }

    /// The same, and how far it has come; nil where somebody else was at it, or where those who read were not done in time.
    func copyWAL(_ kind: Checkpoint, waitingFor milliseconds: Int32 = 100) throws(SQLiteError) -> WALCopy? {
        Heartbeat.beatHere()
        sqlite3_busy_timeout(handle, milliseconds)
        defer { sqlite3_busy_timeout(handle, Self.patience) }
        var frames: Int32 = 0
        var copied: Int32 = 0
        let code = sqlite3_wal_checkpoint_v2(handle, nil, kind.mode, &frames, &copied)
        if code & 0xff == SQLITE_BUSY { return nil }
        guard code == SQLITE_OK else { throw error(code, "wal_checkpoint") }
        return WALCopy(frames: Int(frames), copied: Int(copied))
    }

    /// Has the disk take what was written to the database file itself.
    func syncFile() throws(SQLiteError) {
        Heartbeat.beatHere()
        var file: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(handle, nil, SQLITE_FCNTL_FILE_POINTER, &file)
        guard let file, let sync = file.pointee.pMethods?.pointee.xSync else { return }
        let code = sync(file, SQLITE_SYNC_NORMAL)
        guard code == SQLITE_OK else {
            throw SQLiteError(code: code, message: String(cString: sqlite3_errstr(code)), during: "fsync of the database file")
        }
    }

    /// Rows changed by the last statement.
    var changes: Int { Int(sqlite3_changes64(handle)) }

    func error(_ code: Int32, _ sql: String) -> SQLiteError {
        SQLiteError(code: code, message: String(cString: sqlite3_errmsg(handle)), during: sql)
    }
}

/// A value to bind. A blob is bound without a copy, so its bytes must live until the statement is reset: `run` and `each` see to that.
enum Value {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    static func optional(_ value: Int64?) -> Value { value.map(Value.integer) ?? .null }
    static func optional(_ text: String?) -> Value { text.map(Value.text) ?? .null }
}

/// A prepared statement of one `Database`.
final class Statement {
    private let handle: OpaquePointer
    private let sql: String
    private unowned let database: Database
    /// Holds what is bound until the reset.
    private var bound: [Value] = []

    fileprivate init(_ handle: OpaquePointer, sql: String, database: Database) {
        self.handle = handle
        self.sql = sql
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ values: [Value]) throws(SQLiteError) {
        bound = values
        for (offset, value) in values.enumerated() {
            let at = Int32(offset + 1)
            let code =
                switch value {
                case .null: sqlite3_bind_null(handle, at)
                case .integer(let number): sqlite3_bind_int64(handle, at, number)
                case .text(let text): sqlite3_bind_text(handle, at, text, -1, Self.copied)
                case .blob(let bytes): bind(bytes, at)
                }
            guard code == SQLITE_OK else { throw database.error(code, sql) }
        }
    }

    /// SQLITE_STATIC: an array's storage does not move while `bound` holds it and nobody writes to it.
    private func bind(_ bytes: [UInt8], _ at: Int32) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return sqlite3_bind_zeroblob(handle, at, 0) }
            return sqlite3_bind_blob64(handle, at, base, UInt64(buffer.count), nil)
        }
    }

    /// SQLITE_TRANSIENT, whose macro Swift cannot import.
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    /// True while there is a row.
    func step() throws(SQLiteError) -> Bool {
        Heartbeat.beatHere()
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw database.error(code, sql)
        }
    }

    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
        bound.removeAll()
    }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func optionalInteger(_ column: Int32) -> Int64? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : sqlite3_column_int64(handle, column)
    }

    func text(_ column: Int32) -> String { sqlite3_column_text(handle, column).map { String(cString: $0) } ?? "" }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(handle, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, column))))
    }
}

/// Reads blobs of one column, straight into arrays. What a statement shows of a large one was put together in memory of SQLite's before, and is
/// copied from there. For one thread, and not for longer than a read transaction: it is part of one from the first blob on.
final class BlobReader {
    private let database: Database
    private let table: String
    private let column: String
    private var handle: OpaquePointer?

    init(_ database: Database, table: String, column: String) { (self.database, self.table, self.column) = (database, table, column) }

    deinit { sqlite3_blob_close(handle) }

    /// The blob in the row of this id. The row is known to be there and to have one: where it is not found the file's own tree is damaged.
    func bytes(row: Int64) throws(SQLiteError) -> [UInt8] {
        Heartbeat.beatHere()
        let step = "read of \(table).\(column)"
        var code = SQLITE_OK
        if let handle {
            code = sqlite3_blob_reopen(handle, row)
        } else {
            code = sqlite3_blob_open(database.handle, "main", table, column, row, 0, &handle)
        }
        if code == SQLITE_ERROR { throw SQLiteError(code: SQLITE_CORRUPT, message: "a row is not found by its id", during: step) }
        guard code == SQLITE_OK, let handle else { throw database.error(code, step) }
        let size = sqlite3_blob_bytes(handle)
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            guard size > 0 else { return }
            code = sqlite3_blob_read(handle, buffer.baseAddress, size, 0)
            if code == SQLITE_OK { count = Int(size) }
        }
        guard code == SQLITE_OK else { throw database.error(code, step) }
        return bytes
    }
}
