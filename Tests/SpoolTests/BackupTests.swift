import Foundation
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Spool

@Suite struct BackupTests {
    /// A log at which a seed does everything that may happen to a spool while it is copied: spans come in, consumers settle in and out of
    /// order, letters die, are replayed and purged, cursors go back, history is trimmed at once.
    private final class Life {
        let test: TestLog
        var rng: SeededRandom
        private var consumers: [Int64] = []
        /// Unix milliseconds: letters of the past would age out.
        private static let now = Int64(startOfRun / 1_000_000)
        /// By id.
        private(set) var appended: [Int64: StoredSpan] = [:]

        init(seed: UInt64, in directory: TemporaryDirectory) throws {
            rng = SeededRandom(seed: seed)
            let isTrimmed = rng.below(4) > 0
            test = try TestLog(in: directory) { $0.history = isTrimmed ? .zero : .seconds(3600) }
            for name in ["a", "b", "c"].prefix(1 + rng.below(3)) {
                consumers.append(try test.log.register(name, from: 0, backlog: .none).id)
            }
        }

        func step() throws {
            let id = consumers[rng.below(consumers.count)]
            switch rng.below(10) {
            case 0..<4: try append()
            case 4..<7: try settle(id)
            case 7: _ = try test.log.purge(consumer: id, DeadLetterFilter(reason: rng.below(2) == 0 ? "odd" : "even"))
            case 8: try replay(id)
            default:
                if rng.below(4) == 0 {
                    let position = try test.log.consumer(id).cursor.position
                    let target = max(test.log.status.oldestID - 1, position - Int64(rng.below(5)))
                    if target < position { _ = try test.log.seekBack(id, to: target) }
                }
            }
            #expect(test.log.flush())
        }

        private func append() throws {
            let batch = spans((0...rng.below(6)).map { _ in 1 + rng.below(400) }, receivedAt: startOfRun - 1)
            let first = test.log.lastID + 1
            for (index, span) in batch.stored.enumerated() { appended[first + Int64(index)] = span }
            #expect(test.log.commit(batch) == nil)
        }

