import Delivery
import Journal
import Logging
import Settings
import SpanModel
import Source
import Spool
import Synchronization
import Threading

/// Makes the journal's sentences of what the rooms tell. It is called on their threads, and logging never blocks.
final class JournalBridge: Sendable {
    private struct State {
        var accepted: Int64
        var delivered: Int64 = 0
        var troubleSince: UInt64 = 0
        var isFull = false
        var rejectedAtTrouble: Int64 = 0
        var breakerSince: [String: UInt64] = [:]
        /// Sources at which peers wait that cannot be taken, and since when.
        var crowdedSince: [SourceID: UInt64] = [:]
        /// Whether it has been told that a reader keeps the WAL.
        var isWALHeld = false
        /// Destinations whose first delivery is about to be told with its figures.
        var isFirst: Set<String> = []
    }

    /// What is told as a sum, when its time has come.
    private struct Losses {
        var rejections = Rejections()
        var dropped = Rejections()
        var hasEnded = false
    }

    private let logger: Logger
    private let log: SpanLog
    private let policy: String
    private let state: Mutex<State>
    private let losses = Monitor(Losses())
    private let teller: ThreadHandle
    private let acceptedBefore: Int64

    init(logger: Logger, log: SpanLog, whenFull: Settings.WhenFull) {
        (self.logger, self.log) = (logger, log)
        policy =
            switch whenFull {
            case .reject: "reject"
            case .dropOldest: "drop_oldest"
            case .block(let patience): "block \(patience)"
            }
        acceptedBefore = log.status.accepted
        state = Mutex(State(accepted: log.status.accepted, troubleSince: Clock.system.monotonic()))
        teller = startThread(name: "losses") { [losses] in Self.tellLosses(losses, logger) }
        // What the start had to mend, before anybody could listen.
        if let repair = log.status.repair { tell(.repaired(repair)) }
    }

    /// What this run has done.
    var totals: (accepted: Int, delivered: Int) {
        let state = state.withLock { ($0.accepted, $0.delivered) }
        return (Int(state.0 - acceptedBefore), Int(state.1))
    }

    private func now() -> UInt64 { Clock.system.monotonic() }

    private func backlog(_ destination: String) -> Int {
        let status = log.status
        guard let consumer = status.consumers.values.first(where: { $0.name == destination }) else { return 0 }
        return Int(status.accepted - consumer.cursor.position - consumer.cursor.settledBeyond)
    }

    func tell(_ event: SpoolEvent) {
        switch event {
        case .committed(_, let refusal, let lastID):
            if refusal == nil { state.withLock { $0.accepted = lastID } }
            watchWAL()
        case .trouble(let error):
            begin(full: false)
            logger.commitFailed(path: log.options.path, code: Int(error.code), text: error.message, spans: 0)
        case .full(let disk):
            begin(full: true)
            let status = log.status
            logger.spoolFull(
                path: log.options.path, bytes: status.usedBytes, bytesMax: log.options.maxSize, policy: policy, onDisk: disk,
                walBytes: status.hasHeldWAL(log.options) ? status.walBytes : 0)
        case .recovered:
            let (since, full, rejected) = state.withLock { ($0.troubleSince, $0.isFull, $0.rejectedAtTrouble) }
            let time = Duration.nanoseconds(Int64(now() - since))
            if full {
                logger.spoolOpenAgain(path: log.options.path, after: time, rejected: Int(rejectedSpans - rejected))
            } else {
                logger.commitsAgain(path: log.options.path, after: time)
            }
        case .agedOut(let letters):
            logger.platformNote("spool", "\(letters) dead letters were let go: older than spool.dead_letters.retain, or over its max_size")
        case .damaged(let text):
            begin(full: false)
            logger.spoolDamaged(path: log.options.path, text: text)
        case .walReplaced: logger.walReplaced(path: log.options.path)
        case .repaired(let repair):
            logger.spoolRepaired(path: log.options.path, sentence: repair.sentence, lost: Int(repair.spansLost))
        case .pressure: break
        }
    }

    private func watchWAL() {
        let status = log.status
        let (isHeld, bytes) = (status.hasHeldWAL(log.options), status.walBytes)
        let change: Bool? = state.withLock { state in
            guard isHeld != state.isWALHeld else { return nil }
            state.isWALHeld = isHeld
            return isHeld
        }
        switch change {
        case true?: logger.walHeld(path: log.options.path, bytes: bytes)
        case false?: logger.walFree(path: log.options.path, bytes: bytes)
        case nil: return
        }
    }

