import CSQLite
import SpanModel
import Threading

/// What one commit carries.
struct Work: Sendable {
    /// The number that whoever appended its spans was given.
    var number: UInt64 = 0
    /// Spans, in pieces of one segment each.
    var chunks: [SpanBatch] = []
    /// At most one settlement a consumer.
    var settlements: [Int64: Settlement] = [:]
    /// Lines that never became spans.
    var rejections: [RejectionKey: Int64] = [:]

    var isEmpty: Bool { chunks.isEmpty && settlements.isEmpty && rejections.isEmpty }
}

/// A source and a reason of the ingest contract.
public struct RejectionKey: Sendable, Hashable {
    /// Where the line came in.
    public var source: SourceID
    /// Its reason code.
    public var reason: String

    /// A key.
    public init(source: SourceID, reason: String) {
        self.source = source
        self.reason = reason
    }
}

/// What the spool's file says of itself, as it is kept in memory: assigned after a commit succeeded, so it never says more than the disk.
struct Books: Sendable {
    var spoolID = ""
    var nextID: Int64 = 1
    /// Stored bytes of all spans ever accepted.
    var logOffset: Int64 = 0
    var lastReceived: UInt64 = 0
    var consumers: [Int64: Consumer] = [:]
    var rejections: [RejectionKey: Int64] = [:]
    /// The books of the consumers were lost with a damaged file: until the next start a name that is new begins with the oldest span, so that
    /// nothing is left out.
    var registersFromOldest = false

    /// The last id that any cursor has settled: the log has never ended before it.
    var lastSettled: Int64 { consumers.values.lazy.map { $0.cursor.settled.last?.upperBound ?? $0.cursor.position }.max() ?? 0 }
}

/// The one connection that writes, and what it knows of the file. It belongs to the writer's thread. Every change to spans' fates is one
/// transaction of `commit`.
final class LogFile {
    let options: SpoolOptions
    private var database: Database
    private var lock: any DiskLock
    private var books: Books
    private(set) var oldest: Bounds?
    /// Bytes of used pages and WAL.
    private(set) var usedBytes = 0
    /// What was mended when the file was opened, or since.
    private(set) var repair: SpoolRepair?
    private var files = Files()
    /// Consumers that were moved back, and whose letters could not make way yet.
    private var lateLetters: Set<Int64> = []
    /// Who copies the WAL beside this connection; without, it copies all of it itself.
    private let checkpointer: Checkpointer?
    /// Whether the checkpoint that comes first has copied all: before, nothing may be acknowledged.
    private(set) var isCheckpointed: Bool

    var nextID: Int64 { books.nextID }
    var logOffset: Int64 { books.logOffset }
    var lastReceived: UInt64 { books.lastReceived }
    var consumers: [Int64: Consumer] { books.consumers }
    var rejections: [RejectionKey: Int64] { books.rejections }
    var spoolID: String { books.spoolID }

    private var disk: any Disk { options.disk }

    /// First and last id of a segment, and the newest time in it.
    struct Bounds: Sendable, Equatable {
        var first: Int64
        var last: Int64
        var maxAt: UInt64
        var offset: Int64

        /// From a row of first_id, last_id, max_at, log_offset.
        init(_ row: Statement) {
            (first, last, offset) = (row.integer(0), row.integer(1), row.integer(3))
            maxAt = UInt64(clamping: row.integer(2))
        }

        /// Of a row that was just written.
        init(_ row: SegmentRow) { (first, last, offset, maxAt) = (row.first, row.last, row.offset, UInt64(clamping: row.maxAt)) }
    }

