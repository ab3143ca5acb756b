import Pipeline
import SpanModel
import Spool
import Threading

/// Delivery's thread: acts on what the lanes decide. `step` never waits, so that a simulator can drive it with a played clock and wire.
final class Loop {
    let log: SpanLog
    let reader: LogReader
    private(set) var router = Router(Rules(everythingTo: []))
    private let http: any HTTPTransport
    let clock: Clock
    let tell: @Sendable (DeliveryEvent) -> Void
    private let sinkDone: @Sendable (UInt64, SinkError?) -> Void
    private var random: any RandomNumberGenerator
    private(set) var lanes: [Lane] = []
    private var sinks: [String: SinkSender] = [:]
    let programs: ExecPrograms
    private(set) var guardian = WallClockGuard()
    var nextToken: UInt64 = 1
    var flights: [UInt64: Lane] = [:]
    /// Limits of requests that several destinations share, by account.
    private var sharedBuckets: [String: SharedBucket] = [:]
    /// Bytes of request bodies under way, over which a destination that has one already starts no other.
    let budget: MemoryBudget
    /// The disk fails commits: what cannot be settled is not sent.
    var spoolFails = false
    /// No new batches: the daemon stops.
    var stopping = false
    private var agedAt: UInt64 = 0
    private var rulesToldAt: UInt64 = 0
    private static let second: UInt64 = 1_000_000_000
    /// Nanoseconds from a destination's first traffic to its line of summary.
    var summaryEvery: UInt64 = 10 * second
    /// Minutes after which a refused destination is asked again (DESIGN.md section 5).
    private static let probeMinutes: [UInt64] = [1, 5, 15, 60]

    init(
        log: SpanLog, http: any HTTPTransport, clock: Clock, random: any RandomNumberGenerator, budget: MemoryBudget,
        sinkDone: @escaping @Sendable (UInt64, SinkError?) -> Void,
        programNews: @escaping @Sendable (Rules.RouteProgram, ExecNews) -> Void = { _, _ in },
        tell: @escaping @Sendable (DeliveryEvent) -> Void
    ) throws(SpoolError) {
        self.log = log
        self.http = http
        self.clock = clock
        self.random = random
        self.budget = budget
        self.sinkDone = sinkDone
        self.tell = tell
        programs = ExecPrograms(news: programNews)
        reader = try log.reader()
    }

    // MARK: The turn of the loop

    /// Does all that can be done now, and returns when to look again (monotonic nanoseconds; nil: when something happens).
    func step() -> UInt64? {
        for (token, result) in http.finished() { ended(token, result) }
        let now = clock.monotonic()
        if let jump = guardian.observe(wall: clock.wall(), boot: clock.boot(), synchronised: clock.synchronised()) {
            tell(.clockJumped(by: jump))
        }
        let lastID = log.lastID
        if now >= agedAt + Self.second {
            agedAt = now
            expireAged(lastID: lastID)
            for lane in lanes { lane.parents?.advance(now: now) }
        }
        if now >= rulesToldAt + 60 * Self.second { tellOfRules(now) }
        var deadline: UInt64?
        pump(now: now, lastID: lastID)
        for lane in lanes {
            handOver(lane, now: now, lastID: lastID)
            summarize(lane, now: now)
            let sends = mayStart && lane.constant?.delivers != false && (lane.inFlight.isEmpty || budget.hasRoom)
            if let next = lane.deadline(now: now, lastID: lastID, sends: sends) { deadline = min(deadline ?? next, next) }
            if sends, let letterAt = lane.letterAt, lane.hold == nil, !lane.removed, lane.spec.settings.isEnabled {
                let wall = clock.wall() / 1_000_000
                let wait = UInt64(max(0, letterAt - Int64(wall))) * 1_000_000
                deadline = min(deadline ?? .max, now + max(wait, 100_000_000))
            }
        }
        lanes.removeAll { $0.removed && $0.inFlight.isEmpty }
        return deadline
    }

    /// What failed in the rules and which models have no price, a minute at most after it was met while there is traffic.
    private func tellOfRules(_ now: UInt64) {
        let (failures, models) = (router.takeFailures(), router.takeNewModels())
        guard !failures.isEmpty || !models.isEmpty else { return }
        rulesToldAt = now
        for failure in failures { tell(.ruleFailed(route: failure.route, count: failure.count, detail: failure.detail)) }
        for model in models { tell(.unknownModel(model)) }
    }

    /// Requests under way.
    var inFlight: Int { flights.count }

    /// Ends what is under way without an answer: it is sent again at the next start, with the same ids.
    func abort() {
        http.abort()
        for sink in sinks.values { sink.stop() }
        programs.stop()
    }

    /// Whether anything may be started at all.
    var mayStart: Bool { !stopping && !spoolFails }

    /// Starts what can be started, a batch of each lane in turn, the hindmost first: lanes that are at the same place in the log share the
    /// segments that were read and what the routes make of them.
    private func pump(now: UInt64, lastID: Int64) {
        var going = lanes.filter { mayPump($0, now: now, lastID: lastID) }
        going.sort { $0.nextID < $1.nextID }
        while !going.isEmpty { going.removeAll { !startNext($0, now: now, lastID: lastID) } }
    }

    /// Whether a lane sends anything at all.
    private func mayPump(_ lane: Lane, now: UInt64, lastID: Int64) -> Bool {
        if let target = lane.seekTarget, lane.inFlight.isEmpty, !spoolFails { finishSeek(lane, to: target) }
        guard mayStart else { return false }
        lane.ahead.budget = ReadAhead.spansAtOnce
        guard let constant = lane.constant, !constant.delivers else { return true }
        filter(lane, by: constant, through: lastID)
        return false
    }

    /// Starts the lane's next batch; false where nothing of it can be started now.
    private func startNext(_ lane: Lane, now: UInt64, lastID: Int64) -> Bool {
        guard lane.mayStart(now: now), lane.inFlight.isEmpty || budget.hasRoom, hasTurn(lane, now: now, lastID: lastID) else {
            return false
        }
        if lane.prefersLive, let live = gather(lane, now: now, lastID: lastID) {
            send(live, by: lane, now: now)
            return true
        }
        var next = lane.nextWaiting(now: now)
        if let index = next, lane.breaker.state != .closed, lane.waiting[index].failures > 0, lane.mayGather,
            let fresh = gather(lane, now: now, lastID: lastID)
        {
            // A probe with what has never failed tells more of the platform.
            lane.waiting.append(fresh)
            next = lane.waiting.indices.last
        }
        if let index = next {
            guard lane.breaker.permits(now: now) else { return false }
            send(lane.waiting.remove(at: index), by: lane, now: now)
        } else if let batch = dueLetters(lane)
            ?? (lane.mayGather ? gather(lane, now: now, lastID: lastID) : nil) ?? gatherBehind(lane, now: now)
        {
            // Gathered is gathered: where the breaker says no, the batch waits.
            if lane.breaker.permits(now: now) { send(batch, by: lane, now: now) } else { lane.waiting.append(batch) }
        } else {
            return false
        }
        return true
    }

    /// Whether no other destination that could go now has waited longer for the limit that they share.
    private func hasTurn(_ lane: Lane, now: UInt64, lastID: Int64) -> Bool {
        guard let shared = lane.shared, lane.isLimited(door: lane.detour.door(now: now)) else { return true }
        return !lanes.contains { other in
            other !== lane && other.shared === shared && other.turn < lane.turn && other.isLimited(door: other.detour.door(now: now))
                && (other.inFlight.isEmpty || budget.hasRoom) && other.startsAt(now: now, lastID: lastID).map { $0 <= now } ?? false
        }
    }

