import Pipeline
import SpanModel
import Spool

/// One destination's part of delivery: its cursor, what is under way, and what holds it up. It decides from its own state and the clock;
/// `Loop` acts. It belongs to delivery's thread.
final class Lane {
    /// Why nothing is sent though nothing has failed just now.
    enum Hold: Equatable {
        /// A person stopped it.
        case user
        /// The platform refuses what the configuration gives it; asked again at `probeAt` (monotonic nanoseconds).
        case platform(reason: String, detail: String, status: Int, probeAt: UInt64, step: Int)
        /// Gone for good: until a reload.
        case disabled(reason: String, detail: String)
    }

    /// A batch that still takes spans in.
    struct Open {
        var first: Int64
        /// Ids looked at.
        var ids = 0
        /// Spans that go on, and their stored bytes.
        var spans = 0
        var bytes = 0
        var since: UInt64
        /// Where the routes decide span by span.
        var selection: LogSpans.Selection?

        /// What was gathered; there is some.
        var gathered: LogSpans { LogSpans(ids: first...first + Int64(ids) - 1, selection: selection) }
    }

    /// A request under way.
    struct Flight {
        var batch: Batch
        /// Stored bytes of each span.
        var spanBytes: [UInt32]
        var bodyBytes: Int
        /// What of it is held in memory.
        var leasedBytes = 0
        var sentAt: UInt64
        /// As it was when the request was made: a batch in flight over a reload ends as it began.
        var destination: any Destination
        /// Without its body.
        var request: Request
        /// The fallback that it went to instead.
        var handedTo: String?
        /// Which of the declared hosts it went to.
        var host = 0
        /// Where there is no request yet: the programs of routes are asked about its spans first.
        var preparation: ExecPrograms.Preparation?
        /// Where its spans hang, as they were sent; empty where the platform does not need to know.
        var links: [SpanLink?] = []
    }

    let consumer: Int64
    var spec: DestinationSpec
    /// The rules that hold now, and the destination's place in them.
    private(set) var rules: Rules
    private(set) var place = 0
    /// What they say of every span, where it is the same for all.
    private(set) var constant: RouteDecision?
    /// The name of the route that decides for every span; empty where there is none.
    private(set) var route = ""
    /// By route.
    private var limits: [Int: SpanLimit] = [:]
    /// For routes that decide on whole traces.
    var ahead: ReadAhead
    var cursor: Cursor
    /// The first id of which no batch has been made.
    var nextID: Int64
    var open: Open?
    /// Batches to be sent (again), each from its `notBefore` on.
    var waiting: [Batch] = []
    private(set) var inFlight: [UInt64: Flight] = [:]
    /// Requests under way to this destination itself, not to its fallback.
    private(set) var ownFlights = 0
    /// Fates that the cursor has no place for yet.
    var withheld: [Fate] = []
    var breaker: CircuitBreaker
    var concurrency: Concurrency
    var hold: Hold?
    /// What the platform asked for (Retry-After), monotonic nanoseconds.
    var notBefore: UInt64 = 0
    /// Monotonic nanoseconds before which nothing is read for it, after the log could not be read.
    var readsAt: UInt64 = 0
    /// Unix milliseconds from which a dead letter is due again; nil where none is.
    var letterAt: Int64?
    /// What was given up while requests were under way in it: one of them that fails is given up too.
    var givenUp: (through: Int64, reason: String)?
    /// Ids of the log that were left behind an outage, to be delivered when nothing newer waits (`catch_up: live_first`).
    var behind: ClosedRange<Int64>?
    var rate: RateLimit
    /// The limit that it shares with others, and when it had its last turn there.
    var (shared, turn): (SharedBucket?, Int64) = (nil, 0)
    /// The door and the host that its requests take.
    var detour = Detour()
    /// 429s in a row, where the platform never says how long to wait.
    var throttle: Throttle?
    /// What it has got of the traces' trees, where the platform shows no span without its parent.
    var parents: ParentMemory?
    /// Whether it is to read again what it had before this start.
    var recallsParents = true
    /// Since when nothing has succeeded though something was tried or held (monotonic nanoseconds).
    var failingSince: UInt64?
    /// It has left the configuration: what is in flight ends, nothing starts.
    var removed = false
    /// Where a person wants the cursor, once nothing is in flight.
    var seekTarget: Int64?
    /// Times that something was delivered.
    var deliveries: Int64 = 0
    var deliveredSpans: Int64 = 0
    var notesTold: Set<String> = []
    var status = DestinationStatus()
    /// What it had done at the last summary, and when the next is due.
    var told = DeliveryActivity()
    var summaryAt: UInt64?

