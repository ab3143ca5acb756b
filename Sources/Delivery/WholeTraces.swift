import Pipeline
import SpanModel
import Spool

// Tail sampling in delivery's loop: reads the log ahead of a destination's cursor, and says what its whole trace makes of a span.
extension Loop {
    /// The decision over the span at this place of a segment, as its whole trace has it. Nil where the trace is not decided yet, or its
    /// decision not on disk: `lane.ahead.patience` says for how long another look is not worth it.
    func wholeDecision(_ routed: RoutedSegment, _ index: Int, _ lane: Lane) throws(SpoolError) -> RouteDecision? {
        let decision = routed.decision(index, for: lane.place)
        guard lane.ahead.isNeeded else { return decision }
        let view = SpanView(segment: routed.segment, index: index)
        // Of a span without a trace there is no more to come.
        guard let trace = view.traceID else { return router.judgeAlone(view, decision) }
        // Spans that other routes send or leave out wait too: the cursor never passes a span of an open trace, so that a restart, which reads
        // from the cursor on, sums up the same spans.
        guard try isDecided(trace, view.id, lane) else { return nil }
        guard decision.delivers, let route = decision.route, lane.ahead.tails.contains(where: { $0.route == route }) else {
            return decision
        }
        guard let whole = lane.ahead.decision(on: trace, by: route) else { return router.judgeAlone(view, decision) }
        guard whole.verdict == .dropped, view.id > whole.through else { return RouteDecision(trace: whole.verdict, by: route) }
        return router.keepsLate(view, by: route) ? decision : RouteDecision(.late, by: route)
    }

    /// Reads ahead until a trace is decided, the log ends, or others must have their turn. Whether it is, and every destination would find it
    /// so after a crash.
    private func isDecided(_ trace: TraceID, _ id: Int64, _ lane: Lane) throws(SpoolError) -> Bool {
        try recallTraces(lane)
        lane.ahead.skip(to: lane.cursor.position)
        let isOpen = try isOpen(trace, id, lane)
        saveDecisions(of: lane)
        if isOpen { return false }
        guard lane.ahead.isUnsaved(trace, saved: { log.decisionsSaved(of: lane.consumer) }) else { return true }
        // A commit wakes the loop before that.
        lane.ahead.patience = 100 * Self.millisecond
        return false
    }

    private func isOpen(_ trace: TraceID, _ id: Int64, _ lane: Lane) throws(SpoolError) -> Bool {
        let last = log.lastID
        let wall = guardian.isTrusted ? clock.wall() : nil
        lane.ahead.pass(now: clock.monotonic(), wall: wall, judge: router.judge)
        while lane.ahead.isOpen(trace, at: id) {
            guard lane.ahead.read < last else {
                lane.ahead.end(wall: wall, judge: router.judge)
                lane.ahead.patience = max(lane.ahead.nextDecision ?? 0, Self.millisecond)
                return lane.ahead.isOpen(trace, at: id)
            }
            guard lane.ahead.budget > 0 else {
                lane.ahead.patience = Self.millisecond
                return true
            }
            try readOn(lane, through: last)
        }
        return false
    }

    private static let millisecond: UInt64 = 1_000_000

    /// Sums up the spans of the next segment.
    private func readOn(_ lane: Lane, through last: Int64) throws(SpoolError) {
        let next = lane.ahead.read + 1
        guard let segment = try reader.segment(holding: next), segment.firstID <= last else { return lane.ahead.skip(to: last) }
        let shown = router.route(segment).segment
        let from = max(0, Int(next - segment.firstID))
        for index in from..<shown.entries.count where segment.firstID + Int64(index) <= last {
            let view = SpanView(segment: shown, index: index)
            lane.ahead.take(view.id, view.traceID, receivedAt: view.entry.receivedAt, judge: router.judge) {
                router.add(view, to: &$0, for: $1)
            }
        }
        lane.ahead.budget -= shown.entries.count - from
    }

    private func saveDecisions(of lane: Lane) {
        guard let settlement = lane.ahead.settlement(lane.consumer, lane.cursor) else { return }
        log.settle(settlement)
        lane.status.tracesDecidedEarly = lane.ahead.early
    }

    /// Reads what was decided before this start, or before a route became one that decides on whole traces.
    private func recallTraces(_ lane: Lane) throws(SpoolError) {
        guard lane.ahead.forgets else { return }
        _ = log.flush()
        var settlement = Settlement(consumer: lane.consumer, cursor: lane.cursor)
        settlement.forgottenTraces = lane.ahead.recall(
            try reader.traceDecisions(consumer: lane.consumer, limit: TraceAssembler.decisionsMax))
        if !settlement.forgottenTraces.isEmpty { log.settle(settlement) }
    }
}
