import CShim
import Glibc

/// The system's sentence for an error number.
func errnoSentence(_ code: Int32) -> String { String(cString: strerror(code)) }

/// The lock beside the spool: held as long as the object lives, and given back by the kernel however the process ends.
final class SpoolLock {
    private let descriptor: Int32

    init(beside path: String) throws(SpoolError) {
        let lock = path + ".lock"
        descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .directory(path: lock, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw .locked(path: path)
        }
    }

    deinit { close(descriptor) }
}

/// Space set aside for a full disk: given back to the file system, it lets checkpoint, settling and trimming go on.
struct Reserve {
    let path: String
    let bytes: Int

    init(beside path: String, bytes: Int) {
        self.path = path + ".reserve"
        self.bytes = bytes
    }

    /// Whether the whole of it lies on the disk.
    var isHeld: Bool {
        guard bytes > 0 else { return true }
        var status = stat()
        return stat(path, &status) == 0 && Int(status.st_size) == bytes && Int(status.st_blocks) * 512 >= bytes
    }

    /// Takes the space; false where there is not enough.
    func take() -> Bool {
        guard !isHeld else { return true }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0, ftruncate(descriptor, off_t(bytes)) == 0 else {
            unlink(path)
            return false
        }
        return true
    }

    /// Gives the space back.
    func release() { unlink(path) }
}

/// Where a spool may live.
enum SpoolPlace {
    /// Makes the last directory of the path where its parent exists, and refuses file systems of other machines.
    static func prepare(_ path: String) throws(SpoolError) {
        let place = directory(of: path)
        if mkdir(place, 0o750) != 0, errno != EEXIST { throw .directory(path: place, errno: errno) }
        var system = statfs()
        guard statfs(place, &system) == 0 else { throw .directory(path: place, errno: errno) }
        if let kind = network[UInt32(truncatingIfNeeded: system.f_type)] { throw .networkFileSystem(path: path, kind: kind) }
        // It holds prompts: nobody else reads it. SQLite gives the WAL the same rights.
        let made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if made >= 0 { close(made) }
    }

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

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Free bytes where `path` lies, for a user without privileges.
    static func freeBytes(_ path: String) -> Int {
        var system = statvfs()
        guard statvfs(directory(of: path), &system) == 0 else { return 0 }
        return Int(system.f_bavail) * Int(system.f_frsize)
    }

    /// Bytes of a file, 0 where it is absent.
    static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// statfs(2): magic numbers of file systems over a network.
    static let network: [UInt32: String] = [
        0x6969: "nfs", 0xff53_4d42: "cifs", 0xfe53_4d42: "smb2", 0x517b: "smb", 0x0102_1997: "9p", 0x00c3_6400: "ceph", 0x5346_414f: "afs",
    ]
}
