import CSystemd
import Glibc
import Logging

/// Where lines go. `write` may block for as long as it likes: it is called on the writer's own thread only.
protocol Outlet: Sendable {
    /// False: the line is lost.
    func write(_ line: Line) -> Bool
}

/// The journal where standard error is the journal and its socket can be reached, else standard error.
func outletOfThisProcess() -> any Outlet {
    if isJournal(getenv("JOURNAL_STREAM").map { String(cString: $0) }, STDERR_FILENO), access("/run/systemd/journal/socket", W_OK) == 0 {
        return JournaldOutlet()
    }
    return FileOutlet(STDERR_FILENO, coloured: isatty(STDERR_FILENO) == 1 && getenv("NO_COLOR") == nil)
}

/// `JOURNAL_STREAM` is the device and inode of the stream that systemd gave (systemd.exec(5)). Compared, because the variable is inherited
/// and standard error may have been redirected since.
func isJournal(_ journalStream: String?, _ descriptor: Int32) -> Bool {
    var status = stat()
    guard let journalStream, fstat(descriptor, &status) == 0 else { return false }
    return journalStream == "\(status.st_dev):\(status.st_ino)"
}

/// journald's native protocol: each field stands by itself, so `journalctl TRACEFWD_DESTINATION=langfuse` finds it.
struct JournaldOutlet: Outlet {
    func write(_ line: Line) -> Bool {
        if send(Self.entry(line)) { return true }
        // Too large for the socket and no memfd, or no permission: standard error is the journal's too.
        return FileOutlet(STDERR_FILENO, coloured: false).write(line)
    }

    /// `NAME=value`, one for each field of the entry.
    static func entry(_ line: Line) -> [String] {
        let known = ["MESSAGE=\(line.message)", "PRIORITY=\(priority(line.level))", "SYSLOG_IDENTIFIER=tracefwd"]
        return known + line.fields.map { "\(journalName($0.name))=\($0.value)" }
    }

    private func send(_ entry: [String]) -> Bool {
        var bytes = entry.joined().utf8.map(\.self)
        let lengths = entry.map(\.utf8.count)
        return bytes.withUnsafeMutableBytes { buffer in
            var parts: [iovec] = []
            var start = 0
            for length in lengths {
                parts.append(iovec(iov_base: buffer.baseAddress?.advanced(by: start), iov_len: length))
                start += length
            }
            return sd_journal_sendv(parts, Int32(parts.count)) >= 0
        }
    }

    /// A field's name in the journal: capitals, digits and underscores, 64 bytes at most.
    static func journalName(_ name: String) -> String {
        "TRACEFWD_" + String(name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }.prefix(55))
    }

    /// syslog's priority.
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

/// Lines of text into a file descriptor.
struct FileOutlet: Outlet {
    private let descriptor: Int32
    private let coloured: Bool

    init(_ descriptor: Int32, coloured: Bool) { (self.descriptor, self.coloured) = (descriptor, coloured) }

    func write(_ line: Line) -> Bool {
        var rest = Array(line.text(coloured: coloured).utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // A terminal that another process made non-blocking.
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wanted, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
