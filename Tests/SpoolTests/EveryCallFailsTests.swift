import CSQLite
import Glibc
import SpanModel
import Testing
import TestSupport
import Threading

@testable import Spool

/// One short life of a spool, again and again: each time another call of SQLite's to the disk fails, or another step inside of SQLite. After
/// it the daemon dies, starts on a sound disk, and nothing that it had acknowledged is missing.
@Suite("every call fails once") struct EveryCallFailsTests {
    /// How a failed call is followed up.
    enum Then: CaseIterable {
        /// It fails once, and the disk is well again.
        case goesOn
        /// Every call after it fails too, and the process is killed.
        case killed
        /// As `killed`, by a power cut.
        case powerCut
    }

    /// What a life leaves behind: what was acknowledged, and what was settled.
    private struct Life {
        var acknowledged: [Int64: Int] = [:]
        var settledThrough: Int64 = 0
        var calls = 0
    }

    private static let time = PlayedClock(1_700_000_000_000_000_000)

    private static func options(_ disk: SimulatedDisk) -> SpoolOptions {
        var options = SpoolOptions(path: "/spool.db")
        options.disk = disk
        options.reserveBytes = 1 << 20
        options.history = .zero
        options.maxSize = 4 << 20
        return options
    }

    private static func open(_ disk: SimulatedDisk) throws(SpoolError) -> SpanLog {
        try SpanLog(options(disk), clock: time.clock, beat: {}, turnedByCaller: true)
    }

    /// Opens, takes spans, settles them, buries some, replays, seeks back, trims, and closes. What is refused is refused; nothing else counts.
    private static func live(_ disk: SimulatedDisk) -> Life {
        var life = Life()
        for _ in 0..<2 {
            guard let log = try? open(disk) else { continue }
            let consumer = try? log.register("a", backlog: .none)
            let other = try? log.register("b", backlog: .none)
            // As delivery does, each keeps its own cursor: a settlement whose commit failed waits in the queue, and is not lost.
            var cursor = consumer?.cursor ?? Cursor(position: 0)
            var otherCursor = other?.cursor ?? Cursor(position: 0)
            for round in 0..<6 {
                let sizes = [10 + round, 40000, 300_000 * (round % 2), 20].filter { $0 > 0 }
                let before = log.lastID
                if log.commit(spans(sizes), turning: true) == nil {
                    for (index, size) in sizes.enumerated() { life.acknowledged[before + 1 + Int64(index)] = size }
                }
                if let consumer, cursor.position < log.lastID {
                    let ids = cursor.position + 1...log.lastID
                    cursor.settle(ids)
                    var settlement = Settlement(consumer: consumer.id, cursor: cursor)
                    settlement.add(LedgerKey(.delivered), Tally(spans: Int64(ids.count) - 1))
                    settlement.add(LedgerKey(.dead, reason: "http_400"), Tally(spans: 1))
                    settlement.dead = [
                        DeadLetter(
                            consumer: consumer.id, span: ids.lowerBound, state: .dead, reason: "http_400", status: 400, detail: "",
                            attempts: 1,
                            firstAt: 1, lastAt: 2, stored: StoredSpan(entry: spans([7]).entries[0], bytes: spans([7]).payload))
                    ]
                    log.settle(settlement)
                    if log.flush() { life.settledThrough = max(life.settledThrough, ids.upperBound) }
                }
                if round == 3, let consumer {
                    _ = try? log.replay(consumer: consumer.id, DeadLetterFilter())
                    _ = try? log.purge(consumer: consumer.id, DeadLetterFilter(spans: [1]))
                    // Where it is said to have failed it may have come to pass all the same: the answer is what was lost.
                    life.settledThrough = min(life.settledThrough, 2)
                    if let moved = try? log.seekBack(consumer.id, to: 2) { cursor = moved.cursor }
                }
                if let other, round > 2, otherCursor.position < log.lastID {
                    let ids = otherCursor.position + 1...log.lastID
                    otherCursor.settle(ids)
                    var settlement = Settlement(consumer: other.id, cursor: otherCursor)
                    settlement.add(LedgerKey(.expired), Tally(spans: Int64(ids.count)))
                    log.settle(settlement)
                }
                time.advance(.seconds(1))
                for _ in 0..<20 { if case .idle = log.turn() { break } }
            }
            log.close()
        }
        life.calls = disk.callCount
        return life
    }

