import CSQLite
import SpanModel

/// Makes a fresh spool of what can be read of a damaged one, with the same ids, and sets the damaged one aside; nothing is ever deleted.
///
/// The fresh file is built beside the old one and synced, then takes its place by renames that can be finished at the next start, so that
/// at no moment there is neither. What was in memory (`Books`) is better than what is on a damaged disk, and is taken where there is some.
struct Rebuild {
    private let path: String
    private let disk: any Disk
    private let witness: Witness?
    private let beat: () -> Void
    private var repair: SpoolRepair

    private init(path: String, disk: any Disk, witness: Witness?, beat: @escaping () -> Void, repair: SpoolRepair) {
        (self.path, self.disk, self.witness, self.beat, self.repair) = (path, disk, witness, beat, repair)
    }

    /// Bytes copied in one transaction.
    private static let stepBytes = 4 << 20
    /// Ids tried one by one behind an unreadable page, before the search gallops: a page of small commits holds fewer.
    private static let probes = 4096

    private static func building(_ path: String) -> String { path + ".building" }
    private static func built(_ path: String) -> String { path + ".rebuilt" }

    /// Does it. `source` is the connection that is still open, if any; `books` what was in memory; `witness` what was not read yet of it.
    static func run(
        _ options: SpoolOptions, reason: String, witness: Witness? = nil, from source: Database? = nil, books: Books? = nil,
        beat: @escaping () -> Void
    ) throws(SpoolError) -> SpoolRepair {
        let (path, disk) = (options.path, options.disk)
        var rebuild = Rebuild(path: path, disk: disk, witness: witness, beat: beat, repair: SpoolRepair(reason: reason))
        let building = building(path)
        removeUnfinished(path, disk)
        let source =
            if let source { source } else {
                try inFile(path) { () throws(SQLiteError) in try Database(path: path, readOnly: true, vfs: disk.vfs) }
            }
        do throws(SpoolError) {
            try inFile(building) { () throws(SQLiteError) in try rebuild.build(from: source, books: books) }
        } catch {
            removeUnfinished(path, disk)
            throw error
        }
        source.leaveFiles()
        try disk.rename(building, to: built(path))
        rebuild.repair.setAside = try finish(path, disk)
        return rebuild.repair
    }

    /// Lets a rebuilt file take its place, where one is complete: after `run`, or at the start after a crash in the middle of it, which may
    /// also have left one that never will be. Returns where the damaged one went.
    @discardableResult
    static func finish(_ path: String, _ disk: any Disk) throws(SpoolError) -> String? {
        removeUnfinished(path, disk)
        guard disk.size(built(path)) != nil else { return nil }
        let aside = disk.asideName(path, "corrupt")
        let kept = disk.size(path) ?? 0 > 0
        if kept { try disk.rename(path, to: aside) }
        if let wal = disk.size(path + "-wal"), wal > 0 { try disk.rename(path + "-wal", to: aside + "-wal") }
        for end in ["-wal", "-shm"] { disk.remove(path + end) }
        try disk.rename(built(path), to: path)
        return kept ? aside : nil
    }

    private static func removeUnfinished(_ path: String, _ disk: any Disk) {
        for end in ["", "-wal", "-shm"] { disk.remove(building(path) + end) }
    }

    /// A WAL whose database is gone holds spans that nothing else does, and SQLite deletes it when a new database is made: it is set aside
    /// before. Returns where it went; nil where there is none.
    static func keepOrphan(_ path: String, _ disk: any Disk) throws(SpoolError) -> String? {
        guard disk.size(path) ?? 0 == 0, disk.size(path + "-wal") ?? 0 > 0 else { return nil }
        let aside = disk.asideName(path, "corrupt") + "-wal"
        try disk.rename(path + "-wal", to: aside)
        return aside
    }

    // MARK: What is copied