    /// Sends what waits for a destination that has failed for long to the one that takes its place.
    private func handOver(_ lane: Lane, now: UInt64, lastID: Int64) {
        guard mayStart, lane.handsOver(now: now), let name = lane.spec.settings.fallback?.to, let other = self.lane(name),
            other.hold == nil,
            other.breaker.state == .closed
        else { return }
        func underWay() -> Int { lane.inFlight.count - lane.ownFlights }
        while underWay() < other.limit, underWay() == 0 || budget.hasRoom, now >= lane.readsAt {
            // One is kept back for the probe that finds the destination well again.
            if lane.waiting.count(where: \.isOfLog) > 1,
                let index = lane.waiting.indices.filter({ lane.waiting[$0].isOfLog && lane.waiting[$0].handOverAt <= now })
                    .min(by: { lane.waiting[$0].spans.first < lane.waiting[$1].spans.first })
            {
                send(lane.waiting.remove(at: index), by: lane, to: other, now: now)
            } else if lane.mayGather, let batch = gather(lane, now: now, lastID: lastID) {
                lane.waiting.append(batch)
                if lane.waiting.count(where: \.isOfLog) <= 1 { return }
            } else {
                return
            }
        }
    }

    // MARK: Batches

    /// A batch of what an outage left behind, where nothing newer waits.
    private func gatherBehind(_ lane: Lane, now: UInt64) -> Batch? {
        guard lane.mayGatherBehind, let behind = lane.behind else { return nil }
        let live = (lane.nextID, lane.open)
        (lane.nextID, lane.open) = (behind.lowerBound, nil)
        let batch = gather(lane, now: now, lastID: behind.upperBound, lingers: false)
        lane.behind = lane.nextID <= behind.upperBound ? lane.nextID...behind.upperBound : nil
        (lane.nextID, lane.open) = live
        return batch
    }

    /// Ids that one batch is gathered from, at most, where the routes leave most of them out.
    private static let idsMax = 4096

    /// A batch of the log where one is complete or has waited long enough.
    private func gather(_ lane: Lane, now: UInt64, lastID: Int64, lingers: Bool = true) -> Batch? {
        let limits = lane.spec.settings.limits
        // The cursor passes over ids that were settled before a restart as soon as those before them are.
        lane.nextID = max(lane.nextID, lane.cursor.position + 1)
        lane.ahead.looks(at: lane.nextID)
        while lane.nextID <= lastID || lane.open != nil {
            var open =
                lane.open ?? Lane.Open(first: lane.nextID, since: now, selection: lane.constant == nil ? .init(rules: lane.rules) : nil)
            // It moves: what it has gathered is not to be copied at each turn.
            lane.open = nil
            var complete = false
            scan: while lane.nextID <= lastID {
                // Ids that were settled before a restart are stepped over.
                if let done = lane.cursor.settled.first(where: { $0.contains(lane.nextID) }) {
                    complete = open.ids > 0
                    if complete { break }
                    lane.nextID = done.upperBound + 1
                    open.first = lane.nextID
                    continue
                }
                let found: Segment?
                do throws(SpoolError) {
                    found = try reader.segment(holding: lane.nextID)
                } catch {
                    failedToRead(lane, error)
                    // What was read goes; what cannot be read now is tried again.
                    guard open.ids > 0 else { return nil }
                    complete = true
                    break
                }
                guard let segment = found, segment.firstID <= lane.nextID else {
                    complete = open.ids > 0
                    if complete { break }
                    lose(lane, through: min(lastID, found.map { $0.firstID - 1 } ?? lastID))
                    open.first = lane.nextID
                    continue
                }
                let settledNext = lane.cursor.settled.first { $0.lowerBound > lane.nextID }?.lowerBound
                let routed = open.selection == nil ? nil : router.route(segment)
                for index in Int(lane.nextID - segment.firstID)..<segment.entries.count {
                    if lane.nextID > lastID { break }
                    let entry = segment.entries[index]
                    if open.spans == limits.spans || (open.spans > 0 && open.bytes + Int(entry.length) > limits.bytes)
                        || lane.nextID == settledNext || open.ids == Self.idsMax
                    {
                        complete = open.ids > 0
                        if complete { break scan } else { continue scan }
                    }
                    var delivers = true
                    if let routed {
                        let found: RouteDecision?
                        do throws(SpoolError) {
                            found = try wholeDecision(routed, index, lane)
                        } catch {
                            failedToRead(lane, error)
                            complete = open.ids > 0
                            break scan
                        }
                        // Nothing goes past a trace that is not decided.
                        guard let found else {
                            lane.ahead.wait(at: lane.nextID, until: now + lane.ahead.patience)
                            break scan
                        }
                        let decision = lane.limited(found, receivedAt: entry.receivedAt)
                        delivers = decision.delivers
                        open.selection?.append(decision, length: entry.length)
                        if !delivers { lane.drop(SpanView(segment: segment, index: index)) }
                    }
                    if delivers {
                        open.spans += 1
                        open.bytes += Int(entry.length)
                    }
                    open.ids += 1
                    lane.nextID += 1
                }
            }
            if open.ids == 0 { return nil }
            if open.spans >= limits.spans || open.bytes >= limits.bytes || open.ids >= Self.idsMax { complete = true }
            guard complete || !lingers || now >= open.since &+ lane.spec.settings.linger.nanosecondsClamped else {
                lane.open = open
                return nil
            }
            guard open.spans > 0 else {
                lane.settle(open.gathered, .delivered, bytes: 0, in: log)
                lane.nextID = max(lane.nextID, lane.cursor.position + 1)
                continue
            }
            var batch = Batch(.log(open.gathered))
            batch.deliveriesSeen = lane.deliveries
            return batch
        }
        return nil
    }

    private func failedToRead(_ lane: Lane, _ error: SpoolError) {
        tell(.readFailed(destination: lane.name, error: error))
        (lane.status.lastError, lane.status.lastErrorAt) = ("\(error)", clock.wall())
        lane.readsAt = clock.monotonic() + 5 * Self.second
    }

    /// Ids whose rows are gone: of a destination that was away longer than history holds, or of a damaged file.
    private func lose(_ lane: Lane, through last: Int64) {
        var spans: Int64 = 0
        for ids in lane.cursor.unsettled(in: lane.nextID...last) {
            lane.settle(ids, LedgerKey(.lost, reason: "missing", route: lane.route), bytes: 0, in: log)
            spans += Int64(ids.count)
        }
        lane.nextID = max(last, lane.cursor.position) + 1
        tell(.lost(destination: lane.name, spans: spans))
    }

    private func filter(_ lane: Lane, by decision: RouteDecision, through last: Int64) {
        for ids in unsettled(lane, through: last) {
            lane.settle(ids, lane.rules.key(of: decision), bytes: bytes(of: ids), in: log)
        }
        lane.nextID = max(lane.nextID, last + 1)
    }

