import Pipeline
import SpanModel

// Batches whose spans go through programs of their routes (`transform: exec`) before they are sent.
extension Loop {
    /// Hands the spans of a batch to the programs of their routes. It is under way from now on, and sent when all answers are there.
    func ask(
        _ spans: [(view: SpanView, decision: RouteDecision)], _ batch: Batch, _ stored: [SpanView], _ lane: Lane, to other: Lane?,
        _ now: UInt64
    ) {
        let token = nextToken
        nextToken += 1
        var flight = Lane.Flight(
            batch: batch, spanBytes: [], bodyBytes: 0, sentAt: now, destination: lane.spec.destination, request: .none,
            handedTo: other?.name)
        flight.leasedBytes = stored.reduce(0) { $0 + Int($1.entry.length) }
        budget.leaseAnyway(flight.leasedBytes)
        flight.preparation = programs.prepare(token, spans, stored: stored, by: router)
        lane.started(token, flight)
        flights[token] = lane
    }

    /// What a route's program says.
    func heard(_ news: ExecNews, from program: Rules.RouteProgram) {
        switch news {
        case .started:
            router.programStarted(program.route)
            tell(.programStarted(route: program.route))
        case .stopped(let detail, let wait): tell(.programStopped(route: program.route, detail: brief(detail), wait: wait))
        case .said(let line): tell(.programSaid(route: program.route, line: line))
        case .answered(let token, let answers):
            guard let token = programs.answered(token, answers), let lane = flights.removeValue(forKey: token),
                let flight = lane.ended(token), let preparation = flight.preparation
            else { return }
            budget.giveBack(flight.leasedBytes)
            prepared(flight, preparation, lane)
        }
    }

    /// All answers for a batch are there: what has one goes on.
    private func prepared(_ flight: Lane.Flight, _ preparation: ExecPrograms.Preparation, _ lane: Lane) {
        let now = clock.monotonic()
        let batch = flight.batch
        let other = flight.handedTo.flatMap { self.lane($0) }
        // Meanwhile it was stopped, or the rules are others: then it is as if nobody had asked.
        guard mayStart, !lane.removed, lane.seekTarget == nil, lane.permitsProbe(now: now), lane.spec.settings.isEnabled,
            preparation.rules === router.rules, (flight.handedTo == nil) == (other == nil)
        else {
            lane.breaker.probeInconclusive(now: now)
            return lane.waiting.append(batch)
        }
        var formed: [SpanView] = []
        var (goes, discarded, failed): ([Int], [Int], [(offset: Int, reason: String, detail: String)]) = ([], [], [])
        for (offset, span) in preparation.spans.enumerated() {
            switch preparation.answers[offset] {
            case .discarded: discarded.append(offset)
            case .failed(let reason, let detail) where !isKept(span.decision, reason): failed.append((offset, reason, detail))
            case .span(let answer):
                formed.append(router.form(span.view, by: span.decision, answer: answer))
                goes.append(offset)
            case .failed, nil:
                formed.append(router.form(span.view, by: span.decision, answer: preparation.questions[offset]))
                goes.append(offset)
            }
        }
        if failed.isEmpty, discarded.isEmpty { return encode(formed, batch, preparation.stored, lane, to: other, now) }
        if failed.isEmpty, case .log(let spans) = batch.spans {
            let rest = spans.leavingOut(discarded, of: preparation)
            guard rest.count > 0 else {
                lane.breaker.probeInconclusive(now: now)
                return lane.settle(rest, .delivered, bytes: 0, in: log)
            }
            var batch = batch
            batch.spans = .log(rest)
            return encode(formed, batch, goes.map { preparation.stored[$0] }, lane, to: other, now)
        }
        // Spans that have no answer are dead letters; the others are batches of their own, and asked for again.
        lane.breaker.probeInconclusive(now: now)
        func part(_ offsets: Range<Int>) -> Batch { batch.part(offsets, suspect: false, deliveriesSeen: batch.deliveriesSeen) }
        // A letter that is left out stays one; what the log has is settled when its part is sent.
        if !batch.isOfLog { failed += discarded.map { ($0, "exec", "the route's program leaves it out") } }
        var from = 0
        for (offset, reason, detail) in failed.sorted(by: { $0.offset < $1.offset }) {
            if from < offset { lane.waiting.append(part(from..<offset)) }
            bury(part(offset..<offset + 1), lane, reason: reason, status: 0, detail: detail)
            from = offset + 1
        }
        if from < batch.spans.count { lane.waiting.append(part(from..<batch.spans.count)) }
        if !batch.isOfLog { lane.letterAt = 0 }
    }

    /// Counts that a program had no answer; whether the span goes on as it is nevertheless.
    private func isKept(_ decision: RouteDecision, _ reason: String) -> Bool {
        guard let program = router.rules.program(of: decision) else { return true }
        router.programFailed(program.route, reason: reason)
        return program.program.keepsOnError
    }
}
