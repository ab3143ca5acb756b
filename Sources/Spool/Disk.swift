import Glibc

/// Which file a path leads to: another one under the same name has another identity.
public struct FileIdentity: Sendable, Equatable {
    var device: UInt64
    var inode: UInt64

    /// Numbers of stat(2).
    public init(device: UInt64, inode: UInt64) { (self.device, self.inode) = (device, inode) }
}

/// A lock beside the spool, held as long as the object lives, and a few bytes in the locked file.
public protocol DiskLock: AnyObject {
    /// What was written last, perhaps by another process before; at most some 200 bytes.
    func read() -> [UInt8]
    /// Overwrites it, without an fsync: it survives the process, not a power cut. What fails is left as it was.
    func write(_ bytes: [UInt8])
}

/// The file system below a spool, as far as the spool asks it itself; SQLite asks it through `vfs`. `SystemDisk` is the real one, a
/// simulator plays another (DESIGN.md section 2.10).
public protocol Disk: Sendable {
    /// The name of SQLite's VFS for this disk; nil is the system's.
    var vfs: String? { get }
    /// Makes the place for a spool and refuses one where it cannot lie.
    func prepare(_ path: String) throws(SpoolError)
    /// Takes the lock of this file, or throws `locked`.
    func lock(_ path: String, of spool: String) throws(SpoolError) -> any DiskLock
    /// Bytes of a file; nil where it is absent.
    func size(_ path: String) -> Int?
    /// Which file a path leads to; nil where there is none.
    func identity(_ path: String) -> FileIdentity?
    /// Free bytes where `path` lies, for a user without privileges.
    func freeBytes(_ path: String) -> Int
    /// Gives a file another name, durably.
    func rename(_ path: String, to other: String) throws(SpoolError)
    /// Removes a file where it is there.
    func remove(_ path: String)
    /// Whether a file of so many bytes is there with all of its blocks.
    func isAllocated(_ path: String, bytes: Int) -> Bool
    /// Makes such a file; false, and none, where there is not enough space.
    func allocate(_ path: String, bytes: Int) -> Bool
    /// Calls `changed` when somebody takes this file away, or one beside it whose name begins with its own; `goesOn` is false where that was
    /// the last time. Returns what ends it; nil where who wants to know must look.
    func watch(_ path: String, changed: @escaping @Sendable (_ goesOn: Bool) -> Void) -> (@Sendable () -> Void)?
}

extension Disk {
    /// A disk that is played need not tell.
    public func watch(_ path: String, changed: @escaping @Sendable (_ goesOn: Bool) -> Void) -> (@Sendable () -> Void)? { nil }

    /// A name beside `path` for what stood there, as in `spool.db.corrupt-20261126T031500Z`. Two in one second: neither takes the other's.
    func asideName(_ path: String, _ why: String) -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y%m%dT%H%M%SZ", &parts)
        let name = "\(path).\(why)-\(String(decoding: text[..<count].map(UInt8.init), as: UTF8.self))"
        var (aside, number) = (name, 1)
        while size(aside) != nil || size(aside + "-wal") != nil { (aside, number) = ("\(name)-\(number + 1)", number + 1) }
        return aside
    }
}
