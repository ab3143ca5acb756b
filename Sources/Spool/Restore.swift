import Glibc

/// What a restore did.
public struct RestoreSummary: Sendable, Equatable, Codable {
    /// The spool as it is now.
    public var spool: BackupSummary
    /// Where the one that stood there is now; nil where none did.
    public var setAside: String?
}

/// Why nothing was restored. The spool that stood there is as it was.
public enum RestoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The spool is in use, or its directory cannot be.
    case spool(SpoolError)
    /// The copy into the spool's directory failed.
    case copy(BackupError)
    /// There is something wrong in it.
    case unsound(path: String, findings: [String])

    /// What happened, where, and what to do.
    public var description: String {
        switch self {
        case .spool(.locked(let path)):
            "spool \(path): the daemon has it open. Stop it first (systemctl stop tracefwd); nothing was changed"
        case .spool(let error): "\(error)"
        case .copy(let error): "\(error)"
        case .unsound(let path, let findings):
            "\(path): is not sound, so nothing was changed:\n" + findings.map { "  \($0)" }.joined(separator: "\n")
        }
    }
}

/// Puts a copy in the place of a spool, whose daemon must be stopped. The copy is made and verified beside the spool before anything else
/// is touched, and the spool that stood there is set aside, not deleted. At every instant one of the two bears the spool's name.
public struct Restore {
    private let path: String
    private let disk = SystemDisk()

    /// Into the place of this spool.
    public init(into path: String) { self.path = path }

    /// `source` stays as it is. `goOn` as in `Backup`.
    public func run(
        from source: String, goOn: (BackupProgress) -> Bool = { _ in true }
    ) throws(RestoreError) -> RestoreSummary {
        // Held until the end: a daemon that starts meanwhile is refused.
        let lock = try held()
        defer { withExtendedLifetime(lock) {} }
        let fresh = path + ".restored"
        unlink(fresh)
        do throws(RestoreError) {
            var summary = try copied(source, to: fresh, goOn)
            try takeRights(fresh)
            let aside = try swap(fresh)
            summary.path = path
            return RestoreSummary(spool: summary, setAside: aside)
        } catch {
            unlink(fresh)
            throw error
        }
    }

    /// The daemon's own lock. What a repair has left half done is finished under it, or the next start would put that in the copy's place.
    private func held() throws(RestoreError) -> any DiskLock {
        do throws(SpoolError) {
            let place = SystemDisk.directory(of: path)
            if mkdir(place, 0o750) != 0, errno != EEXIST { throw .directory(path: place, errno: errno) }
            let lock = try disk.lock(path + ".lock", of: path)
            try Rebuild.finish(path, disk)
            return lock
        } catch {
            throw .spool(error)
        }
    }

    private func copied(_ source: String, to fresh: String, _ goOn: (BackupProgress) -> Bool) throws(RestoreError) -> BackupSummary {
        let summary: BackupSummary
        do throws(BackupError) { summary = try Backup(of: source).write(to: fresh, goOn: goOn) } catch { throw .copy(error) }
        let findings: [String]
        do throws(SpoolError) { findings = try LogReader.open(path: fresh).verify { _ in } } catch { throw .spool(error) }
        guard findings.isEmpty else { throw .unsound(path: source, findings: findings) }
        return summary
    }

    /// Owner and rights of the spool that stands there, or of its directory: whoever restores may be root, and the daemon is not.
    private func takeRights(_ fresh: String) throws(RestoreError) {
        var there = stat()
        guard stat(path, &there) == 0 || stat(SystemDisk.directory(of: path), &there) == 0 else { throw failed(path) }
        guard geteuid() != 0 || chown(fresh, there.st_uid, there.st_gid) == 0 else { throw failed(fresh) }
        let isFile = there.st_mode & S_IFMT == S_IFREG
        guard chmod(fresh, isFile ? there.st_mode & 0o777 : 0o600) == 0 else { throw failed(fresh) }
    }

    /// Returns where the old one is.
    private func swap(_ fresh: String) throws(RestoreError) -> String? {
        var aside: String?
        if access(path, F_OK) == 0 {
            // What lies in the WAL alone goes into the file, so that one file is all of it. A damaged one is set aside with its WAL.
            _ = try? Database(path: path, readOnly: false).checkpoint(.truncate)
            let old = disk.asideName(path, "before-restore")
            aside = old
            // A WAL belongs to whatever bears the name before it: the fresh file must not meet it.
            var wal = stat()
            if stat(path + "-wal", &wal) == 0, wal.st_size > 0, rename(path + "-wal", old + "-wal") != 0 { throw failed(path + "-wal") }
            // A second name first, so that the first is never without a file.
            if link(path, old) != 0, rename(path, old) != 0 { throw failed(old) }
        }
        for left in ["-wal", "-shm"] { unlink(path + left) }
        do throws(SpoolError) { try disk.rename(fresh, to: path) } catch { throw .spool(error) }
        return aside
    }

    private func failed(_ path: String) -> RestoreError { .spool(.directory(path: path, errno: errno)) }
}
