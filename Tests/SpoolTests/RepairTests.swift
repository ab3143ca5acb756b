import CSQLite
import Foundation
import SpanModel
import TestSupport
import Testing
import Threading

@testable import Spool

/// What happens to a spool whose file is damaged, cut or taken away. The rule: what can be read goes on under its old ids, what cannot is
/// known by its ids, no id is given out twice, and the old file is kept.
@Suite struct RepairTests {
    /// A spool of `segments` commits of four spans, of which the first `delivered` are delivered to "a".
    private func spool(_ directory: TemporaryDirectory, segments: Int, bytes: Int = 2000, delivered: Int64 = 0) throws -> TestLog {
        let test = try TestLog(in: directory) { $0.cacheBytesMax = 0 }
        let consumer = try test.log.register("a", backlog: .none)
        for number in 0..<segments { #expect(test.log.commit(spans([bytes, bytes + number, 10, 20])) == nil) }
        if delivered > 0 { try test.log.deliver(consumer.id, 1...delivered) }
        return test
    }

    /// Ids that can be read, ascending.
    private func readable(_ path: String) throws -> [Int64] {
        let reader = try LogReader.open(path: path)
        var ids: [Int64] = []
        while let segment = try reader.segment(holding: (ids.last ?? 0) + 1) { ids += Array(segment.firstID...segment.lastID) }
        return ids
    }

    /// Every id is readable or known to be lost, the file is sound, and the log goes on where it was.
    private func expectWhole(_ log: SpanLog, _ given: Int64, _ place: SourceLocation = #_sourceLocation) throws -> SpoolRepair? {
        #expect(log.lastID == given, sourceLocation: place)
        let repair = log.status.repair
        let lost = Set((repair?.lost ?? []).flatMap(Array.init))
        let kept = Set(try readable(log.options.path))
        #expect(
            kept.isDisjoint(with: lost) && kept.union(lost) == Set(1...given), "kept \(kept.count), lost \(lost)", sourceLocation: place)
        #expect(try LogReader.open(path: log.options.path).verify { _ in } == [], sourceLocation: place)
        #expect(log.commit(spans([5])) == nil, sourceLocation: place)
        #expect(log.lastID == given + 1 && log.flush(), sourceLocation: place)
        #expect(try log.reader().segment(holding: given + 1)?.firstID == given + 1, sourceLocation: place)
        return repair
    }

