import Glibc

/// How far a copy is.
public struct BackupProgress: Sendable, Equatable {
    /// Bytes of the copy.
    public var bytes: Int
    /// Bytes of the spool when it began; it grows on, so the copy may become larger.
    public var totalBytes: Int
}

/// What a copy holds.
public struct BackupSummary: Sendable, Equatable, Codable {
    /// Where it is.
    public var path: String
    /// Its own name: a copy is another spool.
    public var spoolID: String
    /// Bytes of the file.
    public var bytes: Int
    /// The oldest id in it, and the newest one; 0 where it holds none.
    public var firstID: Int64
    /// See `firstID`.
    public var lastID: Int64
    /// Rows of its log.
    public var segments: Int64
    /// Dead letters in it.
    public var deadLetters: Int64
}

/// Why there is no copy. What was written of it is gone.
public enum BackupError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is a file of this name.
    case exists(path: String)
    /// Another process writes this very copy.
    case underWay(path: String)
    /// The place for it cannot be used.
    case place(path: String, errno: Int32)
    /// It does not fit.
    case noSpace(path: String, needed: Int, free: Int)
    /// The spool's file is not there, or may not be read.
    case unreadable(path: String, errno: Int32)
    /// A later tracefwd wrote it.
    case newerSchema(path: String, found: Int, known: Int)
    /// There is no spool in the file.
    case noSpool(path: String)
    /// Reading or writing failed on the way.
    case failed(path: String, SQLiteError)
    /// Whoever asked for it has changed his mind.
    case stopped

    /// What happened, where, and what to do.
    public var description: String {
        switch self {
        case .exists(let path): "\(path): is there already; choose another name, or move it away"
        case .underWay(let path): "\(path): another process is writing this file; wait for it, or choose another name"
        case .place(let path, let errno):
            "\(path): \(errnoSentence(errno)). The directory must exist, and you must be able to write there"
        case .noSpace(let path, let needed, let free):
            "\(path): the copy needs about \(needed >> 20) MiB, and \(free >> 20) MiB are free there. Nothing is left of it; choose another disk"
        case .unreadable(let path, let errno): "spool \(path): \(errnoSentence(errno)). Its owner and root may read it"
        case .newerSchema(let path, let found, let known): "\(SpoolError.newerSchema(path: path, found: found, known: known))"
        case .noSpool(let path): "\(path): holds no spool"
        case .failed(let path, let error) where error.isCorrupt:
            "spool \(path): is damaged, so there is no copy of it (\(error)). tracefwd spool verify tells where"
        case .failed(let path, let error): "the copy of \(path) failed: \(error). Nothing is left of it"
        case .stopped: "stopped; nothing is left of the copy"
        }
    }
}

/// Copies a spool, online: while its daemon writes, trims and settles. No read transaction lasts longer than it takes to read 4 MiB, but for
/// the one that copies the books, whose length is that of the list of dead letters: some 3 us each.
public struct Backup {
    private let source: String
    private let vfs: String?
    private let pieceBytes: Int

    /// A copy of this spool, which need not be stopped.
    public init(of source: String) { self.init(of: source, vfs: nil) }

    init(of source: String, vfs: String?, pieceBytes: Int = 4 << 20) {
        (self.source, self.vfs, self.pieceBytes) = (source, vfs, pieceBytes)
    }

    /// Writes the copy beside its name, syncs it, and gives it its name: a file called `target` is a whole copy. `goOn` is asked between
    /// pieces; false stops it.
    public func write(to target: String, goOn: (BackupProgress) -> Bool = { _ in true }) throws(BackupError) -> BackupSummary {
        let partial = try PartialFile(for: target)
        let summary = try fill(partial, for: target, goOn)
        try partial.keep()
        return summary
    }

    private func fill(_ partial: PartialFile, for target: String, _ goOn: (BackupProgress) -> Bool) throws(BackupError) -> BackupSummary {
        guard access(source, R_OK) == 0 else { throw .unreadable(path: source, errno: errno) }
        let (copy, version, total) = try copying(partial, target, total: 0) { () throws(SQLiteError) in
            let copy = try SpoolCopy(source: source, target: partial.path, vfs: vfs, pieceBytes: pieceBytes)
            return (copy, try copy.sourceVersion(), try copy.sourceBytes())
        }
        guard version <= Schema.version else { throw .newerSchema(path: source, found: Int(version), known: Int(Schema.version)) }
        guard version > 0 else { throw .noSpool(path: source) }
        // Said at once where it is sure: not after an hour.
        guard freeBytes(partial) > total else { throw .noSpace(path: target, needed: total, free: freeBytes(partial)) }
        let summary = try copying(partial, target, total: total) { () throws(SQLiteError) -> BackupSummary? in
            try copy.makeTables()
            guard try copy.run(goOn: { goOn(BackupProgress(bytes: $0, totalBytes: total)) }) else { return nil }
            let id = SpoolIdentity.uuid()
            try copy.rename(id, machine: SpoolIdentity.machineID)
            try copy.finish()
            let ids = try copy.ids()
            return BackupSummary(
                path: target, spoolID: id, bytes: try copy.copiedBytes(), firstID: ids?.lowerBound ?? 0, lastID: ids?.upperBound ?? 0,
                segments: copy.segments, deadLetters: try copy.deadLetters())
        }
        guard let summary else { throw .stopped }
        return summary
    }

    private func copying<Answer>(
        _ partial: PartialFile, _ target: String, total: Int, _ body: () throws(SQLiteError) -> Answer
    ) throws(BackupError) -> Answer {
        do throws(SQLiteError) {
            return try body()
        } catch {
            // The source is read alone, so it is the copy's disk that is full.
            if error.isFull { throw .noSpace(path: target, needed: total, free: freeBytes(partial)) }
            throw .failed(path: source, error)
        }
    }

    private func freeBytes(_ partial: PartialFile) -> Int { SystemDisk().freeBytes(partial.path) }
}