    /// Dead letters that a person wants sent again, or whose time has come.
    private func dueLetters(_ lane: Lane) -> Batch? {
        guard let at = lane.letterAt, lane.hold == nil, lane.breaker.state == .closed, at <= Int64(clock.wall() / 1_000_000) else {
            return nil
        }
        // What became of earlier ones must be on disk before it is read there, or they would be sent again.
        guard log.flush() else { return nil }
        do throws(SpoolError) {
            var busy: Set<Int64> = []
            for batch in lane.waiting + lane.inFlight.values.map(\.batch) {
                if case .letters(let ids) = batch.spans { busy.formUnion(ids) }
            }
            let due = try reader.dueLetters(
                consumer: lane.consumer, now: clock.wall(), limit: busy.count + min(lane.spec.settings.limits.spans, 100)
            ).filter { !busy.contains($0.span) }
            guard let longest = due.first else {
                lane.letterAt = busy.isEmpty ? try reader.nextLetterAt()[lane.consumer] : nil
                return nil
            }
            let replaying = due.filter { $0.state == .replaying }.map(\.span).sorted()
            var batch = Batch(.letters(replaying.isEmpty ? [longest.span] : replaying))
            batch.deliveriesSeen = lane.deliveries
            // A parked span goes alone, and one failure parks it again.
            if replaying.isEmpty { batch.failuresAmongSuccesses = Batch.poisonFailures }
            return batch
        } catch {
            failedToRead(lane, error)
            return nil
        }
    }

    /// The spans of a batch as they are stored, with those that cannot be read any more left out.
    private func load(_ batch: Batch, _ lane: Lane) throws(SpoolError) -> [SpanView] {
        switch batch.spans {
        case .log(let spans): return try load(spans) { $0 }
        case .letters(let ids):
            var views: [SpanView] = []
            for id in ids {
                guard let stored = try reader.deadLetter(consumer: lane.consumer, span: id)?.stored else { continue }
                views.append(SpanView(segment: Segment(firstID: id, payload: stored.bytes, entries: [stored.entry]), index: 0))
            }
            return views
        }
    }

    /// The spans of the log that go on, in the segment that `form` makes of the stored one.
    private func load(_ spans: LogSpans, form: (Segment) -> Segment) throws(SpoolError) -> [SpanView] {
        var views: [SpanView] = []
        views.reserveCapacity(spans.count)
        var offset = 0
        while offset < spans.count {
            let id = spans.id(at: offset)
            guard let segment = try reader.segment(holding: id), segment.firstID <= spans.ids.upperBound else { break }
            let shown = form(segment)
            while offset < spans.count, spans.id(at: offset) < segment.firstID { offset += 1 }
            while offset < spans.count, spans.id(at: offset) <= segment.lastID {
                views.append(SpanView(segment: shown, index: Int(spans.id(at: offset) - segment.firstID)))
                offset += 1
            }
        }
        return views
    }

    /// The spans of a batch on their way to the destination.
    private enum Outgoing {
        /// In the form in which it gets them.
        case ready([SpanView])
        /// As the routes see them, each with the decision by which it goes on; programs are to be asked.
        case unasked([(view: SpanView, decision: RouteDecision)])

        var count: Int {
            switch self {
            case .ready(let views): views.count
            case .unasked(let spans): spans.count
            }
        }

        var ids: Set<Int64> {
            switch self {
            case .ready(let views): Set(views.map(\.id))
            case .unasked(let spans): Set(spans.map(\.view.id))
            }
        }
    }

    private func outgoing(_ batch: Batch, _ stored: [SpanView], _ lane: Lane) throws(SpoolError) -> Outgoing {
        let spans: [(view: SpanView, decision: RouteDecision)]
        switch batch.spans {
        case .log(let ofLog):
            let views = try load(ofLog) { router.route($0).segment }
            if let selection = ofLog.selection {
                spans = views.enumerated().map { ($1, selection.decisions[Int(selection.picked[$0])]) }
            } else {
                guard let constant = lane.constant, lane.rules.transforms(constant) else { return .ready(views) }
                spans = views.map { ($0, constant) }
            }
        case .letters: spans = stored.compactMap { router.replayed($0, for: lane.place) }
        }
        if router.rules.hasPrograms, spans.contains(where: { router.rules.program(of: $0.decision) != nil }) { return .unasked(spans) }
        return .ready(spans.map { router.form($0.view, by: $0.decision) })
    }

    /// Decides anew on a batch that was gathered under other rules; nil where a trace is not decided yet.
    private func decidedAnew(_ spans: LogSpans, _ lane: Lane) throws(SpoolError) -> LogSpans? {
        guard lane.constant == nil else { return LogSpans(ids: spans.ids) }
        var selection = LogSpans.Selection(rules: lane.rules)
        var id = spans.ids.lowerBound
        while id <= spans.ids.upperBound {
            // What is gone is found out when it is loaded.
            guard let segment = try reader.segment(holding: id), segment.firstID <= id else {
                selection.append(RouteDecision(.deliver), length: 0)
                id += 1
                continue
            }
            let routed = router.route(segment)
            while id <= min(segment.lastID, spans.ids.upperBound) {
                let index = Int(id - segment.firstID)
                let entry = segment.entries[index]
                guard let whole = try wholeDecision(routed, index, lane) else { return nil }
                let decision = lane.limited(whole, receivedAt: entry.receivedAt)
                selection.append(decision, length: entry.length)
                if !decision.delivers { lane.drop(SpanView(segment: segment, index: index)) }
                id += 1
            }
        }
        return LogSpans(ids: spans.ids, selection: selection)
    }

    // MARK: Sending

    /// Sends a batch of a lane to its own destination, or to the one that takes its place.
    private func send(_ batch: Batch, by lane: Lane, to other: Lane? = nil, now: UInt64) {
        let target = other ?? lane
        let spec = target.spec
        var batch = batch
        if case .log(let spans) = batch.spans, lane.isStale(spans) {
            do throws(SpoolError) {
                guard let anew = try decidedAnew(spans, lane) else {
                    batch.notBefore = now + lane.ahead.patience
                    batch.handOverAt = batch.notBefore
                    lane.waiting.append(batch)
                    return lane.breaker.probeInconclusive(now: now)
                }
                guard anew.count > 0 else {
                    lane.breaker.probeInconclusive(now: now)
                    return lane.settle(anew, .delivered, bytes: 0, in: log)
                }
                batch.spans = .log(anew)
            } catch {
                return keepUnread(batch, lane, error, now)
            }
        }
        guard batch.spans.count <= spec.settings.limits.spans else {
            // A reload has lowered the limit since it was gathered.
            lane.waiting += batch.halves(suspect: false, deliveriesSeen: batch.deliveriesSeen)
            lane.breaker.probeInconclusive(now: now)
            return
        }
        do throws(SpoolError) {
            let views = try load(batch, lane)
            guard views.count == batch.spans.count else { return vanished(batch, found: Set(views.map(\.id)), lane) }
            let outgoing = try outgoing(batch, views, lane)
            guard outgoing.count == views.count else {
                return batch.isOfLog ? vanished(batch, found: outgoing.ids, lane) : routesHaveNone(batch, sent: outgoing.ids, lane)
            }
            switch outgoing {
            case .ready(let formed): encode(formed, batch, views, lane, to: other, now)
            case .unasked(let spans): ask(spans, batch, views, lane, to: other, now)
            }
        } catch {
            keepUnread(batch, lane, error, now)
        }
    }

    /// The log cannot be read now: the batch waits.
    private func keepUnread(_ batch: Batch, _ lane: Lane, _ error: SpoolError, _ now: UInt64) {
        failedToRead(lane, error)
        lane.waiting.append(batch)
        lane.breaker.probeInconclusive(now: now)
    }

