import CSQLite

/// Fills a fresh file with what a spool holds while its daemon writes on: segments and dead spans in pieces, the books at one instant.
///
/// The order is what makes the books of the copy balance. First the log up to its end, and the bytes of dead letters: neither ever changes.
/// Then, in one transaction, everything that does change (cursors, ledger, letters), which is small. Then the part of the log that came in
/// meanwhile, up to where it ended in that transaction. So:
/// - whatever a cursor has settled is in the copy or was trimmed, since the copied log reaches as far as any cursor;
/// - whatever is not settled is in the copy: trimming takes settled segments alone, so at the instant of the books all of it was still there.
/// Were the books copied first, the history that is settled and trimmed during the copy would be missing before the cursors; were they
/// copied last, the cursors would stand beyond the log's end.
/// Trimming under our hands shows as a hole: what was copied before it is settled history by then, and goes. A hole after the books were
/// taken means that they are older than the log: they are taken anew.
final class SpoolCopy {
    /// `main` is the copy. `source` is the spool, of which this connection can do no more than read.
    private let database: Database
    private let pieceBytes: Int64
    private var next: Int64 = 1
    private(set) var segments: Int64 = 0
    /// Tables that are copied as one, in the order of their names.
    private var books: [String] = []

    /// Rows of one look at the source; with `pieceBytes` it bounds how long a read transaction lasts.
    private static let pieceRows = 64
    /// How often the books are taken anew before the copy gives up.
    private static let attemptsMax = 100

    init(source: String, target: String, vfs: String?, pieceBytes: Int) throws(SQLiteError) {
        self.pieceBytes = Int64(pieceBytes)
        database = try Database(path: target, readOnly: false)
        // Nothing of a copy that was broken off is used, so nothing is written twice; the whole file is synced at its end.
        try database.execute(
            """
            PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
            PRAGMA cache_size=-4096; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY
            """)
        try database.attach(source, as: "source", vfs: vfs)
    }

    /// The schema's number of the source.
    func sourceVersion() throws(SQLiteError) -> Int64 { try database.integer("PRAGMA source.user_version") ?? 0 }

    /// Bytes of the source's used pages.
    func sourceBytes() throws(SQLiteError) -> Int { try bytes("source") }

    /// Bytes of the copy so far.
    func copiedBytes() throws(SQLiteError) -> Int { try bytes("main") }

    private func bytes(_ schema: String) throws(SQLiteError) -> Int {
        Int((try database.integer("PRAGMA \(schema).page_count") ?? 0) - (try database.integer("PRAGMA \(schema).freelist_count") ?? 0))
            * 16384
    }

    /// Makes the same tables, whatever the schema's number: a copy is read by whoever can read the original.
    func makeTables() throws(SQLiteError) {
        var statements: [String] = []
        try database.each(
            """
            SELECT sql, type = 'table', name FROM source.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            ORDER BY type = 'table' DESC, name
            """
        ) { row in
            statements.append(row.text(0))
            if row.integer(1) == 1, !["segments", "dead_spans"].contains(row.text(2)) { books.append(row.text(2)) }
        }
        for statement in statements { try database.execute(statement) }
        for table in ["segments", "dead_spans"] {
            try database.execute("CREATE TEMP TABLE \(table)_piece AS SELECT * FROM main.\(table) LIMIT 0")
        }
        try database.execute("PRAGMA user_version=\(try sourceVersion())")
    }

    /// Copies everything. `goOn` is asked between pieces; false ends it, and the copy is none. Returns whether it is one.
    func run(goOn: (_ bytes: Int) -> Bool) throws(SQLiteError) -> Bool {
        for _ in 0..<Self.attemptsMax {
            let end = try sourceEnd()
            while next <= end {
                guard goOn(try copiedBytes()) else { return false }
                _ = try copySegments()
            }
            var last = Int64.min
            while let end = try copyDeadSpans(after: last) {
                guard goOn(try copiedBytes()) else { return false }
                last = end
            }
            let booksEnd = try copyBooks()
            var isWhole = true
            while next <= booksEnd, isWhole {
                guard goOn(try copiedBytes()) else { return false }
                isWhole = try copySegments()
            }
            if isWhole { return true }
        }
        throw SQLiteError(code: SQLITE_BUSY, message: "the log is trimmed faster than it can be copied", during: "backup")
    }

    private func sourceEnd() throws(SQLiteError) -> Int64 {
        try database.integer("SELECT last_id FROM source.segments ORDER BY first_id DESC LIMIT 1") ?? 0
    }

