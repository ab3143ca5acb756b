import Glibc
import Logging
import Synchronization
import Testing
import Threading

@testable import Journal

// Each test runs in a process of its own: it changes the environment, or descriptor 3 and up.
@Suite struct ServiceManagerTests {
    @Test("the service manager reads what it is told, on a real socket")
    func notify() async {
        await #expect(processExitsWith: .success) {
            let systemd = PlayedManager()
            let manager = ServiceManager()
            #expect(manager.isPresent)
            manager.extendTimeout(by: .seconds(30))
            #expect(systemd.receive() == "EXTEND_TIMEOUT_USEC=30000000")
            manager.ready(status: "3 sources,\n2 destinations")
            #expect(systemd.receive() == "READY=1\nSTATUS=3 sources, 2 destinations")
            manager.status("120 spans/s")
            #expect(systemd.receive() == "STATUS=120 spans/s")
            manager.feedWatchdog()
            #expect(systemd.receive() == "WATCHDOG=1")
            manager.reloading()
            let reloading = systemd.receive().split(separator: "=")
            #expect(reloading.dropLast() == ["RELOADING", "1\nMONOTONIC_USEC"])
            let now = Clock.system.monotonic() / 1_000
            #expect(reloading.last.flatMap { UInt64($0) }.map { $0 <= now && $0 + 60_000_000 > now } == true)
            manager.stopping(status: "on SIGTERM")
            #expect(systemd.receive() == "STOPPING=1\nSTATUS=on SIGTERM")
        }
    }

    @Test("a long start asks for time as it gets on, once in ten seconds, and for none when it has ended")
    func longStart() async {
        await #expect(processExitsWith: .success) {
            let systemd = PlayedManager()
            let start = LongStart()
            let second: UInt64 = 1_000_000_000
            for now in [5, 6, 14, 16, 17] { start.step(now: UInt64(now) * second) }
            start.end()
            start.step(now: 60 * second)
            #expect(systemd.receive() == "EXTEND_TIMEOUT_USEC=120000000")
            #expect(systemd.receive() == "EXTEND_TIMEOUT_USEC=120000000")
            #expect(systemd.receive(within: 100) == "")
        }
    }

    @Test("without a service manager nothing happens")
    func absent() async {
        await #expect(processExitsWith: .success) {
            unsetenv("NOTIFY_SOCKET")
            unsetenv("WATCHDOG_USEC")
            let manager = ServiceManager()
            #expect(!manager.isPresent && manager.watchdogInterval == nil)
            manager.ready(status: "")
            manager.reloading()
            manager.stopping(status: "")
            manager.feedWatchdog()
            #expect(ListenSocket.takeAll().isEmpty)
        }
    }

    @Test("the watchdog's interval is the unit's, and this process' alone")
    func interval() async {
        await #expect(processExitsWith: .success) {
            setenv("WATCHDOG_USEC", "30000000", 1)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            #expect(ServiceManager().watchdogInterval == .seconds(30))
            setenv("WATCHDOG_PID", "1", 1)
            #expect(ServiceManager().watchdogInterval == nil)
        }
    }

    @Test("sockets that are handed over come with name and kind, once")
    func sockets() async {
        await #expect(processExitsWith: .success) {
            let type = (stream: Int32(SOCK_STREAM.rawValue), datagram: Int32(SOCK_DGRAM.rawValue))
            var made = [
                socket(AF_UNIX, type.stream, 0), socket(AF_UNIX, type.datagram, 0), socket(AF_INET, type.stream, 0),
                socket(AF_INET6, type.datagram, 0), socket(AF_UNIX, type.stream, 0), open("/dev/null", O_RDONLY),
            ]
            var any = sockaddr_un()  // without a path the kernel gives it a name
            any.sun_family = sa_family_t(AF_UNIX)
            withUnsafeBytes(of: &any) { _ = bind(made[0], $0.assumingMemoryBound(to: sockaddr.self).baseAddress, 2) }
            listen(made[0], 8)
            listen(made[2], 8)
            made = made.map { fcntl($0, F_DUPFD, 200) }  // out of the way of 3 and up
            for (index, descriptor) in made.enumerated() { dup2(descriptor, 3 + Int32(index)) }
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", "\(made.count)", 1)
            setenv("LISTEN_FDNAMES", "unix:dgram:http:udp:mute:file", 1)
            let sockets = ListenSocket.takeAll()
            #expect(sockets.map(\.name) == ["unix", "dgram", "http", "udp", "mute", "file"])
            #expect(sockets.map(\.kind) == [.unixStream, .unixDatagram, .inetStream, .inetDatagram, .other, .other])
            #expect(sockets.map(\.descriptor) == [3, 4, 5, 6, 7, 8])
            #expect(sockets.allSatisfy { fcntl($0.descriptor, F_GETFD) & FD_CLOEXEC != 0 })
            #expect(ListenSocket.takeAll().isEmpty && getenv("LISTEN_FDS") == nil)
        }
    }

    @Test("the watchdog is fed while all parts turn, not while one hangs, and the journal says which")
    func watchdog() async {
        await #expect(processExitsWith: .success) {
            let systemd = PlayedManager()
            setenv("WATCHDOG_USEC", "1000000", 1)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            let recorder = Recorder()
            let writer = JournalWriter(outlet: recorder)
            let heartbeats = Heartbeats()
            let spool = heartbeats.register("spool")
            let delivery = heartbeats.register("delivery")
            let hangs = Atomic(false)
            let stopped = Atomic(false)
            let loop = startThread(name: "parts") {
                while !stopped.load(ordering: .relaxed) {
                    spool.beat()
                    if !hangs.load(ordering: .relaxed) { delivery.beat() }
                    usleep(5_000)
                }
            }
            let watchdog = Watchdog(heartbeats, logger: Logger(label: "tracefwd") { _ in writer.handler() })
            for _ in 0..<3 { #expect(systemd.receive() == "WATCHDOG=1") }
            hangs.store(true, ordering: .relaxed)
            recorder.wait(for: 1)
            #expect(recorder.lines.first?["part"] == "delivery")
            systemd.drain()
            #expect(systemd.receive(within: 600) == "")
            hangs.store(false, ordering: .relaxed)
            #expect(systemd.receive() == "WATCHDOG=1")
            recorder.wait(for: 2)
            #expect(recorder.lines.map { $0["event"] } == ["part_hangs", "part_turns"])
            watchdog.stop()
            stopped.store(true, ordering: .relaxed)
            loop.join()
            writer.stop()
        }
    }
}

/// systemd's end of NOTIFY_SOCKET: a Unix datagram socket in the abstract namespace.
private struct PlayedManager {
    private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

    init() {
        let name = "tracefwd-test-\(getpid())"
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0[1...].copyBytes(from: name.utf8) }
        let length = MemoryLayout<sa_family_t>.size + 1 + name.utf8.count
        let code = withUnsafeBytes(of: &address) {
            bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(length))
        }
        precondition(code == 0)
        setenv("NOTIFY_SOCKET", "@\(name)", 1)
    }

    /// The next message; empty when none came in time.
    func receive(within milliseconds: Int32 = 10_000) -> String {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, milliseconds) == 1 else { return "" }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    func drain() { while receive(within: 0) != "" {} }
}
