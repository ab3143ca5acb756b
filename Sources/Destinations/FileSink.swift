import Delivery
import Glibc
import SpanModel

/// Appends to a file, and leaves no torn line in it: a write that fails half-way is cut back, and what a crash left is cut back when the
/// file is opened. One process at a time writes a file (flock). That the file was moved, deleted or cut by somebody else (logrotate) is
/// seen before each write.
final class FileSink: Sink {
    struct Options: Sendable {
        var path: String
        var mode: mode_t = 0o640
        var sync = true
        var rotation: Rotation?
        var compress = false
        /// Nanoseconds of the Unix epoch.
        var now: @Sendable () -> UInt64 = wallClock
    }

    struct Rotation: Sendable {
        var sizeMax: Int
        /// Seconds; periods are counted from the Unix epoch, so that a restart changes nothing.
        var every: UInt64?
        var keep: Int?
    }

    private let options: Options
    private let rotated: RotatedFiles
    private var file: Int32
    /// When the file was written last, seconds of the Unix epoch.
    private var lastWrite: UInt64

    init(_ options: Options) throws(SinkError) {
        self.options = options
        rotated = RotatedFiles(path: options.path, mode: options.mode)
        (file, lastWrite) = try Self.open(options)
        rotated.deleteUnfinished()
    }

    deinit { close() }

    func write(_ request: Request) throws(SinkError) {
        let size = try reopenIfMoved()
        let begin = try rotateIfDue(size, adding: request.body.count) ? 0 : size
        do throws(SystemError) {
            try writeAll(request.body, to: file)
            if options.sync { try check(fdatasync(file)) }
        } catch {
            // Where this fails too, the line is cut back when the file is opened again.
            _ = ftruncate(file, off_t(begin))
            throw SinkError("\(options.path): cannot be written: \(error)")
        }
        lastWrite = options.now() / 1_000_000_000
    }

    func close() {
        guard file >= 0 else { return }
        // A child that has not yet begun its program still has a copy, which would keep the lock.
        flock(file, LOCK_UN)
        Glibc.close(file)
        file = -1
    }

    // MARK: Opening

    private static func open(_ options: Options) throws(SinkError) -> (file: Int32, lastWrite: UInt64) {
        let path = options.path
        do throws(SystemError) {
            let directory = directory(of: path)
            if mkdir(directory, 0o750) != 0, errno != EEXIST { throw SystemError() }
            var isNew = true
            var file = Glibc.open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_CREAT | O_EXCL, options.mode)
            if file < 0, errno == EEXIST {
                isNew = false
                file = Glibc.open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK)  // a pipe without a reader must not hold us up
            }
            guard file >= 0 else { throw SystemError() }
            do throws(SystemError) {
                let lastWrite = try prepare(file, isNew: isNew, options)
                if isNew, options.sync { try syncDirectory(directory) }
                return (file, lastWrite)
            } catch {
                Glibc.close(file)
                throw error
            }
        } catch {
            throw SinkError("\(path): cannot be opened: \(error)")
        }
    }

    private static func prepare(_ file: Int32, isNew: Bool, _ options: Options) throws(SystemError) -> UInt64 {
        var status = stat()
        try check(fstat(file, &status))
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError("it is no regular file") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { throw SystemError("another process writes it") }
        if isNew {
            try check(fchmod(file, options.mode))  // whatever the umask is
        } else {
            try cutTornLine(file, size: Int(status.st_size))
        }
        return isNew ? options.now() / 1_000_000_000 : UInt64(max(0, status.st_mtim.tv_sec))
    }

    /// Cuts back to the last newline: what a crash in a write left.
    private static func cutTornLine(_ file: Int32, size: Int) throws(SystemError) {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var end = size
        while end > 0 {
            let begin = max(0, end - chunk.count)
            let count = pread(file, &chunk, end - begin, off_t(begin))
            guard count == end - begin else { throw SystemError() }
            if let newline = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) {
                end = begin + newline + 1
                break
            }
            end = begin
        }
        guard end < size else { return }
        var first: UInt8 = 0
        // Somebody else's file is not ours to cut. Zeros are what a power cut leaves where a file system lengthens a file before its data is
        // there; no line of NDJSON holds one.
        guard pread(file, &first, 1, off_t(end)) == 1, first == UInt8(ascii: "{") || first == 0 else {
            throw SystemError("its last line has no end and was not written by tracefwd; choose another file")
        }
        try check(ftruncate(file, off_t(end)))
    }

    /// The file's size; opens it anew where the path has another one now, or none.
    private func reopenIfMoved() throws(SinkError) -> Int {
        var (here, there) = (stat(), stat())
        if file >= 0, fstat(file, &here) == 0, stat(options.path, &there) == 0, here.st_ino == there.st_ino, here.st_dev == there.st_dev {
            return Int(here.st_size)
        }
        close()
        (file, lastWrite) = try Self.open(options)
        return fstat(file, &here) == 0 ? Int(here.st_size) : 0
    }

    // MARK: Rotation

    private func rotateIfDue(_ size: Int, adding count: Int) throws(SinkError) -> Bool {
        guard let rotation = options.rotation, size > 0 else { return false }
        let now = options.now() / 1_000_000_000
        let isOver = rotation.every.map { now / $0 != lastWrite / $0 } ?? false
        guard isOver || size + count > rotation.sizeMax else { return false }
        do throws(SystemError) {
            try rotated.moveAway(at: now)
        } catch {
            throw SinkError("\(options.path): cannot be rotated: \(error)")
        }
        close()
        (file, lastWrite) = try Self.open(options)
        // The spans are safe: what fails from here on is tried again at the next rotation.
        if options.compress { rotated.compressAll() }
        if let keep = rotation.keep { rotated.deleteAll(but: keep) }
        return true
    }
}