    private mutating func build(from source: Database, books: Books?) throws(SQLiteError) {
        let target = try Database(path: Self.building(path), readOnly: false, vfs: disk.vfs)
        // Synced by its checkpoints alone: until the last of them the old file is the spool.
        try Schema.configure(target, durability: .os)
        try Schema.migrate(target)
        let last = try copySegments(from: source, to: target)
        let oldestKept = try target.integer("SELECT min(first_id) FROM segments")
        let books = if let books { books } else { try readBooks(source, oldest: oldestKept ?? 1) }
        let end = max(last.id, books.nextID - 1, books.lastSettled, witness?.lastID ?? 0)
        // What lies before the oldest row was settled by all and trimmed, or else it is gone too.
        let oldest = oldestKept ?? end + 1
        let wanted = (books.consumers.values.lazy.filter { $0.state != .retired }.map(\.cursor.position).min() ?? oldest - 1) + 1
        if wanted < min(oldest, end + 1) { repair.lost.insert(wanted...min(oldest - 1, end), at: 0) }
        try target.transaction { () throws(SQLiteError) in
            if end > last.id {
                // Where nothing at all is left, what was delivered and trimmed is not told from what was not.
                if last.id > 0 || books.consumers.isEmpty { repair.lost.append(last.id + 1...end) }
                let offset = max(last.offset, books.logOffset, witness?.logOffset ?? 0)
                try SegmentRow(hole: last.id + 1...end, receivedAt: max(last.receivedAt, books.lastReceived), offset: offset)
                    .insert(into: target)
            }
            if books.consumers.isEmpty {
                repair.cursorsLost = end > 0
                try target.run("INSERT INTO meta (key, value) VALUES (?, '1')", .text(Schema.fromOldest))
            }
            try write(books, to: target)
        }
        try copyLetters(from: source, to: target)
        try balanceLetters(target)
        try copyTraces(from: source, to: target)
        try target.run("INSERT INTO meta (key, value) VALUES ('rebuilt', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))")
        guard try target.checkpoint(.truncate) else {
            throw SQLiteError(code: SQLITE_BUSY, message: "another process has it open", during: "wal_checkpoint")
        }
    }

    /// Every row that is whole, in the order of ids. Returns where the last one ends.
    private mutating func copySegments(
        from source: Database, to target: Database
    ) throws(SQLiteError) -> (id: Int64, offset: Int64, receivedAt: UInt64) {
        var last = (id: Int64(0), offset: Int64(0), receivedAt: UInt64(0))
        var next: Int64 = 1
        while let first = try firstReadable(from: next, in: source) {
            var step: [SegmentRow] = []
            var bytes = 0
            next = first
            do throws(SQLiteError) {
                let rows = try source.statement(
                    "SELECT \(SegmentRow.columns) FROM segments WHERE first_id >= ? ORDER BY first_id")
                defer { rows.reset() }
                try rows.bind([.integer(first)])
                while bytes < Self.stepBytes, try rows.step() {
                    let row = SegmentRow(rows)
                    next = row.first + 1
                    // What is not whole, or stands where another stood, is not ours.
                    guard row.first > (step.last?.last ?? last.id), row.isWhole else { continue }
                    bytes += row.payload.count
                    step.append(row)
                }
            } catch {
                // The row behind the last that was read cannot be: the search for the next one begins there.
                guard error.isOfTheFile else { throw error }
            }
            next = max(next, first + 1)
            try target.transaction { () throws(SQLiteError) in
                for row in step {
                    if row.first > last.id + 1, last.id > 0 {
                        let hole = last.id + 1...row.first - 1
                        repair.lost.append(hole)
                        try SegmentRow(hole: hole, receivedAt: last.receivedAt, offset: row.offset).insert(into: target)
                    }
                    try row.insert(into: target)
                    if row.format != Schema.lost { repair.spansKept += row.last - row.first + 1 }
                    last = (
                        row.last, max(last.offset, row.offset + Int64(row.payload.count)), max(last.receivedAt, UInt64(clamping: row.maxAt))
                    )
                }
            }
            _ = try target.checkpoint(.passive)
            beat()
        }
        return last
    }

    /// The id of the first segment from `id` on that can be found; nil where there is none. Behind an unreadable page that is a search: all
    /// ids of that page are tried one by one, and what lies behind larger damage by ever wider steps, narrowed down again.
    private func firstReadable(from id: Int64, in source: Database) throws(SQLiteError) -> Int64? {
        func look(_ id: Int64) throws(SQLiteError) -> Int64?? {
            // A bad sector may take a second to say so.
            beat()
            do throws(SQLiteError) {
                return .some(
                    try source.integer("SELECT first_id FROM segments WHERE first_id >= ? ORDER BY first_id LIMIT 1", .integer(id)))
            } catch {
                guard error.isOfTheFile else { throw error }
                return nil
            }
        }
        for probe in 0..<Int64(Self.probes) { if let found = try look(id + probe) { return found } }
        var step = Int64(Self.probes)
        while step < .max / 4 - id {
            if let found = try look(id + step) {
                var (low, high, answer) = (id + step / 2, id + step, found)
                while low + 1 < high {
                    let middle = low + (high - low) / 2
                    if let nearer = try look(middle) { (high, answer) = (middle, nearer) } else { low = middle }
                }
                return answer
            }
            step *= 2
        }
        return nil
    }

