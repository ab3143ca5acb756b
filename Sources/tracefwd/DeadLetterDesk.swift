import Delivery
import Foundation
import Glibc
import Spool

/// The daemon's side of `dead replay` and `dead purge`, for one destination.
struct DeadLetterDesk {
    let log: SpanLog
    let delivery: DeliveryEngine
    let consumer: Consumer

    /// Writes one answer; a replay that is waited for writes one after the other, until all was sent or nobody reads.
    func carryOut(_ request: ControlRequest, _ write: (Data) -> Bool) throws {
        let filter = request.filter ?? .init()
        // What was settled is read from the disk.
        guard log.flush() else { throw Failure("the spool cannot be written now") }
        if request.dryRun == true {
            let summary = try log.reader().deadLetterSummary(consumer: consumer.id, filter: filter)
            _ = write(try answerFrame(DeadPreviewReply(summary, destination: consumer.name)))
        } else if request.command == .deadPurge {
            let purged = Int(try log.purge(consumer: consumer.id, filter))
            _ = write(try answerFrame(TextReply(text: "\(counted(purged, "dead letter")) of \(consumer.name) gone for good")))
        } else {
            try replay(filter, waits: request.wait ?? false, write)
        }
    }

    private func replay(_ filter: DeadLetterFilter, waits: Bool, _ write: (Data) -> Bool) throws {
        let reader = try log.reader()
        // By id from here on: a letter that dies again may have another reason, and still be one of these.
        let spans = try reader.replayableLetters(consumer: consumer.id, filter: filter)
        let replayedBefore = replayed
        _ = try log.replay(consumer: consumer.id, DeadLetterFilter(spans: spans))
        delivery.lettersChanged(consumer: consumer.id)
        var progress = ReplayProgress(destination: consumer.name, asked: spans.count, waiting: spans.count)
        guard write(try answerFrame(progress)), waits else { return }
        let ids = Set(spans)
        while !progress.isDone {
            let began = Date()
            var next = progress
            _ = log.flush()
            let fates = try reader.fates(of: ids, consumer: consumer.id)
            (next.waiting, next.deadAgain, next.parked) = (fates.replaying, fates.dead, fates.parked)
            // What was purged meanwhile has gone too.
            next.delivered = max(0, min(ids.count - fates.replaying - fates.dead - fates.parked, Int(replayed - replayedBefore)))
            next.state = next.isDone ? "" : obstacle
            // Written whether it is news or not: so it is seen when nobody waits any more.
            guard write(try answerFrame(next)) else { return }
            progress = next
            // A list that takes long to read is read less often.
            if !progress.isDone { usleep(UInt32(max(0.2, min(5, Date().timeIntervalSince(began) * 10)) * 1e6)) }
        }
    }

    /// Letters of this destination that were delivered by a replay, ever.
    private var replayed: Int64 {
        (log.status.consumers[consumer.id]?.ledger ?? [:]).reduce(0) { $1.key.outcome == .replayed ? $0 + $1.value.spans : $0 }
    }

    /// What the destination is doing, where it does not deliver.
    private var obstacle: String {
        guard let status = delivery.status()?.first(where: { $0.consumer == consumer.id }) else { return "it is not in the configuration" }
        guard status.state != .idle, status.state != .delivering else { return "" }
        return "\(consumer.name) is \(status.state.rawValue): \(status.detail)"
    }
}
