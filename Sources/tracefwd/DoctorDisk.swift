import CShim
import Foundation
import Glibc
import Threading

extension DoctorCheck {
    /// Space, inodes, kind and state of the file system that the spool lies on.
    static let disk = DoctorCheck(name: "disk") { subject in
        guard let spool = subject.paths?.spool else { return [] }
        let folder = directory(of: spool)
        var (system, kind) = (statvfs(), statfs())
        guard statvfs(folder, &system) == 0, statfs(folder, &kind) == 0 else {
            return [.unknown("\(folder): \(String(cString: strerror(errno)))")]
        }
        var findings: [Finding] = []
        let name = fileSystem(of: folder)
        if system.f_flag & UInt(ST_RDONLY) != 0 {
            findings.append(.wrong("\(folder) lies on a file system that is mounted read-only", "see dmesg for why; mount -o remount,rw"))
        }
        if ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs"].contains(name) {
            findings.append(.wrong("\(folder) lies on a network file system (\(name)): a commit cannot be trusted", "choose a local disk"))
        }
        if name == "tmpfs" || name == "ramfs" {
            findings.append(.warning("\(folder) lies in memory (\(name)): no span survives a restart of the machine", "choose a disk"))
        }
        findings.append(space(subject, spool, free: Int(system.f_bavail) * Int(system.f_frsize)))
        if system.f_files > 0, system.f_favail < 100 {
            let text = "\(folder): \(system.f_favail) inodes are free"
            findings.append(system.f_favail < 10 ? .wrong(text, "delete small files there") : .warning(text, "delete small files there"))
        }
        if !findings.contains(where: { $0.outcome != .ok }) { findings.append(.ok("\(folder): \(name), writable")) }
        return findings
    }

    /// Whether what the spool may still take is there.
    private static func space(_ subject: DoctorSubject, _ spool: String, free: Int) -> Finding {
        func size(_ suffix: String) -> Int { DoctorSubject.status(spool + suffix).map { Int($0.st_size) } ?? 0 }
        guard let settings = subject.settings?.spool else { return .ok("\(human(bytes: free)) are free") }
        let used = size("") + size("-wal")
        let reserve = max(0, settings.reserve - size(".reserve"))
        let wanted = max(0, settings.sizeMax - used) + reserve
        if free < reserve + (16 << 20) {
            return .wrong(
                "\(human(bytes: free)) are free where the spool lies: it takes no spans, or soon none",
                "free some space there; do not delete \(spool).reserve, the daemon gives it up by itself")
        }
        if free < wanted {
            return .warning(
                "\(human(bytes: free)) are free, and the spool may take \(human(bytes: wanted)) more: the disk is full before spool.max_size holds",
                "free some space, or lower spool.max_size (\(human(bytes: settings.sizeMax))) to \(human(bytes: max(16 << 20, (used + free - reserve) / 10 * 9)))"
            )
        }
        return .ok("\(human(bytes: free)) are free, the spool may take \(human(bytes: wanted)) more")
    }

    /// How long an fsync takes beside the spool: what an ack waits for.
    static let diskSpeed = DoctorCheck(name: "disk speed") { subject in
        guard let spool = subject.paths?.spool else { return [] }
        var template = Array("\(directory(of: spool))/.tracefwd-doctor-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { return [.unknown("nothing can be written beside the spool: \(String(cString: strerror(errno)))")] }
        defer {
            close(file)
            unlink(&template)
        }
        var times: [UInt64] = []
        let block = [UInt8](repeating: 0x5a, count: 4096)
        for number in 0..<9 {
            let began = Clock.system.monotonic()
            guard pwrite(file, block, block.count, off_t(number * block.count)) == block.count, fsync(file) == 0 else {
                return [
                    .wrong(
                        "writing beside the spool failed: \(String(cString: strerror(errno)))", "free some space, or see dmesg for the disk"
                    )
                ]
            }
            times.append(Clock.system.monotonic() - began)
        }
        times.sort()
        func milliseconds(_ time: UInt64) -> String { String(format: "%.1f ms", Double(time) / 1e6) }
        let text =
            "an fsync takes \(milliseconds(times[times.count / 2])), the longest of \(times.count) \(milliseconds(times[times.count - 1]))"
        guard times[times.count / 2] > 100_000_000 else { return [.ok(text)] }
        return [
            .warning("\(text): each ack waits for one", "see what else writes to this disk; spool.durability: os does not wait, at a price")
        ]
    }

    /// The kind of the file system, as mount(8) calls it.
    private static func fileSystem(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return "unknown" }
        defer { free(resolved) }
        let real = String(cString: resolved)
        var best = (length: -1, kind: "unknown")
        let mounts = FileManager.default.contents(atPath: "/proc/self/mounts").map { String(decoding: $0, as: UTF8.self) } ?? ""
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 2 else { continue }
            let point = fields[1].replacing("\\040", with: " ")
            let isAbove = point == "/" || real == point || real.hasPrefix(point + "/")
            // Of two on one place the later one is seen.
            if isAbove, point.count >= best.length { best = (point.count, String(fields[2])) }
        }
        return best.kind
    }
}
