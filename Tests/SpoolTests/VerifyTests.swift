import CSQLite
import Foundation
import SpanModel
import Testing

@testable import Spool

@Suite struct VerifyTests {
    private func spool() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        for _ in 0..<4 { #expect(test.log.commit(spans([100, 200, 300])) == nil) }
        let consumer = try test.log.register("a", from: 0, backlog: .none)
        try test.log.deliver(consumer.id, 1...6)
        try test.log.deliver(consumer.id, 8...9)
        var settlement = Settlement(consumer: consumer.id, cursor: try test.log.consumer(consumer.id).cursor)
        settlement.cursor.settle(11...11)
        settlement.add(LedgerKey(.dead, reason: "refused"), Tally(spans: 1))
        settlement.dead = [BooksTests.letter(consumer.id, 11, stored: spans([200]))]
        test.log.settle(settlement)
        test.log.close()
        return directory
    }

    @Test("a sound spool has no findings, and progress counts every span")
    func sound() throws {
        let directory = try spool()
        var seen: [Int64] = []
        #expect(try LogReader.open(path: directory.spool).verify { seen.append($0) } == [])
        #expect(seen == [3, 6, 9, 12])
    }

    @Test("beside a daemon it is read in pieces: between two of them the daemon may empty its WAL, trim and append, and nothing is found")
    func besideDaemon() throws {
        // No history: what is settled goes at once.
        let test = try TestLog { $0.history = .zero }
        test.log.trustClock()
        let consumer = try test.log.register("a", from: 0, backlog: .none)
        for _ in 0..<4 { #expect(test.log.commit(spans([100, 200, 300])) == nil) }
        var seen: [Int64] = []
        let findings = try LogReader.open(path: test.options.path).verify(pieceBytes: 1) { count in
            seen.append(count)
            guard seen.count == 2 else { return }
            #expect(test.log.commit(spans([70, 80])) == nil)
            try? test.log.deliver(consumer.id, 1...14)
            for _ in 0..<1000 where test.log.status.oldestID < 13 { usleep(10_000) }
            #expect(test.log.status.oldestID == 13)
        }
        #expect(findings == [] && seen == [3, 6, 8])
    }

    @Test(
        "each damage is found, and none crashes the one who looks",
        arguments: [
            ("DELETE FROM segments WHERE first_id = 4", "ids 4 to 6 are missing"),
            ("UPDATE segments SET directory = x'01' WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET directory = x'' WHERE first_id = 4", "segment 4: its directory"),
            ("UPDATE segments SET payload = substr(payload, 2) WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET payload = NULL WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET last_id = 7 WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET last_id = 9223372036854775807 WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET last_id = -9223372036854775808 WHERE first_id = 4", "segment 4: its directory does not fit its payload"),
            ("UPDATE segments SET first_id = -9223372036854775808 WHERE first_id = 1", "its directory does not fit its payload"),
            ("UPDATE segments SET log_offset = 601 WHERE first_id = 4", "segment 4: log_offset is wrong"),
            ("UPDATE segments SET log_offset = 9223372036854775807 WHERE first_id = 4", "segment 4: log_offset is wrong"),
            ("UPDATE ledger SET spans = spans + 1 WHERE outcome = 'delivered'", "books of a: 9 ids settled, the ledger has 10"),
            ("DELETE FROM ledger", "books of a: 9 ids settled, the ledger has 0"),
            ("UPDATE consumers SET position = position + 1", "books of a"),
            ("UPDATE consumers SET base = -9223372036854775808", "books of a"),
            ("UPDATE consumers SET settled = 'gibberish'", "books of a"),
            ("UPDATE consumers SET settled = ''", "books of a: 6 ids settled, the ledger has 9"),
            ("UPDATE consumers SET position = 500, settled = '502-502'", "books of a: settled up to id 502, the log ends at 12"),
            ("DELETE FROM dead_letters", "dead letters of a"),
            ("DELETE FROM dead_spans", "dead letter 11 of a"),
            ("UPDATE dead_spans SET directory = x'01'", "dead letter 11 of a"),
            ("INSERT INTO dead_spans VALUES (3, x'01', x'')", "dead span 3"),
        ])
    func damage(sql: String, finding: String) throws {
        let directory = try spool()
        try TestLog.tamper(directory.spool, sql)
        let findings = try LogReader.open(path: directory.spool).verify { _ in }
        #expect(findings.contains { $0.contains(finding) }, "\(findings)")
    }

    @Test("a page of rubbish is found by SQLite's own check", arguments: Seeds.thisRun)
    func rubbish(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let directory = try spool()
        let handle = try #require(FileHandle(forUpdatingAtPath: directory.spool))
        let pages = Int(try handle.seekToEnd() / 16384)
        let page = 2 + rng.below(pages - 2)
        try handle.seek(toOffset: UInt64(page) * 16384)
        handle.write(Data((0..<16384).map { _ in UInt8(rng.below(256)) }))
        try handle.close()
        let findings: [String]
        do {
            findings = try LogReader.open(path: directory.spool).verify { _ in }
        } catch {
            // So bad that it cannot be read on: that is said as well.
            guard case .sqlite(_, let error) = error as? SpoolError, error.isCorrupt else { throw error }
            return
        }
        #expect(!findings.isEmpty, "page \(page + 1) of \(pages), again: TRACEFWD_SEED=\(seed)")
    }

    @Test("a reader passes over a damaged segment, reads its neighbours, and never crashes")
    func reading() throws {
        let directory = try spool()
        try TestLog.tamper(
            directory.spool,
            "UPDATE segments SET directory = x'01ff' WHERE first_id = 4; UPDATE segments SET last_id = 9223372036854775807 WHERE first_id = 10"
        )
        let reader = try LogReader.open(path: directory.spool)
        #expect(try reader.segment(holding: 2)?.firstID == 1)
        #expect(try reader.segment(holding: 5)?.firstID == 7)
        #expect(try reader.segment(holding: 7)?.firstID == 7)
        #expect(try reader.segment(holding: 11) == nil)
    }
}