        private func settle(_ id: Int64) throws {
            var cursor = try test.log.consumer(id).cursor
            let last = test.log.lastID
            guard last > cursor.position, let open = cursor.unsettled(in: cursor.position + 1...last).first else { return }
            // Sometimes a gap is left behind.
            let first = min(open.lowerBound + Int64(rng.below(2)), open.upperBound)
            let ids = first...min(open.upperBound, first + Int64(rng.below(8)))
            cursor.settle(ids)
            var settlement = Settlement(consumer: id, cursor: cursor)
            if rng.below(3) == 0 {
                settlement.add(LedgerKey(.dead), Tally(spans: Int64(ids.count)))
                settlement.dead = try ids.map { span in
                    DeadLetter(
                        consumer: id, span: span, state: .dead, reason: span % 2 == 0 ? "even" : "odd", status: 400, detail: "",
                        attempts: 1,
                        firstAt: Self.now, lastAt: Self.now, stored: try #require(appended[span]))
                }
            } else {
                settlement.add(LedgerKey(.delivered), Tally(spans: Int64(ids.count)))
            }
            test.log.settle(settlement)
        }

        private func replay(_ id: Int64) throws {
            let letters = try test.log.reader().deadLetters(consumer: id, limit: 1 + rng.below(4))
            guard !letters.isEmpty else { return }
            var settlement = Settlement(consumer: id, cursor: try test.log.consumer(id).cursor)
            settlement.retried = letters.map { DeadLetterRetry(span: $0.span, failed: nil) }
            settlement.add(LedgerKey(.replayed), Tally(spans: Int64(letters.count)))
            test.log.settle(settlement)
        }

        /// The copy is sound, holds the bytes that came in, and all of what its own books call undelivered.
        func expectSound(_ path: String, _ hint: String) throws {
            let reader = try LogReader.open(path: path)
            #expect(try reader.verify { _ in } == [], "\(hint)")
            var found: Set<Int64> = []
            var next: Int64 = 0
            while let segment = try reader.segment(holding: next) {
                for (index, entry) in segment.entries.enumerated() {
                    let id = segment.firstID + Int64(index)
                    let bytes = Array(segment.payload[Int(entry.offset)..<Int(entry.offset + entry.length)])
                    #expect(bytes == appended[id]?.bytes, "span \(id), \(hint)")
                    found.insert(id)
                }
                next = segment.lastID + 1
            }
            let log = try SpanLog(SpoolOptions(path: path).with { $0.reserveBytes = 0 })
            defer { log.close() }
            let status = log.status
            for consumer in status.consumers.values where status.nextID > 1 {
                for range in consumer.cursor.unsettled(in: 1...status.nextID - 1) {
                    for id in range { #expect(found.contains(id), "\(consumer.name) waits for \(id), which is not there: \(hint)") }
                }
            }
            #expect(log.commit(spans([10])) == nil)
            #expect(log.lastID == status.nextID, "\(hint)")
            try BooksTests.expectBalanced(log, hint)
        }
    }

    @Test(
        "the books of a copy balance, and it holds all that is undelivered, whatever happened while it was made", arguments: Seeds.thisRun)
    func books(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        let life = try Life(seed: seed, in: directory)
        for _ in 0..<life.rng.below(150) { try life.step() }
        var pieces = 0
        let backup = Backup(of: directory.spool, vfs: nil, pieceBytes: 1 + life.rng.below(4000))
        let busy = life.rng.below(30)
        let summary = try backup.write(to: directory.path + "/copy.db") { _ in
            pieces += 1
            // Quiet after a while, or a copy of a log that is always trimmed in time would never end.
            for _ in 0..<(pieces < 200 ? life.rng.below(1 + busy) : 0) { do { try life.step() } catch { Issue.record(error) } }
            return true
        }
        #expect(summary.spoolID != life.test.log.status.spoolID)
        try life.expectSound(directory.path + "/copy.db", "again: TRACEFWD_SEED=\(seed)")
        #expect(try LogReader.open(path: directory.spool).verify { _ in } == [], "again: TRACEFWD_SEED=\(seed)")
    }

    @Test("a writer, a settler and the trimming that run all the time do not hinder a copy, nor it them")
    func underLoad() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory) { $0.history = .zero }
        let consumer = try test.log.register("a", from: 0, backlog: .none).id
        let stop = Atomic(false)
        let log = test.log
        let writer = startThread(name: "writer") {
            while !stop.load(ordering: .relaxed) {
                var batch = spans([Int](repeating: 900, count: 50), receivedAt: startOfRun - 1)
                _ = log.append(&batch, wantsAck: false)
            }
        }
        let settler = startThread(name: "settler") {
            var cursor = Cursor(position: 0)
            while !stop.load(ordering: .relaxed) {
                let last = log.lastID
                guard last > cursor.position else { continue }
                var settlement = Settlement(consumer: consumer, cursor: cursor)
                settlement.cursor.settle(cursor.position + 1...last)
                settlement.add(LedgerKey(.delivered), Tally(spans: last - cursor.position))
                cursor = settlement.cursor
                log.settle(settlement)
            }
        }
        while log.lastID < 5_000 { usleep(1_000) }
        for number in 0..<5 {
            let copy = directory.path + "/copy-\(number).db"
            _ = try Backup(of: directory.spool).write(to: copy)
            #expect(try LogReader.open(path: copy).verify { _ in } == [])
        }
        stop.store(true, ordering: .relaxed)
        writer.join()
        settler.join()
    }

    @Test("a copy of a stopped spool is the spool, under a name of its own")
    func stopped() throws {
        let directory = try TemporaryDirectory()
        let life = try Life(seed: 7, in: directory)
        for _ in 0..<100 { try life.step() }
        let status = life.test.log.status
        life.test.log.close()
        let summary = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        #expect(summary.lastID == status.nextID - 1)
        let copy = try SpanLog(SpoolOptions(path: directory.path + "/copy.db").with { $0.reserveBytes = 0 })
        defer { copy.close() }
        #expect(copy.status.consumers == status.consumers)
        #expect(copy.status.spoolID == summary.spoolID && copy.status.spoolID != status.spoolID)
        #expect(copy.status.nextID == status.nextID && copy.status.acceptedBytes == status.acceptedBytes)
    }