    // MARK: Books and letters

    /// What can be read of the books, and made to balance: a cursor says what is settled, the ledger only how.
    /// A destination whose cursor cannot be read begins again with `oldest`: were it not there, it would begin at the log's end.
    private mutating func readBooks(_ source: Database, oldest: Int64) throws(SQLiteError) -> Books {
        var books = Books()
        var names: Set<String> = []
        var restarted: Set<Int64> = []
        try Self.fromBothEnds(source, "SELECT id, name, state, base, position, settled FROM consumers", order: ["id"]) { row in
            let (id, name) = (row.integer(0), row.text(1))
            guard !name.isEmpty, names.insert(name).inserted else { return }
            if let state = ConsumerState(rawValue: row.text(2)), let cursor = Cursor(position: row.integer(4), settledText: row.text(5)),
                (0..<Int64.max / 2).contains(row.integer(4)), row.integer(3).magnitude < Int64.max / 2
            {
                books.consumers[id] = Consumer(id: id, name: name, state: state, base: row.integer(3), cursor: cursor)
            } else {
                restarted.insert(id)
                books.consumers[id] = Consumer(
                    id: id, name: name, state: .active, base: oldest - 1, cursor: Cursor(position: oldest - 1))
            }
        }
        try Self.fromBothEnds(
            source, "SELECT consumer, outcome, reason, route, spans, bytes FROM ledger",
            order: ["consumer", "outcome", "reason", "route"]
        ) { row in
            guard let outcome = Outcome(rawValue: row.text(1)), row.integer(4).magnitude < Int64.max / 2 else { return }
            let tally = Tally(spans: row.integer(4), bytes: row.integer(5))
            if outcome == .rejected, let source = SourceID(rawValue: UInt8(clamping: 0 &- row.integer(0))) {
                books.rejections[RejectionKey(source: source, reason: row.text(2))] = tally.spans
            } else {
                books.consumers[row.integer(0)]?.ledger[LedgerKey(outcome, reason: row.text(2), route: row.text(3))] = tally
            }
        }
        for (id, consumer) in books.consumers {
            let off = consumer.cursor.position - consumer.base + consumer.cursor.settledBeyond - consumer.settledSpans
            books.consumers[id]?.base += off
            if off != 0, !restarted.contains(id) { repair.adjusted[consumer.name] = off }
        }
        repair.restarted = restarted.compactMap { books.consumers[$0]?.name }.sorted()
        repair.cursorsLost = !restarted.isEmpty
        return books
    }

    private func write(_ books: Books, to target: Database) throws(SQLiteError) {
        for consumer in books.consumers.values {
            try target.run(
                "INSERT INTO consumers (id, name, state, base, position, settled) VALUES (?, ?, ?, ?, ?, ?)", .integer(consumer.id),
                .text(consumer.name), .text(consumer.state.rawValue), .integer(consumer.base), .integer(consumer.cursor.position),
                .text(consumer.cursor.settledText))
            for (key, tally) in consumer.ledger { try write(consumer.id, key, tally, to: target) }
        }
        for (key, spans) in books.rejections {
            try write(-Int64(key.source.rawValue), LedgerKey(.rejected, reason: key.reason), Tally(spans: spans), to: target)
        }
    }

    private func write(_ consumer: Int64, _ key: LedgerKey, _ tally: Tally, to target: Database) throws(SQLiteError) {
        try target.run(
            "INSERT INTO ledger (consumer, outcome, reason, route, spans, bytes) VALUES (?, ?, ?, ?, ?, ?)", .integer(consumer),
            .text(key.outcome.rawValue), .text(key.reason), .text(key.route), .integer(tally.spans), .integer(tally.bytes))
    }

