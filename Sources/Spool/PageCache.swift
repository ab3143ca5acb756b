import Glibc

/// What every destination has is read no more, as a rule, and is let go from the kernel's cache: else a day's history would lie there, count as
/// the service's memory in `systemctl status`, and push out what the applications of the host read. Advice that the kernel may ignore: nothing
/// depends on it.
///
/// New pages stand at the end of the file while it grows; once it is full they stand among old ones. There the newest go too, unless a
/// destination lags; what was just committed is in the spool's own cache.
struct PageCache {
    /// How far the log had come when the file had some size.
    struct Mark: Equatable {
        /// The last id whose pages are in the file.
        var id: Int64
        /// Bytes of the file.
        var size: Int
    }

    private let path: String
    /// SQLite's own descriptor of the file. One of ours would take SQLite's locks with it when it is closed (fcntl(2), "Record locks").
    private var file: Int32 = -1
    private(set) var marks: [Mark] = []
    private var passes = 0

    /// Letting go takes some milliseconds, so not at every copy of the WAL.
    static let passesBetween = 1
    /// Where a destination is far behind the marks before this many are forgotten.
    static let marksMax = 512

    init(path: String) { self.path = path }

    /// The WAL has been copied up to the span `id`, and each destination has all spans up to `settled`.
    mutating func copied(through id: Int64, settled: Int64) {
        guard let size = open() else { return }
        if let end = mark(Mark(id: id, size: size), settled: settled) { posix_fadvise(file, 0, off_t(end), POSIX_FADV_DONTNEED) }
    }

    /// Sets a mark; returns how many bytes from the file's begin are no longer wanted, nil for none.
    mutating func mark(_ now: Mark, settled: Int64) -> Int? {
        let before = marks.last
        marks.append(now)
        if marks.count > Self.marksMax { marks.removeFirst() }
        guard let last = marks.lastIndex(where: { $0.id <= settled }) else { return nil }
        let reached = marks[last]
        marks.removeFirst(last)
        let grows = reached.size < now.size
        return grows || reached.id >= before?.id ?? now.id ? reached.size : nil
    }

    /// Sees to it that `file` is one of the path's file, and returns its size.
    private mutating func open() -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        // SQLite opened it early, and descriptors are given out from below.
        if !isOpen(file, status) { file = (0..<4096).first { isOpen($0, status) } ?? -1 }
        return file < 0 ? nil : Int(status.st_size)
    }

    private func isOpen(_ descriptor: Int32, _ wanted: stat) -> Bool {
        var status = stat()
        return descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_ino == wanted.st_ino && status.st_dev == wanted.st_dev
    }
}