    /// Makes a request of spans in their last form, and sends it. `views` are the same spans as they are stored.
    func encode(_ outgoing: [SpanView], _ batch: Batch, _ views: [SpanView], _ lane: Lane, to other: Lane?, _ now: UInt64) {
        let target = other ?? lane
        // The door that its own destination sent it on to is none of another's.
        let context = target.context(door: other == nil ? batch.door : nil, wall: clock.wall(), now: now)
        let requests: [Request]
        do throws(EncodeError) {
            requests = try target.spec.destination.encode(outgoing, context)
        } catch {
            // What only the fallback cannot write waits for its own destination.
            if other != nil { return keepFromFallback(batch, lane, now) }
            return unencodable(batch, error, views, lane)
        }
        guard let request = requests.first, requests.count == 1 else {
            // Several requests: each becomes a batch of its own, encoded again when its turn comes.
            for request in requests {
                lane.waiting.append(batch.part(request.spans, suspect: false, deliveriesSeen: batch.deliveriesSeen))
            }
            lane.breaker.probeInconclusive(now: now)
            return
        }
        start(request, batch, views, lane, to: other, host: context.host, now)
    }

    private func start(
        _ request: Request, _ batch: Batch, _ views: [SpanView], _ lane: Lane, to other: Lane?, host: Int, _ now: UInt64
    ) {
        let target = other ?? lane
        let token = nextToken
        nextToken += 1
        var flight = Lane.Flight(
            batch: batch, spanBytes: views.map(\.entry.length), bodyBytes: request.body.count, sentAt: now,
            destination: target.spec.destination, request: request, handedTo: other?.name, host: host)
        flight.request.body = []
        flight.links = target.links(of: views)
        // A large body of HTTP lies in a file while it is under way.
        let lies = if case .http = target.spec.destination.outlet { flight.bodyBytes >= RequestBody.spillBytes } else { false }
        flight.leasedBytes = lies ? 0 : flight.bodyBytes
        target.rate.spend(bytes: flight.bodyBytes, now: now)
        if let shared = target.shared, target.isLimited(door: request.door) { target.turn = shared.spend(now: now) }
        lane.started(token, flight)
        flights[token] = lane
        budget.leaseAnyway(flight.leasedBytes)
        lane.status.requests += 1
        lane.status.requestBytes += Int64(flight.bodyBytes)
        lane.status.requestSpans += Int64(request.spans.count)
        switch target.spec.destination.outlet {
        case .http(let options):
            let settings = target.spec.settings
            http.start(
                request, options: options, timeouts: RequestTimeouts(connect: settings.connectTimeout, total: settings.timeout),
                token: token)
        case .sink(let make):
            let sender = sinks[target.name] ?? SinkSender(name: target.name, make: make, done: sinkDone)
            sinks[target.name] = sender
            sender.start(request, token: token)
        }
    }

    /// Some rows of a batch are gone while it waited: the rest is sent, what is missing is said.
    private func vanished(_ batch: Batch, found present: Set<Int64>, _ lane: Lane) {
        lane.breaker.probeInconclusive(now: clock.monotonic())
        // Runs of offsets that are there, or are not.
        var from = 0
        while from < batch.spans.count {
            let isThere = present.contains(batch.spans.id(at: from))
            var to = from + 1
            while to < batch.spans.count, present.contains(batch.spans.id(at: to)) == isThere { to += 1 }
            if isThere {
                lane.waiting.append(batch.part(from..<to, suspect: false, deliveriesSeen: batch.deliveriesSeen))
            } else {
                switch batch.spans[from..<to] {
                case .log(let spans):
                    lane.settle(spans, .lost, reason: "missing", bytes: 0, in: log)
                    tell(.lost(destination: lane.name, spans: Int64(spans.count)))
                case .letters(let ids): bury(unreadable: ids, lane)
                }
            }
            from = to
        }
    }

    /// Letters that were due and whose span cannot be read: gone meanwhile, which is booked, or damaged. Those wait for a person, or they would
    /// be due again at once, for ever.
    private func bury(unreadable ids: [Int64], _ lane: Lane) {
        for id in ids {
            do throws(SpoolError) {
                guard var letter = try reader.deadLetter(consumer: lane.consumer, span: id) else { continue }
                (letter.state, letter.reason, letter.nextAt) = (.dead, "damaged", nil)
                letter.detail = "its span cannot be read any more"
                lane.settleLetters([DeadLetterRetry(span: id, failed: letter)], delivered: Tally(), in: log)
                tell(.deadLetters(destination: lane.name, spans: 1, reason: letter.reason, status: 0, detail: letter.detail))
            } catch {
                failedToRead(lane, error)
            }
        }
    }

    /// Dead letters that no route sends to their destination any more stay what they are; the others go.
    private func routesHaveNone(_ batch: Batch, sent: Set<Int64>, _ lane: Lane) {
        lane.breaker.probeInconclusive(now: clock.monotonic())
        for offset in 0..<batch.spans.count {
            let part = batch.part(offset..<offset + 1, suspect: false, deliveriesSeen: batch.deliveriesSeen)
            if sent.contains(batch.spans.id(at: offset)) {
                lane.waiting.append(part)
            } else {
                bury(part, lane, reason: "no_route", status: 0, detail: "no route sends it to this destination now")
            }
        }
    }

    private func unencodable(_ batch: Batch, _ error: EncodeError, _ views: [SpanView], _ lane: Lane) {
        for offsets in [0..<error.span, error.span + 1..<views.count] where !offsets.isEmpty {
            lane.waiting.append(batch.part(offsets, suspect: false, deliveriesSeen: batch.deliveriesSeen))
        }
        lane.breaker.probeInconclusive(now: clock.monotonic())
        bury(batch.part(error.span..<error.span + 1, suspect: false, deliveriesSeen: 0), lane, reason: error.reason, status: 0, detail: "")
    }

    // MARK: Answers

    /// A sink has written, or has not.
    func sinkEnded(_ token: UInt64, _ error: SinkError?) {
        ended(token, error.map { .failure(TransportError(description: $0.description)) } ?? .success(Response(status: 200)), isSink: true)
    }

    private func ended(_ token: UInt64, _ result: Result<Response, TransportError>, isSink: Bool = false) {
        guard let lane = flights.removeValue(forKey: token), let flight = lane.ended(token) else { return }
        budget.giveBack(flight.leasedBytes)
        let now = clock.monotonic()
        let latency = now - min(flight.sentAt, now)
        var status = 0
        let verdict: Verdict
        switch result {
        case .success(let response):
            status = response.status
            verdict = isSink ? .delivered() : flight.destination.judge(response, to: flight.request)
        case .failure(let error):
            verdict = .retry(detail: error.description, throttle: error.timedOut)
            if error.unreachable, flight.handedTo == nil { takeNextHost(lane, after: flight.host, error.description, now) }
        }
        lane.status.statusClasses[status / 100, default: 0] += 1
        lane.status.latency.add(nanoseconds: latency)
        if case .delivered = verdict { lane.status.cutSpans += Int64(flight.request.cutSpans) }
        if let name = flight.handedTo { return handedOver(verdict, flight, to: name, lane, now) }
        // Of dead letters the next are looked for when these have ended.
        if !flight.batch.isOfLog { lane.letterAt = 0 }
        apply(verdict, status: status, latency: latency, flight, lane, now)
        if lane.summaryAt == nil { lane.summaryAt = now + summaryEvery }
    }