    init(_ consumer: Consumer, spec: DestinationSpec, rules: Rules) {
        self.consumer = consumer.id
        self.spec = spec
        self.rules = rules
        cursor = consumer.cursor
        nextID = consumer.cursor.position + 1
        ahead = ReadAhead(behind: consumer.cursor.position)
        breaker = CircuitBreaker(failuresMax: spec.settings.breakerFailures)
        concurrency = Concurrency(workers: spec.settings.workers)
        rate = RateLimit(requests: spec.settings.requestsPerSecond, bytes: spec.settings.bytesPerSecond)
        if consumer.state == .paused { hold = .user }
        applyDeclaration()
        apply(rules)
    }

    var name: String { spec.name }

    /// Takes a changed configuration over. A refused key may be right now, so the platform is asked again.
    func apply(_ new: DestinationSpec) {
        spec = new
        breaker = CircuitBreaker(failuresMax: new.settings.breakerFailures)
        concurrency = Concurrency(workers: new.settings.workers)
        rate = RateLimit(requests: new.settings.requestsPerSecond, bytes: new.settings.bytesPerSecond)
        applyDeclaration()
        notBefore = 0
        detour = Detour()
        if hold != .user { hold = nil }
        for index in waiting.indices { (waiting[index].notBefore, waiting[index].door) = (0, nil) }
        // The batch that still takes spans in begins anew, by the new limits.
        if let open { nextID = open.first }
        open = nil
    }

    /// What it remembers of the traces outlives a reload.
    private func applyDeclaration() {
        let declaration = spec.destination.declaration
        throttle = declaration.throttleWait.map(Throttle.init)
        parents = declaration.parents == nil ? nil : parents ?? ParentMemory()
    }

    /// Nothing is started further than this many batches ahead of the cursor (DESIGN.md section 3).
    static let batchesAheadMax = 64

    /// How many requests may be under way now.
    var limit: Int {
        switch hold {
        case .platform: 1
        default: spec.destination.declaration.order == .none ? concurrency.limit : 1
        }
    }

    /// Whether anything at all may start at this time.
    func mayStart(now: UInt64) -> Bool {
        guard !removed, spec.settings.isEnabled, seekTarget == nil, ownFlights < limit,
            now >= max(notBefore, readsAt, rate.opensAt, sharedOpensAt(now: now))
        else { return false }
        return permitsProbe(now: now) && (hold == nil || ownFlights == 0)
    }

    /// Whether what holds it up, if anything does, lets a probe go now.
    func permitsProbe(now: UInt64) -> Bool {
        switch hold {
        case nil: true
        case .user, .disabled: false
        case .platform(_, _, _, let probeAt, _): now >= probeAt
        }
    }

    /// Monotonic nanoseconds before which the limit that it shares lets nothing go.
    private func sharedOpensAt(now: UInt64) -> UInt64 { isLimited(door: detour.door(now: now)) ? shared?.opensAt ?? 0 : 0 }

    /// Whether the limit that it shares holds for a door.
    func isLimited(door: Int) -> Bool { spec.destination.declaration.sharedRate.map { door >= $0.firstDoor } ?? false }

    /// What an attempt is told. `door`: where the batch was sent on to; a reload may have taken that away.
    func context(door: Int?, wall: UInt64, now: UInt64) -> EncodeContext {
        let declared = max(1, spec.destination.declaration.doors.count)
        let door = door.flatMap { $0 < declared ? $0 : nil } ?? detour.door(now: now)
        return EncodeContext(destination: name, now: wall, door: door, host: detour.host(now: now), parents: parents)
    }

    /// A request is under way from now on.
    func started(_ token: UInt64, _ flight: Flight) {
        inFlight[token] = flight
        if flight.handedTo == nil { ownFlights += 1 }
    }

    /// It has ended: what it was; nil where there was none.
    func ended(_ token: UInt64) -> Flight? {
        guard let flight = inFlight.removeValue(forKey: token) else { return nil }
        if flight.handedTo == nil { ownFlights -= 1 }
        return flight
    }

    /// Whether it has failed for so long that its fallback is to take its batches.
    func handsOver(now: UInt64) -> Bool {
        guard !removed, spec.settings.isEnabled, seekTarget == nil, let fallback = spec.settings.fallback, let failingSince else {
            return false
        }
        if case .user = hold { return false }
        return now >= failingSince + fallback.after.nanosecondsClamped
    }

