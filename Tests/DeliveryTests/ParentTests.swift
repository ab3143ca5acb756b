import CEL
import SpanModel
import Testing

@testable import Delivery
@testable import Pipeline

/// A platform that needs the parents of all spans. A request's body has a line a span: its number, and its parent's as it is sent.
private struct FamilyDestination: Destination {
    static let type = "family"
    var declaration = Declaration(limits: BatchLimits(spans: 100, bytes: 100_000), parents: .keep)
    var outlet = Outlet.http(HTTPOptions())
    var target = "the test"

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        let lines = batch.map { span in
            let link = span.withFields { SpanLink($0, remoteParent: .keep) }
            let sent = link.flatMap { context.parents?.resolve($0) }
            return "\(sent?.key.span.bits ?? 0)<\(sent?.parent?.bits ?? 0)"
        }
        return [Request(url: context.destination, body: Array(lines.joined(separator: " ").utf8), spans: batch.indices)]
    }

    func judge(_ response: Response, to request: Request) -> Verdict {
        response.status == 200 ? .delivered() : .retry(detail: "status \(response.status)")
    }
}

@Suite("Parents on the way")
struct ParentTests {
    /// The destination gets what user 0 sends.
    private func world() throws -> World {
        let environment = Environment.ofSpans(RuleHost())
        let route = Route(
            name: "r", selection: .when(try environment.compile("sender == 'u0'", returning: .bool)), to: ["a"], drops: false,
            isFinal: false,
            sampler: nil, transformation: nil)
        let rules = Rules(routes: [route], destinations: ["a"], prices: nil, host: RuleHost(userName: { "u\($0)" }))
        var spec = spec("a", TestDestination())
        spec.destination = FamilyDestination()
        spec.settings.limits = FamilyDestination().declaration.limits
        return try World([spec], rules: rules)
    }

