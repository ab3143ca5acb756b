import Glibc
import Logging

/// A line as a person reads it on standard error: time, level, sentence, two spaces, fields.
///
///     2026-11-26T09:30:00.123Z warning langfuse answered 429 to 120 spans; attempt 2 in 4 s  destination=langfuse event=retry status=429
extension Line {
    func text(coloured: Bool) -> String {
        let (open, close) = coloured ? (colour, "\u{1b}[0m") : ("", "")
        let shown = fields.filter(isShown).map { " \($0.name)=\($0.value.quotedIfNeeded)" }.joined()
        return "\(timestamp(at)) \(open)\(level)\(close) \(message)\(shown.isEmpty ? "" : " ")\(shown)\n"
    }

    /// The journal has every field. Here the numbers of an event are left out, all but the status: its sentence says them already.
    private func isShown(_ field: Field) -> Bool {
        field.name == "status" || self["event"] == nil || !field.value.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    private var colour: String {
        switch level {
        case .trace, .debug: "\u{1b}[2m"
        case .info, .notice: "\u{1b}[32m"
        case .warning: "\u{1b}[33m"
        case .error, .critical: "\u{1b}[31m"
        }
    }
}

/// RFC 3339 in UTC, to the millisecond.
private func timestamp(_ nanoseconds: UInt64) -> String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    let date = "\(parts.tm_year + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
    let time = "\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))"
    return "\(date)T\(time).\(digits(Int32(nanoseconds / 1_000_000 % 1_000), width: 3))Z"
}

private func digits(_ value: Int32, width: Int = 2) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.count)) + text
}

extension String {
    fileprivate var quotedIfNeeded: String {
        let isPlain = !isEmpty && utf8.allSatisfy { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return isPlain ? self : "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}