    /// Whether what comes in now goes before what has waited.
    var prefersLive: Bool {
        spec.settings.catchUp == .liveFirst && spec.destination.declaration.order == .none && breaker.state == .closed && hold == nil
            && mayGather
    }

    /// The newest spans come first from here on; what lies before them waits until nothing newer does.
    func leaveBehind(lastID: Int64) {
        guard spec.settings.catchUp == .liveFirst, spec.destination.declaration.order == .none, behind == nil else { return }
        let first = open?.first ?? nextID
        guard first <= lastID else { return }
        (behind, open, nextID) = (first...lastID, nil, lastID + 1)
    }

    /// So many ranges stand beyond the cursor, or may soon, that only what begins at the oldest gap may start: it adds none.
    private var isCrowded: Bool { cursor.settled.count + inFlight.count >= Self.batchesAheadMax - 4 }

    /// The place in `waiting` of the batch that comes first of those that may be sent when their own time comes and that `isDue`; nil where
    /// there is none.
    private func firstSendable(where isDue: (Batch) -> Bool, before isBefore: (Batch, Batch) -> Bool) -> Int? {
        guard !waiting.isEmpty else { return nil }
        // The one batch of the log that may go where others must wait for it, by its first id. Dead letters are outside of the order: one that
        // fails again holds up nothing.
        let isOrdered = spec.destination.declaration.order != .none
        let head = isOrdered ? waiting.lazy.filter(\.isOfLog).map(\.spans.first).min() : nil
        let gap = isCrowded && !cursor.settled.isEmpty ? cursor.position + 1 : nil
        var found: Int?
        for place in waiting.indices where isDue(waiting[place]) {
            if waiting[place].isOfLog {
                let first = waiting[place].spans.first
                if let head, first != head { continue }
                if let gap, first != gap { continue }
            }
            if let best = found, !isBefore(waiting[place], waiting[best]) { continue }
            found = place
        }
        return found
    }

    /// The place in `waiting` of the batch that is to be sent now; nil where none may. While the breaker asks for a probe it is the one that
    /// failed least, which tells most of the platform and least of the batch.
    func nextWaiting(now: UInt64) -> Int? {
        let probes = breaker.state != .closed
        return firstSendable(
            where: { $0.notBefore <= now },
            before: { (probes ? $0.failures : 0, $0.spans.first) < (probes ? $1.failures : 0, $1.spans.first) })
    }

    /// Whether a new batch may be made of the log now.
    var mayGather: Bool { mayGather(from: nextID) }

    /// Whether one may be made of what an outage left behind: when nothing newer waits, or nothing newer may go.
    var mayGatherBehind: Bool {
        guard let behind, open == nil || !mayGather else { return false }
        return mayGather(from: behind.lowerBound)
    }

    private func mayGather(from id: Int64) -> Bool {
        if spec.destination.declaration.order != .none, waiting.contains(where: \.isOfLog) { return false }
        guard waiting.count + inFlight.count < Self.batchesAheadMax else { return false }
        return !isCrowded || cursor.settled.isEmpty || id <= cursor.position + 1
    }

    /// When something is to be done though nothing happens; nil: when something happens. `sends`: whether anything may be started at all.
    func deadline(now: UInt64, lastID: Int64, sends: Bool) -> UInt64? {
        var next = summaryAt
        if sends, let startsAt = startsAt(now: now, lastID: lastID) { next = min(next ?? .max, startsAt) }
        // Ageing is looked after once a second while there is a backlog.
        if cursor.position < lastID { next = min(next ?? .max, now + 1_000_000_000) }
        return next
    }

    /// When the next batch may start; nil where none may until something happens.
    func startsAt(now: UInt64, lastID: Int64) -> UInt64? {
        guard !removed, spec.settings.isEnabled, seekTarget == nil, ownFlights < limit, breaker.state != .probing else { return nil }
        var holdUntil: UInt64 = 0
        switch hold {
        case nil: break
        case .user, .disabled: return nil
        case .platform(_, _, _, let probeAt, _):
            guard ownFlights == 0 else { return nil }
            holdUntil = probeAt
        }
        return readyAt(lastID: lastID).map {
            max(notBefore, readsAt, rate.opensAt, sharedOpensAt(now: now), breaker.opensAt ?? 0, holdUntil, $0)
        }
    }