    /// Opens or makes the spool. The first act is a truncating checkpoint: after it every row that was acknowledged lies in the database
    /// file itself, whatever an earlier fsync reported (DESIGN.md section 3). A damaged file is set aside, and what can be read of it goes
    /// on in a fresh one; `beat` is called while that takes its time.
    init(_ options: SpoolOptions, beat: @escaping () -> Void = {}, checkpointer: Checkpointer? = nil) throws(SpoolError) {
        (self.options, self.checkpointer) = (options, checkpointer)
        let (disk, path) = (options.disk, options.path)
        try disk.prepare(path)
        lock = try disk.lock(path + ".lock", of: path)
        if let aside = try Rebuild.finish(path, disk) {
            repair = SpoolRepair(reason: "a repair was cut short, and has been finished now")
            repair?.setAside = aside
        }
        if let aside = try Rebuild.keepOrphan(path, disk) {
            repair = SpoolRepair(reason: "its file was gone, all but its WAL")
            repair?.setAside = aside
        }
        let witness = Witness(lock.read())
        var opened: Opened
        do throws(SpoolError) {
            opened = try Self.openOnFullDisk(options, witness)
        } catch {
            // What is no database at all and has never been ours stays as it is, under its name.
            guard error.isDamage, witness != nil || !error.isNoDatabase else { throw error }
            repair = try Rebuild.run(options, reason: error.finding, witness: witness, beat: beat)
            opened = try Self.open(options, witness)
        }
        (database, books, isCheckpointed) = (opened.database, opened.books, opened.isCheckpointed)
        try adopt(opened)
        // Where a daemon died in the middle of a seek.
        for id in consumers.keys { supersedeLetters(of: id) }
        _ = takeReserve()
    }

    /// A connection that is ready to write, and what the file says.
    private struct Opened {
        var database: Database
        var books: Books
        var oldest: Bounds?
        /// False where somebody who reads the file was in the way.
        var isCheckpointed: Bool
        /// Ids at the log's end that were given out and were not in the file.
        var lost: ClosedRange<Int64>?
        var lossReason = ""
    }

    /// What every start reads is read here, before the log's end is mended: damage that shows itself leads to a repair, wherever it lies.
    private static func open(_ options: SpoolOptions, _ witness: Witness?) throws(SpoolError) -> Opened {
        let path = options.path
        let database = try inFile(path) { () throws(SQLiteError) in
            try Database(path: path, readOnly: false, vfs: options.disk.vfs, gathersWAL: true)
        }
        try Schema.check(database, path: path)
        let isCheckpointed = try inFile(path) { () throws(SQLiteError) in
            try Schema.configure(database, durability: options.durability)
            database.countFrames()
            try Schema.migrate(database)
            return try database.checkpoint(.truncate, waitingFor: 2_000)
        }
        let (books, damage) = try inFile(path) { () throws(SQLiteError) in try load(database) }
        if let damage { throw .damaged(path: path, what: damage) }
        return try inFile(path) { () throws(SQLiteError) in
            var opened = Opened(database: database, books: books, oldest: try findOldest(database), isCheckpointed: isCheckpointed)
            try settleIdentity(of: &opened, witness)
            return opened
        }
    }

    /// A full disk must not keep the daemon from delivering what lies on it: the reserve makes the room that SQLite needs to start.
    private static func openOnFullDisk(_ options: SpoolOptions, _ witness: Witness?) throws(SpoolError) -> Opened {
        do throws(SpoolError) {
            return try open(options, witness)
        } catch {
            guard case .sqlite(_, let inner) = error, inner.isFull, options.disk.size(options.path + ".reserve") != nil else { throw error }
            options.disk.remove(options.path + ".reserve")
            return try open(options, witness)
        }
    }

    /// The books, and in words what cannot be right in them.
    private static func load(_ database: Database) throws(SQLiteError) -> (Books, damage: String?) {
        var books = Books()
        var damage: String?
        var meta: [String: String] = [:]
        try database.each("SELECT key, value FROM meta") { row in meta[row.text(0)] = row.text(1) }
        try database.each(
            "SELECT last_id, log_offset, length(payload), max_at FROM segments ORDER BY first_id DESC LIMIT 1"
        ) { row in
            guard (1..<Int64.max / 2).contains(row.integer(0)), (0..<Int64.max / 2).contains(row.integer(1)) else {
                damage = "the newest segment says that it ends with id \(row.integer(0))"
                return
            }
            books.nextID = row.integer(0) + 1
            books.logOffset = row.integer(1) + row.integer(2)
            books.lastReceived = UInt64(clamping: row.integer(3))
        }
        try database.each("SELECT id, name, state, base, position, settled FROM consumers") { row in
            guard let state = ConsumerState(rawValue: row.text(2)), let cursor = Cursor(position: row.integer(4), settledText: row.text(5)),
                (0..<Int64.max / 2).contains(row.integer(4)), abs(Double(row.integer(3))) < 1e18
            else {
                damage = "the cursor of \(row.text(1)) cannot be read"
                return
            }
            books.consumers[row.integer(0)] = Consumer(
                id: row.integer(0), name: row.text(1), state: state, base: row.integer(3), cursor: cursor)
        }
        try database.each("SELECT consumer, outcome, reason, route, spans, bytes FROM ledger") { row in
            guard let outcome = Outcome(rawValue: row.text(1)) else {
                damage = "the ledger has an outcome \"\(row.text(1))\""
                return
            }
            let tally = Tally(spans: row.integer(4), bytes: row.integer(5))
            if outcome == .rejected, let source = SourceID(rawValue: UInt8(clamping: 0 &- row.integer(0))) {
                books.rejections[RejectionKey(source: source, reason: row.text(2))] = tally.spans
            } else {
                books.consumers[row.integer(0)]?.ledger[LedgerKey(outcome, reason: row.text(2), route: row.text(3))] = tally
            }
        }
        books.spoolID = meta["spool_id"] ?? ""
        books.registersFromOldest = meta[Schema.fromOldest] != nil && books.consumers.isEmpty
        return (books, damage)
    }