    private var rejectedSpans: Int64 {
        log.status.rejections.reduce(0) { $1.key.reason == Refusal.full.rawValue ? $0 + $1.value : $0 }
    }

    private func begin(full: Bool) {
        let rejected = rejectedSpans
        state.withLock { state in
            (state.troubleSince, state.isFull, state.rejectedAtTrouble) = (now(), full, rejected)
        }
    }

    func tell(_ event: SourceEvent) {
        switch event {
        case .peerRefused(let source, let uid, let pid, let allowed):
            logger.peerRefused("\(source)", uid: Int(uid), pid: Int(pid), allowed: allowed)
        case .acceptFailed(let source, let reason):
            let isNews = state.withLock { state in
                guard state.crowdedSince[source] == nil else { return false }
                state.crowdedSince[source] = now()
                return true
            }
            if isNews { logger.sourceCrowded("\(source)", reason: reason, files: Descriptors.limit) }
        case .acceptsAgain(let source):
            guard let since = state.withLock({ $0.crowdedSince.removeValue(forKey: source) }) else { return }
            logger.sourceAcceptsAgain("\(source)", after: .nanoseconds(Int64(now() - since)))
        case .rejected(let source, let reason, let count):
            if let report = tally(\.rejections, count, source, reason) { logger.spansRejected(report) }
        case .kernelDropped(let source, let datagrams):
            if let report = tally(\.dropped, datagrams, source, "kernel") { Self.tellDropped(report, logger) }
        }
    }

    private func tally(
        _ kind: WritableKeyPath<Losses, Rejections>, _ spans: Int, _ source: SourceID, _ reason: String
    ) -> Rejections.Report? {
        let (report, wakes) = losses.withLock { losses in
            let before = losses[keyPath: kind].nextDue
            let report = losses[keyPath: kind].rejected(spans: spans, source: "\(source)", reason: reason, now: now())
            return (report, losses[keyPath: kind].nextDue != before)
        }
        if wakes { losses.signal() }
        return report
    }

    /// The rest of a storm is told in its time, whether anything more comes or not.
    private static func tellLosses(_ losses: Monitor<Losses>, _ logger: Logger) {
        var goesOn = true
        while goesOn {
            let (rejected, dropped, hasEnded) = losses.wait { losses -> Look<([Rejections.Report], [Rejections.Report], Bool)> in
                let now = Clock.system.monotonic()
                let due = [losses.rejections.nextDue, losses.dropped.nextDue].compactMap(\.self).min()
                guard losses.hasEnded || due.map({ $0 <= now }) ?? false else {
                    return due.map { .sleepFor(.nanoseconds(Int64($0 - now))) } ?? .sleep
                }
                let all = losses.hasEnded
                return .go((losses.rejections.due(now: now, all: all), losses.dropped.due(now: now, all: all), all))
            }
            for report in rejected { logger.spansRejected(report) }
            for report in dropped { tellDropped(report, logger) }
            goesOn = !hasEnded
        }
    }

    private static func tellDropped(_ report: Rejections.Report, _ logger: Logger) {
        logger.datagramsDropped(report.source, datagrams: report.spans, within: report.within ?? .seconds(10))
    }

    /// No source is left: tells what has not been told yet.
    func end() {
        losses.withLock { $0.hasEnded = true }
        losses.signal()
        teller.join()
    }

