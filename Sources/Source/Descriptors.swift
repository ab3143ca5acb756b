import Glibc

/// How the files that the process may open (`RLIMIT_NOFILE`, `LimitNOFILE=` of the unit) are shared out: half to writers on the Unix socket, a
/// quarter to peers over HTTP. The rest is the spool's, the destinations' and his who asks what is wrong: no crowd at a door stops delivery.
public enum Descriptors {
    /// The limit as it is now.
    public static var limit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Connections of the Unix stream socket.
    public static var unixConnectionsMax: Int { limit / 2 }

    /// Connections of the http source.
    public static var httpConnectionsMax: Int { limit / 4 }
}
