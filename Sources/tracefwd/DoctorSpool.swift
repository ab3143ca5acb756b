import Foundation
import Glibc
import Spool

extension DoctorCheck {
    /// Whether the spool can be opened and is not damaged, as far as a second shows it.
    static let spool = DoctorCheck(name: "spool") { subject in
        guard let path = subject.paths?.spool else { return [] }
        guard access(path, F_OK) == 0 else {
            if errno == EACCES { return [.unknown("\(path) may not be looked at", "run doctor as root, or as the daemon's user")] }
            return [.ok("\(path) is not there yet; the daemon makes it")] + setAside(path)
        }
        guard access(path, R_OK) == 0 else {
            return [.unknown("\(path) may not be read", "run doctor as root, or as the daemon's user")] + setAside(path)
        }
        guard size(path) > 0 else { return [.ok("\(path) is empty; the daemon makes its tables")] + setAside(path) }
        var findings: [Finding] = []
        let repair =
            "restart the daemon, which mends what can be read and sets the file aside; or put a backup in its place (tracefwd spool restore)"
        do throws(SpoolError) {
            let reader = try LogReader.open(path: path)
            let schema = try reader.info().first { $0.name == "schema" }?.value ?? "?"
            switch try reader.quickCheck(within: .milliseconds(900)) {
            case .sound: findings.append(.ok("\(path): \(human(bytes: size(path))), schema \(schema), no damage"))
            case .unfinished:
                findings.append(
                    .ok(
                        "\(path): \(human(bytes: size(path))), schema \(schema); no damage in what a second showed; spool verify looks at all of it"
                    ))
            case .damaged(let words): findings.append(.wrong("\(path) is damaged: \(words.joined(separator: "; "))", repair))
            }
        } catch {
            let isPermission = if case .sqlite(_, let error) = error { error.message.contains("unable to open") } else { false }
            findings.append(
                isPermission
                    ? .unknown("\(error)", "reading it needs the right to write beside it while the daemon is stopped: run doctor as root")
                    : .wrong("\(error)", repair))
        }
        let wal = size(path + "-wal")
        if wal > 300 << 20 {
            findings.append(
                .warning(
                    "\(path)-wal is \(human(bytes: wal)): somebody holds a read transaction", "close what reads the file: fuser \(path)"))
        }
        return findings + setAside(path)
    }

    /// Who holds the spool's lock.
    static let lock = DoctorCheck(name: "spool lock") { subject in
        guard let path = subject.paths?.spool, let status = DoctorSubject.status(path + ".lock") else { return [] }
        guard let locks = FileManager.default.contents(atPath: "/proc/locks") else { return [.unknown("/proc/locks cannot be read")] }
        // 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
        let holders = String(decoding: locks, as: UTF8.self).split(separator: "\n").compactMap { line -> Int32? in
            let fields = line.split(separator: " ")
            guard fields.count > 5, fields[1] == "FLOCK",
                fields[5].split(separator: ":").last.flatMap({ UInt64($0) }) == UInt64(status.st_ino)
            else { return nil }
            return Int32(fields[4])
        }
        guard let holder = holders.first else {
            guard case .success(let report) = subject.daemon else { return [.ok("nobody holds it: the daemon is stopped")] }
            return [
                .wrong(
                    "pid \(report.pid) answers at the control socket and does not hold \(path).lock",
                    "somebody deleted the lock or the spool under the daemon: restart it")
            ]
        }
        let name = FileManager.default.contents(atPath: "/proc/\(holder)/comm").map {
            String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let who = holder > 0 ? "pid \(holder)\(name.map { " (\($0))" } ?? "")" : "a process that cannot be seen from here"
        if case .success(let report) = subject.daemon, holder > 0, holder != report.pid {
            return [
                .wrong(
                    "\(who) holds it, and pid \(report.pid) answers: two daemons", "stop one of them, or give it a spool.path of its own")
            ]
        }
        return [.ok("\(who) holds it")]
    }

    /// Files that were set aside, by the daemon or a restore.
    private static func setAside(_ path: String) -> [Finding] {
        let (folder, name) = (directory(of: path), String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]))
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let corrupt = names.filter { $0.hasPrefix(name + ".corrupt-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
        var findings: [Finding] = []
        if !corrupt.isEmpty {
            let list = corrupt.map { "\($0) (\(human(bytes: size("\(folder)/\($0)"))))" }.joined(separator: ", ")
            findings.append(
                .warning(
                    "the spool was damaged before and set aside: \(list)", "see the disk's health; delete it when it is not needed any more"
                ))
        }
        let restored = names.filter { $0.hasPrefix(name + ".before-restore-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
        if !restored.isEmpty {
            findings.append(.ok("\(restored.joined(separator: ", ")): what stood there before a restore; it may be deleted"))
        }
        return findings
    }

    private static func size(_ path: String) -> Int { DoctorSubject.status(path).map { Int($0.st_size) } ?? 0 }
}
