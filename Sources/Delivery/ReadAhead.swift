import Pipeline
import SpanModel
import Spool

/// How far a destination's log has been read ahead for the routes that decide on whole traces, and what became of those. The log is the
/// buffer: what is held is a few hundred bytes for an open trace. A value; `Loop` reads, and acts.
struct ReadAhead {
    /// A route that decides on whole traces.
    struct Tail {
        let route: Int
        let name: String
        var assembler: TraceAssembler
        /// Whether it knows what was decided before this start.
        var isRecalled = false
    }

    private(set) var tails: [Tail] = []
    /// The last id that was read.
    private(set) var read: Int64
    /// When it was looked at last (monotonic nanoseconds).
    private var seenAt: UInt64?
    /// Decisions that are on their way to the disk, with the number of the settlement that carries them.
    private var unsaved: [TraceID: Int64] = [:]
    private var fresh: [TraceDecision] = []
    private var settlements: Int64 = 0
    /// Ids at which gathering has stopped, and when it is worth another look (monotonic nanoseconds).
    private var waits: [(id: Int64, until: UInt64)] = []

    /// Spans that may be read before others have their turn, and how many a turn has.
    var budget = 0
    static let spansAtOnce = 8192
    /// Nanoseconds for which another look at a trace that was found open is not worth it.
    var patience: UInt64 = 0

    /// Reads from behind `position` on. What `before` knows of routes of the same name stays known.
    init(_ tails: [(route: Int, name: String, limits: TraceLimits)] = [], behind position: Int64, after before: ReadAhead? = nil) {
        read = position
        (unsaved, settlements) = (before?.unsaved ?? [:], before?.settlements ?? 0)
        self.tails = tails.map { route, name, limits in
            let known = before?.tails.first { $0.name == name }
            var assembler = TraceAssembler(limits: limits)
            if let known { assembler.takeOver(known.assembler) }
            return Tail(route: route, name: name, assembler: assembler, isRecalled: known?.isRecalled ?? false)
        }
    }

    /// Whether a route decides on whole traces.
    var isNeeded: Bool { !tails.isEmpty }

    /// Traces that were decided before their time because too many were open.
    var early: Int64 { tails.reduce(0) { $0 + $1.assembler.early } }

    // MARK: Reading

    /// Whether a trace, whose span of this id is to be judged, is not decided yet.
    func isOpen(_ trace: TraceID, at id: Int64) -> Bool { read < id || tails.contains { $0.assembler.isOpen(trace) } }

    /// Goes on behind this id where what lies before it is settled.
    mutating func skip(to position: Int64) { read = max(read, position) }

    /// Takes the span of the next id in. `add` puts it into the sums of its trace for a route.
    mutating func take(
        _ id: Int64, _ trace: TraceID?, receivedAt: UInt64, judge: (TraceSums, Int) -> TraceVerdict, add: (inout TraceSums, Int) -> Void
    ) {
        for index in tails.indices {
            advance(index, to: receivedAt, judge)
            guard let trace else { continue }
            let (route, name) = (tails[index].route, tails[index].name)
            var decided: [TraceDecision] = []
            tails[index].assembler.add(trace, seen: read, receivedAt: receivedAt, judge: { judge($0, route) }) {
                decided.append(.init(name, $0, $1))
            } add: {
                add(&$0, route)
            }
            fresh += decided
        }
        read = id
    }

    /// While the wall clock cannot be believed, or was set back and holds the log's stamps still, the log's time goes on by what has passed
    /// since the last look.
    mutating func pass(now: UInt64, wall: UInt64?, judge: (TraceSums, Int) -> TraceVerdict) {
        let passed = now - min(now, seenAt ?? now)
        seenAt = now
        for index in tails.indices {
            let log = tails[index].assembler.now
            if log > 0, wall.map({ $0 < log }) ?? true { advance(index, to: log &+ passed, judge) }
        }
    }

    /// The log ends here: its time is the wall clock's, nil where that cannot be believed.
    mutating func end(wall: UInt64?, judge: (TraceSums, Int) -> TraceVerdict) {
        guard let wall else { return }
        for index in tails.indices { advance(index, to: wall, judge) }
    }

