import CSQLite
import Foundation
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Spool

@Suite struct SpanLogTests {
    @Test("a span that is said to be durable can be read with equal bytes, by a reader of the file alone", arguments: Seeds.thisRun)
    func roundTrip(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let test = try TestLog()
        var expected: [StoredSpan] = []
        for _ in 0..<8 {
            let batch = spans(
                (0..<1 + rng.below(20)).map { _ in rng.below(12) == 0 ? 1 + rng.below(400 << 10) : 1 + rng.below(2_000) },
                receivedAt: startOfRun + UInt64(expected.count))
            #expect(test.log.commit(batch) == nil)
            expected += batch.stored
            #expect(test.log.lastID == Int64(expected.count))
        }
        #expect(try test.log.stored() == expected, "again: TRACEFWD_SEED=\(seed)")
        // The reader that shares the writer's cache sees the same, from any id on.
        let reader = try test.log.reader()
        for _ in 0..<30 {
            let id = Int64(1 + rng.below(expected.count))
            let segment = try #require(try reader.segment(holding: id))
            #expect(segment.firstID <= id && id <= segment.lastID)
            let entry = segment.entries[Int(id - segment.firstID)]
            #expect(Array(segment.payload[Int(entry.offset)..<Int(entry.offset + entry.length)]) == expected[Int(id) - 1].bytes)
        }
        #expect(try reader.segment(holding: Int64(expected.count) + 1) == nil)
        #expect(test.log.status.acceptedBytes == expected.reduce(0) { $0 + Int64($1.bytes.count) })
    }

    @Test("the batch is emptied where it was taken, and untouched where it was not")
    func batch() throws {
        let test = try TestLog()
        var batch = spans([5, 6])
        guard case .taken = test.log.append(&batch, wantsAck: false) else { throw Surprise() }
        #expect(batch.isEmpty && batch.payload.isEmpty)
        test.log.close()
        batch = spans([5, 6])
        #expect(test.log.append(&batch, wantsAck: false) == .refused(.ioError))
        #expect(batch.count == 2)
    }