    @Test("an empty spool can be copied")
    func empty() throws {
        let test = try TestLog()
        let summary = try Backup(of: test.options.path).write(to: test.directory.path + "/copy.db")
        #expect(summary.lastID == 0 && summary.segments == 0)
        #expect(try LogReader.open(path: summary.path).verify { _ in } == [])
    }

    @Test("a copy that is stopped, or has no place, leaves nothing behind and says why")
    func nothingLeft() throws {
        let directory = try TemporaryDirectory()
        let life = try Life(seed: 3, in: directory)
        for _ in 0..<50 { try life.step() }
        let copy = directory.path + "/copy.db"
        let backup = Backup(of: directory.spool, vfs: nil, pieceBytes: 100)
        #expect(throws: BackupError.stopped) { try backup.write(to: copy) { _ in false } }
        #expect(throws: BackupError.place(path: directory.path + "/none/copy.db.partial", errno: ENOENT)) {
            try backup.write(to: directory.path + "/none/copy.db")
        }
        #expect(throws: BackupError.exists(path: directory.spool)) { try backup.write(to: directory.spool) }
        #expect(throws: BackupError.unreadable(path: directory.path + "/no.db", errno: ENOENT)) {
            try Backup(of: directory.path + "/no.db").write(to: copy)
        }
        FileManager.default.createFile(atPath: directory.path + "/empty.db", contents: nil)
        #expect(throws: BackupError.noSpool(path: directory.path + "/empty.db")) {
            try Backup(of: directory.path + "/empty.db").write(to: copy)
        }
        try TestLog.tamper(directory.path + "/newer.db", "PRAGMA user_version=900; CREATE TABLE x (y)")
        #expect(throws: BackupError.newerSchema(path: directory.path + "/newer.db", found: 900, known: Int(Schema.version))) {
            try Backup(of: directory.path + "/newer.db").write(to: copy)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasPrefix("copy") } == [])
    }

    @Test("of two copies to one name at a time the second is refused; what a crash left is written over")
    func twoAtOnce() throws {
        let directory = try TemporaryDirectory()
        let life = try Life(seed: 5, in: directory)
        for _ in 0..<50 { try life.step() }
        let copy = directory.path + "/copy.db"
        FileManager.default.createFile(atPath: copy + ".partial", contents: Data("left by a crash".utf8))
        let backup = Backup(of: directory.spool)
        _ = try backup.write(to: copy) { _ in
            #expect(throws: BackupError.underWay(path: copy + ".partial")) { try backup.write(to: copy) }
            return true
        }
        #expect(try LogReader.open(path: copy).verify { _ in } == [])
        #expect(access(copy + ".partial", F_OK) != 0)
    }

    @Test("rows that were never in the file do not count as trimmed: what stands before the gap is copied too")
    func gap() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        for _ in 0..<9 { #expect(test.log.commit(spans([100])) == nil) }
        test.log.close()
        try TestLog.tamper(directory.spool, "DELETE FROM segments WHERE first_id BETWEEN 4 AND 6")
        let summary = try Backup(of: directory.spool, vfs: nil, pieceBytes: 1).write(to: directory.path + "/copy.db")
        #expect(summary.firstID == 1 && summary.lastID == 9 && summary.segments == 6)
    }

    @Test("a path with the signs of a URI is a path")
    func oddPath() throws {
        let directory = try TemporaryDirectory()
        for name in ["50%25?mode=rwc#x.db", "a b\u{e9}&c.db"] {
            var options = SpoolOptions(path: directory.path + "/" + name)
            options.reserveBytes = 0
            let log = try SpanLog(options)
            #expect(log.commit(spans([10])) == nil)
            #expect(try Backup(of: options.path).write(to: options.path + ".copy").lastID == 1)
            log.close()
        }
    }
}

extension SpoolOptions {
    fileprivate func with(_ change: (inout SpoolOptions) -> Void) -> SpoolOptions {
        var options = self
        change(&options)
        return options
    }
}