    /// After a death: the file opens, is sound, its books balance, and all that was acknowledged is there, or was settled by both and trimmed.
    private static func check(_ disk: SimulatedDisk, _ life: Life, _ what: String) throws {
        let log = try open(disk)
        defer { log.close() }
        let reader = try log.reader()
        let findings = try reader.verify { _ in }
        #expect(findings == [], "\(what)")
        #expect(log.status.repair == nil, "\(what): \(log.status.repair?.sentence ?? "")")
        for consumer in log.status.consumers.values { #expect(consumer.balances, "\(what): \(consumer)") }
        #expect(log.lastID >= life.acknowledged.keys.max() ?? 0, "\(what): the log ends at \(log.lastID)")
        for (id, size) in life.acknowledged where id >= log.status.oldestID {
            let segment = try reader.segment(holding: id)
            let length = segment.flatMap { $0.firstID <= id ? $0.entries[Int(id - $0.firstID)].length : nil }
            #expect(length == UInt32(size), "\(what): span \(id)")
        }
        if let consumer = log.status.consumers.values.first(where: { $0.name == "a" }) {
            #expect(
                consumer.cursor.position >= life.settledThrough,
                "\(what): settled \(life.settledThrough), the cursor is at \(consumer.cursor)")
        }
        #expect(log.commit(spans([1]), turning: true) == nil, "\(what): \(log.status.trouble)")
    }

    @Test("of the disk's calls: nothing acknowledged or settled is lost", arguments: Then.allCases)
    func disk(then: Then) throws {
        let calls = Self.live(SimulatedDisk(seed: 1)).calls
        #expect(calls > 300)
        let codes = [SQLITE_IOERR, SQLITE_FULL, SQLITE_IOERR | 4 << 8, SQLITE_CANTOPEN]
        // Every call in a run of its own would take a minute; of three neighbours one is taken, another one with each outcome.
        for failing in stride(from: 1 + Then.allCases.firstIndex(of: then)!, through: calls, by: 3) {
            let disk = SimulatedDisk(seed: UInt64(failing))
            let code = codes[failing / 3 % codes.count]
            disk.setFault { call in (then == .goesOn ? call.number == failing : call.number >= failing) ? code : nil }
            let life = Self.live(disk)
            disk.setFault { _ in nil }
            if then == .powerCut { disk.cutPower() } else { disk.kill() }
            try Self.check(disk, life, "call \(failing) of \(calls), code \(code), \(then)")
        }
    }

    @Test("of SQLite's own steps, interrupted: nothing acknowledged or settled is lost")
    func steps() throws {
        let interrupts = Interrupts()
        _ = Self.live(SimulatedDisk(seed: 1))
        let all = interrupts.count
        #expect(all > 1000)
        for failing in stride(from: 1, through: all, by: max(1, all / 300)) {
            let disk = SimulatedDisk(seed: UInt64(failing))
            interrupts.begin(at: failing)
            let life = Self.live(disk)
            interrupts.begin(at: .max)
            disk.kill()
            try Self.check(disk, life, "step \(failing) of \(all)")
        }
        interrupts.end()
    }
}

/// Interrupts one step of SQLite's machine, counted over all connections that this thread opens while it is at work.
private final class Interrupts {
    // Touched on the one thread that uses it; other tests' connections, opened on theirs, are left alone.
    nonisolated(unsafe) private static var thread = pthread_self()
    nonisolated(unsafe) private static var passed = 0
    nonisolated(unsafe) private static var failing = Int.max
    private static let opened:
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, OpaquePointer?) -> Int32 = {
            connection, _, _ in
            guard pthread_equal(Interrupts.thread, pthread_self()) != 0 else { return SQLITE_OK }
            // `Database` sets a handler of its own once it is open; whatever statement begins afterwards meets this one again.
            return sqlite3_trace_v2(
                connection, UInt32(SQLITE_TRACE_STMT),
                { _, _, statement, _ in
                    sqlite3_progress_handler(sqlite3_db_handle(OpaquePointer(statement)), 1, { _ in Interrupts.step() }, nil)
                    return 0
                }, nil)
        }

    init() {
        Self.thread = pthread_self()
        sqlite3_auto_extension(unsafeBitCast(Self.opened, to: (@convention(c) () -> Void).self))
    }

    var count: Int { Self.passed }
    func begin(at failing: Int) { (Self.passed, Self.failing) = (0, failing) }
    func end() { sqlite3_cancel_auto_extension(unsafeBitCast(Self.opened, to: (@convention(c) () -> Void).self)) }

    private static func step() -> Int32 {
        passed += 1
        return passed == failing ? 1 : 0
    }
}

extension SpanLog {
    /// As `commit`, where nobody but the caller turns the writer. It is decided when all that gathered is committed.
    fileprivate func commit(_ batch: SpanBatch, turning: Bool) -> Refusal? {
        var batch = batch
        let before = lastID
        let count = Int64(batch.count)
        if case .refused(let refusal) = append(&batch, wantsAck: true) { return refusal }
        for _ in 0..<100 {
            if case .idle = turn() { break }
        }
        return lastID >= before + count ? nil : .ioError
    }
}
