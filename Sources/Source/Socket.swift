// Sources: the doors on this machine, one file each: sockets in, acks out.
// Promises: a line never costs its neighbours; a writer that is slow, silent or never reads costs itself; what was acknowledged is durable;
// every buffer has a bound. Does not know: what happens to a span behind the spool.
// Start here (sockets), then StreamSource.swift (NDJSON with acks), Connection.swift and Accounts.swift (what a peer is owed),
// DatagramSource.swift (UDP and Unix datagrams).
import CShim
import Glibc

/// Why a socket cannot be had: what, where and what to do.
public struct SocketError: Error, Equatable, CustomStringConvertible {
    /// The address as the configuration has it.
    public var address: String
    /// What failed, and the remedy.
    public var reason: String

    /// Where and what.
    public var description: String { "\(address): \(reason)" }
}

/// A bound socket. It is closed with the object, and its file is unlinked if tracefwd made it and it is still the same one.
public final class BoundSocket: Sendable {
    /// The descriptor, without blocking.
    public let descriptor: Int32
    /// Where it is, for people.
    public let address: String
    /// Whether the service manager handed it over: then its file is not ours.
    public let inherited: Bool
    private let file: MadeFile?

    /// A file system may give the inode of what was unlinked to what is made next; the time tells the two apart.
    private struct MadeFile: Equatable {
        let path: String
        let device: dev_t
        let inode: ino_t
        let seconds: Int
        let nanoseconds: Int

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            self.path = path
            (device, inode) = (status.st_dev, status.st_ino)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }
    }

    /// Takes a socket over that the service manager made.
    public init(inherited descriptor: Int32, address: String) {
        self.descriptor = descriptor
        self.address = address
        inherited = true
        file = nil
        setNonblocking(descriptor)
    }

    fileprivate init(_ descriptor: Int32, address: String, file: String?) {
        self.descriptor = descriptor
        self.address = address
        inherited = false
        self.file = file.flatMap { MadeFile($0) }
        setNonblocking(descriptor)
    }

    deinit {
        close(descriptor)
        if let file, file == MadeFile(file.path) { unlink(file.path) }
    }
}

private func setNonblocking(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
}

/// Makes sockets.
public enum Sockets {
    /// The kind of a Unix socket.
    public enum Kind: Sendable {
        case stream, datagram

        var type: Int32 { Int32(self == .stream ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue) }
    }

