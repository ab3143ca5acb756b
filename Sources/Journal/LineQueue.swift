/// The lines that wait for the writer's thread, as a value: storm control, then a bounded ring.
///
/// Full, it takes nothing until half of it has flowed: a journal that is merely slow loses whole stretches, each told where it was,
/// not every other line.
struct LineQueue {
    static let linesMax = 4_096
    static let bytesMax = 1 << 20

    private var storm = Storm()
    private var lines: [Line] = []
    /// Of `lines`, those before it are taken.
    private var head = 0
    private var bytes = 0
    private var isShut = false
    /// Lost since it shut.
    private var gap = 0
    /// Lost ever, whatever the reason.
    private(set) var lost = 0
    /// No line comes after this one; what waits is still given out.
    private(set) var isClosed = false

    private var count: Int { lines.count - head }

    /// Whether the thread has to look again: the first line in an empty ring, the first one of a storm. Otherwise it is awake, or knows.
    mutating func add(_ line: Line, now: UInt64) -> Bool {
        let before = (isEmpty: count == 0, due: storm.nextDue)
        if isClosed { lose() } else if storm.admits(line, now: now) { put(line) }
        return before.isEmpty && count > 0 || before.due != storm.nextDue
    }

    mutating func close() { isClosed = true }

    /// A line that was taken could not be written.
    mutating func lose() { lost += 1 }

    /// The next line to write. Nil: none now.
    mutating func next(now: UInt64, at: UInt64) -> Line? {
        for line in storm.due(now: now, at: at, all: isClosed) { put(line) }
        if isShut, count <= Self.linesMax / 2, bytes <= Self.bytesMax / 2 {
            isShut = false
            append(Self.gapLine(lost: gap, at: at))
            gap = 0
        }
        guard head < lines.count else { return nil }
        let line = lines[head]
        head += 1
        bytes -= line.bytes
        if head * 2 >= lines.count {
            lines.removeFirst(head)
            head = 0
        }
        return line
    }

    /// When `next` may have something though no line was added.
    var nextDue: UInt64? { storm.nextDue }

    private mutating func put(_ line: Line) {
        if !isShut, count < Self.linesMax, bytes + line.bytes <= Self.bytesMax { return append(line) }
        isShut = true
        gap += 1
        lost += 1
    }

    private mutating func append(_ line: Line) {
        lines.append(line)
        bytes += line.bytes
    }

    private static func gapLine(lost: Int, at: UInt64) -> Line {
        let fields = [Line.Field(name: "event", value: "journal_lines_lost"), Line.Field(name: "lines", value: "\(lost)")]
        let verb = lost == 1 ? "was" : "were"
        return Line(
            level: .warning, at: at, message: "\(counted(lost, "line")) \(verb) lost: the journal did not take them", fields: fields)
    }
}