    /// Spans of one trace: number, parent (0: none), and who sends them.
    private func append(_ spans: [(number: UInt64, parent: UInt64, sender: UInt32)], to world: World) {
        var batch = SpanBatch()
        for span in spans {
            func id(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
            var message: [UInt8] = [0x0a, 16] + id(1) + id(1) + [0x12, 8] + id(span.number)
            if span.parent != 0 { message += [0x22, 8] + id(span.parent) }
            let inner: [UInt8] = [0x12, UInt8(message.count)] + message
            let bytes: [UInt8] = [0x12, UInt8(inner.count)] + inner
            batch.entries.append(
                SpanEntry(
                    offset: UInt32(batch.payload.count), length: UInt32(bytes.count), resourceLength: 0, scopeLength: 0,
                    receivedAt: world.time.wall, traceHash: 1, sender: span.sender, source: SourceID.unix.rawValue))
            batch.payload += bytes
        }
        guard case .taken = world.log.append(&batch, wantsAck: true) else {
            Issue.record("the spool took nothing")
            return
        }
        #expect(world.log.flush())
        world.run(.seconds(2))
    }

    private func sent(_ world: World) -> [String] { world.wire.sent.map { String(decoding: $0.request.body, as: UTF8.self) } }
    private func orphans(_ world: World) -> Int64? { world.loop.status().first?.orphans }

    @Test("a span whose parent a route dropped hangs under the nearest ancestor that went, in whichever order they came")
    func reparented() throws {
        for order in [[3, 2, 1], [1, 2, 3], [2, 3, 1]] as [[UInt64]] {
            let world = try world()
            append(order.map { ($0, $0 - 1, $0 == 2 ? 1 : 0) }, to: world)
            #expect(sent(world) == [order.filter { $0 != 2 }.map { $0 == 3 ? "3<1" : "1<0" }.joined(separator: " ")])
            world.run(.seconds(2 * 3600))
            #expect(orphans(world) == 0)
        }
    }

    @Test("a span that went before a route dropped its parent is counted at once, one whose parent does not come within the hour then")
    func orphans() throws {
        let world = try world()
        append([(3, 2, 0)], to: world)
        #expect(sent(world) == ["3<2"])
        #expect(orphans(world) == 0)
        append([(2, 1, 1)], to: world)
        #expect(orphans(world) == 1)
        // Later children know.
        append([(4, 2, 0)], to: world)
        #expect(sent(world).last == "4<1")
        world.run(.seconds(3590))
        #expect(orphans(world) == 1)
        // 4 hangs under 1, which never comes; so would 2 have.
        append([(9, 0, 0)], to: world)
        world.run(.seconds(20))
        append([(10, 0, 0)], to: world)
        #expect(orphans(world) == 2)
    }

    @Test("a retry is sent under the parent that it has by then, and counts once")
    func retried() throws {
        let world = try world()
        var answers: [Answer] = [.status(503), .status(200)]
        world.wire.script = { _ in answers.isEmpty ? .status(200) : answers.removeFirst() }
        append([(3, 2, 0), (2, 1, 1), (1, 0, 0)], to: world)
        world.run(.seconds(30))
        #expect(sent(world) == ["3<1 1<0", "3<1 1<0"])
        world.run(.seconds(2 * 3600))
        #expect(orphans(world) == 0)
    }

    @Test("what is remembered outlives a reload; a destination that does not need it has no counter")
    func reload() throws {
        let world = try world()
        append([(2, 1, 1)], to: world)
        try world.reload(world.specs, rules: world.rules)
        append([(3, 2, 0)], to: world)
        #expect(sent(world) == ["3<1"])
        let plain = try World([spec()])
        plain.append(1)
        plain.run()
        #expect(orphans(plain) == nil)
    }

    @Test("a restart forgets no parent that the log still holds, dropped or delivered, and counts nothing twice")
    func restart() throws {
        let world = try world()
        append([(2, 1, 1), (1, 0, 0)], to: world)
        // 5 hangs under 4, which comes later and is dropped; 7 under 6, which was dropped after it.
        append([(5, 4, 0), (7, 6, 0)], to: world)
        append([(6, 0, 1)], to: world)
        #expect(orphans(world) == 1)
        try world.restart()
        #expect(orphans(world) == 0, "it was told before")
        append([(3, 2, 0)], to: world)
        #expect(sent(world).last == "3<1", "2 was dropped before the start")
        append([(8, 1, 0)], to: world)
        append([(4, 1, 1)], to: world)
        #expect(orphans(world) == 1, "5 has lost its parent")
        world.run(.seconds(2 * 3600))
        append([(9, 0, 0)], to: world)
        #expect(orphans(world) == 1, "1 was delivered before the start")
    }

    @Test("an hour that began before a restart ends after it")
    func waitsOn() throws {
        let world = try world()
        append([(3, 2, 0)], to: world)
        world.run(.seconds(3000))
        try world.restart()
        world.run(.seconds(500))
        append([(9, 0, 0)], to: world)
        #expect(orphans(world) == 0)
        world.run(.seconds(120))
        append([(10, 0, 0)], to: world)
        #expect(orphans(world) == 1)
    }

    @Test("what was before a destination's time, or is over history, is no news to it")
    func earlier() throws {
        let world = try world()
        append((1...20).map { ($0, 0, 0) }, to: world)
        // It is new: it begins at the end.
        var later = world.specs[0]
        later.name = "b"
        try world.restart([world.specs[0], later])
        append([(30, 1, 0)], to: world)
        world.run(.seconds(2 * 3600))
        append([(31, 0, 0)], to: world)
        #expect(world.loop.status().first { $0.name == "b" }?.orphans == 1)
    }

    @Test("429 without a time waits 5 s, 10 s, 20 s, ... at most 10 min where the platform asks for that, the whole destination")
    func throttled() throws {
        var destination = TestDestination()
        destination.declaration.throttleWait = ThrottleWait(base: .seconds(5), cap: .seconds(600))
        let world = try World([spec("a", destination) { $0.workers = 1 }])
        world.wire.script = { _ in .status(429, after: .zero) }
        world.append(30)
        world.run(.seconds(3000))
        let times = world.wire.sent.map(\.at)
        let waits = zip(times, times.dropFirst()).map { Int((Double($1 - $0) / 1e9).rounded()) }
        #expect(Array(waits.prefix(10)) == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(700))
        #expect(try world.outcomes() == [.delivered: 30])
    }
}