    /// What the fallback says of a batch: it took it, or its own destination must.
    private func handedOver(_ verdict: Verdict, _ flight: Lane.Flight, to name: String, _ lane: Lane, _ now: UInt64) {
        guard case .delivered = verdict, case .log(let spans) = flight.batch.spans else { return keepFromFallback(flight.batch, lane, now) }
        let bytes = flight.spanBytes.reduce(Int64(0)) { $0 + Int64($1) }
        lane.settle(spans, .handedOver, reason: name, bytes: bytes, in: log)
        self.lane(name)?.deliver(flight.links[...], now: now)
        tell(.handedOver(destination: lane.name, spans: spans.count, to: name))
    }

    private func keepFromFallback(_ batch: Batch, _ lane: Lane, _ now: UInt64) {
        var batch = batch
        batch.handOverAt = now + lane.spec.settings.backoffMax.nanosecondsClamped
        if !giveUp(batch, lane) { lane.waiting.append(batch) }
    }

    private func apply(_ verdict: Verdict, status: Int, latency: UInt64, _ flight: Lane.Flight, _ lane: Lane, _ now: UInt64) {
        var batch = flight.batch
        batch.attempts += 1
        switch verdict {
        case .delivered(let note):
            answered(lane, latency: latency)
            delivered(0..<batch.spans.count, flight, lane, latency: latency)
            if let note, lane.notesTold.count < 100, lane.notesTold.insert(note).inserted {
                tell(.note(destination: lane.name, text: note))
            }
        case .perSpan(let verdicts):
            judge(verdicts, status: status, batch, flight, lane, latency: latency, now)
        case .partialUnknown(let refused, let detail):
            answered(lane, latency: latency)
            // A platform may say anything: more than there were is all of them.
            let refused = min(max(refused, 0), batch.spans.count)
            if refused == 0 {
                delivered(0..<batch.spans.count, flight, lane, latency: latency)
            } else {
                partial(refused: refused, status: status, detail: detail, batch, flight, lane)
            }
        case .refused(let reason, let detail):
            answered(lane, latency: latency)
            if batch.spans.count > 1 {
                lane.waiting += batch.halves(suspect: false, deliveriesSeen: lane.deliveries)
            } else {
                bury(batch, lane, reason: reason, status: status, detail: detail)
            }
        case .tooLarge:
            answered(lane, latency: latency)
            if batch.spans.count > 1 {
                lane.waiting += batch.halves(suspect: false, deliveriesSeen: lane.deliveries)
            } else {
                bury(batch, lane, reason: "too_large", status: status, detail: "")
            }
        case .retry(let after, let detail, let throttle):
            retry(batch, after: after, status: status, detail: detail, throttle: throttle, lane, now)
        case .pause(let reason, let detail):
            // Behind the last door the first one is tried again.
            batch = flight.batch
            batch.door = nil
            if !giveUp(batch, lane) { lane.waiting.append(batch) }
            lane.breaker.probeInconclusive(now: now)
            hold(lane, reason: reason, detail: detail, status: status, now)
        case .disable(let reason, let detail):
            if !giveUp(flight.batch, lane) { lane.waiting.append(flight.batch) }
            lane.breaker.probeInconclusive(now: now)
            failed(lane, detail)
            lane.hold = .disabled(reason: reason, detail: detail)
            tell(.paused(destination: lane.name, reason: reason, status: status, detail: detail, probe: nil))
        case .otherDoor(let door, let detail):
            precondition(door > flight.request.door, "doors are tried in their order, or a batch might go round for ever")
            batch = flight.batch
            batch.door = door
            (batch.lastReason, batch.lastDetail, batch.lastStatus) = ("http_\(status)", brief(detail), status)
            if !giveUp(batch, lane) { lane.waiting.append(batch) }
            lane.breaker.probeInconclusive(now: now)
        }
    }

    /// A batch was delivered: where it had been sent on to another door, those that follow go there too.
    private func takeDoor(_ lane: Lane, of flight: Lane.Flight, _ now: UInt64) {
        // After a reload the doors may be others.
        let doors = lane.spec.destination.declaration.doors
        guard let door = flight.batch.door, doors == flight.destination.declaration.doors,
            lane.detour.delivered(sentOnTo: door, now: now)
        else { return }
        lane.status.doorChanges += 1
        tell(.note(destination: lane.name, text: "goes by \(doors[door]) for an hour (the one before it: \(flight.batch.lastDetail))"))
    }

    /// Connecting to a host failed: the next one is asked, where there is one.
    private func takeNextHost(_ lane: Lane, after host: Int, _ detail: String, _ now: UInt64) {
        let hosts = lane.spec.destination.declaration.hosts
        guard lane.detour.unreachable(host, of: hosts.count, now: now) else { return }
        lane.status.hostChanges += 1
        tell(.note(destination: lane.name, text: "goes to \(hosts[lane.detour.host(now: now)]), since connecting failed: \(brief(detail))"))
    }

    /// The platform is there and judged: whatever held the destination up is over.
    private func answered(_ lane: Lane, latency: UInt64) {
        lane.concurrency.succeeded(latency: latency)
        lane.throttle?.answered()
        lane.failingSince = nil
        let wasOpen = lane.breaker.succeeded()
        if wasOpen { tell(.breakerClosed(destination: lane.name)) }
        if case .platform = lane.hold {
            lane.hold = nil
            tell(.resumed(destination: lane.name))
            lane.leaveBehind(lastID: log.lastID)
        } else if wasOpen {
            lane.leaveBehind(lastID: log.lastID)
        }
    }

    private func delivered(_ offsets: Range<Int>, _ flight: Lane.Flight, _ lane: Lane, latency: UInt64) {
        let bytes = flight.spanBytes[offsets].reduce(Int64(0)) { $0 + Int64($1) }
        switch flight.batch.spans[offsets] {
        case .log(let spans):
            lane.settle(spans, .delivered, bytes: bytes, in: log)
        case .letters(let ids):
            lane.settleLetters(
                ids.map { DeadLetterRetry(span: $0, failed: nil) }, delivered: Tally(spans: Int64(ids.count), bytes: bytes), in: log)
            tell(.replayed(destination: lane.name, spans: ids.count))
        }
        if !flight.links.isEmpty { lane.deliver(flight.links[offsets], now: clock.monotonic()) }
        if lane.deliveries == 0 { tell(.firstDelivery(destination: lane.name, target: lane.spec.destination.target)) }
        lane.deliveries += 1
        lane.deliveredSpans += Int64(offsets.count)
        lane.status.lastDeliveredAt = clock.wall()
        takeDoor(lane, of: flight, clock.monotonic())
        tell(
            .delivered(
                destination: lane.name, spans: offsets.count, bytes: Int(bytes), milliseconds: Int(latency / 1_000_000),
                attempt: flight.batch.attempts + 1))
    }

    private func judge(
        _ verdicts: [SpanVerdict], status: Int, _ batch: Batch, _ flight: Lane.Flight, _ lane: Lane, latency: UInt64, _ now: UInt64
    ) {
        guard verdicts.count == batch.spans.count else {
            return retry(batch, after: nil, status: status, detail: "the answer judges \(verdicts.count) spans", throttle: false, lane, now)
        }
        let again = "the platform asks for these spans again"
        guard verdicts.contains(where: { $0 != .retry }) else {
            return retry(batch, after: nil, status: status, detail: again, throttle: false, lane, now)
        }
        answered(lane, latency: latency)
        // Runs of equal verdicts are settled as one.
        var from = 0
        while from < verdicts.count {
            var to = from + 1
            while to < verdicts.count, verdicts[to] == verdicts[from] { to += 1 }
            switch verdicts[from] {
            case .delivered:
                delivered(from..<to, flight, lane, latency: latency)
            case .refused(let reason, let detail):
                for offset in from..<to {
                    bury(
                        batch.part(offset..<offset + 1, suspect: false, deliveriesSeen: 0), lane, reason: reason, status: status,
                        detail: detail)
                }
            case .retry:
                let part = batch.part(from..<to, suspect: false, deliveriesSeen: batch.deliveriesSeen)
                retry(part, after: nil, status: status, detail: again, throttle: false, lane, now, answered: true)
            }
            from = to
        }
    }

