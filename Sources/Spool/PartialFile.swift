import Glibc

/// A file that gets its name when it is whole. Until then it is called `<name>.partial`; it goes with the object where it is not kept. What a
/// crash left of an earlier one is written over.
final class PartialFile {
    let path: String
    private let target: String
    private let descriptor: Int32
    private var isKept = false

    init(for target: String) throws(BackupError) {
        self.target = target
        path = target + ".partial"
        try Self.expectNone(target)
        // It holds prompts: nobody else reads it.
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            isKept = true  // There is nothing to remove.
            throw .place(path: path, errno: errno)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(path) else {
            isKept = true  // Another process is at it, or has just given it its name.
            close(descriptor)
            throw .underWay(path: path)
        }
        guard ftruncate(descriptor, 0) == 0 else { throw .place(path: path, errno: errno) }
    }

    deinit {
        guard !isKept else { return }
        unlink(path)
        close(descriptor)
    }

    /// Syncs the file, and gives it its name for good.
    func keep() throws(BackupError) {
        guard fsync(descriptor) == 0 else { throw .place(path: path, errno: errno) }
        // Under the lock, so of two copies to one name the second finds the first.
        try Self.expectNone(target)
        guard rename(path, target) == 0 else { throw .place(path: target, errno: errno) }
        isKept = true
        close(descriptor)
        try Self.syncDirectory(of: target)
    }

    /// Whether the path leads to the file that is open.
    private func isStill(_ path: String) -> Bool {
        var (here, there) = (stat(), stat())
        return fstat(descriptor, &here) == 0 && lstat(path, &there) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev
    }

    private static func expectNone(_ target: String) throws(BackupError) {
        var status = stat()
        guard lstat(target, &status) != 0 else { throw .exists(path: target) }
    }

    /// Makes the names in the directory of `path` last.
    private static func syncDirectory(of path: String) throws(BackupError) {
        let place = open(SystemDisk.directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { throw .place(path: path, errno: errno) }
        defer { close(place) }
        guard fsync(place) == 0 else { throw .place(path: path, errno: errno) }
    }
}
