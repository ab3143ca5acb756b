import Glibc

extension LogReader {
    /// Checks the whole file: SQLite's own check, every directory against its payload, ids dense, books balanced, letters with their spans.
    /// Each finding is a sentence. Nothing in the file is believed, so sums wrap where they would trap.
    ///
    /// SQLite's check of a table is one transaction. Where a daemon has the spool open it is made of the small tables alone: pages of the
    /// others are read and compared with their checksums all the same, in pieces; unused pages are not.
    public func verify(progress: (Int64) -> Void) throws(SpoolError) -> [String] { try verify(pieceBytes: 8 << 20, progress: progress) }

    /// `pieceBytes` are read in one transaction: while one lasts a daemon cannot begin its WAL anew (DESIGN.md section 3).
    func verify(pieceBytes: Int, progress: (Int64) -> Void) throws(SpoolError) -> [String] {
        var findings: [String] = []
        let tables = isHeld ? ["meta", "consumers", "ledger", "dead_letters"].map { "(\($0))" } : ["(20)"]
        for table in tables {
            try reading { database throws(SQLiteError) in
                try database.each("PRAGMA integrity_check\(table)") { row in
                    if row.text(0) != "ok" { findings.append("SQLite: \(row.text(0))") }
                }
            }
        }
        try verifySegments(&findings, pieceBytes, progress)
        try verifyBooks(&findings)
        try verifyLetters(&findings, pieceBytes)
        return findings
    }

    /// Whether a daemon has the spool open.
    private var isHeld: Bool {
        let lock = Glibc.open(path + ".lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return false }
        defer { Glibc.close(lock) }
        return flock(lock, LOCK_SH | LOCK_NB) != 0
    }

    /// Calls `row` for each row, in transactions of some MiB. `row` returns the bytes that it has read, and the values with which `sql` goes on
    /// behind it; nil ends it.
    private func inPieces(
        _ pieceBytes: Int, _ sql: String, from first: [Value],
        row: (Statement, Database) throws(SQLiteError) -> (bytes: Int, next: [Value]?)
    ) throws(SpoolError) {
        var next: [Value]? = first
        while let from = next {
            next = try reading { database throws(SQLiteError) -> [Value]? in
                let statement = try database.statement(sql)
                defer { statement.reset() }
                try statement.bind(from)
                var bytes = 0
                var next: [Value]?
                while try statement.step() {
                    let read = try row(statement, database)
                    bytes += read.bytes
                    next = read.next
                    if bytes >= pieceBytes || next == nil { return next }
                }
                return nil
            }
        }
    }

    private func verifySegments(_ findings: inout [String], _ pieceBytes: Int, _ progress: (Int64) -> Void) throws(SpoolError) {
        var expected: (id: Int64, offset: Int64)?
        var seen: Int64 = 0
        var found: [String] = []
        try inPieces(
            pieceBytes, "SELECT \(SegmentRow.columns) FROM segments WHERE first_id >= ? ORDER BY first_id", from: [.integer(.min)]
        ) { row, database throws(SQLiteError) in
            let segment = SegmentRow(row)
            let (first, last) = (segment.first, segment.last)
            // Trimming takes the oldest first: where nothing older is left, what stood between was trimmed since the last piece.
            if let before = expected, first > before.id,
                try database.integer("SELECT 1 FROM segments WHERE first_id < ? LIMIT 1", .integer(first)) == nil
            {
                expected = nil
            }
            if let expected, first != expected.id { found.append("ids \(expected.id) to \(first &- 1) are missing") }
            let next: [Value]? = first == .max ? nil : [.integer(first + 1)]
            if segment.format == Schema.lost {
                // Counted as lost when it was found; what was written before it is not known any more.
                expected = (last &+ 1, segment.offset)
                return (0, next)
            }
            let entries = segment.directory.withUnsafeBytes { Directory.decode($0, segment.payload) }
            if entries.map({ Int64($0.count) }) != last &- first &+ 1 {
                found.append("segment \(first): its directory does not fit its payload")
            }
            if let expected, segment.offset != expected.offset { found.append("segment \(first): log_offset is wrong") }
            expected = (last &+ 1, segment.offset &+ Int64(segment.payload.count))
            seen += Int64(entries?.count ?? 0)
            progress(seen)
            return (segment.payload.count + segment.directory.count, next)
        }
        findings += found
    }

    /// At one instant: a cursor is held against the log's end as it was then.
    private func verifyBooks(_ findings: inout [String]) throws(SpoolError) {
        var found: [String] = []
        try reading { database throws(SQLiteError) in
            try database.execute("BEGIN")
            // What fails in between has its rows read no further; the transaction ends all the same.
            defer { try? database.execute("COMMIT") }
            let end = try database.integer("SELECT max(last_id) FROM segments") ?? 0
            try database.each(
                """
                SELECT name, base, position, settled, coalesce((SELECT sum(spans) FROM ledger WHERE consumer = c.id AND outcome IN
                  ('delivered','filtered','sampled','limited','dead','expired','erased','lost','handed_over')), 0),
                  coalesce((SELECT sum(weight) FROM dead_letters WHERE consumer = c.id), 0),
                  coalesce((SELECT sum(CASE outcome WHEN 'dead' THEN spans ELSE -spans END) FROM ledger
                    WHERE consumer = c.id AND outcome IN ('dead','replayed','purged','aged_out')), 0) FROM consumers c
                """
            ) { row in
                let name = row.text(0)
                if row.integer(5) != row.integer(6) {
                    found.append("dead letters of \(name): there are \(row.integer(5)), the ledger has \(row.integer(6))")
                }
                guard let cursor = Cursor(position: row.integer(2), settledText: row.text(3)) else {
                    found.append("books of \(name): its cursor cannot be read")
                    return
                }
                let settled = cursor.position &- row.integer(1) &+ cursor.settledBeyond
                if settled != row.integer(4) { found.append("books of \(name): \(settled) ids settled, the ledger has \(row.integer(4))") }
                let last = cursor.settled.last?.upperBound ?? cursor.position
                if last > end { found.append("books of \(name): settled up to id \(last), the log ends at \(end)") }
            }
        }
        findings += found
    }

    private func verifyLetters(_ findings: inout [String], _ pieceBytes: Int) throws(SpoolError) {
        var found: [String] = []
        try inPieces(
            pieceBytes,
            """
            SELECT l.span, (SELECT name FROM consumers WHERE id = l.consumer), s.directory, s.payload, l.consumer, l.reason
            FROM dead_letters l LEFT JOIN dead_spans s USING (span) WHERE (l.consumer, l.span) > (?, ?) ORDER BY l.consumer, l.span
            """, from: [.integer(.min), .integer(.min)]
        ) { row, _ throws(SQLiteError) in
            let next: [Value] = [.integer(row.integer(4)), .integer(row.integer(0))]
            // Of these no span is kept.
            guard row.text(5) != "partial_unknown" else { return (100, next) }
            let payload = row.bytes(3)
            let entries = row.bytes(2).withUnsafeBytes { Directory.decode($0, payload) }
            if entries?.count != 1 { found.append("dead letter \(row.integer(0)) of \(row.text(1)): its span cannot be read") }
            return (payload.count + 100, next)
        }
        try reading { database throws(SQLiteError) in
            try database.each("SELECT span FROM dead_spans WHERE span NOT IN (SELECT span FROM dead_letters)") { row in
                found.append("dead span \(row.integer(0)): no letter is for it")
            }
        }
        findings += found
    }
}
