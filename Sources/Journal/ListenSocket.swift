import CSystemd
import Glibc

/// A socket that systemd's .socket unit holds and has handed over: it outlives restarts, so no client is ever refused meanwhile.
public struct ListenSocket: Sendable, Equatable {
    /// What kind of socket it is; a source takes those of its own kind.
    public enum Kind: Sendable, Equatable { case unixStream, unixDatagram, inetStream, inetDatagram, other }

    /// Open, close-on-exec, and the receiver's to close.
    public let descriptor: Int32
    /// FileDescriptorName= of the unit, by default the unit's name; `unknown` where systemd gave none.
    public let name: String
    /// As the kernel tells it.
    public let kind: Kind

    /// Takes all that was handed over (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, sd_listen_fds(3)), in the order of the unit. The environment
    /// is cleared, so that no child takes them for its own: a second call gives none. Call it before any thread is started.
    public static func takeAll() -> [ListenSocket] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        defer { free(names) }
        return (0..<max(0, count)).map { index in
            let name = names?[Int(index)]
            defer { free(name) }
            let descriptor = SD_LISTEN_FDS_START + index
            return ListenSocket(descriptor: descriptor, name: name.map { String(cString: $0) } ?? "unknown", kind: kind(of: descriptor))
        }
    }

    static func kind(of descriptor: Int32) -> Kind {
        let (stream, datagram) = (Int32(SOCK_STREAM.rawValue), Int32(SOCK_DGRAM.rawValue))
        // A stream socket must listen: an accepted connection (Accept=yes in the unit) is no door.
        if sd_is_socket(descriptor, AF_UNIX, stream, 1) > 0 { return .unixStream }
        if sd_is_socket(descriptor, AF_UNIX, datagram, -1) > 0 { return .unixDatagram }
        if isInet(descriptor, stream, listening: 1) { return .inetStream }
        if isInet(descriptor, datagram, listening: -1) { return .inetDatagram }
        return .other
    }

    private static func isInet(_ descriptor: Int32, _ type: Int32, listening: Int32) -> Bool {
        [AF_INET, AF_INET6].contains { sd_is_socket_inet(descriptor, $0, type, listening, 0) > 0 }
    }
}

/// What was handed over and has no owner yet: each source takes its own, and what is left at the end nobody serves.
public struct HandedOverSockets: Sendable {
    /// Those that no source has taken.
    public private(set) var unclaimed: [ListenSocket]
    private let names: Set<String>

    /// `sources` are the names of all sources: a socket that bears one of them is that source's only.
    public init(_ sockets: [ListenSocket], sources: Set<String>) { (unclaimed, names) = (sockets, sources) }

    /// The socket of this kind that bears the source's name (FileDescriptorName=), else the first of the kind that bears no source's name: a
    /// unit may be written without one.
    public mutating func take(_ kind: ListenSocket.Kind, for source: String) -> ListenSocket? {
        let fitting = unclaimed.filter { $0.kind == kind }
        let found = fitting.first { $0.name == source } ?? fitting.first { !names.contains($0.name) }
        unclaimed.removeAll { $0 == found }
        return found
    }
}
