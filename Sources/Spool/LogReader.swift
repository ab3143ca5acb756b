import CSQLite
public import SpanModel
import Synchronization

/// Counts the files that a spool has had: after a repair those who read open the new one.
final class Generation: Sendable {
    private let count = Atomic(0)
    var current: Int { count.load(ordering: .acquiring) }
    func next() { count.add(1, ordering: .releasing) }
}

/// Reads the log on a connection of its own, opened read-only. For one thread. No read transaction outlives a call.
public final class LogReader {
    private var database: Database
    let path: String
    private let vfs: String?
    private let cache: SegmentCache
    private let generation: Generation
    private let gate: ReaderGate
    private var opened: Int
    private var pages: PageCache
    /// Stored bytes of all spans ever: where the log ends.
    private let logged: @Sendable () -> Int64
    /// Whom a damaged page is reported to, with the generation of the file that it is in.
    private let damaged: @Sendable (SQLiteError, Int) -> Void
    /// Bytes that one look at the disk brings into the cache: small segments come many at a time.
    private static let readAheadBytes = 256 << 10

    init(
        path: String, vfs: String?, cache: SegmentCache, generation: Generation = Generation(), gate: ReaderGate = ReaderGate(),
        logged: @escaping @Sendable () -> Int64 = { 0 }, damaged: @escaping @Sendable (SQLiteError, Int) -> Void = { _, _ in }
    ) throws(SpoolError) {
        (self.path, self.vfs, self.cache, self.generation, self.gate, self.damaged) = (path, vfs, cache, generation, gate, damaged)
        self.logged = logged
        pages = PageCache(path: path)
        opened = generation.current
        database = try inFile(path) { () throws(SQLiteError) in try Self.connect(path, vfs) }
    }

    private static func connect(_ path: String, _ vfs: String?) throws(SQLiteError) -> Database {
        let database = try Database(path: path, readOnly: true, vfs: vfs)
        // Its name may lead to another file by the time that it ends.
        database.leaveFiles()
        try database.execute("PRAGMA mmap_size=0; PRAGMA cache_size=-1024; PRAGMA query_only=ON")
        return database
    }

    /// Opens a spool file that no daemon of this process holds: for the command line.
    public static func open(path: String) throws(SpoolError) -> LogReader {
        try LogReader(path: path, vfs: nil, cache: SegmentCache(bytesMax: 4 << 20))
    }

    /// The segment that holds `id`, or the first one after it that can be read; nil where there is none up to the end of the log.
    public func segment(holding id: Int64) throws(SpoolError) -> Segment? {
        if opened == generation.current, let cached = cache.segment(from: id) { return cached }
        return try reading { database throws(SQLiteError) -> Segment? in
            var start: Int64?
            try database.each("SELECT first_id, last_id FROM segments WHERE first_id <= ? ORDER BY first_id DESC LIMIT 1", .integer(id)) {
                row in
                start = row.integer(1) >= id ? row.integer(0) : row.integer(1) + 1
            }
            if let start, let cached = cache.segment(from: start) { return cached }
            return try load(from: start ?? id, database)
        }
    }

    /// Rows that are damaged, and holes, are passed over: their ids are missing.
    private func load(from id: Int64, _ database: Database) throws(SQLiteError) -> Segment? {
        let statement = try database.statement(
            """
            SELECT first_id, last_id, directory, log_offset, typeof(payload) = 'blob' FROM segments
            WHERE first_id >= ? AND format = 1 ORDER BY first_id
            """)
        defer { statement.reset() }
        let payloads = BlobReader(database, table: "segments", column: "payload")
        try statement.bind([.integer(id)])
        var first: Segment?
        var bytes = 0
        while bytes < Self.readAheadBytes, try statement.step() {
            let payload = statement.integer(4) == 1 ? try payloads.bytes(row: statement.integer(0)) : []
            guard let entries = statement.bytes(2).withUnsafeBytes({ Directory.decode($0, payload) }),
                statement.integer(1) == statement.integer(0) &+ Int64(entries.count) &- 1
            else {
                if first != nil { break }
                continue
            }
            let segment = Segment(firstID: statement.integer(0), logOffset: statement.integer(3), payload: payload, entries: entries)
            bytes += payload.count
            cache.insert(segment)
            if first == nil { first = segment }
        }
        // Wrapping: a damaged row may say anything.
        if let first, logged() &- first.logOffset > PageCache.lagBytesMax { pages.readFarBehind(bytes: bytes) }
        return first
    }

