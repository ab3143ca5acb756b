/// Spans on their way to one destination: ids only. Their bytes are read from the log for each attempt, so a batch that waits costs nothing.
struct Batch: Sendable, Equatable {
    /// Where its spans are.
    enum Spans: Sendable, Equatable {
        /// Spans of the log.
        case log(LogSpans)
        /// Dead letters that are sent again, by span id, ascending.
        case letters([Int64])

        var count: Int {
            switch self {
            case .log(let spans): spans.count
            case .letters(let ids): ids.count
            }
        }

        var first: Int64 {
            switch self {
            case .log(let spans): spans.ids.lowerBound
            case .letters(let ids): ids.first ?? 0
            }
        }

        /// The spans at these offsets.
        subscript(offsets: Range<Int>) -> Spans {
            switch self {
            case .log(let spans): .log(spans[offsets])
            case .letters(let ids): .letters(Array(ids[offsets]))
            }
        }

        /// The id of the span at an offset.
        func id(at offset: Int) -> Int64 {
            switch self {
            case .log(let spans): spans.id(at: offset)
            case .letters(let ids): ids[offset]
            }
        }
    }

    var spans: Spans
    /// Times its spans were sent and judged.
    var attempts = 0
    /// Times that it failed as it is now: what its backoff grows with.
    var failures = 0
    /// Unix nanoseconds of its first failure, 0 before.
    var firstFailedAt: UInt64 = 0
    /// Failures while other batches of the destination were delivered: the sign of a poison span.
    var failuresAmongSuccesses = 0
    /// The destination's count of deliveries when this batch failed last (or was made).
    var deliveriesSeen: Int64 = 0
    /// Monotonic nanoseconds before which it is not sent.
    var notBefore: UInt64 = 0
    /// Monotonic nanoseconds before which a fallback is not asked to take it.
    var handOverAt: UInt64 = 0
    /// The door that it was sent on to, where another did not take it (`Verdict.otherDoor`).
    var door: Int?
    /// The last failure, for the dead letter that it may become.
    var lastReason = ""
    var lastDetail = ""
    var lastStatus = 0

    init(_ spans: Spans) { self.spans = spans }

    /// Whether it is a parked span that is tried again.
    var isParked: Bool { !isOfLog && failuresAmongSuccesses >= Self.poisonFailures && spans.count == 1 }

    /// Whether its spans come from the log; otherwise they are dead letters.
    var isOfLog: Bool { if case .log = spans { true } else { false } }

    /// The part with these spans: a batch of its own that begins anew, but remembers that it is suspect.
    func part(_ offsets: Range<Int>, suspect: Bool, deliveriesSeen: Int64) -> Batch {
        var part = self
        part.spans = spans[offsets]
        part.notBefore = 0
        part.failures = 0
        // What refused the whole may have meant one span of it.
        part.door = nil
        if suspect { part.failuresAmongSuccesses = Self.poisonFailures - 1 }
        part.deliveriesSeen = deliveriesSeen
        return part
    }

    /// Both halves.
    func halves(suspect: Bool, deliveriesSeen: Int64) -> [Batch] {
        let middle = spans.count / 2
        return [0..<middle, middle..<spans.count].map { part($0, suspect: suspect, deliveriesSeen: deliveriesSeen) }
    }

    /// Failures among successes after which a batch is bisected, and a span that is alone parked (DESIGN.md section 5).
    static let poisonFailures = 5
}