    @Test("ids are dense over restarts, and received_at stays ascending when the clock was set back in between")
    func restarts() throws {
        let directory = try TemporaryDirectory()
        var count: Int64 = 0
        for run in 0..<4 {
            let test = try TestLog(in: directory)
            #expect(test.log.lastID == count)
            for _ in 0..<3 {
                #expect(test.log.commit(spans([10, 20, 30], receivedAt: startOfRun - UInt64(run) * 1_000)) == nil)
                count += 3
                #expect(test.log.lastID == count)
            }
            test.log.close()
        }
        let stored = try TestLog(in: directory).log.stored()
        #expect(stored.count == Int(count))
        for (left, right) in zip(stored, stored.dropFirst()) { #expect(left.entry.receivedAt <= right.entry.receivedAt) }
    }

    @Test("every thread's spans are in the log once, whatever the order of the commits")
    func manyWriters() throws {
        let test = try TestLog { $0.gatherBytesMax = 8 << 10 }
        let threads = (0..<4).map { writer in
            startThread(name: "appends") { [log = test.log] in
                for round in 0..<60 {
                    var batch = spans([100 + writer, 1_000 + round])
                    _ = log.append(&batch, wantsAck: round % 7 == 0)
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(test.log.flush())
        let lengths = try test.log.stored().map(\.bytes.count)
        let expected: [Int] = (0..<240).flatMap { [100 + $0 / 60, 1_000 + $0 % 60] }
        #expect(lengths.sorted() == expected.sorted())
    }

    @Test(
        "a writer held up by flow control goes on when the disk has taken what had gathered, though nothing else happens",
        .timeLimit(.minutes(10)))
    func flowControl() throws {
        let test = try TestLog { $0.gatherBytesMax = 1 }
        let done = Atomic(0)
        let thread = startThread(name: "appends") { [log = test.log] in
            for _ in 0..<5 {
                var batch = spans([100])
                _ = log.append(&batch, wantsAck: false)
                done.add(1, ordering: .releasing)
            }
        }
        for _ in 0..<1_000 where done.load(ordering: .acquiring) < 5 { usleep(10_000) }
        #expect(done.load(ordering: .acquiring) == 5)
        test.log.close()
        thread.join()
    }

    @Test("close commits what has gathered")
    func closing() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10])) == nil)
        var batch = spans([11, 12])
        _ = test.log.append(&batch, wantsAck: false)
        var settlement = Settlement(consumer: consumer.id, cursor: Cursor(position: 1))
        settlement.add(LedgerKey(.filtered), Tally(spans: 1))
        test.log.settle(settlement)
        test.log.reject(RejectionKey(source: .http, reason: "too_deep"), count: 3)
        test.log.close()
        test.log.close()
        #expect(throws: SpoolError.notWritable(reason: "the spool is closed")) { try test.log.register("b", backlog: .none) }
        #expect(!test.log.flush())
        #expect(SystemDisk().size(directory.spool + "-wal") ?? 0 == 0)
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 3)
        #expect(again.log.status.rejections == [RejectionKey(source: .http, reason: "too_deep"): 3])
        #expect(try again.log.consumer(consumer.id).cursor.position == 1)
    }

    @Test("an ack asked for without spans is answered by a commit of its own")
    func bareAck() throws {
        let test = try TestLog()
        let number = test.log.wantAck()
        #expect(test.heard.outcome(of: number) == .some(nil))
        var empty = SpanBatch()
        guard case .taken(let commit) = test.log.append(&empty, wantsAck: true) else { throw Surprise() }
        #expect(test.heard.outcome(of: commit) == .some(nil))
        #expect(test.log.lastID == 0)
    }

    @Test("nothing is seen of a commit before it is on disk")
    func uncommitted() throws {
        let vfs = FaultyVFS()
        let test = try TestLog { $0.disk = SystemDisk(vfs: vfs.name) }
        #expect(test.log.commit(spans([10])) == nil)
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, 1) }
        #expect(test.log.commit(spans([20, 30])) == .ioError)
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.lastID == 1)
        #expect(try test.log.stored().map(\.bytes.count) == [10])
        #expect(try test.log.reader().segment(holding: 2) == nil)
        #expect(test.log.commit(spans([40])) == nil)
        #expect(try test.log.stored().map(\.bytes.count) == [10, 40])
    }

    // MARK: The file

    @Test("the file is what DESIGN.md section 3 says: pages of 16 KiB, WAL, incremental vacuum, schema 3")
    func facts() throws {
        let test = try TestLog()
        #expect(test.log.commit(spans([10])) == nil)
        let database = try Database(path: test.options.path, readOnly: true)
        #expect(try database.integer("PRAGMA page_size") == 16384)
        #expect(try database.integer("PRAGMA auto_vacuum") == 2)
        #expect(try database.integer("PRAGMA user_version") == 3)
        // Bytes 18 and 19 of the header: 2 is WAL.
        let header = try #require(FileHandle(forReadingAtPath: test.options.path)).readData(ofLength: 20)
        #expect(header[18] == 2 && header[19] == 2)
        #expect(test.log.status.spoolID == (try database.textForTest("SELECT value FROM meta WHERE key = 'spool_id'")))
    }

    @Test(
        "the writing connection is as DESIGN.md section 3 says",
        arguments: [(Durability.fsync, 2), (.os, 1), (.none, 0)] as [(Durability, Int64)])
    func connection(durability: Durability, synchronous: Int64) throws {
        let directory = try TemporaryDirectory()
        let database = try Database(path: directory.spool, readOnly: false)
        try Schema.configure(database, durability: durability)
        #expect(try database.integer("PRAGMA synchronous") == synchronous)
        #expect(try database.integer("PRAGMA foreign_keys") == 1)
        #expect(try database.integer("PRAGMA secure_delete") == 2)
        #expect(try database.integer("PRAGMA mmap_size") == 0)
        #expect(try database.integer("PRAGMA wal_autocheckpoint") == 0)
    }

    @Test("a spool keeps its name over restarts, and two spools have two")
    func identity() throws {
        let directory = try TemporaryDirectory()
        let first = try TestLog(in: directory)
        let name = first.log.status.spoolID
        first.log.close()
        #expect(try TestLog(in: directory).log.status.spoolID == name)
        #expect(try TestLog().log.status.spoolID != name)
    }

    @Test("a second opener is refused, and let in when the first one is gone")
    func locked() throws {
        let test = try TestLog()
        #expect(throws: SpoolError.locked(path: test.options.path)) { try SpanLog(test.options) }
        #expect(test.log.commit(spans([10])) == nil)
        test.log.close()
        let next = try SpanLog(test.options)
        next.close()
    }

    @Test("a spool that a later tracefwd wrote is refused, and no byte of it changes", arguments: ["WAL", "DELETE"])
    func newerSchema(journal: String) throws {
        let directory = try TemporaryDirectory()
        try TestLog.tamper(directory.spool, "PRAGMA journal_mode=\(journal); CREATE TABLE future (x); PRAGMA user_version=7")
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.spool))
        #expect(throws: SpoolError.newerSchema(path: directory.spool, found: 7, known: 3)) {
            try SpanLog(SpoolOptions(path: directory.spool))
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.spool)) == before)
        #expect(SystemDisk().size(directory.spool + ".reserve") == nil)
    }

    @Test("a file that is no spool is refused, and no byte of it changes")
    func foreign() throws {
        let directory = try TemporaryDirectory()
        let text = Data(String(repeating: "these are my holiday pictures\n", count: 2_000).utf8)
        try text.write(to: URL(fileURLWithPath: directory.spool))
        #expect { try SpanLog(SpoolOptions(path: directory.spool)) } throws: {
            if case .sqlite(_, let error) = $0 as? SpoolError { error.isCorrupt } else { false }
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.spool)) == text)
    }

    @Test(
        "a directory that cannot be used is named",
        arguments: [("/proc/nowhere/spool.db", ENOENT), ("/dev/null/spool.db", ENOTDIR)] as [(String, Int32)])
    func directory(path: String, code: Int32) {
        #expect {
            try SpanLog(SpoolOptions(path: path))
        } throws: {
            if case .directory(_, code) = $0 as? SpoolError { true } else { false }
        }
    }

    @Test(
        "file systems of other machines are known by their number (statfs(2), linux/magic.h)",
        arguments: [
            (0x6969, "nfs"), (0xff53_4d42, "cifs"), (0xfe53_4d42, "smb2"), (0x517b, "smb"), (0x0102_1997, "9p"), (0x00c3_6400, "ceph"),
            (0x5346_414f, "afs"), (0xef53, nil), (0x0102_1994, nil), (0x9123_683e, nil), (0x5846_5342, nil), (0x794c_7630, nil),
        ] as [(UInt32, String?)])
    func networkFileSystems(magic: UInt32, kind: String?) { #expect(SystemDisk.network[magic] == kind) }

    @Test("a reader needs no daemon, and leaves the file as it is")
    func aloneReader() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        #expect(test.log.commit(spans([10, 20])) == nil)
        test.log.close()
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.spool))
        #expect(try test.log.stored().map(\.bytes.count) == [10, 20])
        let reader = try LogReader.open(path: directory.spool)
        #expect(try reader.verify { _ in } == [])
        #expect(try reader.info().contains { $0.name == "newest_id" && $0.value == "2" })
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.spool)) == before)
    }

    @Test("times lead to ids and back, to within a segment")
    func times() throws {
        let test = try TestLog { $0.history = .seconds(1 << 40) }
        for time in [100, 200, 300] as [UInt64] { #expect(test.log.commit(spans([1, 1, 1], receivedAt: time)) == nil) }
        let reader = try test.log.reader()
        #expect(try [1, 3, 4, 9, 10].map { try reader.receivedAt($0) } == [100, 100, 200, 300, nil])
        #expect(try [0, 100, 102, 103, 202, 302, 303].map { try reader.firstID(since: $0) } == [1, 1, 1, 4, 4, 7, 10])
        #expect(try [100, 102, 103, 203, 999].map { try reader.lastID(olderThan: $0, from: 1) } == [nil, nil, 3, 6, 9])
        #expect(try reader.lastID(olderThan: 203, from: 5) == 6 && reader.lastID(olderThan: 103, from: 5) == nil)
    }
}

/// What was expected did not come; the line says where.
struct Surprise: Error {}

extension Database {
    func textForTest(_ sql: String) throws(SQLiteError) -> String {
        let statement = try statement(sql)
        defer { statement.reset() }
        return try statement.step() ? statement.text(0) : ""
    }
}