    private mutating func advance(_ index: Int, to time: UInt64, _ judge: (TraceSums, Int) -> TraceVerdict) {
        let (route, name) = (tails[index].route, tails[index].name)
        var decided: [TraceDecision] = []
        tails[index].assembler.advance(to: time, seen: read, judge: { judge($0, route) }) { decided.append(.init(name, $0, $1)) }
        fresh += decided
    }

    /// Nanoseconds until a trace is decided though nothing comes; nil where none is open.
    var nextDecision: UInt64? {
        tails.compactMap { tail in tail.assembler.nextDue.map { $0 - min($0, tail.assembler.now) } }.min()
    }

    // MARK: Decisions

    /// What became of a trace by this route; nil where it is not known (any more).
    func decision(on trace: TraceID, by route: Int) -> TraceAssembler.Decision? {
        tails.first { $0.route == route }?.assembler.decision(on: trace)
    }

    /// What was decided since the last call, as a settlement at this cursor; nil where nothing was.
    mutating func settlement(_ consumer: Int64, _ cursor: Cursor) -> Settlement? {
        guard !fresh.isEmpty else { return nil }
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        settlements += 1
        (settlement.decisions, settlement.decisionsNumber) = (fresh, settlements)
        for decision in fresh { unsaved[decision.trace] = settlements }
        fresh = []
        for index in tails.indices {
            let forgotten = tails[index].assembler.forget(settled: cursor.position)
            settlement.forgottenTraces += forgotten.map { TracedRoute(route: tails[index].name, trace: $0) }
        }
        return settlement
    }

    /// Whether a decision has yet to reach the disk; `saved` is the number of the last settlement that is there.
    mutating func isUnsaved(_ trace: TraceID, saved: () -> Int64) -> Bool {
        guard unsaved[trace] != nil else { return false }
        let saved = saved()
        unsaved = unsaved.filter { $0.value > saved }
        return unsaved[trace] != nil
    }

    /// Whether decisions are on their way to the disk.
    var isSaving: Bool { !unsaved.isEmpty }

    /// Whether decisions of before this start are to be read.
    var forgets: Bool { tails.contains { !$0.isRecalled } }

    /// Takes over what was decided before, the oldest first. Returns what routes have decided that do so no more.
    mutating func recall(_ decisions: [TraceDecision]) -> [TracedRoute] {
        for index in tails.indices where !tails[index].isRecalled {
            tails[index].isRecalled = true
            for one in decisions where one.route == tails[index].name {
                guard let verdict = TraceVerdict(rawValue: one.verdict) else { continue }
                tails[index].assembler.remember(.init(verdict: verdict, through: one.through, at: one.at), on: one.trace)
            }
        }
        let names = Set(tails.map(\.name))
        return decisions.filter { !names.contains($0.route) }.map { TracedRoute(route: $0.route, trace: $0.trace) }
    }

    /// The cursor was set back: what lies behind it is read again, what is decided stays so.
    mutating func rewind(to position: Int64) {
        for index in tails.indices { tails[index].assembler.rewind() }
        (read, waits, seenAt) = (position, [], nil)
    }

    // MARK: Waiting

    /// Nothing is gathered from this id on before then.
    mutating func wait(at id: Int64, until: UInt64) {
        waits.removeAll { $0.id == id }
        // One where the log goes on, one behind an outage.
        if waits.count > 1 { waits.removeFirst() }
        waits.append((id, until))
    }

    /// When gathering from this id on is worth a look; 0 at once.
    func gathers(from id: Int64) -> UInt64 { waits.first { $0.id == id }?.until ?? 0 }

    /// Gathering looks at this id now.
    mutating func looks(at id: Int64) { waits.removeAll { $0.id == id } }
}

extension TraceDecision {
    fileprivate init(_ route: String, _ trace: TraceID, _ decision: TraceAssembler.Decision) {
        self.init(route: route, trace: trace, verdict: decision.verdict.rawValue, through: decision.through, at: decision.at)
    }
}