    /// When a batch is ready to go, but for what holds all of them; nil where there is none.
    private func readyAt(lastID: Int64) -> UInt64? {
        var ready = firstSendable(where: { _ in true }, before: { $0.notBefore < $1.notBefore }).map { waiting[$0].notBefore }
        if mayGatherBehind, let behind { ready = min(ready ?? .max, ahead.gathers(from: behind.lowerBound)) }
        if mayGather {
            if let open {
                ready = min(ready ?? .max, open.since &+ spec.settings.linger.nanosecondsClamped)
            } else if nextID <= lastID {
                ready = min(ready ?? .max, ahead.gathers(from: nextID))
            }
        }
        return ready
    }

    // MARK: Books

    /// What became of ids of the log.
    struct Fate {
        var ids: ClosedRange<Int64>
        /// Adds up to all of them.
        var tallies: [LedgerKey: Tally]
        var dead: [DeadLetter]
    }

    /// As `settle(_:_:dead:in:)`, where one thing became of all ids.
    func settle(_ ids: ClosedRange<Int64>, _ key: LedgerKey, bytes: Int64, in log: SpanLog) {
        settle(ids, [key: Tally(spans: Int64(ids.count), bytes: bytes)], in: log)
    }

    /// As `settle(_:_:dead:in:)`: one thing became of those that went on, and the routes have decided on the others.
    func settle(_ spans: LogSpans, _ outcome: Outcome, reason: String = "", bytes: Int64, dead: [DeadLetter] = [], in log: SpanLog) {
        var tallies: [LedgerKey: Tally] = [:]
        spans.addPicked(outcome, reason: reason, route: route, bytes: bytes, to: &tallies)
        spans.addPassed(to: &tallies)
        settle(spans.ids, tallies, dead: dead, in: log)
    }

    /// Marks ids of the log as settled, and says so to the spool. A range beyond the 64 that are stored is withheld until one of them closes:
    /// after a crash in between its spans are sent again.
    func settle(_ ids: ClosedRange<Int64>, _ tallies: [LedgerKey: Tally], dead: [DeadLetter] = [], in log: SpanLog) {
        withheld.append(Fate(ids: ids, tallies: tallies, dead: dead))
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        while let next = withheld.firstIndex(where: { hasPlace($0.ids) }) {
            let fate = withheld.remove(at: next)
            cursor.settle(fate.ids)
            for (key, tally) in fate.tallies { settlement.add(key, tally) }
            settlement.dead += fate.dead
        }
        guard !settlement.tallies.isEmpty else { return }
        settlement.cursor = cursor
        log.settle(settlement)
    }

    private func hasPlace(_ ids: ClosedRange<Int64>) -> Bool {
        cursor.settled.count < Self.batchesAheadMax || ids.lowerBound == cursor.position + 1
            || cursor.settled.contains { $0.upperBound + 1 == ids.lowerBound || ids.upperBound + 1 == $0.lowerBound }
    }

    /// What became of dead letters that were sent again.
    func settleLetters(_ retried: [DeadLetterRetry], delivered: Tally, in log: SpanLog) {
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        settlement.retried = retried
        if delivered.spans > 0 { settlement.add(LedgerKey(.replayed, route: route), delivered) }
        log.settle(settlement)
    }

    // MARK: Rules

    /// Takes over what the routes say of this destination.
    func apply(_ rules: Rules) {
        guard let place = rules.place(of: name) else { preconditionFailure("the rules are those of the same configuration") }
        (self.rules, self.place) = (rules, place)
        constant = rules.constant(for: place)
        route = constant.map { $0.delivers ? rules.name(of: $0.route) : "" } ?? ""
        limits = [:]
        ahead = ReadAhead(
            rules.tails(for: place).map { ($0.route, rules.name(of: $0.route), $0.limits) }, behind: cursor.position, after: ahead)
        if let open {
            nextID = open.first
            self.open = nil
        }
    }

    /// Whether a batch was gathered under other rules than those that hold now.
    func isStale(_ spans: LogSpans) -> Bool { constant == nil ? spans.selection?.rules !== rules : spans.selection != nil }

    /// The decision over a span that was received then: the route's limit, of this destination and by log time, has the last word.
    func limited(_ decision: RouteDecision, receivedAt: UInt64) -> RouteDecision {
        guard decision.delivers, let route = decision.route, let perSecond = rules.perSecondMax(of: route) else { return decision }
        return limits[route, default: SpanLimit(perSecond: perSecond)].take(at: receivedAt)
            ? decision : RouteDecision(.limited, by: route)
    }
}
