import SpanModel
import Spool
import Testing

@testable import Delivery

@Suite("a batch closes at its first limit")
struct BatchTests {
    @Test("at max_spans, at once")
    func spans() throws {
        let world = try World([spec()])
        world.append(25)
        world.step()
        #expect(world.wire.sent.map(\.spans) == [Array(1...10), Array(11...20)])
        world.run()
        #expect(world.wire.sent.last?.spans == Array(21...25))
        try world.checkSettled()
    }

    @Test("at max_bytes, before the span that would pass it")
    func bytes() throws {
        let world = try World([spec { $0.limits = BatchLimits(spans: 10, bytes: 1000) }])
        world.append(5, bytes: 400)
        world.run()
        #expect(world.wire.sent.map(\.spans) == [[1, 2], [3, 4], [5]])
        try world.checkSettled()
    }

    @Test("at linger, measured from its first span; spans that come meanwhile join it")
    func linger() throws {
        let world = try World([spec()])
        world.append(1)
        #expect(world.step() == world.time.monotonic + 200_000_000)
        world.time.advance(.milliseconds(150))
        world.append(2)
        world.step()
        #expect(world.wire.sent.isEmpty)
        world.time.advance(.milliseconds(49))
        world.step()
        #expect(world.wire.sent.isEmpty)
        world.time.advance(.milliseconds(1))
        world.step()
        #expect(world.wire.sent.map(\.spans) == [[1, 2, 3]])
    }

    @Test("a span larger than max_bytes stands alone, wherever it stands")
    func huge() throws {
        let world = try World([spec()])
        world.append(2)
        world.append(1, bytes: 50_000)
        world.append(2)
        world.append(1, bytes: 10_000)
        world.run()
        #expect(world.wire.sent.map(\.spans).sorted { $0[0] < $1[0] } == [[1, 2], [3], [4, 5], [6]])
        try world.checkSettled()
    }

    @Test("across segments of the log, and of a backlog of many")
    func segments() throws {
        let world = try World([spec()])
        for _ in 0..<33 { world.append(3) }
        world.run()
        #expect(world.wire.sent.map(\.spans.count) == Array(repeating: 10, count: 9) + [9])
        #expect(world.wire.taken["a"]?.values.allSatisfy { $0 == 1 } == true)
        try world.checkSettled()
    }

    @Test("several requests of one batch carry each span once")
    func requests() throws {
        let world = try World([spec("a", TestDestination(requestSpans: 4))])
        world.append(25)
        world.run()
        #expect(world.wire.sent.flatMap(\.spans).sorted() == Array(1...25))
        #expect(world.wire.sent.allSatisfy { $0.spans.count <= 4 })
        try world.checkSettled()
    }

    @Test("several requests of one batch fail one by one")
    func requestsFail() throws {
        let world = try World([spec("a", TestDestination(requestSpans: 4))])
        var failures = 0
        world.wire.script = { sent in
            guard sent.spans.contains(5), failures < 3 else { return .status(200) }
            failures += 1
            return .status(503)
        }
        world.append(10)
        world.run(.seconds(60))
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...10).map { ($0, 1) }))
        try world.checkSettled()
    }

    @Test("spans that are settled already are stepped over, wherever they lie (a restart finds such gaps)")
    func gaps() throws {
        let world = try World([spec { $0.limits.spans = 100 }])
        world.append(50)
        var cursor = Cursor(position: 0)
        for ids in [3...5, 10...11, 20...29, 49...50] as [ClosedRange<Int64>] { cursor.settle(ids) }
        var settlement = Settlement(consumer: try world.consumer().id, cursor: cursor)
        settlement.add(LedgerKey(.delivered), Tally(spans: cursor.settledBeyond))
        world.log.settle(settlement)
        try world.restart()
        world.run()
        #expect(world.wire.sent.map(\.spans).sorted { $0[0] < $1[0] } == [[1, 2], Array(6...9), Array(12...19), Array(30...48)])
        try world.checkSettled()
    }

    @Test(
        "a spool with as many gaps as there may be is delivered to its end", arguments: [.fifo, .liveFirst] as [DeliverySettings.CatchUp])
    func crowded(catchUp: DeliverySettings.CatchUp) throws {
        let world = try World([spec { $0.catchUp = catchUp }])
        world.append(200)
        var cursor = Cursor(position: 0)
        for id in stride(from: Int64(2), through: 128, by: 2) { cursor.settle(id...id) }
        #expect(cursor.settled.count == 64)
        var settlement = Settlement(consumer: try world.consumer().id, cursor: cursor)
        settlement.add(LedgerKey(.delivered), Tally(spans: cursor.settledBeyond))
        world.log.settle(settlement)
        try world.restart()
        world.wire.script = { _ in .status(503) }
        world.run(.seconds(60))
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(300))
        #expect(Set(world.wire.taken["a"]?.values ?? [:].values) == [1])
        #expect(world.wire.taken["a"]?.count == 200 - 64)
        try world.checkSettled()
    }
}
