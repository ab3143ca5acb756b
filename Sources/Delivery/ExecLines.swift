import Glibc
import Intake
import SpanModel

// The bytes between the daemon and a route's program.

/// Lines on their way to the program.
struct OutgoingBytes {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }
    var isEmpty: Bool { count == 0 }

    /// Adds a span as a line; how long that is.
    mutating func append(_ span: SpanView) -> Int {
        let before = bytes.count
        appendNativeJSON(span, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes.count - before
    }

    /// Writes what the program takes now. False where it reads no more.
    mutating func write(to child: ChildProcess) -> Bool {
        while !isEmpty {
            guard let count = bytes.withUnsafeBytes({ child.write(UnsafeRawBufferPointer(rebasing: $0[start...])) }) else { return false }
            guard count > 0 else { break }
            start += count
        }
        if start == bytes.count || start > 1 << 20 {
            bytes.removeFirst(start)
            start = 0
        }
        return true
    }
}

/// Bytes of a stream, taken line by line.
struct LineBuffer {
    enum Found { case some, nothing, end }

    private var bytes: [UInt8] = []
    private var start = 0
    /// Up to here there is no line's end.
    private var looked = 0
    /// The stream has ended.
    private(set) var isOver = false

    /// Bytes that no line has taken yet.
    var count: Int { bytes.count - start }

    /// Reads once.
    mutating func read(_ file: Int32) -> Found {
        bytes.removeFirst(start)
        (looked, start) = (looked - start, 0)
        let before = bytes.count
        let room = 64 << 10
        bytes.append(contentsOf: repeatElement(0, count: room))
        let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress.map { $0 + before }, room) }
        let code = errno
        bytes.removeLast(room - max(count, 0))
        if count > 0 { return .some }
        if count < 0, code == EAGAIN || code == EINTR { return .nothing }
        isOver = true
        return .end
    }

    /// The next whole line, without its end.
    mutating func takeLine() -> [UInt8]? {
        guard let end = bytes[looked...].firstIndex(of: UInt8(ascii: "\n")) else {
            looked = bytes.count
            return nil
        }
        let line = bytes[start..<end]
        (start, looked) = (end + 1, end + 1)
        return Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
    }

    /// Drops the whole lines that are there; how many.
    mutating func dropLines() -> Int {
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")), end >= start else { return 0 }
        defer { (start, looked) = (end + 1, end + 1) }
        return bytes[start...end].withUnsafeBytes { $0.count { $0 == UInt8(ascii: "\n") } }
    }

    /// What is there of a line that has not ended; nil where nothing is.
    mutating func takeRest() -> [UInt8]? {
        guard count > 0 else { return nil }
        defer { (bytes, start, looked) = ([], 0, 0) }
        return Array(bytes[start...])
    }
}

/// Reads answers.
struct ExecAnswerReader {
    enum Reading {
        case answer(ExecAnswer)
        /// It cannot be told whose it is.
        case another
    }

    /// The program is the user's own: what it makes of a span is bounded by the length of its line.
    private let parser = LineParser(limits: IntakeLimits(spanBytes: .max, depth: IntakeLimits.depthMax, attributes: 100_000))

    /// A line that is to be the answer to a question: a span with the same ids, or `null`.
    func read(_ line: [UInt8], to question: SpanView) -> Reading {
        if line == Array("null".utf8) { return .answer(.discarded) }
        var batch = SpanBatch()
        let entry = question.entry
        let stamp = Stamp(receivedAt: entry.receivedAt, sender: entry.sender, source: SourceID(rawValue: entry.source) ?? .unix)
        let parsed = line.withUnsafeBytes { parser.parse($0, stamp: stamp, into: &batch) }
        if case .rejected(let reason) = parsed {
            return .answer(.failed(reason: "exec_answer", detail: "the program answered what is no span: \(reason.code)"))
        }
        let span = SpanView(segment: Segment(firstID: question.id, payload: batch.payload, entries: batch.entries), index: 0)
        guard span.traceID == question.traceID, span.spanID == question.spanID else { return .another }
        return .answer(.span(span))
    }
}

/// How many lines of its standard error a program may have told: some at once, then one a second.
struct LineAllowance {
    private static let linesMax = 20
    private static let second: UInt64 = 1_000_000_000
    private var left = linesMax
    private var since: UInt64 = 0
    private var leftOut = 0

    /// Whether one may be told now.
    mutating func permits(now: UInt64) -> Bool {
        let gained = since == 0 ? 0 : (now - min(since, now)) / Self.second
        left = min(Self.linesMax, left + Int(min(gained, 100)))
        since = since == 0 ? now : since + gained * Self.second
        return left > 0
    }

    /// How many were left out before this one; nil where this one is too.
    mutating func take(now: UInt64) -> Int? {
        guard permits(now: now) else {
            leftOut += 1
            return nil
        }
        left -= 1
        defer { leftOut = 0 }
        return leftOut
    }

    /// So many were not told.
    mutating func leaveOut(_ lines: Int) { leftOut += lines }
}
