import SpanModel
import Threading

/// Group commit as a value: what has gathered, and when it is due. It decides and touches nothing; the writer's thread acts.
///
/// A commit starts at once when somebody waits for an ack, else 20 ms after its first span or at 256 KiB. Settlements ride in the next
/// commit of some size, or go in one of their own after 100 ms: a small commit touches one table (DESIGN.md section 2.4).
struct CommitQueue: Sendable {
    static let lingerNanoseconds: UInt64 = 20_000_000
    static let settleNanoseconds: UInt64 = 100_000_000
    static let segmentBytes = 256 << 10
    private static let largeBytes = 64 << 10

    /// The commit that gathers now. Whoever appends is told this number.
    private(set) var number: UInt64 = 1
    private(set) var bytes = 0
    private var chunks: [SpanBatch] = []
    private var settlements: [Int64: Settlement] = [:]
    private var rejections: [RejectionKey: Int64] = [:]
    private var firstAt: UInt64?
    private var settleSince: UInt64?
    private var ackWanted = false
    /// `received_at` never runs backwards, whatever the wall clock does.
    private var lastReceived: UInt64

    init(lastReceived: UInt64) { self.lastReceived = lastReceived }

    /// Takes spans in, in pieces of at most a segment; a larger span stands alone.
    mutating func append(_ batch: SpanBatch, ackWanted wanted: Bool, now: UInt64) {
        if firstAt == nil { firstAt = now }
        ackWanted = ackWanted || wanted
        bytes += batch.payload.count
        var from = 0
        while from < batch.count {
            let room = chunks.last.map { Self.segmentBytes - $0.payload.count } ?? -1
            var to = from
            var taken = 0
            while to < batch.count, taken + Int(batch.entries[to].length) <= room {
                taken += Int(batch.entries[to].length)
                to += 1
            }
            guard to > from else {
                chunks.append(SpanBatch())
                if Int(batch.entries[from].length) > Self.segmentBytes {
                    move(batch, from..<from + 1)
                    from += 1
                }
                continue
            }
            move(batch, from..<to)
            from = to
        }
    }

    private mutating func move(_ batch: SpanBatch, _ range: Range<Int>) {
        let begin = Int(batch.entries[range.lowerBound].offset)
        let end = Int(batch.entries[range.upperBound - 1].offset) + Int(batch.entries[range.upperBound - 1].length)
        let last = chunks.count - 1
        let shift = Int64(chunks[last].payload.count) - Int64(begin)
        chunks[last].payload.append(contentsOf: batch.payload[begin..<end])
        for index in range {
            var entry = batch.entries[index]
            entry.offset = UInt32(Int64(entry.offset) + shift)
            lastReceived = max(lastReceived, entry.receivedAt)
            entry.receivedAt = lastReceived
            chunks[last].entries.append(entry)
        }
    }

    /// Somebody waits for the commit that gathers now.
    mutating func wantAck() { ackWanted = true }

    mutating func settle(_ settlement: Settlement, now: UInt64) {
        if settleSince == nil { settleSince = now }
        if var earlier = settlements.removeValue(forKey: settlement.consumer) {
            earlier.merge(settlement)
            settlements[settlement.consumer] = earlier
        } else {
            settlements[settlement.consumer] = settlement
        }
    }

    mutating func reject(_ key: RejectionKey, _ count: Int64, now: UInt64) {
        if settleSince == nil { settleSince = now }
        rejections[key, default: 0] += count
    }

    /// Whether nothing at all waits.
    var isEmpty: Bool { chunks.isEmpty && settlements.isEmpty && rejections.isEmpty && !ackWanted }

    /// When the next commit is due on the monotonic clock; nil where nothing waits.
    func dueAt() -> UInt64? {
        if ackWanted || bytes >= Self.segmentBytes { return 0 }
        return [firstAt.map { $0 + Self.lingerNanoseconds }, settleSince.map { $0 + Self.settleNanoseconds }].compactMap(\.self).min()
    }

    /// What to commit now, and makes room for the next. `all`: whatever has gathered, due or not.
    mutating func take(now: UInt64, all: Bool = false) -> Work? {
        guard all || (dueAt().map { $0 <= now } ?? false), !isEmpty else { return nil }
        var work = Work(number: number, chunks: chunks)
        chunks = []
        if all || bytes >= Self.largeBytes || settleSince.map({ $0 + Self.settleNanoseconds <= now }) ?? false {
            (work.settlements, work.rejections) = (settlements, rejections)
            (settlements, rejections, settleSince) = ([:], [:], nil)
        }
        (bytes, firstAt, ackWanted) = (0, nil, false)
        number += 1
        return work
    }

    /// Takes back what a failed commit carried of spans' fates, so that the next one carries it; its spans are lost to it.
    mutating func putBack(_ work: Work, now: UInt64) {
        for (consumer, earlier) in work.settlements {
            var merged = earlier
            if let later = settlements[consumer] { merged.merge(later) }
            settlements[consumer] = merged
        }
        for (key, count) in work.rejections { rejections[key, default: 0] += count }
        if !work.settlements.isEmpty || !work.rejections.isEmpty { settleSince = settleSince ?? now }
    }
}
