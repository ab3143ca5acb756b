/// How much a commit waits for before it counts (DESIGN.md section 3).
public enum Durability: String, Sendable, Equatable {
    /// The disk says that it has the bytes: survives a power cut.
    case fsync
    /// The kernel has the bytes: survives kill -9, not a power cut.
    case os
    /// As `os`, and SQLite orders nothing either: a power cut may damage the file.
    case none
}

/// What a full spool does with new spans.
public enum WhenFull: Sendable, Equatable {
    /// The writer is told `spool_full`.
    case reject
    /// The writer waits, for this long at most; then `reject`.
    case block(Duration)
    /// The oldest spans make room, counted as expired.
    case dropOldest
}

/// The spool's part of the configuration.
public struct SpoolOptions: Sendable {
    /// The database file.
    public var path: String
    /// Bytes that used pages, WAL and dead letters may take.
    public var maxSize = 10 << 30
    /// How long settled spans are kept for replay and `seek`.
    public var history: Duration = .seconds(24 * 3600)
    /// See `WhenFull`.
    public var whenFull = WhenFull.reject
    /// See `Durability`.
    public var durability = Durability.fsync
    /// Bytes set aside for a full disk.
    public var reserveBytes = 64 << 20
    /// Bytes that dead letters may take.
    public var deadLettersMaxSize = 1 << 30
    /// How long a dead letter is kept.
    public var deadLettersRetain: Duration = .seconds(30 * 86400)
    /// Bytes that wait for a commit before writers are held up: a writer faster than the disk is flow control, not a full spool.
    public var gatherBytesMax = 4 << 20
    /// Bytes of decoded segments that readers share.
    public var cacheBytesMax = 16 << 20
    /// The file system. A simulator passes its own.
    public var disk: any Disk = SystemDisk()

    /// The folder of the file.
    public var folder: String { SystemDisk.directory(of: path) }

    /// The defaults, for a file.
    public init(path: String) { self.path = path }
}
