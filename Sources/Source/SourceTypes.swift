import Intake
public import SpanModel
import Spool
import Synchronization

/// What a source tells; the journal makes sentences of it.
public enum SourceEvent: Sendable {
    /// A peer that may not connect did.
    case peerRefused(SourceID, uid: UInt32, pid: Int32, allowed: String)
    /// No connection can be taken: too many open files, as a rule. Told at each try.
    case acceptFailed(SourceID, reason: String)
    /// Everyone who waited for that has been taken.
    case acceptsAgain(SourceID)
    /// Lines were rejected, or not taken.
    case rejected(SourceID, reason: String, count: Int)
    /// The kernel dropped datagrams that were never read.
    case kernelDropped(SourceID, datagrams: Int)
}

/// Counters of one source since the start of the process. What the spool's ledger counts (spans, rejected lines) is not here.
public final class SourceCounters: Sendable {
    /// Bytes read.
    public let bytes = Atomic<Int>(0)
    /// Connections taken.
    public let connections = Atomic<Int>(0)
    /// Connections open now.
    public let connectionsOpen = Atomic<Int>(0)
    /// Whether peers wait that cannot be taken.
    public let isCrowded = Atomic<Bool>(false)
    /// Connections refused by `allow`.
    public let connectionsRefused = Atomic<Int>(0)
    /// Datagrams read.
    public let datagrams = Atomic<Int>(0)
    /// Datagrams from addresses outside `allow`.
    public let datagramsRefused = Atomic<Int>(0)
    /// Datagrams that the kernel dropped before they could be read.
    public let kernelDropped = Atomic<Int>(0)
    /// Answers that a peer did not read in time.
    public let answersDropped = Atomic<Int>(0)
    /// Spans accepted whose end is before their start.
    public let endBeforeStart = Atomic<Int>(0)

    init() {}
}

/// Makes, on a source's thread, what is done to its spans before they are stored; nil where that is nothing.
public typealias SpanCleaner = @Sendable () -> ((inout SpanBatch) -> Void)?

/// Parses the lines of one read into a batch and counts what is rejected, for the sources' threads.
final class LineIntake {
    let source: SourceID
    private let parser: LineParser
    private let log: SpanLog
    private let tell: @Sendable (SourceEvent) -> Void
    private let counters: SourceCounters
    private let rejects: RejectsFile?
    private let clean: ((inout SpanBatch) -> Void)?
    private var rejected: [Rejection: Int] = [:]
    var batch = SpanBatch()

    init(
        source: SourceID, limits: IntakeLimits, log: SpanLog, rejects: RejectsFile?, counters: SourceCounters,
        clean: ((inout SpanBatch) -> Void)? = nil, tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        self.clean = clean
        (self.source, self.log, self.rejects, self.counters, self.tell) = (source, log, rejects, counters, tell)
        parser = LineParser(limits: limits)
    }

    func parse(_ line: UnsafeRawBufferPointer, stamp: Stamp, acceptsAck: Bool) -> ParsedLine {
        let parsed = parser.parse(line, stamp: stamp, acceptsAck: acceptsAck, into: &batch)
        if case .rejected(let reason) = parsed {
            reject(reason)
            rejects?.add(line, source: source, reason: reason, now: stamp.receivedAt)
        }
        return parsed
    }

    func reject(_ reason: Rejection, count: Int = 1) { rejected[reason, default: 0] += count }

    /// Offers the batch to the spool; refused spans count as rejected.
    func append(wantsAck: Bool) -> Admission {
        let spans = batch.count
        clean?(&batch)
        let admission = log.append(&batch, wantsAck: wantsAck)
        if case .refused(let refusal) = admission {
            reject(refusal == .full ? .spoolFull : .ioError, count: spans)
            batch.removeAll()
        }
        flushCounts()
        return admission
    }

    /// Writes what was rejected since the last call into the ledger.
    private func flushCounts() {
        for (reason, count) in rejected {
            log.reject(RejectionKey(source: source, reason: reason.code), count: Int64(count))
            tell(.rejected(source, reason: reason.code, count: count))
        }
        rejected.removeAll(keepingCapacity: true)
        counters.endBeforeStart.store(Int(parser.endBeforeStart), ordering: .relaxed)
    }
}
