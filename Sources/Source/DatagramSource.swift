import CShim
import Glibc
public import Intake
public import SpanModel
public import Spool
import Synchronization
public import Threading

/// IPv4 networks that may send over UDP.
public struct NetworkRule: Sendable, Equatable {
    private let networks: [(base: UInt32, mask: UInt32)]

    /// Reads `10.0.0.0/8` and the like; nil where one of them is no IPv4 network.
    public init?(_ texts: [String]) {
        var networks: [(base: UInt32, mask: UInt32)] = []
        for text in texts {
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var address = in_addr()
            guard let host = parts.first, inet_pton(AF_INET, String(host), &address) == 1,
                let bits = parts.count == 2 ? UInt32(parts[1]) : 32, bits <= 32, parts.last?.first != "+"
            else { return nil }
            let mask: UInt32 = bits == 0 ? 0 : ~0 << (32 - bits)
            networks.append((UInt32(bigEndian: address.s_addr) & mask, mask))
        }
        self.networks = networks
    }

    func admits(_ address: UInt32) -> Bool { networks.contains { address & $0.mask == $0.base } }

    /// The same networks in the same order.
    public static func == (left: NetworkRule, right: NetworkRule) -> Bool {
        left.networks.elementsEqual(right.networks) { $0.base == $1.base && $0.mask == $1.mask }
    }
}

/// Spans by datagram, over UDP or a Unix datagram socket: section 3 of the ingest contract. Fire and forget; what the kernel dropped or cut
/// is counted.
public final class DatagramSource: Sendable {
    /// What was counted since the start.
    public let counters = SourceCounters()
    /// Bytes that the kernel holds for us, as it granted them.
    public let receiveBuffer: Int
    private let stopFlag = Atomic(false)
    private let bell = Bell()
    private let thread = Mutex<ThreadHandle?>(nil)

    /// The largest datagram there is, and one byte to see that one was longer.
    private static let stride = 65_536
    private static let most: UInt32 = 32

    /// Serves the socket. `heartbeat` is the part that its thread is; `turned` is called at each turn of the loop.
    public init(
        _ socket: BoundSocket, source: SourceID, log: SpanLog, limits: IntakeLimits, receiveBuffer: Int, allow: NetworkRule? = nil,
        rejects: RejectsFile? = nil, cleaner: @escaping SpanCleaner = { nil }, clock: Clock = .system, heartbeat: Heartbeat? = nil,
        turned: @escaping @Sendable () -> Void = {},
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        // systemd may have given more than this process can ask for, and to ask would make it less: what is enough stays as it is.
        let given = socket.inherited ? Int(tracefwd_receive_buffer_of(socket.descriptor)) : 0
        self.receiveBuffer =
            given >= receiveBuffer ? given : Int(tracefwd_receive_buffer(socket.descriptor, Int32(clamping: receiveBuffer)))
        tracefwd_datagram_options(socket.descriptor, source == .unixDatagram)
        let (counters, bell) = (counters, bell)
        let handle = startThread(name: "source-\(source)", stackBytes: 1 << 20, heartbeat: heartbeat) { [weak self] in
            let intake = LineIntake(
                source: source, limits: limits, log: log, rejects: rejects, counters: counters, clean: cleaner(), tell: tell)
            let reader = Reader(socket: socket, intake: intake, allow: allow, clock: clock, counters: counters, tell: tell)
            var waits = [
                pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            while true {
                Heartbeat.beatHere()
                turned()
                // After a stop what the kernel holds is still read to its end.
                if reader.readOnce() { continue }
                if self?.stopFlag.load(ordering: .acquiring) ?? true { return }
                Heartbeat.asleepHere(wake: { bell.ring() }) { _ = Glibc.poll(&waits, 2, -1) }
                bell.silence()
            }
        }
        thread.withLock { $0 = handle }
    }

    /// Reads what the kernel still holds, and ends.
    public func stop() {
        stopFlag.store(true, ordering: .releasing)
        bell.ring()
        thread.withLock { $0 }?.join()
    }

    private final class Reader {
        private let socket: BoundSocket
        private let intake: LineIntake
        private let allow: NetworkRule?
        private let clock: Clock
        private let counters: SourceCounters
        private let tell: @Sendable (SourceEvent) -> Void
        private let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: DatagramSource.stride * Int(DatagramSource.most), alignment: 64)
        private var lengths = [UInt32](repeating: 0, count: Int(DatagramSource.most))
        private var cut = [Bool](repeating: false, count: Int(DatagramSource.most))
        private var addresses = [UInt32](repeating: 0, count: Int(DatagramSource.most))
        private var uids = [UInt32](repeating: 0, count: Int(DatagramSource.most))
        private var dropped: UInt32 = 0

        init(
            socket: BoundSocket, intake: LineIntake, allow: NetworkRule?, clock: Clock, counters: SourceCounters,
            tell: @escaping @Sendable (SourceEvent) -> Void
        ) {
            (self.socket, self.intake, self.allow) = (socket, intake, allow)
            (self.clock, self.counters, self.tell) = (clock, counters, tell)
        }

        deinit { buffer.deallocate() }

        /// Reads what is there, once; false where nothing was.
        func readOnce() -> Bool {
            let base = buffer.bindMemory(to: UInt8.self).baseAddress
            var datagrams = tracefwd_datagrams()
            let code = lengths.withUnsafeMutableBufferPointer { lengths in
                cut.withUnsafeMutableBufferPointer { cut in
                    addresses.withUnsafeMutableBufferPointer { addresses in
                        uids.withUnsafeMutableBufferPointer { uids in
                            (datagrams.lengths, datagrams.cut) = (lengths.baseAddress, cut.baseAddress)
                            (datagrams.addresses, datagrams.uids) = (addresses.baseAddress, uids.baseAddress)
                            return tracefwd_receive(socket.descriptor, base, DatagramSource.stride, DatagramSource.most, &datagrams)
                        }
                    }
                }
            }
            countDrops(datagrams)
            guard code == 0, datagrams.count > 0 else { return false }
            let now = clock.wall()
            for index in 0..<Int(datagrams.count) { take(index, now) }
            _ = intake.append(wantsAck: false)
            return true
        }

        private func take(_ index: Int, _ now: UInt64) {
            counters.datagrams.wrappingAdd(1, ordering: .relaxed)
            counters.bytes.wrappingAdd(Int(lengths[index]), ordering: .relaxed)
            if let allow, !allow.admits(addresses[index]) {
                counters.datagramsRefused.wrappingAdd(1, ordering: .relaxed)
                return
            }
            guard !cut[index] else { return intake.reject(.truncated) }
            let stamp = Stamp(receivedAt: now, sender: uids[index], source: intake.source)
            let start = index * DatagramSource.stride
            eachLine(of: UnsafeRawBufferPointer(rebasing: buffer[start..<start + Int(lengths[index])])) { line in
                if !line.isEmpty { _ = intake.parse(line, stamp: stamp, acceptsAck: false) }
            }
        }

        /// The kernel's counter runs since the socket was made, modulo 2^32; after a restart on an inherited socket it does not begin at 0.
        private func countDrops(_ datagrams: tracefwd_datagrams) {
            guard datagrams.dropped_known else { return }
            // What a datagram bears was counted when it was queued: it may be behind what the socket said of itself.
            let new = datagrams.dropped &- dropped
            guard new > 0, new < 1 << 31 else { return }
            dropped = datagrams.dropped
            counters.kernelDropped.wrappingAdd(Int(new), ordering: .relaxed)
            tell(.kernelDropped(intake.source, datagrams: Int(new)))
        }
    }
}