    private func partial(refused: Int, status: Int, detail: String, _ batch: Batch, _ flight: Lane.Flight, _ lane: Lane) {
        let bytes = flight.spanBytes.reduce(Int64(0)) { $0 + Int64($1) }
        let now = Int64(clock.wall() / 1_000_000)
        guard case .log(let spans) = batch.spans else {
            // Of letters each is known alone.
            if batch.spans.count > 1 {
                lane.waiting += batch.halves(suspect: false, deliveriesSeen: lane.deliveries)
            } else {
                bury(batch, lane, reason: "refused", status: status, detail: detail)
            }
            return
        }
        let letter = DeadLetter(
            consumer: lane.consumer, span: spans.id(at: 0), state: .dead, reason: "partial_unknown", status: status,
            detail: brief("\(refused) of the spans \(spans.id(at: 0)) to \(spans.id(at: spans.count - 1)): \(detail)"),
            attempts: batch.attempts,
            firstAt: now, lastAt: now, weight: Int64(refused), stored: nil)
        var tallies = spans.partial(refused: refused, reason: "partial_unknown", route: lane.route, bytes: bytes)
        spans.addPassed(to: &tallies)
        lane.settle(spans.ids, tallies, dead: [letter], in: log)
        lane.deliveries += 1
        lane.deliveredSpans += Int64(spans.count - refused)
        lane.status.lastDeliveredAt = clock.wall()
        tell(.deadLetters(destination: lane.name, spans: refused, reason: "partial_unknown", status: status, detail: brief(detail)))
    }

    /// `answered`: other spans of the request were judged, so this is no failure of the platform.
    private func retry(
        _ batch: Batch, after: Duration?, status: Int, detail: String, throttle: Bool, _ lane: Lane, _ now: UInt64, answered: Bool = false
    ) {
        var batch = batch
        let after = after ?? (status == 429 ? lane.throttle?.refused(now: now) : nil)
        batch.failures += 1
        if batch.firstFailedAt == 0 { batch.firstFailedAt = clock.wall() }
        (batch.lastReason, batch.lastDetail, batch.lastStatus) = (status == 0 ? "network" : "http_\(status)", brief(detail), status)
        failed(lane, detail)
        lane.status.retries += 1
        if throttle { lane.concurrency.throttled() }
        if lane.deliveries > batch.deliveriesSeen, status != 429 { batch.failuresAmongSuccesses += 1 }
        batch.deliveriesSeen = lane.deliveries

        let settings = lane.spec.settings
        // A parked span that fails again says nothing new of the platform either.
        let opened =
            !answered && !batch.isParked
            && lane.breaker.failed(now: now) { attempt in
                backoff(attempt: attempt, base: settings.backoffBase, cap: settings.backoffMax, retryAfter: after, using: &random)
            }
        if let after { lane.notBefore = max(lane.notBefore, now + min(after, .seconds(3600)).nanosecondsClamped) }
        if opened, let until = lane.breaker.opensAt {
            tell(
                .breakerOpened(
                    destination: lane.name, failures: lane.breaker.failuresInRow, wait: .nanoseconds(Int64(until - now)),
                    detail: brief(detail)))
        }
        if batch.failuresAmongSuccesses >= Batch.poisonFailures {
            if batch.spans.count > 1 {
                lane.waiting += batch.halves(suspect: true, deliveriesSeen: lane.deliveries)
            } else {
                park(batch, lane)
            }
            return
        }
        if giveUp(batch, lane) { return }
        let wait = backoff(
            attempt: batch.failures, base: settings.backoffBase, cap: settings.backoffMax, retryAfter: after, using: &random)
        batch.notBefore = now + wait.nanosecondsClamped
        // Too many requests are everybody's, not this batch's.
        if status == 429 { lane.notBefore = max(lane.notBefore, batch.notBefore) }
        lane.waiting.append(batch)
        tell(
            .retrying(
                destination: lane.name, spans: batch.spans.count, status: status, attempt: batch.attempts + 1, wait: wait,
                detail: brief(detail)))
    }

    private func failed(_ lane: Lane, _ detail: String) {
        if lane.failingSince == nil { lane.failingSince = clock.monotonic() }
        lane.status.lastError = brief(detail)
        lane.status.lastErrorAt = clock.wall()
    }

    private func hold(_ lane: Lane, reason: String, detail: String, status: Int, _ now: UInt64) {
        failed(lane, "\(reason): \(detail)")
        var step = 0
        switch lane.hold {
        case .platform(_, _, _, let probeAt, let before):
            // Others that were in flight with the one that was refused say nothing new.
            guard now >= probeAt else { return }
            step = min(before + 1, Self.probeMinutes.count - 1)
        case .user, .disabled: return
        case nil: break
        }
        let wait = Self.probeMinutes[step] * 60 * Self.second
        lane.hold = .platform(reason: reason, detail: brief(detail), status: status, probeAt: now + wait, step: step)
        tell(.paused(destination: lane.name, reason: reason, status: status, detail: brief(detail), probe: .nanoseconds(Int64(wait))))
    }

    // MARK: Dead letters

    /// Makes a dead letter of a batch of one span.
    func bury(_ batch: Batch, _ lane: Lane, reason: String, status: Int, detail: String) {
        let id = batch.spans.id(at: 0)
        guard let letter = letter(batch, lane, state: .dead, reason: reason, status: status, detail: detail, nextAt: nil) else { return }
        switch batch.spans {
        case .log(let spans):
            lane.settle(spans, .dead, reason: reason, bytes: Int64(letter.stored?.bytes.count ?? 0), dead: [letter], in: log)
        case .letters:
            lane.settleLetters([DeadLetterRetry(span: id, failed: letter)], delivered: Tally(), in: log)
        }
        failed(lane, "\(reason): \(detail)")
        tell(.deadLetters(destination: lane.name, spans: 1, reason: reason, status: status, detail: brief(detail)))
    }

    /// Sets a span aside that fails again and again while others go through; it is tried again by itself, ever more rarely.
    private func park(_ batch: Batch, _ lane: Lane) {
        let id = batch.spans.first
        guard
            var letter = letter(
                batch, lane, state: .parked, reason: batch.lastReason, status: batch.lastStatus, detail: batch.lastDetail, nextAt: nil)
        else { return }
        let wait = Duration.seconds(60) * min(max(letter.attempts, 1), 60)
        let nextAt = Int64(clock.wall() / 1_000_000) + Int64(wait.nanosecondsClamped / 1_000_000)
        letter.nextAt = nextAt
        switch batch.spans {
        case .log(let spans):
            lane.settle(
                spans, .dead, reason: batch.lastReason, bytes: Int64(letter.stored?.bytes.count ?? 0), dead: [letter], in: log)
        case .letters:
            lane.settleLetters([DeadLetterRetry(span: id, failed: letter)], delivered: Tally(), in: log)
        }
        lane.letterAt = min(lane.letterAt ?? .max, nextAt)
        tell(.parked(destination: lane.name, spans: 1, reason: batch.lastReason, next: wait))
    }

