import CSQLite

/// Why the spool cannot be opened or used. A case carries values; the description says what, where and what to do.
public enum SpoolError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A later tracefwd wrote the file.
    case newerSchema(path: String, found: Int, known: Int)
    /// Another process holds the spool.
    case locked(path: String)
    /// The directory cannot be used.
    case directory(path: String, errno: Int32)
    /// The file system is on another machine, where SQLite's locks and fsync cannot be relied on.
    case networkFileSystem(path: String, kind: String)
    /// What is in the file is not what tracefwd wrote.
    case damaged(path: String, what: String)
    /// SQLite refused.
    case sqlite(path: String, SQLiteError)
    /// The writer has stopped, or cannot write now.
    case notWritable(reason: String)
    /// No consumer of this name.
    case unknownConsumer(String)

    /// Whether what is in the file is at fault, so that a fresh one made of what can be read leads on.
    var isDamage: Bool {
        switch self {
        case .damaged: true
        case .sqlite(_, let error): error.isCorrupt
        default: false
        }
    }

    /// Whether the file is something else.
    var isNoDatabase: Bool { if case .sqlite(_, let error) = self { error.primary == SQLITE_NOTADB } else { false } }

    /// What happened, where, and what to do.
    public var description: String {
        switch self {
        case .newerSchema(let path, _, _), .locked(let path), .networkFileSystem(let path, _), .damaged(let path, _), .sqlite(let path, _):
            "spool \(path): \(finding)"
        case .directory(let path, _): "spool directory \(path): \(finding)"
        case .notWritable, .unknownConsumer: finding
        }
    }

    /// The same without its path, for a sentence that has named it.
    var finding: String {
        switch self {
        case .newerSchema(_, let found, let known):
            "has schema \(found), this tracefwd knows \(known). Nothing was changed; run the version that wrote it"
        case .locked: "another tracefwd has it open. Stop that one, or give this one a spool.path of its own"
        case .directory(_, let errno):
            "\(errnoSentence(errno)). It must exist (or its parent), and the daemon's user must be able to write there"
        case .networkFileSystem(_, let kind):
            "lies on a network file system (\(kind)), where a commit cannot be trusted. Choose a local disk"
        case .damaged(_, let what): "damaged: \(what)"
        case .sqlite(_, let error) where error.isFull:
            "the disk is full (\(error)). Free some space; nothing that was acknowledged is lost"
        case .sqlite(_, let error): "\(error)"
        case .notWritable(let reason): "the spool cannot be written now: \(reason)"
        case .unknownConsumer(let name): "no destination \"\(name)\" in the spool"
        }
    }
}

/// Tells where an error of SQLite happened.
func inFile<Answer>(_ path: String, _ body: () throws(SQLiteError) -> Answer) throws(SpoolError) -> Answer {
    do throws(SQLiteError) {
        return try body()
    } catch {
        throw .sqlite(path: path, error)
    }
}