    /// The next piece of the log. False where what stood before it was trimmed meanwhile.
    private func copySegments() throws(SQLiteError) -> Bool {
        let (piece, older) = try inOneRead { () throws(SQLiteError) in
            var piece: (first: Int64, last: Int64, offset: Int64)?
            try database.each(
                "SELECT first_id, last_id, log_offset FROM source.segments WHERE first_id >= ? ORDER BY first_id LIMIT \(Self.pieceRows)",
                .integer(next)
            ) { row in
                let (first, last, offset) = (row.integer(0), row.integer(1), row.integer(2))
                if piece == nil { piece = (first, last, offset) }
                if let begun = piece, offset - begun.offset < pieceBytes { piece = (begun.first, last, begun.offset) }
            }
            guard let piece else {
                throw SQLiteError(code: SQLITE_CORRUPT, message: "the log ends before id \(next)", during: "backup")
            }
            try database.run(
                "INSERT INTO segments_piece SELECT * FROM source.segments WHERE first_id BETWEEN ? AND ?", .integer(piece.first),
                .integer(piece.last))
            return (piece, try database.integer("SELECT 1 FROM source.segments WHERE first_id < ? LIMIT 1", .integer(next)))
        }
        var isWhole = true
        // Trimming takes the oldest first: where older rows are still there, the ids between were never in this file.
        if piece.first > next, segments > 0, older == nil {
            try database.run("DELETE FROM main.segments")
            (isWhole, segments) = (false, 0)
        }
        segments += try write("segments")
        next = piece.last + 1
        return isWhole
    }

    /// Writes the piece that was read of a table. Apart from its reading: a slow disk must not make the read transaction last, or the
    /// writer would find no moment without a reader, in which it may begin its WAL anew.
    private func write(_ table: String) throws(SQLiteError) -> Int64 {
        try database.run("INSERT OR IGNORE INTO main.\(table) SELECT * FROM \(table)_piece")
        let rows = database.changes
        try database.run("DELETE FROM \(table)_piece")
        return Int64(rows)
    }

    /// The next spans of dead letters; nil at the end. A span's bytes never change, so those that are there are left as they are.
    private func copyDeadSpans(after last: Int64) throws(SQLiteError) -> Int64? {
        let end = try inOneRead { () throws(SQLiteError) -> Int64? in
            var end: Int64?
            var bytes: Int64 = 0
            try database.each(
                "SELECT span, length(payload) FROM source.dead_spans WHERE span > ? ORDER BY span LIMIT \(Self.pieceRows)", .integer(last)
            ) { row in
                if end == nil || bytes < pieceBytes { end = row.integer(0) }
                bytes += row.integer(1)
            }
            guard let end else { return nil }
            try database.run(
                "INSERT INTO dead_spans_piece SELECT * FROM source.dead_spans WHERE span > ? AND span <= ?", .integer(last),
                .integer(end))
            return end
        }
        _ = try write("dead_spans")
        return end
    }

    /// What changes, at one instant, with the spans of letters that came since. Returns the end of the log at that instant.
    private func copyBooks() throws(SQLiteError) -> Int64 {
        let end = try inOneRead { () throws(SQLiteError) in
            for table in books {
                try database.run("DELETE FROM main.\(table)")
                try database.run("INSERT INTO main.\(table) SELECT * FROM source.\(table)")
            }
            try database.run(
                """
                INSERT INTO main.dead_spans SELECT * FROM source.dead_spans WHERE span IN (
                  SELECT span FROM main.dead_letters l WHERE NOT EXISTS (SELECT 1 FROM main.dead_spans WHERE span = l.span))
                """)
            return try sourceEnd()
        }
        try database.run("DELETE FROM main.dead_spans WHERE span NOT IN (SELECT span FROM main.dead_letters)")
        return end
    }

    /// The copy is a spool of its own: two that bear one name would be taken for each other.
    func rename(_ id: String, machine: String) throws(SQLiteError) {
        try database.run("INSERT OR REPLACE INTO main.meta (key, value) VALUES ('spool_id', ?), ('machine', ?)", .text(id), .text(machine))
    }

    /// Lets the source go and leaves the copy without a journal beside it, so that it can be read where nothing can be written.
    func finish() throws(SQLiteError) {
        try database.execute("PRAGMA main.incremental_vacuum; DETACH source; PRAGMA main.journal_mode=DELETE")
    }

    /// The ids of the copy; nil where it has none.
    func ids() throws(SQLiteError) -> ClosedRange<Int64>? {
        var range: ClosedRange<Int64>?
        try database.each(
            "SELECT min(first_id), (SELECT last_id FROM main.segments ORDER BY first_id DESC LIMIT 1) FROM main.segments"
        ) { row in
            if let first = row.optionalInteger(0), first <= row.integer(1) { range = first...row.integer(1) }
        }
        return range
    }

    /// Letters of the copy.
    func deadLetters() throws(SQLiteError) -> Int64 { try database.integer("SELECT count(*) FROM main.dead_letters") ?? 0 }

    /// What `body` reads of the source is of one instant. The read ends with it.
    private func inOneRead<Answer>(_ body: () throws(SQLiteError) -> Answer) throws(SQLiteError) -> Answer {
        try database.execute("BEGIN")
        let answer = try body()
        try database.execute("COMMIT")
        return answer
    }
}
