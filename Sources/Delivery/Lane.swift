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
        var spans = 0
        var bytes = 0
        var since: UInt64
    }

    /// A request under way.
    struct Flight {
        var batch: Batch
        /// Stored bytes of each span.
        var spanBytes: [UInt32]
        var bodyBytes: Int
        var sentAt: UInt64
        /// As it was when the request was made: a batch in flight over a reload ends as it began.
        var destination: any Destination
        /// Without its body.
        var request: Request
    }

    let consumer: Int64
    var spec: DestinationSpec
    var cursor: Cursor
    /// The first id of which no batch has been made.
    var nextID: Int64
    var open: Open?
    /// Batches to be sent (again), each from its `notBefore` on.
    var waiting: [Batch] = []
    var inFlight: [UInt64: Flight] = [:]
    var breaker: CircuitBreaker
    var concurrency: Concurrency
    var hold: Hold?
    /// What the platform asked for (Retry-After), monotonic nanoseconds.
    var notBefore: UInt64 = 0
    /// Unix milliseconds from which a dead letter is due again; nil where none is.
    var letterAt: Int64?
    /// It has left the configuration: what is in flight ends, nothing starts.
    var removed = false
    /// Where a person wants the cursor, once nothing is in flight.
    var seekTarget: Int64?
    /// Times that something was delivered.
    var deliveries: Int64 = 0
    var deliveredSpans: Int64 = 0
    var notesTold: Set<String> = []
    var status = DestinationStatus()
    /// The counters at the last summary, and when the next is due.
    var told = (spans: Int64(0), deliveries: Int64(0), retries: Int64(0), latency: Histogram())
    var summaryAt: UInt64?

    init(_ consumer: Consumer, spec: DestinationSpec) {
        self.consumer = consumer.id
        self.spec = spec
        cursor = consumer.cursor
        nextID = consumer.cursor.position + 1
        breaker = CircuitBreaker(failuresMax: spec.settings.breakerFailures)
        concurrency = Concurrency(workers: spec.settings.workers)
        if consumer.state == .paused { hold = .user }
    }

    var name: String { spec.name }

    /// Takes a changed configuration over. A refused key may be right now, so the platform is asked again.
    func apply(_ new: DestinationSpec) {
        spec = new
        breaker = CircuitBreaker(failuresMax: new.settings.breakerFailures)
        concurrency = Concurrency(workers: new.settings.workers)
        notBefore = 0
        if hold != .user { hold = nil }
        for index in waiting.indices { waiting[index].notBefore = 0 }
        open = nil
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
        guard !removed, seekTarget == nil, inFlight.count < limit, now >= notBefore else { return false }
        switch hold {
        case nil: return true
        case .user, .disabled: return false
        case .platform(_, _, _, let probeAt, _): return now >= probeAt && inFlight.isEmpty
        }
    }

    /// The place in `waiting` of the batch that may be sent first; nil where none may.
    func nextWaiting(now: UInt64) -> Int? {
        let inOrder = spec.destination.declaration.order != .none
        let crowded = cursor.settled.count >= Self.batchesAheadMax - 4
        var best: Int?
        for index in waiting.indices {
            // In a crowd of settled ranges only what closes the oldest gap may go, so that their number stays bounded.
            if crowded, case .log(let ids) = waiting[index].spans, let first = cursor.settled.first, ids.lowerBound > first.lowerBound {
                continue
            }
            if let other = best, waiting[other].spans.first <= waiting[index].spans.first { continue }
            if inOrder || waiting[index].notBefore <= now { best = index }
        }
        guard let best, waiting[best].notBefore <= now else { return nil }
        return best
    }

    /// Whether a new batch may be made of the log now.
    var mayGather: Bool {
        if spec.destination.declaration.order != .none, !waiting.isEmpty { return false }
        // What closes the oldest gap (a restart finds such gaps) adds no range.
        let closesGap = cursor.settled.first.map { nextID < $0.lowerBound } ?? false
        return waiting.count + inFlight.count < Self.batchesAheadMax && (closesGap || cursor.settled.count < Self.batchesAheadMax - 4)
    }

    /// When something is to be done though nothing happens; nil: when something happens.
    func deadline(now: UInt64, lastID: Int64) -> UInt64? {
        var times: [UInt64] = []
        if let summaryAt { times.append(summaryAt) }
        if !removed, seekTarget == nil, inFlight.count < limit {
            switch hold {
            case .user, .disabled: break
            case .platform(_, _, _, let probeAt, _): times.append(probeAt)
            case nil:
                // What stands before the first batch's own time is common to all of them.
                let gate = max(notBefore, breaker.opensAt ?? 0)
                if breaker.state != .probing {
                    if let open { times.append(max(gate, open.since + spec.settings.linger.nanosecondsClamped)) }
                    if let first = waiting.map(\.notBefore).min() { times.append(max(gate, first)) }
                    if nextID <= lastID, gate > now { times.append(gate) }
                }
            }
        }
        // Ageing is looked after once a second while there is a backlog.
        if cursor.position < lastID { times.append(now + 1_000_000_000) }
        return times.min()
    }

    // MARK: Books

    /// Marks ids of the log as settled, and says so to the spool.
    func settle(_ ids: ClosedRange<Int64>, _ key: LedgerKey, bytes: Int64, dead: [DeadLetter] = [], weight: Int64? = nil, in log: SpanLog) {
        cursor.settle(ids)
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        let spans = Int64(ids.count)
        let counted = weight ?? spans
        settlement.add(key, Tally(spans: counted, bytes: bytes))
        if counted < spans { settlement.add(LedgerKey(.delivered, route: key.route), Tally(spans: spans - counted)) }
        settlement.dead = dead
        log.settle(settlement)
    }

    /// What became of dead letters that were sent again.
    func settleLetters(_ retried: [DeadLetterRetry], delivered: Tally, in log: SpanLog) {
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        settlement.retried = retried
        if delivered.spans > 0 { settlement.add(LedgerKey(.replayed, route: route), delivered) }
        log.settle(settlement)
    }

    /// The route's name for the ledger.
    var route: String { if case .deliver(let route) = spec.decision { route } else { "" } }
}