    /// When the span with this id was received, to within its segment; nil beyond the end.
    public func receivedAt(_ id: Int64) throws(SpoolError) -> UInt64? {
        try reading { database throws(SQLiteError) -> UInt64? in
            let at = try database.integer(
                """
                SELECT min_at FROM segments WHERE last_id >= ?1 AND first_id >= coalesce(
                  (SELECT max(first_id) FROM segments WHERE first_id <= ?1), 0) ORDER BY first_id LIMIT 1
                """, .integer(id))
            return at.map { UInt64(clamping: $0) }
        }
    }

    /// The last id of a segment all of whose spans are older than `time`, searched from `id` on over at most 1,000 segments; nil where
    /// there is none.
    public func lastID(olderThan time: UInt64, from id: Int64) throws(SpoolError) -> Int64? {
        try reading { database throws(SQLiteError) -> Int64? in
            try database.integer(
                """
                SELECT max(last_id) FROM (SELECT last_id, max_at FROM segments WHERE first_id >= (
                  SELECT coalesce(max(first_id), 0) FROM segments WHERE first_id <= ?) ORDER BY first_id LIMIT 1000) WHERE max_at < ?
                """, .integer(id), .integer(Int64(clamping: time)))
        }
    }

    /// The first id received at or after `time`, to within a segment; the end of the log where there is none.
    public func firstID(since time: UInt64) throws(SpoolError) -> Int64 {
        try reading { database throws(SQLiteError) -> Int64 in
            let found = try database.integer(
                "SELECT first_id FROM segments WHERE max_at >= ? ORDER BY first_id LIMIT 1", .integer(Int64(clamping: time)))
            if let found { return found }
            return (try database.integer("SELECT max(last_id) FROM segments") ?? 0) + 1
        }
    }

    // MARK: Dead letters

    /// Letters of a consumer, the last failed first.
    public func deadLetters(consumer: Int64, filter: DeadLetterFilter = .init(), limit: Int) throws(SpoolError) -> [DeadLetter] {
        try reading { database throws(SQLiteError) -> [DeadLetter] in
            try letters(
                database, "WHERE \(filter.condition) ORDER BY l.last_at DESC, l.span DESC LIMIT \(limit)",
                [.integer(consumer)] + filter.values,
                payloads: false)
        }
    }

    /// One letter with its span.
    public func deadLetter(consumer: Int64, span: Int64) throws(SpoolError) -> DeadLetter? {
        try reading { database throws(SQLiteError) -> DeadLetter? in
            try letters(database, "WHERE l.consumer = ? AND l.span = ?", [.integer(consumer), .integer(span)], payloads: true).first
        }
    }

    /// Letters with their spans that are to be sent again now, the longest waiting first.
    public func dueLetters(consumer: Int64, now: UInt64, limit: Int) throws(SpoolError) -> [DeadLetter] {
        try reading { database throws(SQLiteError) -> [DeadLetter] in
            try letters(
                database, "WHERE l.consumer = ? AND next_at IS NOT NULL AND next_at <= ? ORDER BY next_at, l.span LIMIT \(limit)",
                [.integer(consumer), .integer(Int64(now / 1_000_000))], payloads: true)
        }
    }

    /// When the next letter of any consumer is to be sent again, Unix milliseconds; nil where none is.
    public func nextLetterAt() throws(SpoolError) -> [Int64: Int64] {
        try reading { database throws(SQLiteError) -> [Int64: Int64] in
            var next: [Int64: Int64] = [:]
            try database.each("SELECT consumer, min(next_at) FROM dead_letters WHERE next_at IS NOT NULL GROUP BY consumer") { row in
                next[row.integer(0)] = row.integer(1)
            }
            return next
        }
    }