    /// A Unix socket at `path` with these rights. A file of an earlier run that nobody serves any more is replaced; any other file stays.
    public static func unix(_ kind: Kind, path: String, mode: Int, owner: String? = nil, group: String? = nil) throws(SocketError)
        -> BoundSocket
    {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else {
            throw SocketError(address: path, reason: "a socket's path has at most \(capacity - 1) bytes, this one has \(path.utf8.count)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        try removeStale(kind, path, address)

        let descriptor = socket(AF_UNIX, kind.type, 0)
        guard descriptor >= 0 else { throw failure(path, "socket") }
        // The file is born without rights for others; they get them when it is as it should be.
        let before = umask(0o177)
        let bound = withAddress(address) { bind(descriptor, $0, $1) }
        umask(before)
        guard bound == 0 else {
            let error = failure(path, "bind")
            close(descriptor)
            throw error
        }
        let socket = BoundSocket(descriptor, address: path, file: path)
        try own(path, mode: mode, owner: owner, group: group)
        if kind == .stream, listen(descriptor, 4096) != 0 { throw failure(path, "listen") }
        return socket
    }

    private static func removeStale(_ kind: Kind, _ path: String, _ address: sockaddr_un) throws(SocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketError(address: path, reason: "a file that is no socket is in the way; move it, or choose another path")
        }
        let probe = socket(AF_UNIX, kind.type, 0)
        defer { close(probe) }
        // A server whose queue is full is alive; to wait for it might be to wait for ever.
        setNonblocking(probe)
        if withAddress(address, { connect(probe, $0, $1) }) == 0 || errno == EAGAIN {
            throw SocketError(address: path, reason: "another process serves this socket; stop it, or choose another path")
        }
        guard errno == ECONNREFUSED else { throw failure(path, "connect") }
        unlink(path)
    }

    private static func own(_ path: String, mode: Int, owner: String?, group: String?) throws(SocketError) {
        var (uid, gid) = (uid_t.max, gid_t.max)
        if let owner {
            guard let found = SystemAccounts.uid(owner) else { throw SocketError(address: path, reason: "there is no user \"\(owner)\"") }
            uid = found
        }
        if let group {
            guard let found = SystemAccounts.gid(group) else { throw SocketError(address: path, reason: "there is no group \"\(group)\"") }
            gid = found
        }
        if owner != nil || group != nil, chown(path, uid, gid) != 0 { throw failure(path, "chown") }
        guard chmod(path, mode_t(mode)) == 0 else { throw failure(path, "chmod") }
    }

    /// A UDP socket at a literal address.
    public static func udp(host: String, port: Int) throws(SocketError) -> BoundSocket {
        BoundSocket(try inet(Int32(SOCK_DGRAM.rawValue), host: host, port: port), address: "\(host):\(port)", file: nil)
    }

    /// A listening TCP socket at a literal address, for a server that owns it from now on.
    public static func tcp(host: String, port: Int) throws(SocketError) -> Int32 {
        let descriptor = try inet(Int32(SOCK_STREAM.rawValue), host: host, port: port)
        guard listen(descriptor, 256) == 0 else { throw failure("\(host):\(port)", "listen") }
        return descriptor
    }

    private static func inet(_ type: Int32, host: String, port: Int) throws(SocketError) -> Int32 {
        let name = "\(host):\(port)"
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
        hints.ai_socktype = type
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let found = list else {
            throw SocketError(address: name, reason: "not an address; write it as numbers, as in 127.0.0.1:8127 or [::1]:8127")
        }
        defer { freeaddrinfo(list) }
        let descriptor = socket(found.pointee.ai_family, type, 0)
        guard descriptor >= 0 else { throw failure(name, "socket") }
        // A TCP address of a daemon that has just ended must not be kept from the next one by connections that linger.
        var on: Int32 = 1
        if type == Int32(SOCK_STREAM.rawValue) {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        guard bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 else {
            let error = failure(name, "bind")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    private static func withAddress<Result>(_ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = address
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private static func failure(_ address: String, _ call: String) -> SocketError {
        let code = errno
        let remedy =
            switch code {
            case EACCES, EPERM: "; the daemon's user must be able to write to its directory"
            case EADDRINUSE: "; another process has it: stop it, or choose another address"
            case ENOENT: "; its directory does not exist"
            case EMFILE, ENFILE: "; too many open files: raise LimitNOFILE="
            default: ""
            }
        return SocketError(address: address, reason: "\(call): \(String(cString: strerror(code)))\(remedy)")
    }
}

/// Users and groups by name or number.
public enum SystemAccounts {
    /// The user's number; nil where there is no such user.
    public static func uid(_ name: String) -> uid_t? { uid_t(name) ?? getpwnam(name)?.pointee.pw_uid }
    /// The group's number; nil where there is no such group.
    public static func gid(_ name: String) -> gid_t? { gid_t(name) ?? getgrnam(name)?.pointee.gr_gid }
}

/// Who may connect to a Unix socket, checked against the peer's credentials.
public struct PeerRule: Sendable, Equatable {
    private let uids: Set<uid_t>
    private let gids: Set<gid_t>
    /// As the configuration has it, for people.
    public let text: String

    /// Any of these users, or members of any of these groups. Throws the names that do not exist.
    public init(users: [String], groups: [String]) throws(SocketError) {
        let unknown = users.filter { SystemAccounts.uid($0) == nil } + groups.filter { SystemAccounts.gid($0) == nil }
        guard unknown.isEmpty else {
            throw SocketError(address: "sources.unix.allow", reason: "no such user or group: \(unknown.joined(separator: ", "))")
        }
        uids = Set(users.compactMap(SystemAccounts.uid))
        gids = Set(groups.compactMap(SystemAccounts.gid))
        text = "users \(users.joined(separator: ", ")); groups \(groups.joined(separator: ", "))"
    }

    func admits(uid: uid_t, gid: gid_t) -> Bool {
        if uids.contains(uid) || gids.contains(gid) { return true }
        guard !gids.isEmpty, let user = getpwuid(uid)?.pointee.pw_name else { return false }
        var count: Int32 = 64
        var groups = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(user, gid, &groups, &count) >= 0 else { return false }
        return groups.prefix(Int(count)).contains { gids.contains($0) }
    }
}
