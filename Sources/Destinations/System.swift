import Glibc

// What sinks ask of the system.

/// Why a system call failed, as a sentence.
struct SystemError: Error, CustomStringConvertible {
    let description: String

    /// What `errno` says.
    init() { description = String(cString: strerror(errno)) }
    /// What is not the system's to say.
    init(_ description: String) { self.description = description }
}

func check(_ result: Int32) throws(SystemError) {
    guard result == 0 else { throw SystemError() }
}

/// Writes everything, however often that takes.
func writeAll(_ bytes: [UInt8], to file: Int32) throws(SystemError) {
    var at = 0
    while at < bytes.count {
        let count = bytes.withUnsafeBytes { write(file, $0.baseAddress?.advanced(by: at), $0.count - at) }
        if count >= 0 {
            at += count
        } else if errno == EAGAIN {
            var wanted = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)  // somebody made our standard output non-blocking
            poll(&wanted, 1, -1)
        } else if errno != EINTR {
            throw SystemError()
        }
    }
}

/// Makes names in a directory last.
func syncDirectory(_ path: String) throws(SystemError) {
    let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw SystemError() }
    defer { close(directory) }
    try check(fsync(directory))
}

/// The directory of a file's path.
func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Nanoseconds of the Unix epoch.
@Sendable func wallClock() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
