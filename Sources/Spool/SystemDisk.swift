import CShim
import Glibc

/// The system's sentence for an error number.
func errnoSentence(_ code: Int32) -> String { String(cString: strerror(code)) }

/// The file system of this machine.
public struct SystemDisk: Disk {
    /// SQLite's VFS; nil is the system's.
    public let vfs: String?

    /// This machine's disk. A test may put a VFS of its own below SQLite.
    public init(vfs: String? = nil) { self.vfs = vfs }

    /// Makes the last directory of the path where its parent exists, and refuses file systems of other machines.
    public func prepare(_ path: String) throws(SpoolError) {
        let place = Self.directory(of: path)
        if mkdir(place, 0o750) != 0, errno != EEXIST { throw .directory(path: place, errno: errno) }
        var system = statfs()
        guard statfs(place, &system) == 0 else { throw .directory(path: place, errno: errno) }
        if let kind = Self.network[UInt32(truncatingIfNeeded: system.f_type)] { throw .networkFileSystem(path: path, kind: kind) }
        // It holds prompts: nobody else reads it. SQLite gives the WAL the same rights.
        let made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if made >= 0 { close(made) }
    }

    /// Takes the lock, or throws `locked`; it is given back by the kernel however the process ends.
    public func lock(_ path: String, of spool: String) throws(SpoolError) -> any DiskLock { try SpoolLock(path, of: spool) }

    /// Bytes of a file; nil where it is absent.
    public func size(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Which file a path leads to; nil where there is none.
    public func identity(_ path: String) -> FileIdentity? {
        var status = stat()
        return stat(path, &status) == 0 ? FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) : nil
    }

    /// Free bytes where `path` lies, for a user without privileges.
    public func freeBytes(_ path: String) -> Int {
        var system = statvfs()
        guard statvfs(Self.directory(of: path), &system) == 0 else { return 0 }
        return Int(system.f_bavail) * Int(system.f_frsize)
    }

    /// Gives a file another name, durably: the directory is synced.
    public func rename(_ path: String, to other: String) throws(SpoolError) {
        guard Glibc.rename(path, other) == 0 else { throw .directory(path: other, errno: errno) }
        let place = open(Self.directory(of: other), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { throw .directory(path: other, errno: errno) }
        defer { close(place) }
        guard fsync(place) == 0 else { throw .directory(path: other, errno: errno) }
    }

    /// Removes a file where it is there.
    public func remove(_ path: String) { unlink(path) }

    /// Whether a file of so many bytes is there with all of its blocks.
    public func isAllocated(_ path: String, bytes: Int) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && Int(status.st_size) == bytes && Int(status.st_blocks) * 512 >= bytes
    }

    /// Makes such a file; false, and none, where there is not enough space.
    public func allocate(_ path: String, bytes: Int) -> Bool {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0, ftruncate(descriptor, off_t(bytes)) == 0 else {
            unlink(path)
            return false
        }
        return true
    }

    /// By inotify, see `FolderWatch`.
    public func watch(_ path: String, changed: @escaping @Sendable (_ goesOn: Bool) -> Void) -> (@Sendable () -> Void)? {
        guard let watch = FolderWatch(path, changed: changed) else { return nil }
        return { watch.stop() }
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// statfs(2): magic numbers of file systems over a network.
    static let network: [UInt32: String] = [
        0x6969: "nfs", 0xff53_4d42: "cifs", 0xfe53_4d42: "smb2", 0x517b: "smb", 0x0102_1997: "9p", 0x00c3_6400: "ceph", 0x5346_414f: "afs",
    ]
}

/// A file that this process has locked with flock(2).
final class SpoolLock: DiskLock {
    private let descriptor: Int32

    init(_ path: String, of spool: String) throws(SpoolError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .directory(path: path, errno: errno) }
        // `deinit` closes it from here on, where this throws too.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .locked(path: spool) }
    }

    deinit {
        // A child that has not yet begun its program still has a copy, which would keep the lock.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    func read() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 200)
        return Array(bytes[..<max(0, pread(descriptor, &bytes, bytes.count, 0))])
    }

    func write(_ bytes: [UInt8]) { pwrite(descriptor, bytes, bytes.count, 0) }
}

/// Names of the spool itself and of its machine.
enum SpoolIdentity {
    /// A random UUID (RFC 9562, version 4).
    static func uuid() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }

    /// The machine's id (machine-id(5)); empty where it has none.
    static var machineID: String {
        guard let file = fopen("/etc/machine-id", "re") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        return fgets(&line, Int32(line.count), file) == nil
            ? "" : String(decoding: line.prefix { $0 > 0x20 }.map(UInt8.init), as: UTF8.self)
    }
}
