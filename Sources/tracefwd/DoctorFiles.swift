import Foundation
import Glibc
import Source

extension DoctorCheck {
    /// Who may read and write the spool.
    static let spoolFiles = DoctorCheck(name: "spool files") { subject in
        guard let spool = subject.paths?.spool else { return [] }
        let folder = directory(of: spool)
        guard let place = DoctorSubject.status(folder) else {
            if errno == EACCES { return [.unknown("\(folder) may not be looked into", "run doctor as root, or as the daemon's user")] }
            return [.warning("\(folder) is not there yet", "the daemon makes it where its parent is there and may be written to")]
        }
        var findings: [Finding] = []
        if place.st_mode & 0o002 != 0 {
            findings.append(.wrong("\(folder) (\(mode(place))) may be written to by everybody", "chmod o-w \(folder)"))
        }
        if place.st_mode & S_IFMT != S_IFDIR { findings.append(.wrong("\(folder) is no directory", "name another spool.path")) }
        for file in [spool, spool + "-wal", spool + ".lock", spool + ".reserve"] {
            guard let status = DoctorSubject.status(file) else { continue }
            let holdsSpans = file == spool || file.hasSuffix("-wal")
            if holdsSpans, status.st_mode & 0o007 != 0 {
                findings.append(.wrong("\(file) (\(mode(status))) holds prompts and is open to everybody", "chmod o= \(file)"))
            }
            if let uid = daemonUser(subject), uid != 0, status.st_uid != uid {
                findings.append(
                    .wrong("\(file) belongs to \(user(status.st_uid)), and the daemon is \(user(uid))", "chown \(user(uid)) \(file)"))
            }
        }
        if findings.isEmpty { findings.append(.ok("\(spool): for \(user(place.st_uid)) alone, or its group")) }
        return findings
    }

    /// Who may use the sockets, and whether they are as the configuration wants them.
    static let sockets = DoctorCheck(name: "sockets") { subject in
        guard let settings = subject.settings else { return [] }
        let isRunning = if case .success = subject.daemon { true } else { false }
        var findings: [Finding] = []
        let control = settings.control
        if let status = DoctorSubject.status(control.path) {
            if status.st_mode & 0o007 != 0 {
                findings.append(
                    .wrong(
                        "the control socket \(control.path) (\(mode(status))) is open to everybody: it reads and changes all spans",
                        "chmod o= \(control.path), and see control.group"))
            } else {
                findings.append(.ok("control: \(control.path), \(mode(status)), \(user(status.st_uid)):\(group(status.st_gid))"))
            }
        }
        let sources = settings.sources
        let wanted: [(name: String, path: String, mode: Int, group: String?)] =
            [
                sources.unix.map { ("unix", $0.path, $0.mode, $0.group) },
                sources.unixDatagram.map { ("unix_datagram", $0.path, $0.mode, $0.group) },
            ].compactMap(\.self)
        for (name, path, mode, group) in wanted {
            if let group, SystemAccounts.gid(group) == nil {
                findings.append(.wrong("sources.\(name).group: there is no group \"\(group)\"", "groupadd \(group), or name another"))
            }
            guard let status = DoctorSubject.status(path) else {
                // The command line and the daemon may see different directories; where it is stopped there is none.
                if isRunning {
                    findings.append(.warning("\(path) is not to be seen here", "look whether the daemon has a root or a /tmp of its own"))
                }
                continue
            }
            let isRight = Int(status.st_mode & 0o777) == mode && group.flatMap(SystemAccounts.gid).map { $0 == status.st_gid } ?? true
            let found = "\(name): \(path), \(Self.mode(status)), \(user(status.st_uid)):\(Self.group(status.st_gid))"
            findings.append(
                isRight || !isRunning
                    ? .ok(found)
                    : .warning(
                        "\(found); the configuration wants \(String(mode, radix: 8))\(group.map { " and group \($0)" } ?? "")",
                        "restart the daemon, or correct SocketMode= and SocketGroup= of the .socket unit, which wins"))
        }
        return findings
    }

    /// The user of the running daemon.
    private static func daemonUser(_ subject: DoctorSubject) -> uid_t? {
        guard case .success(let report) = subject.daemon else { return nil }
        return DoctorSubject.status("/proc/\(report.pid)")?.st_uid
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func user(_ uid: uid_t) -> String { getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? "\(uid)" }
    private static func group(_ gid: gid_t) -> String { getgrgid(gid).map { String(cString: $0.pointee.gr_name) } ?? "\(gid)" }
}
