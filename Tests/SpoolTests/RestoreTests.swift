import Foundation
import SpanModel
import Testing

@testable import Spool

@Suite struct RestoreTests {
    /// A spool of so many spans of one consumer, of which it has the first half.
    private func spool(_ directory: TemporaryDirectory, spans count: Int) throws -> TestLog {
        let test = try TestLog(in: directory)
        for _ in 0..<count { #expect(test.log.commit(spans([50])) == nil) }
        let consumer = try test.log.register("a", from: 0, backlog: .none).id
        if count > 1 { try test.log.deliver(consumer, 1...Int64(count / 2)) }
        return test
    }

    @Test("a restored spool goes on where the copy was made; the one that stood there is set aside, whole")
    func goesOn() throws {
        let (directory, place) = (try TemporaryDirectory(), try TemporaryDirectory())
        let test = try spool(directory, spans: 10)
        let copy = try Backup(of: directory.spool).write(to: place.path + "/copy.db")
        for _ in 0..<5 { #expect(test.log.commit(spans([60])) == nil) }
        test.log.close()
        chmod(directory.spool, 0o640)

        let summary = try Restore(into: directory.spool).run(from: copy.path)
        let aside = try #require(summary.setAside)
        #expect(
            aside.hasPrefix(directory.spool + ".before-restore-2") && summary.spool.path == directory.spool && summary.spool.lastID == 10)
        #expect(try LogReader.open(path: aside).verify { _ in } == [])
        #expect(try LogReader.open(path: aside).segment(holding: 15)?.lastID == 15)
        var status = stat()
        #expect(stat(directory.spool, &status) == 0 && status.st_mode & 0o777 == 0o640)

        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 10)
        #expect(try again.log.consumer(1).cursor.position == 5)
        #expect(Set([again.log.status.spoolID, copy.spoolID, test.log.status.spoolID]).count == 3)
        #expect(again.log.commit(spans([70])) == nil && again.log.lastID == 11)
        try BooksTests.expectBalanced(again.log, "after a restore")
    }

    @Test("two restores in one second: the second does not take the name of what the first has set aside")
    func twice() throws {
        let (directory, place) = (try TemporaryDirectory(), try TemporaryDirectory())
        let test = try spool(directory, spans: 10)
        let copy = try Backup(of: directory.spool).write(to: place.path + "/copy.db")
        test.log.close()
        let aside = try (0..<3).map { _ in try Restore(into: directory.spool).run(from: copy.path).setAside }
        #expect(Set(aside).count == 3)
        for file in aside { #expect(try LogReader.open(path: try #require(file)).verify { _ in } == []) }
    }

    @Test("what was acknowledged and lies in the WAL alone is in the file that is set aside")
    func wal() throws {
        let (directory, place) = (try TemporaryDirectory(), try TemporaryDirectory())
        let test = try spool(directory, spans: 4)
        let copy = try Backup(of: directory.spool).write(to: place.path + "/copy.db")
        // A process that was killed: its files as they are, WAL and all.
        let crashed = try TemporaryDirectory()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: directory.spool + suffix, toPath: crashed.spool + suffix)
        }
        #expect(try FileManager.default.attributesOfItem(atPath: crashed.spool + "-wal")[.size] as? Int ?? 0 > 0)
        let summary = try Restore(into: crashed.spool).run(from: copy.path)
        let reader = try LogReader.open(path: try #require(summary.setAside))
        #expect(try reader.segment(holding: 4)?.lastID == 4)
        #expect(try reader.verify { _ in } == [])
        withExtendedLifetime(test) {}
    }

    @Test("a spool that a daemon has open is left alone")
    func locked() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, spans: 4)
        let copy = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        #expect(throws: RestoreError.spool(.locked(path: directory.spool))) {
            try Restore(into: directory.spool).run(from: copy.path)
        }
        #expect(test.log.commit(spans([10])) == nil)
    }

    @Test(
        "a copy with something wrong in it changes nothing, and what is wrong is said",
        arguments: [
            "UPDATE ledger SET spans = spans + 1", "DELETE FROM segments WHERE first_id = 3", "UPDATE segments SET directory = x'01'",
        ])
    func unsound(sql: String) throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, spans: 8)
        let copy = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        test.log.close()
        try TestLog.tamper(copy.path, sql)
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.spool))
        #expect {
            try Restore(into: directory.spool).run(from: copy.path)
        } throws: { error in
            if case .unsound(copy.path, let findings) = error as? RestoreError { !findings.isEmpty } else { false }
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.spool)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.contains("restore") } == [])
    }

    @Test("a damaged spool makes way for a copy, and is kept with its WAL")
    func damaged() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, spans: 8)
        let copy = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        test.log.close()
        for suffix in ["", "-wal"] { try Data("nonsense".utf8).write(to: URL(fileURLWithPath: directory.spool + suffix)) }
        let summary = try Restore(into: directory.spool).run(from: copy.path)
        let aside = try #require(summary.setAside)
        #expect(try Data(contentsOf: URL(fileURLWithPath: aside)) == Data("nonsense".utf8))
        #expect(try Data(contentsOf: URL(fileURLWithPath: aside + "-wal")) == Data("nonsense".utf8))
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 8)
        try BooksTests.expectBalanced(again.log, "after a restore")
    }

    @Test("a repair that a crash left half done is finished first, so that the next start does not put it in the copy's place")
    func halfRepaired() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, spans: 8)
        let copy = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        test.log.close()
        try FileManager.default.copyItem(atPath: directory.spool, toPath: directory.spool + ".rebuilt")
        let summary = try Restore(into: directory.spool).run(from: copy.path)
        let again = try TestLog(in: directory)
        #expect(again.log.status.spoolID == summary.spool.spoolID)
        #expect(again.log.lastID == 8)
    }

    @Test("where no spool stands, one is made of the copy, with its directory")
    func fresh() throws {
        let directory = try TemporaryDirectory()
        let test = try spool(directory, spans: 3)
        let copy = try Backup(of: directory.spool).write(to: directory.path + "/copy.db")
        withExtendedLifetime(test) {}
        let summary = try Restore(into: directory.path + "/new/spool.db").run(from: copy.path)
        #expect(summary.setAside == nil)
        #expect(try LogReader.open(path: directory.path + "/new/spool.db").verify { _ in } == [])
    }
}