    @Test("a file that is taken away while the log is open goes on under its name, with all that it held")
    func deletedWhileOpen() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 10, delivered: 6)
        let reader = try test.log.reader()
        #expect(try reader.segment(holding: 1) != nil)
        try FileManager.default.removeItem(atPath: directory.spool)
        let told = test.heard.first { if case .repaired(let repair) = $0 { repair } else { nil } }
        #expect(test.log.commit(spans([7])) == nil)
        #expect(told?.reason.contains("took its file away") == true && told?.spansLost == 0)
        #expect(try reader.segment(holding: 41)?.lastID == 41)
        #expect(try expectWhole(test.log, 41)?.lost == [])
        #expect(try test.log.consumer(1).cursor == Cursor(position: 6))
        test.log.close()
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 42 && again.log.status.repair == nil)
        try BooksTests.expectBalanced(again.log, "taken away")
    }

    @Test("a WAL that is taken away while the log is open costs nothing")
    func walDeletedWhileOpen() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 10)
        let reader = try test.log.reader()
        #expect(try reader.segment(holding: 1) != nil)
        try FileManager.default.removeItem(atPath: directory.spool + "-wal")
        usleep(1_100_000)
        for _ in 0..<3 { #expect(test.log.commit(spans([7])) == nil) }
        #expect(try reader.segment(holding: 43)?.lastID == 43)
        #expect(try expectWhole(test.log, 43) == nil)
        test.log.close()
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 44)
    }

    @Test("what a cut WAL has lost is known by its ids, and they are not given out again", arguments: [0, 1, 3, 9, 10])
    func cutWAL(kept: Int) throws {
        let directory = try TemporaryDirectory()
        let copy = try TemporaryDirectory()
        let test = try spool(directory, segments: 10)
        // As after a kill: the WAL lies there. Each commit of a segment takes one frame or more; it is cut in the middle of one.
        for end in ["", "-wal", ".lock"] {
            try FileManager.default.copyItem(atPath: directory.spool + end, toPath: copy.spool + end)
        }
        let size = try #require(SystemDisk().size(copy.spool + "-wal"))
        #expect(truncate(copy.spool + "-wal", size / 10 * kept + (kept == 10 ? size % 10 : 0)) == 0)
        let again = try TestLog(in: copy)
        let repair = try expectWhole(again.log, 40)
        #expect((repair == nil) == (kept == 10), "\(String(describing: repair))")
        withExtendedLifetime(test) {}
    }

    @Test("a spool that was deleted while nothing ran: the log goes on behind the ids that it had")
    func deletedFile() throws {
        let directory = try TemporaryDirectory()
        try spool(directory, segments: 3).log.close()
        try FileManager.default.removeItem(atPath: directory.spool)
        let again = try TestLog(in: directory)
        let repair = try expectWhole(again.log, 12)
        #expect(repair?.lost == [1...12] && repair?.reason == "its file was gone")
        // Whoever removes the lock as well wants to begin anew.
        again.log.close()
        for end in ["", ".lock"] { try FileManager.default.removeItem(atPath: directory.spool + end) }
        let fresh = try TestLog(in: directory)
        #expect(fresh.log.lastID == 0 && fresh.log.status.repair == nil)
    }

    @Test("a WAL whose database was removed while nothing ran is set aside as it is: its spans are nowhere else, and are told to be lost")
    func orphanedWAL() throws {
        let (directory, copy) = (try TemporaryDirectory(), try TemporaryDirectory())
        let test = try spool(directory, segments: 10)
        // As after a kill: the WAL lies there.
        for end in ["-wal", ".lock"] { try FileManager.default.copyItem(atPath: directory.spool + end, toPath: copy.spool + end) }
        let wal = try Data(contentsOf: URL(fileURLWithPath: copy.spool + "-wal"))
        #expect(!wal.isEmpty)
        let again = try TestLog(in: copy)
        let repair = try #require(try expectWhole(again.log, 40))
        let aside = try #require(repair.setAside)
        #expect(aside.hasPrefix(copy.spool + ".corrupt-") && aside.hasSuffix("-wal") && repair.lost == [1...40])
        #expect(try Data(contentsOf: URL(fileURLWithPath: aside)) == wal)
        withExtendedLifetime(test) {}
    }

    @Test("an older copy of the same spool: the ids between are lost; of another spool: it is another spool")
    func olderCopy() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 2)
        test.log.close()
        let copy = directory.spool + ".copy"
        try FileManager.default.copyItem(atPath: directory.spool, toPath: copy)
        let more = try TestLog(in: directory)
        #expect(more.log.commit(spans([1, 2, 3])) == nil)
        more.log.close()
        try FileManager.default.removeItem(atPath: directory.spool)
        try FileManager.default.copyItem(atPath: copy, toPath: directory.spool)
        let again = try TestLog(in: directory)
        #expect(try expectWhole(again.log, 11)?.lost == [9...11])
        again.log.close()
        try TestLog.tamper(copy, "UPDATE meta SET value = 'another' WHERE key = 'spool_id'")
        try FileManager.default.removeItem(atPath: directory.spool)
        try FileManager.default.copyItem(atPath: copy, toPath: directory.spool)
        let other = try TestLog(in: directory)
        #expect(other.log.lastID == 8 && other.log.status.repair == nil)
    }

    @Test(
        "a page of rubbish, found at the start or by a reader, costs the spans on it and nothing else", arguments: Seeds.thisRun,
        [true, false])
    func rubbish(seed: UInt64, running: Bool) throws {
        var rng = SeededRandom(seed: seed)
        let directory = try TemporaryDirectory()
        let delivered = Int64(rng.below(60))
        let test = try spool(directory, segments: 60, bytes: 3000 + rng.below(5000), delivered: delivered)
        test.log.close()
        let size = try #require(SystemDisk().size(directory.spool))
        func spoil(pages: Range<Int>) throws {
            let handle = try #require(FileHandle(forUpdatingAtPath: directory.spool))
            for _ in 0...rng.below(3) {
                try handle.seek(toOffset: UInt64(pages.lowerBound + rng.below(pages.count)) * 16384)
                handle.write(Data((0..<16384).map { _ in UInt8(rng.below(256)) }))
            }
            try handle.close()
        }
        // Running: not the first page, which says how large all others are.
        if !running { try spoil(pages: 0..<size / 16384) }
        let again = try TestLog(in: directory) { $0.cacheBytesMax = 0 }
        if running { try spoil(pages: 1..<size / 16384) }
        // Somebody reads all of it, as a delivery does.
        let reader = try again.log.reader()
        var next: Int64 = 1
        for _ in 0..<200 where next <= again.log.lastID {
            do {
                next = try reader.segment(holding: next).map { $0.lastID + 1 } ?? again.log.lastID + 1
            } catch {
                _ = again.log.flush()
            }
        }
        #expect(again.log.flush(), "again: TRACEFWD_SEED=\(seed)")
        let status = again.log.status
        #expect(status.accepted == 240, "again: TRACEFWD_SEED=\(seed)")
        // Where no page was spoilt that holds what anybody has read, nobody has noticed.
        if let repair = status.repair {
            let aside = try #require(repair.setAside)
            let findings = try LogReader.open(path: directory.spool).verify { _ in }
            #expect(SystemDisk().size(aside) == size, "again: TRACEFWD_SEED=\(seed)")
            #expect(findings == [], "\(repair), again: TRACEFWD_SEED=\(seed)")
            let lost = Set(repair.lost.flatMap(Array.init))
            let kept = Set(try readable(directory.spool))
            #expect(kept.isDisjoint(with: lost) && kept.union(lost) == Set(1...240), "\(repair), again: TRACEFWD_SEED=\(seed)")
        }
        for consumer in status.consumers.values { #expect(consumer.balances, "again: TRACEFWD_SEED=\(seed)") }
    }

    @Test("whichever page is rubbish, the next start goes on, and what it has noticed is mended")
    func eachPage() throws {
        let directory = try TemporaryDirectory()
        try spool(directory, segments: 12, bytes: 4000, delivered: 6).log.close()
        let good = try Data(contentsOf: URL(fileURLWithPath: directory.spool))
        var rng = SeededRandom(seed: 1)
        #expect(good.count > 12 * 16384)
        for page in 0..<good.count / 16384 {
            let copy = try TemporaryDirectory()
            var bad = good
            bad.replaceSubrange(page * 16384..<(page + 1) * 16384, with: (0..<16384).map { _ in UInt8(rng.below(256)) })
            try bad.write(to: URL(fileURLWithPath: copy.spool))
            try FileManager.default.copyItem(atPath: directory.spool + ".lock", toPath: copy.spool + ".lock")
            let again = try TestLog(in: copy) { $0.cacheBytesMax = 0 }
            #expect(again.log.lastID == 48, "page \(page)")
            guard let repair = again.log.status.repair else { continue }
            let lost = Set(repair.lost.flatMap(Array.init))
            let kept = Set(try readable(copy.spool))
            // What was delivered to all and is not there any more is history, not a loss.
            #expect(kept.isDisjoint(with: lost) && kept.union(lost).isSuperset(of: 7...48), "page \(page): \(repair)")
            #expect(try LogReader.open(path: copy.spool).verify { _ in } == [], "page \(page)")
        }
    }

    /// What the next start finds.
    enum Finding: CaseIterable {
        /// The file is gone.
        case gone
        /// The file is on another machine, where it gets a name of its own, and its newest commits are gone.
        case moved
    }

    @Test("wherever the start dies that finds them gone, ids are not given out twice", arguments: Finding.allCases)
    func deathWhileMending(finding: Finding) throws {
        var (failing, calls) = (0, 0)
        repeat {
            let disk = SimulatedDisk(seed: 1)
            var options = SpoolOptions(path: "/spool.db")
            (options.disk, options.reserveBytes) = (disk, 0)
            func open() throws -> SpanLog { try SpanLog(options, clock: .system, beat: {}, turnedByCaller: true) }
            func take(_ log: SpanLog) {
                var batch = spans([10, 20, 30])
                _ = log.append(&batch, wantsAck: true)
                #expect(log.flush())
            }
            let before = try open()
            take(before)
            let other = try Database(path: "/spool.db", readOnly: false, vfs: disk.vfs)
            try other.execute("UPDATE meta SET value = 'another' WHERE key = 'machine'; PRAGMA wal_checkpoint")
            take(before)
            #expect(before.lastID == 6)
            // Whoever is killed closes nothing: they live on, with files that nobody else sees.
            disk.kill()
            if finding == .gone { disk.remove("/spool.db") }
            disk.shorten("/spool.db-wal", to: 0)
            let start = disk.callCount
            disk.setFault { $0.number > start + failing ? SQLITE_IOERR : nil }
            let dies = try? open()
            calls = disk.callCount - start
            disk.kill()
            disk.setFault { _ in nil }
            let again = try open()
            #expect(again.lastID == 6, "\(finding), call \(failing + 1)")
            take(again)
            #expect(again.lastID == 9, "\(finding), call \(failing + 1)")
            withExtendedLifetime((before, other, dies)) {}
            failing += 1
        } while calls >= failing
        #expect(failing > 30)
    }

    @Test(
        "books that cannot be right are mended: a cursor says what is settled, an unreadable one begins again",
        arguments: [
            "UPDATE consumers SET settled = 'nonsense'", "UPDATE consumers SET state = 'asleep'",
            "INSERT INTO ledger VALUES (1, 'eaten', '', '', 1, 1)", "UPDATE segments SET last_id = 9223372036854775807",
        ])
    func books(sql: String) throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 3, delivered: 6)
        test.log.close()
        try TestLog.tamper(directory.spool, sql)
        let again = try TestLog(in: directory)
        let repair = try #require(again.log.status.repair)
        let aside = try #require(repair.setAside)
        #expect(again.log.lastID == 12 && SystemDisk().size(aside) != nil)
        // Whoever tells it names the spool.
        #expect(!repair.reason.contains(directory.spool) && repair.reason.hasPrefix("damaged: "))
        let consumer = try again.log.register("a", backlog: .none)
        #expect(
            consumer.cursor.position == (sql.hasPrefix("UPDATE consumers") ? 0 : 6)
                && repair.cursorsLost == sql.hasPrefix("UPDATE consumers"))
        #expect(try LogReader.open(path: directory.spool).verify { _ in } == [])
    }

    @Test("a destination whose cursor cannot be read begins again, though that of another can: it is not put at the log's end")
    func oneCursorOfTwo() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 3, delivered: 6)
        let other = try test.log.register("b", backlog: .none)
        #expect(test.log.commit(spans([10, 20])) == nil)
        try test.log.deliver(other.id, 13...13)
        test.log.close()
        try TestLog.tamper(directory.spool, "UPDATE consumers SET base = -9223372036854775807 - 1, settled = 'nonsense' WHERE name = 'a'")
        let again = try TestLog(in: directory)
        let repair = try #require(again.log.status.repair)
        #expect(repair.cursorsLost && repair.restarted == ["a"] && repair.sentence.contains("a gets all that is there again"))
        #expect(try again.log.register("a", backlog: .none).cursor == Cursor(position: 0))
        #expect(try again.log.register("b", backlog: .none).cursor == Cursor(position: 13))
        #expect(try LogReader.open(path: directory.spool).verify { _ in } == [])
    }

    @Test(
        "what keeps a damaged file from being read and is not in it makes no empty spool of it: the start fails, the file stays",
        arguments: [(true, SQLITE_CANTOPEN), (false, SQLITE_BUSY), (false, FaultyVFS.noIndex), (false, FaultyVFS.readFailed)])
    func unreadableForNow(opening: Bool, code: Int32) throws {
        let vfs = FaultyVFS()
        let directory = try TemporaryDirectory()
        try spool(directory, segments: 3, delivered: 6).log.close()
        try TestLog.tamper(directory.spool, "UPDATE consumers SET settled = 'nonsense'")
        vfs.set { if opening { $0.readOnlyOpenFails = code } else { $0.readOnlyReadFails = code } }
        func open() throws -> TestLog { try TestLog(in: directory) { $0.disk = SystemDisk(vfs: vfs.name) } }
        guard code != FaultyVFS.readFailed else {
            // Sectors that cannot be read will not come back: the spool goes on behind all that they held.
            let again = try open()
            #expect(again.log.lastID == 12 && again.log.status.repair?.lost == [1...12])
            return
        }
        #expect(throws: SpoolError.self) { try open() }
        #expect(try readable(directory.spool) == Array(1...12))
        vfs.set { ($0.readOnlyOpenFails, $0.readOnlyReadFails) = (nil, nil) }
        let again = try open()
        #expect(try readable(directory.spool) == Array(1...12) && again.log.status.repair?.lost == [])
    }

    @Test("where nothing at all can be read, all ids that were given out are gone, and nothing is said to come again")
    func nothingLeft() throws {
        let directory = try TemporaryDirectory()
        try spool(directory, segments: 3, delivered: 6).log.close()
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: directory.spool))
        let again = try TestLog(in: directory)
        #expect(try expectWhole(again.log, 12)?.lost == [1...12])
    }

    @Test("a crash in the middle of making the fresh file, or of putting it in its place, loses nothing", arguments: 0...3)
    func crashWhileRebuilding(step: Int) throws {
        let directory = try TemporaryDirectory()
        try spool(directory, segments: 3).log.close()
        let (path, files) = (directory.spool, FileManager.default)
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        switch step {
        case 0:
            // The fresh file is half written: the old one is still the spool.
            try good.prefix(20000).write(to: URL(fileURLWithPath: path + ".building"))
        case 1:
            // It is whole, the old one still has the name.
            try files.copyItem(atPath: path, toPath: path + ".rebuilt")
            try Data("rubbish".utf8).write(to: URL(fileURLWithPath: path))
        case 2:
            // The old one has gone aside.
            try files.moveItem(atPath: path, toPath: path + ".rebuilt")
        default:
            // As 2, with the old WAL still there: it belongs to the old file.
            try files.moveItem(atPath: path, toPath: path + ".rebuilt")
            try Data("rubbish".utf8).write(to: URL(fileURLWithPath: path + "-wal"))
        }
        let again = try TestLog(in: directory)
        #expect(try readable(path) == Array(1...12) && again.log.lastID == 12)
        let aside = try files.contentsOfDirectory(atPath: directory.path).filter { $0.contains(".corrupt-") }
        #expect(aside.count == [0, 1, 0, 1][step], "\(aside)")
        for end in [".rebuilt", ".building"] { #expect(!files.fileExists(atPath: path + end)) }
    }

    @Test("a person may ask for it while no daemon runs; who has the spool open is left alone")
    func recovery() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, segments: 3, delivered: 6)
        #expect(throws: SpoolError.locked(path: directory.spool)) { try Recovery(path: directory.spool).run() }
        test.log.close()
        try TestLog.tamper(directory.spool, "UPDATE segments SET payload = zeroblob(length(payload)) WHERE first_id = 5")
        let repair = try Recovery(path: directory.spool).run()
        #expect(repair.lost == [5...8] && repair.spansKept == 8 && SystemDisk().size(repair.setAside ?? "") != nil)
        let again = try TestLog(in: directory)
        #expect(try readable(directory.spool) == [1, 2, 3, 4, 9, 10, 11, 12] && again.log.lastID == 12)
        #expect(try again.log.consumer(1).cursor == Cursor(position: 6))
        #expect(try LogReader.open(path: directory.spool).verify { _ in } == [])
    }

    @Test("a witness is read as it was written, and one that is cut or foreign is none")
    func witness() {
        let witness = Witness(spoolID: SpoolIdentity.uuid(), lastID: 1 << 40, logOffset: 7)
        #expect(Witness(witness.bytes) == witness && Witness(witness.bytes + [0, 0, 1]) == witness)
        #expect(
            Witness(spoolID: "x", lastID: 0, logOffset: .max / 2).bytes.count
                == Witness(spoolID: "x", lastID: .max / 4, logOffset: 0).bytes.count)
        for count in 0..<witness.bytes.count { #expect(Witness(Array(witness.bytes.prefix(count))) == nil) }
        #expect(Witness(Array("spool a last_id -1 bytes 0\n".utf8)) == nil && Witness([0xff, 0x0a]) == nil)
    }
}