    /// The letters that can be read, each with its span.
    private func copyLetters(from source: Database, to target: Database) throws(SQLiteError) {
        try copy("SELECT span, directory, payload FROM dead_spans", order: ["span"], from: source, to: target) { row throws(SQLiteError) in
            let payload = row.bytes(2)
            let directory = row.bytes(1)
            guard directory.withUnsafeBytes({ Directory.decode($0, payload) })?.count == 1 else { return 0 }
            try target.run(
                "INSERT OR IGNORE INTO dead_spans (span, directory, payload) VALUES (?, ?, ?)", .integer(row.integer(0)), .blob(directory),
                .blob(payload))
            return payload.count
        }
        try copy(
            """
            SELECT consumer, span, state, reason, status, detail, attempts, first_at, last_at, next_at, weight FROM dead_letters
            """, order: ["consumer", "span"], from: source, to: target
        ) { row throws(SQLiteError) in
            guard DeadLetter.State(rawValue: row.text(2)) != nil, row.integer(10) > 0 else { return 0 }
            try target.run(
                """
                INSERT OR IGNORE INTO dead_letters
                  (consumer, span, state, reason, status, detail, attempts, first_at, last_at, next_at, weight)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE ?1 IN (SELECT id FROM consumers)
                  AND (?4 = 'partial_unknown' OR ?2 IN (SELECT span FROM dead_spans))
                """, .integer(row.integer(0)), .integer(row.integer(1)), .text(row.text(2)), .text(row.text(3)), .integer(row.integer(4)),
                .text(row.text(5)), .integer(row.integer(6)), .integer(row.integer(7)), .integer(row.integer(8)),
                .optional(row.optionalInteger(9)), .integer(row.integer(10)))
            return 200
        }
        try target.run("DELETE FROM dead_spans WHERE span NOT IN (SELECT span FROM dead_letters)")
    }

    /// What can be read of decisions over traces. What is lost is decided again, from what is left of the trace.
    private func copyTraces(from source: Database, to target: Database) throws(SQLiteError) {
        try copy(
            "SELECT route, trace_id, decision, through, decided_at, consumer FROM traces", order: ["consumer", "route", "trace_id"],
            from: source, to: target
        ) { row throws(SQLiteError) in
            guard let decision = TraceDecision(row) else { return 0 }
            try decision.insert(into: target, consumer: row.integer(5))
            return 100
        }
    }

    /// What the ledger has of letters and is not there any more was lost with the damage.
    private mutating func balanceLetters(_ target: Database) throws(SQLiteError) {
        var missing: [(consumer: Int64, spans: Int64)] = []
        try target.each(
            """
            SELECT id, coalesce((SELECT sum(CASE outcome WHEN 'dead' THEN spans ELSE -spans END) FROM ledger
                WHERE consumer = c.id AND outcome IN ('dead', 'replayed', 'purged', 'aged_out')), 0)
              - coalesce((SELECT sum(weight) FROM dead_letters WHERE consumer = c.id), 0) FROM consumers c
            """
        ) { row in
            if row.integer(1) != 0 { missing.append((row.integer(0), row.integer(1))) }
        }
        for (consumer, spans) in missing {
            repair.lettersLost += spans
            try target.run(
                """
                INSERT INTO ledger (consumer, outcome, reason, route, spans, bytes) VALUES (?, 'purged', 'damaged', '', ?, 0)
                ON CONFLICT DO UPDATE SET spans = spans + excluded.spans
                """, .integer(consumer), .integer(spans))
        }
    }

    /// Copies rows in transactions of some MiB. `write` returns the bytes that it wrote.
    private func copy(
        _ sql: String, order: [String], from source: Database, to target: Database, _ write: (Statement) throws(SQLiteError) -> Int
    ) throws(SQLiteError) {
        var bytes = 0
        var failure: SQLiteError?
        try target.execute("BEGIN")
        try Self.fromBothEnds(source, sql, order: order) { row in
            guard failure == nil else { return }
            do throws(SQLiteError) {
                bytes += try write(row)
                guard bytes > Self.stepBytes else { return }
                bytes = 0
                try target.execute("COMMIT")
                _ = try target.checkpoint(.passive)
                beat()
                try target.execute("BEGIN")
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        try target.execute("COMMIT")
    }

    /// Rows from the front until one cannot be read, then from the back; some may come twice.
    private static func fromBothEnds(
        _ source: Database, _ sql: String, order: [String], _ take: (Statement) -> Void
    ) throws(SQLiteError) {
        for order in [order, order.map { "\($0) DESC" }] {
            do throws(SQLiteError) {
                return try source.each("\(sql) ORDER BY \(order.joined(separator: ", "))") { row in take(row) }
            } catch {
                guard error.isOfTheFile else { throw error }
            }
        }
    }
}

extension SQLiteError {
    /// What is in the file is at fault, and will be at the next attempt. Anything else (no room for `-shm`, no descriptor, a lock) says nothing
    /// of what the file holds: to go on would be to call all of it lost.
    fileprivate var isOfTheFile: Bool {
        switch primary {
        // SQLITE_IOERR_READ, _SHORT_READ, _DATA and _CORRUPTFS, macros that Swift cannot import: sectors that cannot be read.
        case SQLITE_IOERR: [1, 2, 32, 33].contains(code >> 8)
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PERM, SQLITE_READONLY, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_PROTOCOL: false
        default: true
        }
    }
}
