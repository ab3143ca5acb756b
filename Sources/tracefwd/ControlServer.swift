import CShim
import Foundation
import Glibc
import Source
import Synchronization
import Threading

/// The control socket: everything that reads or changes spans goes through it, and only the daemon's own user, root, and one group that the
/// configuration may name are heard (SO_PEERCRED). A thread for each of a few peers: these are people, not applications.
final class ControlServer: Sendable {
    /// A peer that sent one request. `write` is false when it has gone.
    typealias Handler = @Sendable (_ request: Data, _ write: (Data) -> Bool) -> Void

    private let socket: BoundSocket
    private let stopping = Atomic(false)
    private let peers = Atomic(0)
    private let wake = eventfd(0, Int32(EFD_CLOEXEC))
    private let thread = Mutex<ThreadHandle?>(nil)
    private static let peersMax = 16
    private static let requestBytesMax = 1 << 20

    init(_ socket: BoundSocket, group: gid_t?, handler: @escaping Handler) {
        self.socket = socket
        let handle = startThread(name: "control") { [self] in
            while !stopping.load(ordering: .acquiring) {
                var waits = [
                    pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                ]
                poll(&waits, 2, -1)
                let peer = tracefwd_accept(socket.descriptor)
                guard peer >= 0 else {
                    // Without a descriptor the peer stays in the queue: it is looked for in a while, not in a circle.
                    if peer != -EAGAIN { poll(&waits[1], 1, 100) }
                    continue
                }
                guard Self.mayControl(peer, group), peers.load(ordering: .relaxed) < Self.peersMax else {
                    close(peer)
                    continue
                }
                peers.wrappingAdd(1, ordering: .relaxed)
                _ = startThread(name: "control-peer") { [self] in
                    Self.serve(peer, handler)
                    peers.wrappingSubtract(1, ordering: .relaxed)
                }
            }
        }
        thread.withLock { $0 = handle }
    }

    deinit { close(wake) }

    func stop() {
        stopping.store(true, ordering: .releasing)
        var one: UInt64 = 1
        write(wake, &one, 8)
        thread.withLock { $0 }?.join()
    }

    private static func mayControl(_ peer: Int32, _ group: gid_t?) -> Bool {
        var (uid, gid, pid) = (UInt32.max, UInt32.max, Int32(0))
        guard tracefwd_peer(peer, &uid, &gid, &pid) == 0 else { return false }
        if uid == 0 || uid == geteuid() { return true }
        // The group may open the socket's file; that it could is all that must be known of its members.
        return group != nil
    }

    private static func serve(_ peer: Int32, _ handler: Handler) {
        defer { close(peer) }
        _ = fcntl(peer, F_SETFL, fcntl(peer, F_GETFL) & ~O_NONBLOCK)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var request = Data()
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while request.last != 0x0a {
            let count = read(peer, &chunk, chunk.count)
            guard count > 0, request.count + count <= requestBytesMax else { return }
            request.append(contentsOf: chunk[..<count])
        }
        handler(request) { data in
            data.withUnsafeBytes { bytes in
                var at = 0
                while at < bytes.count {
                    let sent = tracefwd_send(peer, bytes.baseAddress.map { $0 + at }, bytes.count - at, true)
                    guard sent > 0 else { return false }
                    at += sent
                }
                return true
            }
        }
    }
}