    /// How many letters each consumer has, by state.
    public func deadLetterCounts() throws(SpoolError) -> [Int64: [DeadLetter.State: Int64]] {
        try reading { database throws(SQLiteError) -> [Int64: [DeadLetter.State: Int64]] in
            var counts: [Int64: [DeadLetter.State: Int64]] = [:]
            try database.each("SELECT consumer, state, sum(weight) FROM dead_letters GROUP BY consumer, state") { row in
                guard let state = DeadLetter.State(rawValue: row.text(1)) else { return }
                counts[row.integer(0), default: [:]][state] = row.integer(2)
            }
            return counts
        }
    }

    private func letters(_ database: Database, _ condition: String, _ values: [Value], payloads: Bool) throws(SQLiteError) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        let stored = payloads ? "s.directory, s.payload" : "NULL, NULL"
        try database.each(
            """
            SELECT consumer, l.span, state, reason, status, detail, attempts, first_at, last_at, next_at, weight, \(stored)
            FROM dead_letters l \(payloads ? "LEFT JOIN dead_spans s ON s.span = l.span AND l.reason <> 'partial_unknown'" : "")
            \(condition)
            """, values
        ) { row in
            let payload = row.bytes(12)
            let entry = row.bytes(11).withUnsafeBytes { Directory.decode($0, payload) }?.first
            letters.append(
                DeadLetter(
                    consumer: row.integer(0), span: row.integer(1), state: DeadLetter.State(rawValue: row.text(2)) ?? .dead,
                    reason: row.text(3),
                    status: Int(row.integer(4)), detail: row.text(5), attempts: Int(row.integer(6)), firstAt: row.integer(7),
                    lastAt: row.integer(8), nextAt: row.optionalInteger(9), weight: row.integer(10),
                    stored: entry.map { StoredSpan(entry: $0, bytes: payload) }))
        }
        return letters
    }

    // MARK: Traces

    /// What tail sampling has decided for a consumer, the last `limit` of it, the oldest first.
    public func traceDecisions(consumer: Int64, limit: Int) throws(SpoolError) -> [TraceDecision] {
        try reading { database throws(SQLiteError) -> [TraceDecision] in
            var decisions: [TraceDecision] = []
            try database.each(
                """
                SELECT route, trace_id, decision, through, decided_at FROM traces WHERE consumer = ?
                ORDER BY decided_at DESC, through DESC LIMIT \(limit)
                """, .integer(consumer)
            ) { row in
                if let decision = TraceDecision(row) { decisions.append(decision) }
            }
            return decisions.reversed()
        }
    }

    // MARK: Inspection

    /// The spool's numbers straight from the file.
    public func info() throws(SpoolError) -> [(name: String, value: String)] {
        try reading { database throws(SQLiteError) -> [(name: String, value: String)] in
            func number(_ sql: String) throws(SQLiteError) -> String { String(try database.integer(sql) ?? 0) }
            var rows: [(name: String, value: String)] = []
            rows.append(("schema", try number("PRAGMA user_version")))
            rows.append(("pages", try number("PRAGMA page_count")))
            rows.append(("free_pages", try number("PRAGMA freelist_count")))
            rows.append(("page_size", try number("PRAGMA page_size")))
            rows.append(("segments", try number("SELECT count(*) FROM segments")))
            rows.append(("oldest_id", try number("SELECT min(first_id) FROM segments")))
            rows.append(("newest_id", try number("SELECT max(last_id) FROM segments")))
            rows.append(("dead_letters", try number("SELECT count(*) FROM dead_letters")))
            try database.each("SELECT name, state, base, position, settled FROM consumers ORDER BY name") { row in
                rows.append(
                    (
                        "consumer \(row.text(0))",
                        "\(row.text(1)), base \(row.integer(2)), position \(row.integer(3)), settled beyond [\(row.text(4))]"
                    ))
            }
            return rows
        }
    }

    func reading<Answer>(_ body: (Database) throws(SQLiteError) -> Answer) throws(SpoolError) -> Answer {
        try inFile(path) { () throws(SQLiteError) in
            let current = generation.current
            if current != opened { (database, opened) = (try Self.connect(path, vfs), current) }
            do throws(SQLiteError) {
                return try gate.read { () throws(SQLiteError) in try body(database) }
            } catch {
                if error.isCorrupt { damaged(error, current) }
                throw error
            }
        }
    }
}
