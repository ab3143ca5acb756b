import CSQLite

/// The tables, and how an older file becomes the current one. `PRAGMA user_version` holds the number; Docs/spool.md explains each table.
enum Schema {
    /// Forms of a segment's row: plain OTLP; and no spans at all, but ids that were given out and are lost.
    static let (spans, lost): (Int64, Int64) = (1, 0)
    /// A key of `meta`, see `Books.registersFromOldest`.
    static let fromOldest = "register_from_oldest"

    static let version: Int64 = 3

    /// Settings of the writing connection; those that shape the file stand before the first table.
    static func configure(_ database: Database, durability: Durability) throws(SQLiteError) {
        try database.execute("PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL")
        guard try journalMode(database) == "wal" else {
            throw SQLiteError(code: SQLITE_CANTOPEN, message: "this file system cannot hold a WAL", during: "PRAGMA journal_mode=WAL")
        }
        try synchronise(database, durability)
        // Checkpoints are the writer's own decision (SpanLog.swift); the cache holds one large commit.
        try database.execute(
            "PRAGMA foreign_keys=ON; PRAGMA secure_delete=FAST; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-4096")
    }

    /// How much a commit and a checkpoint wait for the disk.
    static func synchronise(_ database: Database, _ durability: Durability) throws(SQLiteError) {
        let synchronous =
            switch durability {
            case .fsync: "FULL"
            case .os: "NORMAL"
            case .none: "OFF"
            }
        try database.execute("PRAGMA synchronous=\(synchronous)")
    }

    private static func journalMode(_ database: Database) throws(SQLiteError) -> String {
        let statement = try database.statement("PRAGMA journal_mode=WAL")
        defer { statement.reset() }
        return try statement.step() ? statement.text(0) : ""
    }

    /// Refuses a file from the future. Stands before `configure`, which writes.
    static func check(_ database: Database, path: String) throws(SpoolError) {
        let found: Int64
        do throws(SQLiteError) {
            found = try database.integer("PRAGMA user_version") ?? 0
        } catch {
            throw .sqlite(path: path, error)
        }
        guard found <= version else { throw .newerSchema(path: path, found: Int(found), known: Int(version)) }
    }

    /// Brings the file to `version`, one step at a time, each in its own transaction.
    static func migrate(_ database: Database) throws(SQLiteError) {
        let found = try database.integer("PRAGMA user_version") ?? 0
        guard found < version else { return }
        try database.transaction { () throws(SQLiteError) in
            if found < 1 { for table in first { try database.execute(table) } }
            // 2: directories with a checksum, and rows of format 0. What stands is read as it is; an older tracefwd must not try.
            if found < 3 { try database.execute(traces) }
            try database.execute("PRAGMA user_version=\(version)")
        }
    }

    /// 3: what tail sampling has decided. An older tracefwd must not write beside it: it would send the rest of a trace that was left out.
    private static let traces = """
        CREATE TABLE traces (
          consumer INTEGER NOT NULL, route TEXT NOT NULL, trace_id BLOB NOT NULL, decision INTEGER NOT NULL, through INTEGER NOT NULL,
          decided_at INTEGER NOT NULL, PRIMARY KEY (consumer, route, trace_id)) WITHOUT ROWID
        """

    private static let first = [
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        // `log_offset`: stored bytes of all spans before this segment, ever; so a backlog in bytes is a subtraction.
        // The blobs stand last: what is asked without them is answered from a row's first page.
        """
        CREATE TABLE segments (
          first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL, min_at INTEGER NOT NULL, max_at INTEGER NOT NULL,
          log_offset INTEGER NOT NULL, format INTEGER NOT NULL, key_id INTEGER, directory BLOB NOT NULL, payload BLOB)
        """,
        """
        CREATE TABLE consumers (
          id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, base INTEGER NOT NULL, position INTEGER NOT NULL,
          settled TEXT NOT NULL DEFAULT '')
        """,
        """
        CREATE TABLE ledger (
          consumer INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, route TEXT NOT NULL, spans INTEGER NOT NULL,
          bytes INTEGER NOT NULL, PRIMARY KEY (consumer, outcome, reason, route)) WITHOUT ROWID
        """,
        "CREATE TABLE dead_spans (span INTEGER PRIMARY KEY, directory BLOB NOT NULL, payload BLOB NOT NULL)",
        """
        CREATE TABLE dead_letters (
          consumer INTEGER NOT NULL REFERENCES consumers(id), span INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
          status INTEGER NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
          next_at INTEGER, weight INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (consumer, span)) WITHOUT ROWID
        """,
        "CREATE INDEX dead_letters_due ON dead_letters (next_at) WHERE next_at IS NOT NULL",
        "CREATE INDEX dead_letters_span ON dead_letters (span)",
    ]
}
