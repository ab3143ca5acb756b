import Foundation
import Glibc
import Pipeline
import SpanModel
import Spool
import Synchronization
import Testing

@testable import Delivery

/// All of it real: the thread, libcurl, a server, the clock.
@Suite("the engine", .serialized)
final class DeliveryEngineTests {
    private let directory = FileManager.default.temporaryDirectory.appending(path: "tracefwd-engine-\(UUID().uuidString)")
    private let events = Events()

    private final class Events: Sendable {
        let all = Mutex<[DeliveryEvent]>([])
    }

    /// A platform on this machine: the destination's name is no URL, so the request is sent to its own.
    private struct RealDestination: Destination {
        static let type = "test"
        var url: String
        var declaration: Declaration { Declaration(limits: BatchLimits(spans: 10, bytes: 100_000)) }
        var outlet: Outlet {
            var options = HTTPOptions()
            options.proxy = ""
            return .http(options)
        }
        var target: String { url }
        func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
            [Request(url: url, body: Array(batch.map { "\($0.number)" }.joined(separator: " ").utf8), spans: batch.indices)]
        }
        func judge(_ response: Response, to request: Request) -> Verdict { TestDestination().judge(response, to: request) }
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    private func openLog() throws -> SpanLog {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var options = SpoolOptions(path: directory.appending(path: "spool.db").path)
        (options.durability, options.reserveBytes) = (.none, 4096)
        return try SpanLog(options)
    }

    private func engine(_ log: SpanLog) throws -> DeliveryEngine {
        try DeliveryEngine(log: log) { [events] event in events.all.withLock { $0.append(event) } }
    }

    private func spec(_ name: String, _ server: LoopbackServer) -> DestinationSpec {
        let destination = RealDestination(url: server.url)
        var settings = DeliverySettings(limits: destination.declaration.limits, backlog: BacklogLimit(bytes: 1 << 30, expires: true))
        settings.linger = .milliseconds(20)
        return DestinationSpec(name: name, type: "test", destination: destination, settings: settings)
    }

    private func append(_ numbers: ClosedRange<Int64>, to log: SpanLog) {
        var batch = SpanBatch()
        for number in numbers { batch.append(number: number, bytes: 64, receivedAt: UInt64(time(nil)) * 1_000_000_000) }
        #expect(log.append(&batch, wantsAck: true) == .taken(commit: 1) || batch.isEmpty)
    }

    private func eventually(_ holds: () -> Bool) -> Bool {
        for _ in 0..<1000 {
            if holds() { return true }
            usleep(10_000)
        }
        return false
    }

    private static func spans(_ server: LoopbackServer) -> [Int64] {
        server.received.flatMap { String(decoding: $0.body, as: UTF8.self).split(separator: " ").compactMap { Int64($0) } }
    }

    private func delivered(_ log: SpanLog, _ name: String) -> Int64 {
        log.status.consumers.values.first { $0.name == name }?.ledger[LedgerKey(.delivered)]?.spans ?? 0
    }

    @Test("what is committed arrives without being asked for, once; status and orders are answered")
    func arrives() throws {
        let server = LoopbackServer { _ in [.response("200 OK")] }
        let log = try openLog()
        let engine = try engine(log)
        try engine.apply([spec("a", server)], rules: Rules(everythingTo: ["a"]))
        append(1...95, to: log)
        #expect(eventually { delivered(log, "a") == 95 })
        #expect(Self.spans(server).sorted() == Array(1...95))
        #expect(engine.status()?.map(\.name) == ["a"])
        #expect(try engine.carryOut(.pause, on: "a") && !engine.carryOut(.pause, on: "b"))
        append(96...100, to: log)
        usleep(200_000)
        #expect(delivered(log, "a") == 95)
        #expect(try engine.carryOut(.resume, on: "a"))
        #expect(eventually { delivered(log, "a") == 100 })
        engine.stop(drain: .seconds(5))
        log.close()
    }

    @Test("a stop waits for what is in flight, starts nothing more, and the next start sends the rest")
    func stop() throws {
        let server = LoopbackServer { _ in [.pause(.milliseconds(300)), .response("200 OK")] }
        var log = try openLog()
        var engine = try engine(log)
        try engine.apply([spec("a", server)], rules: Rules(everythingTo: ["a"]))
        append(1...200, to: log)
        #expect(eventually { !server.received.isEmpty })
        engine.stop(drain: .seconds(10))
        log.close()
        let first = Self.spans(server)
        #expect(first.count < 200)
        log = try openLog()
        #expect(delivered(log, "a") == Int64(first.count))
        engine = try self.engine(log)
        try engine.apply([spec("a", server)], rules: Rules(everythingTo: ["a"]))
        #expect(eventually { delivered(log, "a") == 200 })
        engine.stop(drain: .seconds(5))
        log.close()
        #expect(Self.spans(server).sorted() == Array(1...200))
    }

    @Test("a stop does not wait longer than it may for a platform that hangs; nothing is lost")
    func stopHanging() throws {
        let hanging = LoopbackServer { _ in [.pause(.seconds(3))] }
        var log = try openLog()
        var engine = try engine(log)
        try engine.apply([spec("a", hanging)], rules: Rules(everythingTo: ["a"]))
        append(1...10, to: log)
        #expect(eventually { !hanging.received.isEmpty })
        let began = ContinuousClock.now
        engine.stop(drain: .milliseconds(200))
        #expect(ContinuousClock.now - began < .seconds(2))
        log.close()
        log = try openLog()
        #expect(delivered(log, "a") == 0)
        let server = LoopbackServer { _ in [.response("200 OK")] }
        engine = try self.engine(log)
        try engine.apply([spec("a", server)], rules: Rules(everythingTo: ["a"]))
        #expect(eventually { delivered(log, "a") == 10 })
        #expect(Self.spans(server) == Array(1...10))
        engine.stop(drain: .seconds(5))
        log.close()
    }

    @Test("eleven destinations hang, the twelfth gets its spans as fast as alone")
    func fanOut() throws {
        let hanging = LoopbackServer { _ in [.pause(.seconds(5))] }
        let server = LoopbackServer { _ in [.response("200 OK")] }
        let log = try openLog()
        let engine = try engine(log)
        let specs = (1...11).map { spec("d\($0)", hanging) } + [spec("a", server)]
        try engine.apply(specs, rules: Rules(everythingTo: specs.map(\.name)))
        append(1...10, to: log)
        #expect(eventually { delivered(log, "a") == 10 })
        let began = ContinuousClock.now
        append(11...20, to: log)
        #expect(eventually { server.received.count >= 2 })
        #expect(ContinuousClock.now - began < .seconds(1))
        engine.stop(drain: .zero)
        log.close()
    }
}