    func tell(_ event: DeliveryEvent) {
        switch event {
        case .firstDelivery(let name, _): state.withLock { _ = $0.isFirst.insert(name) }
        case .delivered(let name, let spans, let bytes, let milliseconds, let attempt):
            let isFirst = state.withLock { state in
                state.delivered += Int64(spans)
                return state.isFirst.remove(name) != nil
            }
            if isFirst { logger.firstDelivery(name, spans: spans, took: .milliseconds(milliseconds)) }
            logger.batchDelivered(name, spans: spans, bytes: bytes, attempt: attempt, took: .milliseconds(milliseconds))
        case .retrying(let name, let spans, let status, let attempt, let wait, let detail):
            logger.retrying(
                name, spans: spans, status: status == 0 ? nil : status, reason: words(detail, after: status), attempt: attempt, after: wait)
        case .breakerOpened(let name, let failures, let wait, let detail):
            state.withLock { $0.breakerSince[name] = now() }
            logger.breakerOpened(name, failures: failures, reason: detail, probeIn: wait, backlog: backlog(name))
        case .breakerClosed(let name):
            let since = state.withLock { $0.breakerSince.removeValue(forKey: name) } ?? now()
            logger.breakerClosed(name, after: .nanoseconds(Int64(now() - since)), backlog: backlog(name))
        case .paused(let name, _, let status, let detail, let probe):
            if let probe {
                let said = words(detail, after: status)
                logger.paused(name, status: status, detail: said.isEmpty ? nil : said, probeIn: probe)
            } else {
                logger.disabled(name, backlog: backlog(name))
            }
        case .resumed(let name): logger.resumed(name, why: "it answers again", backlog: backlog(name))
        case .deadLetters(let name, let spans, let reason, let status, let detail):
            logger.deadLetters(
                name, spans: spans, status: status == 0 ? nil : status, reason: detail.isEmpty ? reason : "\(reason): \(detail)")
        case .parked(let name, let spans, let reason, let next): logger.parked(name, spans: spans, reason: reason, nextIn: next)
        case .handedOver(let name, let spans, let other): logger.handedOver(name, spans: spans, to: other)
        case .replayed(let name, let spans): logger.platformNote(name, "\(spans) dead letters were delivered")
        case .expired(let name, let spans, let reason):
            guard reason != "skipped" else { return }
            let limit =
                switch reason {
                case "max_age": "destinations.\(name).max_age"
                case "removed": "spool.history"
                default: "spool.max_size or destinations.\(name).backlog"
                }
            logger.expired(name, spans: Int(spans), reason: reason, limit: limit)
        case .lost(let name, let spans):
            logger.spansLost(name, spans: Int(spans))
        case .note(let name, let text): logger.platformNote(name, text)
        case .readFailed(let name, let error): logger.platformNote(name, "its spans cannot be read: \(error)")
        case .clockJumped(let by): logger.clockJumped(by: by)
        case .ruleFailed(let route, let count, let detail): logger.ruleFailed(route, count: count, detail: detail)
        case .unknownModel(let model): logger.unknownModel(model)
        case .programStarted(let route): logger.programStarted(route)
        case .programStopped(let route, let detail, let wait): logger.programStopped(route, detail: detail, wait: wait)
        case .programSaid(let route, let line): logger.programSaid(route, line)
        case .summary(let status, let activity, let time): logger.summary(status.name, DestinationSummary(status, activity, within: time))
        }
    }

    /// What a platform said besides its status, which the sentence has already.
    private func words(_ detail: String, after status: Int) -> String {
        let head = "answered \(status)"
        guard detail.hasPrefix(head) else { return detail }
        return String(detail.dropFirst(head.count).drop { $0 == ":" || $0 == " " })
    }

    /// A person has given an order.
    func told(_ order: DeliveryEngine.Order, _ name: String) {
        switch order {
        case .pause: logger.pausedByHand(name, backlog: backlog(name))
        case .resume: logger.resumed(name, why: "by hand", backlog: backlog(name))
        case .skip, .seek: logger.cursorMoved(name)
        }
    }
}

extension DestinationSummary {
    fileprivate init(_ status: DestinationStatus, _ activity: DeliveryActivity, within time: Duration) {
        let p95 = activity.latency.quantile(0.95)
        self.init(
            within: time, spans: Int(activity.spans), batches: Int(activity.batches),
            p95: p95 > 0 && p95 < .infinity ? .seconds(p95) : nil, retries: Int(activity.retries), backlog: Int(status.backlogSpans),
            oldest: status.backlogSpans > 0 ? .seconds(status.oldestAgeSeconds) : nil)
        (requests, requestSpans, requestBytes) = (Int(activity.requests), Int(activity.requestSpans), Int(activity.requestBytes))
        answers = activity.statusClasses.byStatusClass.mapValues { Int($0) }
        backlogBytes = Int(status.backlogBytes)
        let now = Clock.system.wall()
        if status.lastDeliveredAt > 0 { lastDelivered = .nanoseconds(Int64(now - min(now, status.lastDeliveredAt))) }
        // By what was answered meanwhile, not by the clock: a summary may be told a little late.
        let isNews = status.lastErrorAt > status.lastDeliveredAt || activity.statusClasses.keys.contains { $0 != 2 }
        if isNews, !status.lastError.isEmpty { lastError = status.lastError }
    }
}
