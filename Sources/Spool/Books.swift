public import SpanModel

/// What can become of a span at one destination. The raw values are stored and are the words of /metrics and `status`.
public enum Outcome: String, Sendable, CaseIterable, Codable {
    case delivered, filtered, sampled, limited, dead, expired, erased, lost
    case handedOver = "handed_over"
    // Movements of dead letters: they have a span that was settled as `dead` before, so they are no part of the cursor's sum.
    case replayed, purged
    case agedOut = "aged_out"
    // Lines that never became a span; `consumer` is the source, `reason` the code of the ingest contract.
    case rejected

    /// Whether it settles an id of the log. The sum over these is `position - base + |settled|` of the consumer.
    public var settles: Bool {
        switch self {
        case .delivered, .filtered, .sampled, .limited, .dead, .expired, .erased, .lost, .handedOver: true
        case .replayed, .purged, .agedOut, .rejected: false
        }
    }
}

/// One line of the ledger.
public struct LedgerKey: Sendable, Hashable {
    /// The outcome.
    public var outcome: Outcome
    /// Why, as a code; empty where there is nothing to say.
    public var reason: String
    /// The route that selected (or left out) the span; empty where there is none.
    public var route: String

    /// A key of the ledger.
    public init(_ outcome: Outcome, reason: String = "", route: String = "") {
        self.outcome = outcome
        self.reason = reason
        self.route = route
    }
}

/// Spans and their stored bytes.
public struct Tally: Sendable, Equatable {
    /// Number of spans.
    public var spans: Int64
    /// Their stored bytes.
    public var bytes: Int64

    /// A sum.
    public init(spans: Int64 = 0, bytes: Int64 = 0) {
        self.spans = spans
        self.bytes = bytes
    }

    /// Adds another sum.
    public static func += (left: inout Tally, right: Tally) {
        left.spans += right.spans
        left.bytes += right.bytes
    }
}

/// Why a consumer does not move.
public enum ConsumerState: String, Sendable, Codable {
    /// It delivers.
    case active
    /// A person stopped it; its backlog waits (and expires by its own limits).
    case paused
    /// Not in the configuration any more: it pins nothing, and resumes if it returns while its spans are still there.
    case retired
}

/// One consumer of the log as the spool knows it.
public struct Consumer: Sendable, Equatable {
    /// Its number in the spool.
    public var id: Int64
    /// The destination's name.
    public var name: String
    /// Whether it moves.
    public var state: ConsumerState
    /// Ids up to here were never its business.
    public var base: Int64
    /// What is settled.
    public var cursor: Cursor
    /// Its lines of the ledger.
    public var ledger: [LedgerKey: Tally] = [:]
    /// The number of the last settlement with decisions over traces that is on disk, since the start.
    public var decisionsNumber: Int64 = 0

    /// The sum over the outcomes that settle an id.
    public var settledSpans: Int64 { ledger.reduce(0) { $1.key.outcome.settles ? $0 + $1.value.spans : $0 } }

    /// The identity of DESIGN.md section 4 for this consumer.
    public var balances: Bool { cursor.position - base + cursor.settledBeyond == settledSpans }
}

/// All that changes about spans' fates at once: it is committed whole, with the cursor that it belongs to, or not at all.
public struct Settlement: Sendable {
    /// The consumer's number.
    public var consumer: Int64
    /// Its cursor after this settlement: the last one wins where settlements are merged.
    public var cursor: Cursor
    /// What is added to the ledger.
    public var tallies: [LedgerKey: Tally] = [:]
    /// New dead letters, with the bytes of their spans.
    public var dead: [DeadLetter] = []
    /// What became of letters that were tried again.
    public var retried: [DeadLetterRetry] = []
    /// What was decided over traces.
    public var decisions: [TraceDecision] = []
    /// The number of the settlement with decisions: `Consumer.decisionsNumber` is as high once they are on disk.
    public var decisionsNumber: Int64 = 0
    /// Decisions that are not needed any more; each was made in an earlier settlement.
    public var forgottenTraces: [TracedRoute] = []

    /// An empty settlement at a cursor.
    public init(consumer: Int64, cursor: Cursor) {
        self.consumer = consumer
        self.cursor = cursor
    }

    /// Adds to the ledger.
    public mutating func add(_ key: LedgerKey, _ tally: Tally) { tallies[key, default: Tally()] += tally }

    /// Takes in a later settlement of the same consumer.
    public mutating func merge(_ later: Settlement) {
        cursor = later.cursor
        for (key, tally) in later.tallies { add(key, tally) }
        dead += later.dead
        retried += later.retried
        decisions += later.decisions
        decisionsNumber = max(decisionsNumber, later.decisionsNumber)
        forgottenTraces += later.forgottenTraces
    }
}

/// A span that a destination will not take (or has not yet taken), kept with the reason.
public struct DeadLetter: Sendable, Equatable {
    /// What happens to it next.
    public enum State: String, Sendable, Codable {
        /// Tried again by itself at `nextAt`.
        case parked
        /// Waits for a person.
        case dead
        /// A person asked for it to be sent again.
        case replaying
    }

    /// The consumer's number.
    public var consumer: Int64
    /// The span's id in the log.
    public var span: Int64
    /// See `State`.
    public var state: State
    /// A code, as in the ledger.
    public var reason: String
    /// The HTTP status that decided, or 0.
    public var status: Int
    /// The platform's words, without any part of the span; at most 500 bytes.
    public var detail: String
    /// Times it was sent.
    public var attempts: Int
    /// Unix milliseconds of the first failure.
    public var firstAt: Int64
    /// Unix milliseconds of the last failure.
    public var lastAt: Int64
    /// Unix milliseconds of the next attempt, for a parked letter.
    public var nextAt: Int64?
    /// Spans it stands for: 1, but for `partial_unknown`.
    public var weight: Int64 = 1
    /// The span's entry and bytes; nil where there is none to keep (`partial_unknown`).
    public var stored: StoredSpan?

    /// A letter.
    public init(
        consumer: Int64, span: Int64, state: State, reason: String, status: Int, detail: String, attempts: Int, firstAt: Int64,
        lastAt: Int64,
        nextAt: Int64? = nil, weight: Int64 = 1, stored: StoredSpan?
    ) {
        self.consumer = consumer
        self.span = span
        self.state = state
        self.reason = reason
        self.status = status
        self.detail = detail
        self.attempts = attempts
        self.firstAt = firstAt
        self.lastAt = lastAt
        self.nextAt = nextAt
        self.weight = weight
        self.stored = stored
    }
}

/// What a second life needs of a span: its directory row and its bytes.
public struct StoredSpan: Sendable, Equatable {
    /// The row, with offset 0.
    public var entry: SpanEntry
    /// The stored message.
    public var bytes: [UInt8]

    /// A copy of a span out of its segment.
    public init(entry: SpanEntry, bytes: [UInt8]) {
        self.entry = entry
        self.entry.offset = 0
        self.bytes = bytes
    }
}

/// What came of sending a dead letter again.
public struct DeadLetterRetry: Sendable, Equatable {
    /// The span's id in the log.
    public var span: Int64
    /// nil: delivered, the letter goes. Otherwise the letter as it stands now.
    public var failed: DeadLetter?

    /// A result of one letter.
    public init(span: Int64, failed: DeadLetter?) {
        self.span = span
        self.failed = failed
    }
}
