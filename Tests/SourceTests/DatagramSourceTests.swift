import CShim
import Foundation
import Glibc
import Intake
import SpanModel
import Testing
import Threading

@testable import Source
@testable import Spool

@Suite struct DatagramSourceTests {
    private static let span = #"{"name":"x"}"#

    /// A log and a datagram source, with a socket that sends to it.
    private final class Test {
        let directory: TemporaryDirectory
        let log: SpanLog
        let source: DatagramSource
        let told = Told()
        let turns = Gate()
        private let sender: Int32

        init(udp: Bool, receiveBuffer: Int = 8 << 20, allow: NetworkRule? = nil) throws {
            directory = try TemporaryDirectory()
            var options = SpoolOptions(path: directory.path + "/spool.db")
            options.reserveBytes = 0
            log = try SpanLog(options)
            let path = directory.path + "/d"
            let socket = udp ? try Sockets.udp(host: "127.0.0.1", port: 0) : try Sockets.unix(.datagram, path: path, mode: 0o600)
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = socket.descriptor
            withUnsafeMutablePointer(to: &address) {
                _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
            }
            let (told, turns) = (told, turns)
            source = DatagramSource(
                socket, source: udp ? .udp : .unixDatagram, log: log, limits: IntakeLimits(), receiveBuffer: receiveBuffer, allow: allow,
                turned: { turns.pass() }, tell: { told.tell($0) })
            sender = Glibc.socket(udp ? AF_INET : AF_UNIX, Sockets.Kind.datagram.type, 0)
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(sender, $0, length) }
            }
            #expect(connected == 0)
            var room: Int32 = 1 << 20
            setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
        }

        @discardableResult
        func send(_ text: String) -> Int { Array(text.utf8).withUnsafeBytes { tracefwd_send(sender, $0.baseAddress, $0.count, true) } }

        var datagrams: Int { source.counters.datagrams.load(ordering: .relaxed) }

        /// Waits until the source has read so many datagrams and all of their fates are written.
        func read(_ count: Int) -> Bool { eventually { datagrams >= count } && eventually { log.flush() && log.status.refusal == nil } }

        deinit {
            turns.open()
            source.stop()
            log.close()
            close(sender)
        }
    }

    @Test("a datagram holds spans, one a line; a bad line costs itself", arguments: [true, false])
    func lines(udp: Bool) throws {
        let test = try Test(udp: udp)
        let (door, source) = (udp ? SourceID.udp : .unixDatagram, test.source)
        for text in ["S", "S\n", "S\nS\r\nS", "", "\n\n", "S\nnonsense\nS", "{\"ack\":1}", "S\n"] {
            test.send(text.replacing("S", with: Self.span))
        }
        #expect(test.read(8))
        #expect(eventually { test.log.lastID == 8 })
        let rejected =
            [RejectionKey(source: door, reason: "invalid_json"): 1, RejectionKey(source: door, reason: "missing_name"): 1] as [_: Int64]
        #expect(eventually { test.log.flush() && test.log.status.rejections == rejected })
        #expect(source.counters.kernelDropped.load(ordering: .relaxed) == 0)
        let segment = try #require(try test.log.reader().segment(holding: 1))
        #expect(segment.entries[0].source == door.rawValue)
        // Only a Unix socket tells who sent.
        #expect(segment.entries[0].sender == (udp ? SpanEntry.unknownSender : getuid()))
    }

    @Test("the largest UDP datagram, 65,507 bytes, is read whole")
    func largest() throws {
        let test = try Test(udp: true)
        let frame = #"{"name":"x","input":""}"#
        #expect(test.send(frame.replacing("\"\"", with: "\"" + String(repeating: "y", count: 65_507 - frame.utf8.count) + "\"")) == 65_507)
        #expect(test.read(1) && eventually { test.log.lastID == 1 })
    }

    @Test("a datagram that was cut is rejected as truncated, whole lines in it too; the next one is read")
    func truncated() throws {
        let test = try Test(udp: false)
        test.send(Self.span + "\n" + String(repeating: "z", count: 70_000))
        test.send(Self.span)
        #expect(test.read(2) && eventually { test.log.lastID == 1 })
        #expect(
            eventually { test.log.flush() && test.log.status.rejections == [RejectionKey(source: .unixDatagram, reason: "truncated"): 1] })
        let told = { test.told.all.contains { if case .rejected(.unixDatagram, "truncated", 1) = $0 { true } else { false } } }
        #expect(eventually(told))
    }

    @Test("what the kernel dropped is counted, the last one too: sent = read + dropped")
    func drops() throws {
        let test = try Test(udp: true, receiveBuffer: 1)
        #expect(test.source.receiveBuffer < 64 << 10)
        test.turns.shut()
        test.send(Self.span)
        // The thread stands at its gate; the buffer holds a few.
        usleep(50_000)
        var sent = 1
        for _ in 0..<2_000 { if test.send(Self.span) > 0 { sent += 1 } }
        test.turns.open()
        // No datagram comes after those that were dropped: the kernel must be asked.
        let dropped = { test.source.counters.kernelDropped.load(ordering: .relaxed) }
        #expect(eventually { test.datagrams + dropped() == sent })
        #expect(dropped() > 100)
        #expect(eventually { test.log.flush() && test.log.lastID == Int64(test.datagrams) })
        let told = { test.told.all.reduce(0) { if case .kernelDropped(.udp, let count) = $1 { $0 + count } else { $0 } } }
        #expect(eventually { told() == dropped() })
    }

    @Test("an inherited socket keeps a receive buffer that is larger than asked: systemd may give more than we could")
    func inheritedBuffer() throws {
        let directory = try TemporaryDirectory()
        var options = SpoolOptions(path: directory.path + "/spool.db")
        options.reserveBytes = 0
        let log = try SpanLog(options)
        let made = try Sockets.udp(host: "127.0.0.1", port: 0)
        let given = Int(tracefwd_receive_buffer(made.descriptor, 128 << 10))
        let source = DatagramSource(
            BoundSocket(inherited: dup(made.descriptor), address: "fd"), source: .udp, log: log, limits: IntakeLimits(),
            receiveBuffer: 16 << 10, tell: { _ in })
        #expect(given >= 128 << 10 && source.receiveBuffer == given)
        source.stop()
        log.close()
    }

    @Test("only networks that are allowed may send", arguments: [(["10.0.0.0/8"], false), (["10.0.0.0/8", "127.0.0.0/8"], true)])
    func allow(networks: [String], admitted: Bool) throws {
        let test = try Test(udp: true, allow: try #require(NetworkRule(networks)))
        test.send(Self.span)
        #expect(test.read(1) && eventually { test.log.lastID == (admitted ? 1 : 0) })
        #expect(eventually { test.source.counters.datagramsRefused.load(ordering: .relaxed) == (admitted ? 0 : 1) })
    }

    @Test("a stop reads what the kernel still holds", arguments: [true, false])
    func stop(udp: Bool) throws {
        let test = try Test(udp: udp)
        test.turns.shut()
        test.send(Self.span)
        usleep(50_000)
        for _ in 0..<8 { test.send(Self.span) }
        let stopping = startThread(name: "stops") { [source = test.source] in source.stop() }
        usleep(50_000)
        test.turns.open()
        stopping.join()
        #expect(test.log.flush() && test.log.lastID == 9)
    }

    @Test("nothing to read costs no turns")
    func idle() throws {
        let test = try Test(udp: true)
        test.send(Self.span)
        #expect(test.read(1))
        usleep(50_000)
        let turns = test.turns.passed
        usleep(300_000)
        #expect(test.turns.passed - turns <= 1)
    }
}
