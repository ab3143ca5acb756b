import Glibc
import Testing
import Threading

@testable import Delivery

@Suite("sinks")
struct SinkSenderTests {
    /// What a sink of the tests was asked for, and when it fails or stands still.
    private final class Desk: Sendable {
        struct State: Sendable {
            var written: [String] = []
            var ended: [(token: UInt64, error: SinkError?)] = []
            var made = 0
            var closed = 0
            var failsToOpen = 0
            var failsToWrite = 0
            var blocked = false
        }
        let state = Monitor(State())

        func wait(_ ready: (State) -> Bool) -> Bool { state.wait(for: .seconds(10)) { ready($0) ? true : nil } ?? false }
        func set(_ change: (inout State) -> Void) {
            state.withLock { change(&$0) }
            state.broadcast()
        }
    }

    private final class TestSink: Sink {
        let desk: Desk
        init(_ desk: Desk) throws(SinkError) {
            self.desk = desk
            let fails = desk.state.withLock { state in
                state.made += 1
                state.failsToOpen -= 1
                return state.failsToOpen >= 0
            }
            if fails { throw SinkError("no directory") }
        }

        func write(_ request: Request) throws(SinkError) {
            let fails = desk.state.wait { (state: inout Desk.State) -> Look<Bool> in
                if state.blocked { return .sleep }
                state.failsToWrite -= 1
                if state.failsToWrite < 0 { state.written.append(String(decoding: request.body, as: UTF8.self)) }
                return .go(state.failsToWrite >= 0)
            }
            desk.state.broadcast()
            if fails { throw SinkError("no space") }
        }

        func close() { desk.set { $0.closed += 1 } }
    }

    private func sender(_ desk: Desk) -> SinkSender {
        SinkSender(
            name: "test", make: { () throws(SinkError) -> any Sink in try TestSink(desk) },
            done: { token, error in desk.set { $0.ended.append((token, error)) } })
    }

    private func request(_ text: String) -> Request { Request(url: "", body: Array(text.utf8), spans: 0..<1) }

    @Test("writes in order, and closes after what waits when it is stopped")
    func order() {
        let desk = Desk()
        let sender = sender(desk)
        for token in 1...50 as ClosedRange<UInt64> { sender.start(request("\(token)"), token: token) }
        sender.stop()
        #expect(desk.wait { $0.closed == 1 })
        desk.set {
            #expect($0.written == (1...50).map(String.init))
            #expect($0.ended.map(\.token) == Array(1...50) && $0.ended.allSatisfy { $0.error == nil })
            #expect($0.made == 1)
        }
    }

    @Test("a sink that fails to open or to write is made anew for the next, and says why")
    func failing() {
        let desk = Desk()
        desk.set { ($0.failsToOpen, $0.failsToWrite) = (2, 1) }
        let sender = sender(desk)
        for token in 1...4 as ClosedRange<UInt64> { sender.start(request("\(token)"), token: token) }
        #expect(desk.wait { $0.ended.count == 4 })
        sender.stop()
        #expect(desk.wait { $0.closed == 2 })
        desk.set {
            #expect($0.ended.map(\.error) == [SinkError("no directory"), SinkError("no directory"), SinkError("no space"), nil])
            #expect($0.written == ["4"])
            #expect($0.made == 4)
        }
    }

    @Test("a sink that stands still holds up nobody: neither other sinks nor whoever gives it work")
    func blocked() {
        let (stuck, well) = (Desk(), Desk())
        stuck.set { $0.blocked = true }
        let (one, other) = (sender(stuck), sender(well))
        for token in 1...20 as ClosedRange<UInt64> {
            one.start(request("\(token)"), token: token)
            other.start(request("\(token)"), token: token)
        }
        #expect(well.wait { $0.ended.count == 20 })
        stuck.set {
            #expect($0.ended.isEmpty)
            $0.blocked = false
        }
        #expect(stuck.wait { $0.ended.count == 20 })
        one.stop()
        other.stop()
        #expect(stuck.wait { $0.closed == 1 } && well.wait { $0.closed == 1 })
    }

    @Test("through the loop: a disk that is full for a while costs retries, not spans, and the other destination nothing")
    func throughTheLoop() throws {
        let desk = Desk()
        desk.set { $0.failsToWrite = 3 }
        let outlet = Outlet.sink { () throws(SinkError) -> any Sink in try TestSink(desk) }
        let file = TestDestination(declaration: Declaration(limits: BatchLimits(spans: 10, bytes: 10_000), order: .log), outlet: outlet)
        let world = try World([spec("file", file), spec("a")])
        world.append(30)
        // The sink's thread is real, so its answers come in real time.
        for _ in 0..<400 where try world.outcomes("file")[.delivered] != 30 {
            world.run(.seconds(1))
            Glibc.usleep(1000)
        }
        desk.set {
            #expect($0.written == [Array(1...10), Array(11...20), Array(21...30)].map { $0.map(String.init).joined(separator: " ") })
        }
        #expect(try world.outcomes("a") == [.delivered: 30])
        try world.checkSettled(["file", "a"])
    }
}