    /// The letter that a batch of one span becomes. Nil where the span cannot be read now, without which there is no letter: it is tried
    /// again; or where it is gone.
    private func letter(
        _ batch: Batch, _ lane: Lane, state: DeadLetter.State, reason: String, status: Int, detail: String, nextAt: Int64?
    ) -> DeadLetter? {
        let now = Int64(clock.wall() / 1_000_000)
        var stored: StoredSpan?
        var before: DeadLetter?
        do throws(SpoolError) {
            if batch.isOfLog {
                guard let view = try load(batch, lane).first else {
                    vanished(batch, found: [], lane)
                    return nil
                }
                stored = StoredSpan(entry: view.entry, bytes: view.withBytes { Array($0) })
            } else {
                before = try reader.deadLetter(consumer: lane.consumer, span: batch.spans.id(at: 0))
            }
        } catch {
            lane.waiting.append(batch)
            failedToRead(lane, error)
            return nil
        }
        return DeadLetter(
            consumer: lane.consumer, span: batch.spans.id(at: 0), state: state, reason: reason, status: status, detail: brief(detail),
            attempts: batch.attempts + (before?.attempts ?? 0),
            firstAt: batch.firstFailedAt == 0 ? now : Int64(batch.firstFailedAt / 1_000_000), lastAt: now,
            nextAt: nextAt, stored: stored)
    }

    /// At most 500 bytes and one line: what a platform says must not flood the spool or the journal.
    func brief(_ text: String) -> String {
        String(decoding: text.utf8.prefix(500).map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self)
    }

    // MARK: Space and age

    /// The ids up to `last` that are neither settled nor under way. Batches that wait are dissolved where they lie in it.
    private func unsettled(_ lane: Lane, through last: Int64) -> [ClosedRange<Int64>] {
        guard last > lane.cursor.position else { return [] }
        lane.waiting = lane.waiting.compactMap { batch in
            guard case .log(let spans) = batch.spans, spans.ids.lowerBound <= last else { return batch }
            guard let behind = spans.suffix(after: last) else { return nil }
            guard behind.count > 0 else {
                lane.settle(behind, .delivered, bytes: 0, in: log)
                return nil
            }
            var rest = batch
            rest.spans = .log(behind)
            return rest
        }
        if let open = lane.open, open.first <= last {
            lane.nextID = max(open.first, min(lane.nextID, last + 1))
            lane.open = nil
        }
        if let behind = lane.behind, behind.lowerBound <= last {
            lane.behind = behind.upperBound > last ? last + 1...behind.upperBound : nil
        }
        var blocked = Cursor(position: lane.cursor.position)
        for done in lane.cursor.settled { blocked.settle(done) }
        for flight in lane.inFlight.values {
            if case .log(let spans) = flight.batch.spans { blocked.settle(spans.ids) }
        }
        for fate in lane.withheld { blocked.settle(fate.ids) }
        let ids = blocked.unsettled(in: lane.cursor.position + 1...last)
        lane.nextID = max(lane.nextID, last + 1)
        return ids
    }

    /// Gives up the oldest spans of a destination, counted and told. What is under way ends as it may; what fails of it is given up then.
    func expire(_ lane: Lane, through last: Int64, reason: String) {
        lane.givenUp = (last, reason)
        var spans: Int64 = 0
        for ids in unsettled(lane, through: last) {
            spans += Int64(ids.count)
            lane.settle(ids, LedgerKey(.expired, reason: reason, route: lane.route), bytes: bytes(of: ids), in: log)
        }
        if spans > 0 { tell(.expired(destination: lane.name, spans: spans, reason: reason)) }
    }

    /// Gives up what the spool needs the space of. A request in it that has had no answer for a second ends here, as one that failed: it may
    /// hold the space until its own time is over, and writers would be refused until then.
    func giveWay(_ lane: Lane, through last: Int64, reason: String) {
        let now = clock.monotonic()
        for (token, flight) in lane.inFlight where now >= flight.sentAt + Self.second {
            guard case .log(let spans) = flight.batch.spans, spans.ids.lowerBound <= last else { continue }
            if flight.preparation != nil {
                flights.removeValue(forKey: token)
                _ = lane.ended(token)
                budget.giveBack(flight.leasedBytes)
                lane.waiting.append(flight.batch)
                lane.breaker.probeInconclusive(now: now)
                continue
            }
            guard case .http = flight.destination.outlet else { continue }
            http.cancel(token: token)
            ended(token, .failure(TransportError(description: "no answer, and the space of its spans is needed", timedOut: true)))
        }
        expire(lane, through: last, reason: reason)
    }

    /// A batch that failed and lies in what was given up while it was under way. True where it is settled by that.
    private func giveUp(_ batch: Batch, _ lane: Lane) -> Bool {
        guard case .log(let spans) = batch.spans, let (through, reason) = lane.givenUp, spans.ids.upperBound <= through else {
            return false
        }
        lane.settle(spans, .expired, reason: reason, bytes: bytes(of: spans.ids), in: log)
        tell(.expired(destination: lane.name, spans: Int64(spans.count), reason: reason))
        return true
    }

    private func expireAged(lastID: Int64) {
        guard guardian.isTrusted else { return }
        let wall = clock.wall()
        for lane in lanes where !lane.removed && lane.cursor.position < lastID {
            let age = lane.spec.settings.maxAge.nanosecondsClamped
            guard wall > age, let last = try? reader.lastID(olderThan: wall - age, from: lane.cursor.position + 1),
                last > lane.cursor.position
            else { continue }
            expire(lane, through: min(last, lastID), reason: "max_age")
        }
    }

    /// Stored bytes of a range of the log: a difference of offsets, so even a backlog of gigabytes costs two looks.
    private func bytes(of ids: ClosedRange<Int64>) -> Int64 {
        guard let begin = offset(of: ids.lowerBound), let end = offset(of: ids.upperBound + 1) else { return 0 }
        return max(0, end - begin)
    }

    private func offset(of id: Int64) -> Int64? {
        guard let segment = try? reader.segment(holding: id) else { return log.status.acceptedBytes }
        guard segment.firstID <= id else { return segment.logOffset }
        return segment.logOffset + Int64(segment.entries[Int(id - segment.firstID)].offset)
    }

    // MARK: Commands

    /// The destinations of the configuration. New ones are registered, those that are gone retire, the others go on where they are.
    func apply(_ specs: [DestinationSpec], rules: Rules) throws(SpoolError) {
        do throws(SpoolError) {
            try take(specs, rules)
        } catch {
            // Every lane that sends goes by the rules that hold: one that came with others is as if it had not come.
            for lane in lanes where lane.rules !== router.rules { lane.removed = true }
            throw error
        }
        if rules !== router.rules {
            router = Router(rules, after: router)
            programs.apply(rules)
        }
        for lane in lanes where !lane.removed {
            lane.apply(rules)
            recallParents(lane)
        }
        shareBuckets()
    }

    /// All of a new configuration that may fail.
    private func take(_ specs: [DestinationSpec], _ rules: Rules) throws(SpoolError) {
        for lane in lanes where !lane.removed && !specs.contains(where: { isTaken(lane, by: $0) }) {
            lane.removed = true
            lane.hold = nil
            try log.set(.retired, of: lane.consumer)
            sinks.removeValue(forKey: lane.name)?.stop()
        }
        for spec in specs {
            // One that has left, but has a request under way yet, returns as it is: two lanes of one consumer would settle its spans twice.
            if let lane = lanes.first(where: { isTaken($0, by: spec) }) {
                if case .sink = spec.destination.outlet { sinks.removeValue(forKey: lane.name)?.stop() }
                _ = try log.register(spec.name, renamed: lane.name, backlog: spec.settings.backlog)
                lane.removed = false
                lane.apply(spec)
            } else {
                lanes.append(try register(spec, rules))
            }
        }
        // Those that left while the daemon was down.
        for consumer in log.status.consumers.values where consumer.state != .retired && lane(consumer: consumer.id) == nil {
            try log.set(.retired, of: consumer.id)
        }
        let letters = try reader.nextLetterAt()
        for lane in lanes { lane.letterAt = letters[lane.consumer] }
    }

