import Glibc

/// What every destination has is read no more, as a rule, and is let go from the kernel's cache: else a day's history would lie there, count as
/// the service's memory in `systemctl status`, and push out what the applications of the host read. A destination that is far behind reads the
/// disk. Advice that the kernel may ignore: nothing depends on it.
///
/// New pages stand at the end of the file while it grows; once it is full they stand among old ones. There the newest go too, unless a
/// destination lags; what was just committed is in the spool's own cache.
struct PageCache {
    /// How far the log has come, and the destinations.
    struct Progress {
        /// The last id that is committed.
        var last: Int64
        /// Stored bytes of all spans up to it, ever.
        var logged: Int64
        /// Each destination has all spans up to one of these ids.
        var positions: [Int64]
    }

    /// How far the log had come when the file had some size.
    struct Mark: Equatable {
        /// The last id whose pages are in the file.
        var id: Int64
        /// Stored bytes of all spans up to it, ever.
        var logged: Int64
        /// Bytes of the file.
        var size: Int
    }

    private let path: String
    /// SQLite's own descriptor of the file. One of ours would take SQLite's locks with it when it is closed (fcntl(2), "Record locks").
    private var file: Int32 = -1
    private(set) var marks: [Mark] = []
    private var readBytes = 0

    /// Stored bytes from the end of the log on that are kept for a destination that lags.
    static let lagBytesMax: Int64 = 256 << 20
    /// Bytes that are read by a destination that is further behind, and kept.
    static let readBytesMax = 64 << 20

    init(path: String) { self.path = path }

    /// The WAL has been copied up to the last span of `progress`.
    mutating func copied(_ progress: Progress) {
        let (last, logged) = (progress.last, progress.logged)
        guard let size = open(), let end = mark(Mark(id: last, logged: logged, size: size), progress.positions) else { return }
        posix_fadvise(file, 0, off_t(end), POSIX_FADV_DONTNEED)
    }

    /// As much of what lies far behind has been read: all goes, the few MiB with it that the kernel has read ahead.
    mutating func readFarBehind(bytes: Int) {
        readBytes += bytes
        guard readBytes >= Self.readBytesMax, open() != nil else { return }
        readBytes = 0
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// Sets a mark; returns how many bytes from the file's begin are no longer wanted, nil for none.
    mutating func mark(_ now: Mark, _ positions: [Int64]) -> Int? {
        let before = marks.last ?? now
        marks.append(now)
        func isFar(_ mark: Mark) -> Bool { now.logged - mark.logged > Self.lagBytesMax }
        // The last one that is far behind tells who is.
        while marks.count > 1, isFar(marks[1]) { marks.removeFirst() }
        let far = isFar(marks[0]) ? marks[0].id : .min
        let hindmost = positions.filter { $0 >= far }.min() ?? now.id
        guard let reached = marks.last(where: { $0.id <= hindmost }) else { return nil }
        // By half: a full file grows by a page now and then.
        let grows = 2 * Int64(now.size - reached.size) > now.logged - reached.logged
        return grows || reached.id >= before.id ? reached.size : nil
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
