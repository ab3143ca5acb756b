import Logging

/// Storm control as a value. Of equal lines the first few in a window pass; the rest are counted, and told in one line when the window
/// ends. While the storm goes on, each further window is that one line; a window without any ends it. `now` is monotonic, `at` the wall
/// clock, both in nanoseconds.
struct Storm {
    static let burst = 5
    static let window: UInt64 = 10_000_000_000
    /// Most kinds of line that are watched at a time; further ones pass, the ring bounds them.
    static let kindsMax = 256
    /// Reasons of one event and destination that are told apart; a platform may put a number of the request's own into each.
    static let reasonsMax = 8
    /// Events that say the same for ever: once is enough.
    static let toldOnce: Set = ["platform_note"]

    /// Lines are equal when these are; numbers and waits in their sentences differ, and do not make a new kind.
    private struct Kind: Hashable {
        static let telling = ["event", "destination", "source", "status", "place"]

        let level: Logger.Level
        let values: [String]
        var reason: String

        init(_ line: Line) {
            level = line.level
            // A line that is no event of ours, a library's say, is known by its sentence without the numbers.
            let isEvent = line["event"] != nil
            values = isEvent ? Self.telling.map { line[$0] ?? "" } : []
            reason = (isEvent ? line["reason"] ?? "" : line.message).filter { !$0.isNumber }
        }

        func differsInReasonOnly(from other: Kind) -> Bool { level == other.level && values == other.values }
    }

    private struct Run {
        let began: UInt64
        /// Lines that may still pass.
        var free: Int
        var held = 0
        var heldSpans = 0
        var last: Line?

        var ends: UInt64 { began + Storm.window }
    }

    private var runs: [Kind: Run] = [:]
    private var told: Set<String> = []
    /// When `due` has something to say next.
    private(set) var nextDue: UInt64?

    /// Whether the line is to be written; otherwise it has been counted. Debug lines always pass: who asked for each batch gets each.
    mutating func admits(_ line: Line, now: UInt64) -> Bool {
        if let event = line["event"], Self.toldOnce.contains(event) {
            return told.count < Self.kindsMax && told.insert(line.message).inserted
        }
        guard line.level >= .info else { return true }
        let kind = kind(of: line, now: now)
        guard var run = runs[kind] ?? begin(kind, now: now) else { return true }
        if run.held == 0, run.ends <= now { run = Run(began: now, free: Self.burst) }
        let passes = run.free > 0
        if passes {
            run.free -= 1
        } else {
            run.held += 1
            run.heldSpans += line["spans"].flatMap(Int.init) ?? 0
            run.last = line
            nextDue = min(nextDue ?? run.ends, run.ends)
        }
        runs[kind] = run
        return passes
    }

    /// The summaries of the windows that have ended, or of all at the very end; each stands for the lines that were held in one.
    mutating func due(now: UInt64, at: UInt64, all: Bool = false) -> [Line] {
        guard let first = nextDue, all || first <= now else { return [] }
        var lines: [Line] = []
        for (kind, run) in runs where run.held > 0 && (all || run.ends <= now) {
            if let last = run.last { lines.append(summary(of: run, last: last, now: now, at: at)) }
            runs[kind] = Run(began: now, free: 0)
        }
        nextDue = runs.values.filter { $0.held > 0 }.map(\.ends).min()
        return lines.sorted { $0.message < $1.message }
    }

    private func kind(of line: Line, now: UInt64) -> Kind {
        var kind = Kind(line)
        guard runs[kind] == nil, !kind.values.isEmpty else { return kind }
        let others = runs.count { $0.key.differsInReasonOnly(from: kind) && ($0.value.held > 0 || $0.value.ends > now) }
        if others >= Self.reasonsMax { kind.reason = "other" }
        return kind
    }

    /// Nil where too many kinds are watched already.
    private mutating func begin(_ kind: Kind, now: UInt64) -> Run? {
        if runs.count >= Self.kindsMax { runs = runs.filter { $0.value.held > 0 || $0.value.ends > now } }
        return runs.count < Self.kindsMax ? Run(began: now, free: Self.burst) : nil
    }

    private func summary(of run: Run, last: Line, now: UInt64, at: UInt64) -> Line {
        let spans = run.heldSpans > 0 ? " (\(counted(run.heldSpans, "span")))" : ""
        var fields = last.fields.filter { $0.name != "spans" } + [Line.Field(name: "repeated", value: "\(run.held)")]
        if run.heldSpans > 0 { fields.append(Line.Field(name: "spans", value: "\(run.heldSpans)")) }
        let time = Duration.nanoseconds(max(now, run.began) - run.began).human
        return Line(
            level: last.level, at: at, message: "... and \(run.held.grouped) more in the last \(time)\(spans), the last: \(last.message)",
            fields: fields)
    }
}
