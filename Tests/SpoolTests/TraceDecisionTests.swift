import SpanModel
import Testing

@testable import Spool

@Suite("decisions over traces")
struct TraceDecisionTests {
    private func decision(_ number: UInt64, at: UInt64) throws -> TraceDecision {
        let bytes = [UInt8](repeating: 1, count: 8) + withUnsafeBytes(of: number.bigEndian, Array.init)
        let trace = try #require(bytes.withUnsafeBytes { TraceID($0) })
        return TraceDecision(route: "r", trace: trace, verdict: Int64(number % 3), through: Int64(number), at: at)
    }

    private func settle(_ decisions: [TraceDecision], number: Int64, forgetting: [TraceDecision] = [], _ consumer: Consumer, _ log: SpanLog)
    {
        var settlement = Settlement(consumer: consumer.id, cursor: consumer.cursor)
        (settlement.decisions, settlement.decisionsNumber) = (decisions, number)
        settlement.forgottenTraces = forgetting.map { TracedRoute(route: $0.route, trace: $0.trace) }
        log.settle(settlement)
    }

    @Test("a decision is on disk with its settlement, is there after a restart, and goes when it is forgotten")
    func kept() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        let a = try test.log.register("a", backlog: BacklogLimit(bytes: 1, expires: true))
        let b = try test.log.register("b", backlog: BacklogLimit(bytes: 1, expires: true))
        let (one, two) = (try decision(1, at: 100), try decision(2, at: 200))
        settle([two], number: 1, a, test.log)
        settle([one], number: 2, a, test.log)
        settle([one], number: 1, b, test.log)
        #expect(test.log.flush())
        #expect(test.log.decisionsSaved(of: a.id) == 2)
        #expect(try test.log.reader().traceDecisions(consumer: a.id, limit: 10) == [one, two])
        #expect(try test.log.reader().traceDecisions(consumer: a.id, limit: 1) == [two], "the newest")
        test.log.close()
        let again = try TestLog(in: directory)
        #expect(try again.log.reader().traceDecisions(consumer: a.id, limit: 10) == [one, two])
        #expect(again.log.decisionsSaved(of: a.id) == 0, "numbers begin anew with each start")
        let three = try decision(3, at: 300)
        settle([three], number: 1, forgetting: [one], a, again.log)
        #expect(again.log.flush())
        #expect(try again.log.reader().traceDecisions(consumer: a.id, limit: 10) == [two, three])
        #expect(try again.log.reader().traceDecisions(consumer: b.id, limit: 10) == [one])
    }

    @Test("a spool of schema 2 is brought to 3 as it is")
    func migration() throws {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        #expect(test.log.commit(spans([10, 20])) == nil)
        test.log.close()
        try TestLog.tamper(directory.spool, "DROP TABLE traces; PRAGMA user_version=2")
        let again = try TestLog(in: directory)
        #expect(try again.log.stored().map(\.bytes.count) == [10, 20])
        #expect(try again.log.reader().traceDecisions(consumer: 1, limit: 10) == [])
    }
}