    /// Mends the log's end and gives the file its name, both or neither: were it named first and the daemon died, the witness would speak of
    /// another spool, and ids would be given out twice.
    private static func settleIdentity(of opened: inout Opened, _ witness: Witness?) throws(SQLiteError) {
        let database = opened.database
        let (machine, found) = (SpoolIdentity.machineID, opened.books.spoolID)
        var known = ""
        try database.each("SELECT value FROM meta WHERE key = 'machine'") { row in known = row.text(0) }
        // A file that was copied to another machine gets a name of its own there.
        let name = found.isEmpty || known != machine ? SpoolIdentity.uuid() : nil
        let hole = missingEnd(opened.books, witness)
        guard name != nil || hole != nil else { return }
        try database.transaction { () throws(SQLiteError) in
            try hole?.insert(into: database)
            guard let name else { return }
            try database.run(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('spool_id', ?), ('machine', ?)", .text(name), .text(machine))
            try database.run("INSERT OR IGNORE INTO meta (key, value) VALUES ('created', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))")
        }
        if let name {
            opened.books.spoolID = name
            // Into the file itself, at once: a WAL that is lost must not take the name along.
            _ = try database.checkpoint(.truncate)
        }
        guard let hole else { return }
        (opened.books.nextID, opened.books.logOffset) = (hole.last + 1, hole.offset)
        opened.oldest = opened.oldest ?? Bounds(hole)
        opened.lost = hole.first...hole.last
        opened.lossReason = found.isEmpty ? "its file was gone" : "its newest commits were gone"
    }

    /// Ids that were given out and are not in the file any more are lost, and stay given out.
    private static func missingEnd(_ books: Books, _ witness: Witness?) -> SegmentRow? {
        let witness = witness.flatMap { books.spoolID.isEmpty || $0.spoolID == books.spoolID ? $0 : nil }
        let end = max(books.lastSettled, witness?.lastID ?? 0)
        guard end >= books.nextID else { return nil }
        let offset = max(books.logOffset, witness?.logOffset ?? 0)
        return SegmentRow(hole: books.nextID...end, receivedAt: books.lastReceived, offset: offset)
    }

    // MARK: Repair

    /// What is read of a damaged file, and what was in memory, goes on in a fresh one; see `Rebuild`.
    func rebuild(reason: String, beat: @escaping () -> Void) throws(SpoolError) -> SpoolRepair {
        // Whoever takes the database away may take the lock's file along: two daemons must not write.
        try renewLock()
        checkpointer?.letGo()
        let repair = try Rebuild.run(options, reason: reason, from: database, books: books, beat: beat)
        try reopen()
        self.repair = repair
        return repair
    }

    /// Somebody took the WAL away under its name: what it holds goes into the file, and a new one is begun. False where somebody reads it:
    /// nothing is done then.
    func replaceWAL() throws(SpoolError) -> Bool {
        checkpointer?.letGo()
        guard try inFile(options.path, { () throws(SQLiteError) in try database.checkpoint(.truncate, waitingFor: 2_000) }) else {
            return false
        }
        database.leaveFiles()
        try reopen()
        return true
    }

    /// Takes the lock where its file is not the one that is held any more.
    func renewLock() throws(SpoolError) {
        guard disk.identity(lockPath) != files.lock else { return }
        lock = try disk.lock(lockPath, of: options.path)
        bearWitness()
        files.lock = disk.identity(lockPath)
    }

    /// Says in the lock's file how far the log has come.
    private func bearWitness() { lock.write(Witness(spoolID: books.spoolID, lastID: books.nextID - 1, logOffset: books.logOffset).bytes) }

    private var lockPath: String { options.path + ".lock" }

    private func reopen() throws(SpoolError) {
        try adopt(try Self.open(options, nil))
    }

    /// Goes on with it.
    private func adopt(_ opened: Opened) throws(SpoolError) {
        let decisions = books.consumers.mapValues(\.decisionsNumber)
        (database, books, oldest, isCheckpointed) = (opened.database, opened.books, opened.oldest, opened.isCheckpointed)
        // Delivery counts from its own start, not from the file's.
        for (id, number) in decisions { books.consumers[id]?.decisionsNumber = number }
        if let lost = opened.lost { repair = (repair ?? SpoolRepair(reason: opened.lossReason)).losing(lost) }
        bearWitness()
        try inFile(options.path) { () throws(SQLiteError) in try measure() }
        noteFiles()
    }

    /// What somebody took away behind the daemon's back. Of the index (`-shm`) SQLite keeps one for each file in a process, so it goes with
    /// the file.
    enum Gone { case database, wal, lock }

    /// Whether the files still are where they were.
    var gone: Gone? {
        let now = identities
        if now.database != files.database || (files.index != nil && now.index != files.index) { return .database }
        if files.wal == nil { files.wal = now.wal }
        if now.wal != files.wal { return .wal }
        return now.lock == files.lock ? nil : .lock
    }

    private struct Files {
        var database, wal, index, lock: FileIdentity?
    }

    private var identities: Files {
        let path = options.path
        return Files(
            database: disk.identity(path), wal: disk.identity(path + "-wal"), index: disk.identity(path + "-shm"),
            lock: disk.identity(lockPath))
    }

    private func noteFiles() { files = identities }

    // MARK: Commit

    /// Writes all of `work` in one transaction and returns the segments that are now in the log. Trims settled history on the way.
    func commit(_ work: Work, now: UInt64) throws(SQLiteError) -> [Segment] {
        var segments: [Segment] = []
        var changed = books
        try database.transaction { () throws(SQLiteError) in
            for chunk in work.chunks {
                let segment = Segment(
                    firstID: changed.nextID, logOffset: changed.logOffset, payload: chunk.payload, entries: chunk.entries)
                try SegmentRow(segment).insert(into: database)
                segments.append(segment)
                changed.nextID = segment.lastID + 1
                changed.logOffset += Int64(chunk.payload.count)
                changed.lastReceived = max(changed.lastReceived, chunk.entries.last?.receivedAt ?? 0)
            }
            for settlement in work.settlements.values {
                guard var consumer = changed.consumers[settlement.consumer] else { continue }
                try write(settlement, to: &consumer)
                changed.consumers[settlement.consumer] = consumer
            }
            for (key, count) in work.rejections {
                try add(-Int64(key.source.rawValue), LedgerKey(.rejected, reason: key.reason), Tally(spans: count))
                changed.rejections[key, default: 0] += count
            }
        }
        books = changed
        if !segments.isEmpty { bearWitness() }
        // It is on disk now: what cannot be read any more must not make a failed commit of it, whose settlements would be written twice.
        try? measure()
        if oldest == nil, !segments.isEmpty { try? refreshOldest() }
        return segments
    }

    private func write(_ settlement: Settlement, to consumer: inout Consumer) throws(SQLiteError) {
        consumer.cursor = settlement.cursor
        // With the base: a seek that was said to have failed may have come to pass on the disk all the same.
        try database.run(
            "UPDATE consumers SET base = ?, position = ?, settled = ? WHERE id = ?", .integer(consumer.base),
            .integer(consumer.cursor.position), .text(consumer.cursor.settledText), .integer(consumer.id))
        for (key, tally) in settlement.tallies {
            try add(consumer.id, key, tally)
            consumer.ledger[key, default: Tally()] += tally
        }
        for traced in settlement.forgottenTraces { try traced.forget(in: database, consumer: consumer.id) }
        for decision in settlement.decisions { try decision.insert(into: database, consumer: consumer.id) }
        consumer.decisionsNumber = max(consumer.decisionsNumber, settlement.decisionsNumber)
        for letter in settlement.dead {
            // The letter of an earlier death, where it did not make way at the seek.
            let before = try database.integer(
                "SELECT weight FROM dead_letters WHERE consumer = ? AND span = ?", .integer(letter.consumer), .integer(letter.span))
            if let before {
                try add(consumer.id, Self.superseded, Tally(spans: before))
                consumer.ledger[Self.superseded, default: Tally()] += Tally(spans: before)
            }
            try insert(letter)
        }
        for retry in settlement.retried {
            guard let failed = retry.failed else {
                if try removeLetters(consumer: consumer.id, spans: [retry.span]) == 0 {
                    // It was purged or aged out while it was under way, and is booked as that.
                    for key in settlement.tallies.keys where key.outcome == .replayed {
                        try add(consumer.id, key, Tally(spans: -1))
                        consumer.ledger[key, default: Tally()] += Tally(spans: -1)
                    }
                }
                continue
            }
            try database.run(
                """
                UPDATE dead_letters SET state = ?, reason = ?, status = ?, detail = ?, attempts = ?, last_at = ?, next_at = ?
                WHERE consumer = ? AND span = ?
                """, .text(failed.state.rawValue), .text(failed.reason), .integer(Int64(failed.status)), .text(failed.detail),
                .integer(Int64(failed.attempts)), .integer(failed.lastAt), .optional(failed.nextAt), .integer(consumer.id),
                .integer(retry.span))
        }
    }

    private func add(_ consumer: Int64, _ key: LedgerKey, _ tally: Tally) throws(SQLiteError) {
        try database.run(
            """
            INSERT INTO ledger (consumer, outcome, reason, route, spans, bytes) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET spans = spans + excluded.spans, bytes = bytes + excluded.bytes
            """, .integer(consumer), .text(key.outcome.rawValue), .text(key.reason), .text(key.route), .integer(tally.spans),
            .integer(tally.bytes))
    }

    // MARK: Dead letters

    private func insert(_ letter: DeadLetter) throws(SQLiteError) {
        if let stored = letter.stored {
            try database.run(
                "INSERT OR IGNORE INTO dead_spans (span, directory, payload) VALUES (?, ?, ?)", .integer(letter.span),
                .blob(Directory.encode([stored.entry], stored.bytes)), .blob(stored.bytes))
        }
        try database.run(
            """
            INSERT OR REPLACE INTO dead_letters (consumer, span, state, reason, status, detail, attempts, first_at, last_at, next_at, weight)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, .integer(letter.consumer), .integer(letter.span), .text(letter.state.rawValue), .text(letter.reason),
            .integer(Int64(letter.status)), .text(letter.detail), .integer(Int64(letter.attempts)), .integer(letter.firstAt),
            .integer(letter.lastAt), .optional(letter.nextAt), .integer(letter.weight))
    }

    /// Returns how many there were.
    @discardableResult
    private func removeLetters(consumer: Int64, spans: [Int64]) throws(SQLiteError) -> Int {
        var removed = 0
        for span in spans {
            try database.run("DELETE FROM dead_letters WHERE consumer = ? AND span = ?", .integer(consumer), .integer(span))
            removed += database.changes
            try database.run(
                "DELETE FROM dead_spans WHERE span = ?1 AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE span = ?1)", .integer(span))
        }
        return removed
    }

    /// Asks for letters to be sent again. Returns how many; those without a payload cannot be.
    func replay(consumer: Int64, filter: DeadLetterFilter, now: UInt64) throws(SQLiteError) -> Int {
        try database.run(
            """
            UPDATE dead_letters AS l SET state = 'replaying', next_at = ?
            WHERE \(filter.condition) AND l.state <> 'replaying' AND l.reason <> 'partial_unknown' AND l.span IN (SELECT span FROM dead_spans)
            """, [.integer(Int64(now / 1_000_000)), .integer(consumer)] + filter.values)
        return database.changes
    }

    /// Deletes letters for good; counted under `key`: purged, or aged out.
    func remove(consumer: Int64, filter: DeadLetterFilter, as key: LedgerKey) throws(SQLiteError) -> Int64 {
        var gone = Tally()
        var spans: [Int64] = []
        try database.transaction { () throws(SQLiteError) in
            try database.each(
                "SELECT l.span, l.weight FROM dead_letters AS l WHERE \(filter.condition)", [.integer(consumer)] + filter.values
            ) { row in
                spans.append(row.integer(0))
                gone.spans += row.integer(1)
            }
            try removeLetters(consumer: consumer, spans: spans)
            if gone.spans > 0 { try add(consumer, key, gone) }
        }
        if gone.spans > 0 { books.consumers[consumer]?.ledger[key, default: Tally()] += gone }
        return gone.spans
    }

    /// Lets dead letters go that are older than the user keeps them, or past the bytes he gives them, oldest first.
    func ageDeadLetters(now: UInt64) throws(SQLiteError) -> Int64 {
        let limit = Int64(now / 1_000_000) - Int64(options.deadLettersRetain.nanosecondsClamped / 1_000_000)
        let old = try ageOut("last_at < ? LIMIT 10000", .integer(limit))
        // What went by its age has made room: only then is it known what must go for its size.
        var over = (try database.integer("SELECT sum(length(payload)) FROM dead_spans") ?? 0) - Int64(options.deadLettersMaxSize)
        guard over > 0 else { return old }
        var last: Int64?
        try database.each("SELECT span, length(payload) FROM dead_spans ORDER BY span LIMIT 10000") { row in
            guard over > 0 else { return }
            over -= row.integer(1)
            last = row.integer(0)
        }
        return old + (try ageOut("span <= ? AND span IN (SELECT span FROM dead_spans)", .integer(last ?? 0)))
    }

    /// When the oldest dead letter is older than the user keeps them, nanoseconds of the Unix epoch; nil where there is none.
    func nextAgeing() throws(SQLiteError) -> UInt64? {
        guard let last = try database.integer("SELECT min(last_at) FROM dead_letters") else { return nil }
        return UInt64(max(0, last + 1)) * 1_000_000 &+ options.deadLettersRetain.nanosecondsClamped
    }

    /// One transaction for each consumer, not for each letter.
    private func ageOut(_ condition: String, _ value: Value) throws(SQLiteError) -> Int64 {
        var spans: [Int64: [Int64]] = [:]
        try database.each("SELECT consumer, span FROM dead_letters WHERE \(condition)", value) { row in
            spans[row.integer(0), default: []].append(row.integer(1))
        }
        var gone: Int64 = 0
        for (consumer, spans) in spans {
            gone += try remove(consumer: consumer, filter: DeadLetterFilter(spans: spans), as: LedgerKey(.agedOut))
        }
        return gone
    }

    // MARK: Consumers

    /// The consumer of this name, made where it is new. `renamed` is the name that it had before.
    func register(_ name: String, renamed: String?, from start: Int64?) throws(SQLiteError) -> Consumer {
        if let old = renamed, let known = consumers.values.first(where: { $0.name == old }),
            !consumers.values.contains(where: { $0.name == name })
        {
            try database.run("UPDATE consumers SET name = ? WHERE id = ?", .text(name), .integer(known.id))
            books.consumers[known.id]?.name = name
        }
        if let known = consumers.values.first(where: { $0.name == name }) {
            if known.state == .retired { try set(.active, of: known.id) }
            return consumers[known.id] ?? known
        }
        let base = start ?? (books.registersFromOldest ? (oldest?.first ?? nextID) - 1 : nextID - 1)
        try database.run(
            "INSERT INTO consumers (name, state, base, position) VALUES (?, 'active', ?, ?)", .text(name), .integer(base), .integer(base))
        let id = try database.integer("SELECT last_insert_rowid()") ?? 0
        let consumer = Consumer(id: id, name: name, state: .active, base: base, cursor: Cursor(position: base))
        books.consumers[id] = consumer
        return consumer
    }

    func set(_ state: ConsumerState, of id: Int64) throws(SQLiteError) {
        try database.run("UPDATE consumers SET state = ? WHERE id = ?", .text(state.rawValue), .integer(id))
        books.consumers[id]?.state = state
    }

    /// Moves a cursor back over ids that it has settled, so that they are delivered again; nil where that is not back. `base` moves with
    /// it: the sum of the ledger stays what was done, and `position - base` with it.
    func seekBack(_ id: Int64, to position: Int64) throws(SQLiteError) -> Consumer? {
        guard var consumer = consumers[id], (0...consumer.cursor.position).contains(position) else { return nil }
        // What is settled beyond the cursor is forgotten with it: those ids are delivered once more too.
        let back = consumer.cursor.position - position + consumer.cursor.settledBeyond
        consumer.base -= back
        consumer.cursor = Cursor(position: position)
        try database.run(
            "UPDATE consumers SET base = ?, position = ?, settled = '' WHERE id = ?", .integer(consumer.base), .integer(position),
            .integer(id))
        books.consumers[id] = consumer
        // After the seek, not with it: were it undone, they would be gone for nothing.
        supersedeLetters(of: id)
        return consumers[id]
    }

    /// Dead letters whose spans the log delivers again make way, counted as purged: they would bring them once more. Where the log has a hole
    /// the letter is all there is, and stays. What the disk fails now is tried again; until it is done such a span may come twice.
    private func supersedeLetters(of id: Int64) {
        lateLetters.remove(id)
        guard let cursor = consumers[id]?.cursor else { return }
        var spans: [Int64] = []
        do throws(SQLiteError) {
            try database.each(
                """
                SELECT span FROM dead_letters WHERE consumer = ? AND span > ? AND span <= (
                  SELECT iif(format = \(Schema.lost), 0, last_id) FROM segments WHERE first_id <= span ORDER BY first_id DESC LIMIT 1)
                """, .integer(id), .integer(cursor.position)
            ) { row in
                let span = row.integer(0)
                if !cursor.unsettled(in: span...span).isEmpty { spans.append(span) }
            }
            if !spans.isEmpty { _ = try remove(consumer: id, filter: DeadLetterFilter(spans: spans), as: Self.superseded) }
        } catch {
            lateLetters.insert(id)
        }
    }

    /// Tries again what the disk failed of that. True where there was something.
    func supersedeLate() -> Bool {
        let late = lateLetters
        for id in late { supersedeLetters(of: id) }
        return !late.isEmpty
    }

    /// Letters that made way because the log delivers their spans again.
    private static let superseded = LedgerKey(.purged, reason: "superseded")

    // MARK: Space

    /// The last id that no consumer waits for any more. Retired consumers pin nothing.
    var settledThrough: Int64 {
        consumers.values.lazy.filter { $0.state != .retired }.map(\.cursor.position).min() ?? nextID - 1
    }

    /// Whether the next `trim` would delete something.
    func canTrim(now: UInt64, pressed: Bool) -> Bool {
        guard let oldest, oldest.last <= settledThrough, oldest.last < nextID - 1 else { return false }
        return pressed || oldest.maxAt &+ options.history.nanosecondsClamped <= now
    }

    /// When history makes the next segment trimmable; nil where none waits for that.
    var nextTrimAt: UInt64? {
        guard let oldest, oldest.last <= settledThrough, oldest.last < nextID - 1 else { return nil }
        return oldest.maxAt &+ options.history.nanosecondsClamped
    }

    /// Deletes the oldest settled segments, some 4 MiB of them, never the newest row: it carries the next id. `pressed`: history does not
    /// hold. A step keeps pace with a commit, and the writer is not held up for longer.
    func trim(now: UInt64, pressed: Bool) throws(SQLiteError) {
        guard let oldest else { return }
        let cutoff = pressed ? UInt64(Int64.max) : now &- min(options.history.nanosecondsClamped, now)
        try database.run(
            """
            DELETE FROM segments WHERE first_id IN (
              SELECT first_id FROM (SELECT first_id, last_id, max_at, log_offset FROM segments ORDER BY first_id LIMIT 1024)
              WHERE log_offset < ? AND last_id <= ? AND last_id < ? AND max_at <= ?)
            """, .integer(oldest.offset + (4 << 20)), .integer(settledThrough), .integer(nextID - 1), .integer(Int64(clamping: cutoff)))
        try refreshOldest()
        try measure()
    }

    /// Gives pages that trimming freed back to the file system, a few at a time.
    func vacuum(pages: Int) throws(SQLiteError) {
        try database.execute("PRAGMA incremental_vacuum(\(pages))")
        try measure()
    }

    private func refreshOldest() throws(SQLiteError) { oldest = try Self.findOldest(database) }

    private static func findOldest(_ database: Database) throws(SQLiteError) -> Bounds? {
        var found: Bounds?
        try database.each("SELECT first_id, last_id, max_at, log_offset FROM segments ORDER BY first_id LIMIT 1") { row in
            found = Bounds(row)
        }
        return found
    }

    /// The segment that holds this id, or the oldest one where it is trimmed.
    private func bounds(at id: Int64) throws(SQLiteError) -> Bounds? {
        var found = oldest
        try database.each(
            "SELECT first_id, last_id, max_at, log_offset FROM segments WHERE first_id <= ? ORDER BY first_id DESC LIMIT 1", .integer(id)
        ) { row in
            found = Bounds(row)
        }
        return found
    }

    /// Stored bytes of the spans beyond `position`, to within a segment.
    func bytes(beyond position: Int64) throws(SQLiteError) -> Int64 {
        guard position < nextID - 1, let segment = try bounds(at: position + 1) else { return 0 }
        return logOffset - segment.offset
    }

    /// The last id of the segments that must go from the log's old end to free `bytes`.
    func id(freeing bytes: Int64) throws(SQLiteError) -> Int64? {
        guard let oldest else { return nil }
        let target = oldest.offset + bytes
        var low = oldest.first
        var high = nextID - 1
        // `log_offset` grows with the id, so a bisection reads some twenty rows where a scan might read thousands.
        while low < high {
            let middle = low + (high - low) / 2
            if let segment = try bounds(at: middle), segment.offset < target { low = max(segment.last, middle) + 1 } else { high = middle }
        }
        return try bounds(at: min(low, nextID - 1) - 1)?.last
    }

    private func measure() throws(SQLiteError) {
        let pages = (try database.integer("PRAGMA page_count") ?? 0) - (try database.integer("PRAGMA freelist_count") ?? 0)
        usedBytes = Int(pages) * 16384 + walBytes
    }

    /// Bytes of the free pages inside the file.
    func freePages() throws(SQLiteError) -> Int { Int(try database.integer("PRAGMA freelist_count") ?? 0) }

    /// Bytes of the WAL file.
    var walBytes: Int { disk.size(options.path + "-wal") ?? 0 }

    /// Bytes of the WAL in use, and of those the ones that were not copied into the file yet: a frame is a page and its header.
    var usedWALBytes: Int { database.wal.frames * (16384 + 24) }
    var uncopiedBytes: Int { database.wal.left * (16384 + 24) }

    // MARK: Trouble

    /// Copies the WAL into the file; see DESIGN.md section 3 for when. True where nothing was left in it.
    func checkpoint(_ kind: Database.Checkpoint, waitingFor milliseconds: Int32 = 100) throws(SQLiteError) -> Bool {
        checkpointer?.rest()
        let all = try database.checkpoint(kind, waitingFor: milliseconds)
        try measure()
        return all
    }

    /// Whether somebody copies the WAL into the file while commits go on.
    var isCopiedBeside: Bool { checkpointer != nil }

    /// Has it copied.
    func beginCopy() {
        let positions = consumers.values.filter { $0.state != .retired }.map(\.cursor.position)
        checkpointer?.begin(at: .init(last: nextID - 1, logged: logOffset, positions: positions))
    }

    /// Whether it is being copied just now.
    var isCopying: Bool { checkpointer?.isAtWork ?? false }

    /// Takes note of what was copied meanwhile; throws what went wrong with it.
    func noteCopy() throws(SQLiteError) {
        if let copy = try checkpointer?.result() { database.noteCopied(copy.copied) }
    }

    private var reservePath: String { options.path + ".reserve" }

    /// Whether the reserve lies on the disk. Without it a full disk would stop the cursor too.
    var hasReserve: Bool { options.reserveBytes == 0 || disk.isAllocated(reservePath, bytes: options.reserveBytes) }

    /// The disk is full: gives the reserve back, so that settling and trimming can go on.
    func releaseReserve() { disk.remove(reservePath) }

    /// Whether the disk has room again: the reserve could be made anew, and some more is left.
    func retakeReserve() -> Bool {
        disk.freeBytes(options.path) > (hasReserve ? 0 : options.reserveBytes) + (16 << 20) && takeReserve()
    }

    private func takeReserve() -> Bool { hasReserve || disk.allocate(reservePath, bytes: options.reserveBytes) }
}