    /// Gives destinations of one account their common limit, which a reload does not fill.
    private func shareBuckets() {
        var used: [String: SharedBucket] = [:]
        for lane in lanes {
            lane.shared = lane.spec.destination.declaration.sharedRate.map { shared in
                let bucket = used[shared.account] ?? sharedBuckets[shared.account] ?? SharedBucket(shared)
                used[shared.account] = bucket
                return bucket
            }
        }
        sharedBuckets = used
    }

    /// Whether this is the lane of a destination, by its name or by the one that it had before.
    private func isTaken(_ lane: Lane, by spec: DestinationSpec) -> Bool {
        lane.name == spec.name || (lane.name == spec.settings.renamed && !lanes.contains { $0.name == spec.name })
    }

    private func register(_ spec: DestinationSpec, _ rules: Rules) throws(SpoolError) -> Lane {
        let start: Int64? =
            switch spec.settings.start {
            case .end: log.lastID == 0 ? 0 : nil
            case .beginning: log.status.oldestID - 1
            case .ago(let duration): try reader.firstID(since: clock.wall() - min(clock.wall(), duration.nanosecondsClamped)) - 1
            }
        let consumer = try log.register(spec.name, renamed: spec.settings.renamed, from: start, backlog: spec.settings.backlog)
        let lane = Lane(consumer, spec: spec, rules: rules)
        let oldest = log.status.oldestID
        if consumer.cursor.position + 1 < oldest, log.lastID >= oldest {
            // It was away for longer than history holds.
            expire(lane, through: oldest - 1, reason: "removed")
        }
        lane.leaveBehind(lastID: log.lastID)
        return lane
    }

    func lane(_ name: String) -> Lane? { lanes.first { $0.name == name && !$0.removed } }

    func lane(consumer: Int64) -> Lane? { lanes.first { $0.consumer == consumer && !$0.removed } }

    func pause(_ lane: Lane) throws(SpoolError) {
        try log.set(.paused, of: lane.consumer)
        lane.hold = .user
    }

    /// Lets a destination go on, whatever held it: a person's word, a refused key, a breaker, a Retry-After.
    func resume(_ lane: Lane) throws(SpoolError) {
        try log.set(.active, of: lane.consumer)
        lane.hold = nil
        lane.apply(lane.spec)
    }

    /// Moves the cursor forward (what is passed over counts as expired, reason `skipped`) or back (it is delivered again).
    func seek(_ lane: Lane, to position: Int64) {
        if position >= lane.cursor.position {
            expire(lane, through: min(position, log.lastID), reason: "skipped")
        } else {
            lane.seekTarget = max(position, log.status.oldestID - 1)
        }
    }

    private func finishSeek(_ lane: Lane, to position: Int64) {
        lane.seekTarget = nil
        guard position < lane.cursor.position, let consumer = try? log.seekBack(lane.consumer, to: position) else { return }
        lane.cursor = consumer.cursor
        lane.waiting.removeAll(where: \.isOfLog)
        lane.withheld = []
        lane.givenUp = nil
        (lane.open, lane.behind) = (nil, nil)
        lane.nextID = consumer.cursor.position + 1
        lane.ahead.rewind(to: consumer.cursor.position)
    }

    /// Dead letters of this consumer were changed from outside.
    func lettersChanged(_ consumer: Int64) {
        guard let lane = lane(consumer: consumer) else { return }
        lane.letterAt = (try? reader.nextLetterAt())?[consumer]
    }

    /// A person says that the wall clock is right.
    func trustClock() { guardian.trust() }

    // MARK: What is shown

    func status() -> [DestinationStatus] { lanes.filter { !$0.removed }.map(status) }

    private func status(_ lane: Lane) -> DestinationStatus {
        var status = lane.status
        let lastID = log.lastID
        (status.name, status.type, status.target) = (lane.name, lane.spec.type, lane.spec.destination.target)
        status.consumer = lane.consumer
        status.backlogSpans = lastID - lane.cursor.position - lane.cursor.settledBeyond
        status.inFlightSpans = lane.inFlight.values.reduce(0) { $0 + Int64($1.batch.spans.count) }
        if status.backlogSpans > 0, let segment = try? reader.segment(holding: lane.cursor.position + 1) {
            let first = max(lane.cursor.position + 1, segment.firstID)
            let entry = segment.entries[Int(first - segment.firstID)]
            let wall = clock.wall()
            status.oldestAgeSeconds = Double(wall - min(wall, entry.receivedAt)) / 1e9
            status.backlogBytes = max(0, log.status.acceptedBytes &- segment.logOffset &- Int64(entry.offset))
        }
        status.concurrency = lane.concurrency.limit
        status.orphans = lane.parents?.orphans
        status.breakerOpen = lane.breaker.state != .closed
        (status.state, status.detail) = state(lane, status)
        return status
    }

    private func state(_ lane: Lane, _ status: DestinationStatus) -> (DestinationStatus.State, String) {
        let now = clock.monotonic()
        func seconds(until time: UInt64) -> UInt64 { time > now ? (time - now) / Self.second + 1 : 0 }
        if !lane.spec.settings.isEnabled { return (.pausedByUser, "enabled: false in the configuration") }
        switch lane.hold {
        case .user: return (.pausedByUser, "tracefwd resume \(lane.name) lets it go on")
        case .disabled(let reason, let detail): return (.disabled, "\(reason): \(detail); correct the configuration and reload")
        case .platform(let reason, let detail, let status, let probeAt, _):
            return (.paused, "\(reason) (\(status)) \(detail); asked again in \(seconds(until: probeAt)) s, and at a reload")
        case nil: break
        }
        if let until = lane.breaker.opensAt { return (.breakerOpen, "\(lane.status.lastError); tried again in \(seconds(until: until)) s") }
        if lane.readsAt > now {
            return (.retrying, "\(lane.status.lastError); read again in \(seconds(until: lane.readsAt)) s")
        }
        if lane.notBefore > now {
            return (.retrying, "\(lane.status.lastError); the platform asks to wait \(seconds(until: lane.notBefore)) s")
        }
        for flight in lane.inFlight.values {
            if let trouble = flight.preparation.flatMap({ programs.trouble(of: $0) }) { return (.retrying, trouble) }
        }
        // What was answered with a failure and is under way again is still what holds the destination up.
        let isTriedAgain = lane.inFlight.values.contains { $0.batch.failures > 0 } || lane.waiting.contains { $0.attempts > 0 }
        if isTriedAgain || lane.breaker.state != .closed { return (.retrying, lane.status.lastError) }
        return (status.backlogSpans > 0 ? .delivering : .idle, "")
    }

    private func summarize(_ lane: Lane, now: UInt64) {
        guard let at = lane.summaryAt, now >= at else { return }
        lane.summaryAt = nil
        let activity = lane.activity
        tell(.summary(status(lane), activity.since(lane.told), within: .nanoseconds(Int64(clamping: summaryEvery))))
        lane.told = activity
    }
}
