import Delivery
import Foundation
import Logging
import Settings
import Source
import SpanModel
import Spool
import Threading

// MARK: From the configuration's values to the rooms' own

extension SpoolOptions {
    init(_ settings: SpoolSettings, memory: Int) {
        self.init(path: settings.path)
        maxSize = settings.sizeMax
        history = settings.history
        whenFull =
            switch settings.whenFull {
            case .reject: .reject
            case .dropOldest: .dropOldest
            case .block(let patience): .block(patience)
            }
        durability =
            switch settings.durability {
            case .fsync: .fsync
            case .os: .os
            case .none: .none
            }
        reserveBytes = settings.reserve
        deadLettersMaxSize = settings.deadLettersSizeMax
        deadLettersRetain = settings.deadLettersRetain
        // The budget's shares: what gathers, and what readers share; delivery has its own.
        gatherBytesMax = min(4 << 20, max(1 << 20, memory / 32))
        cacheBytesMax = min(16 << 20, max(2 << 20, memory / 8))
    }
}

extension DeliverySettings {
    init(_ settings: DestinationSettings, _ declaration: Declaration, spoolBytes: Int) {
        let own = declaration.limits
        self.init(
            limits: BatchLimits(
                spans: min(settings.spansMax ?? min(500, own.spans), own.spans), bytes: min(settings.bytesMax ?? own.bytes, own.bytes)),
            backlog: BacklogLimit(bytes: Int64(settings.backlogMax.bytes(of: spoolBytes)), expires: settings.backlogWhenFull == .expire))
        isEnabled = settings.isEnabled
        linger = max(settings.linger, declaration.lingerMin)
        workers = settings.workers
        connectTimeout = settings.http?.connectTimeout ?? connectTimeout
        timeout = settings.timeout ?? declaration.timeout ?? timeout
        (backoffBase, backoffMax, breakerFailures) = (settings.backoffBase, settings.backoffMax, settings.breakerFailures)
        maxAge = settings.ageMax
        renamed = settings.was
        (requestsPerSecond, bytesPerSecond) = (settings.requestsPerSecond.map(Double.init), settings.bytesPerSecond.map(Double.init))
        catchUp = settings.liveFirst ? .liveFirst : .fifo
        fallback = settings.fallback.map { Fallback(to: $0.to, after: $0.after) }
        start =
            switch settings.from {
            case nil, .end?: .end
            case .beginning?: .beginning
            case .ago(let time)?: .ago(time)
            }
    }
}

extension Logger.Level {
    init(_ level: JournalSettings.Level) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
    }
}

// MARK: From the rooms' values to the reports

extension StatusReport.Spool {
    init(_ status: SpoolStatus, _ options: SpoolOptions) {
        self.init(
            path: options.path, id: status.spoolID, durability: options.durability.rawValue, accepted: status.accepted,
            oldestId: status.oldestID, usedBytes: status.usedBytes, maxBytes: options.maxSize, walBytes: status.walBytes,
            walHeld: status.hasHeldWAL(options), commits: status.commits, refusal: status.refusal?.rawValue,
            trouble: status.refusal == nil ? nil : status.trouble, repair: status.repair?.sentence, clockTrusted: status.clockTrusted)
    }
}

extension SpoolStatus {
    /// Whether a reader keeps an old state of the file, and with it the WAL: the writer could not begin it anew, and it is four times as long as
    /// where the writer begins to copy it away (16 MiB, or a sixteenth of a small spool).
    func hasHeldWAL(_ options: SpoolOptions) -> Bool { walIsHeld && walBytes > min(64 << 20, options.maxSize / 4) }
}

extension StatusReport.Source {
    init(_ id: SourceID, _ socket: BoundSocket, _ counters: SourceCounters, _ rejections: [RejectionKey: Int64]) {
        self.init(name: "\(id)", address: socket.address)
        inherited = socket.inherited
        bytes = counters.bytes.load(ordering: .relaxed)
        connections = counters.connections.load(ordering: .relaxed)
        connectionsOpen = counters.connectionsOpen.load(ordering: .relaxed)
        crowded = counters.isCrowded.load(ordering: .relaxed)
        connectionsRefused = counters.connectionsRefused.load(ordering: .relaxed)
        datagrams = counters.datagrams.load(ordering: .relaxed)
        datagramsRefused = counters.datagramsRefused.load(ordering: .relaxed)
        kernelDropped = counters.kernelDropped.load(ordering: .relaxed)
        answersDropped = counters.answersDropped.load(ordering: .relaxed)
        endBeforeStart = counters.endBeforeStart.load(ordering: .relaxed)
        for (key, count) in rejections where key.source == id { rejected[key.reason] = count }
    }

    init(name: String, address: String) {
        self.init(
            name: name, address: address, inherited: false, bytes: 0, connections: 0, connectionsOpen: 0, crowded: false,
            connectionsRefused: 0,
            datagrams: 0,
            datagramsRefused: 0, kernelDropped: 0, answersDropped: 0, endBeforeStart: 0, rejected: [:])
    }
}

extension DestinationStatus {
    fileprivate var spansPerRequest: Double? { requests > 0 ? Double(requestSpans) / Double(requests) : nil }
}

/// Seconds since a time of the wall clock (Unix nanoseconds); nil for 0, which is never.
private func age(of time: UInt64) -> Double? {
    let now = Clock.system.wall()
    return time == 0 ? nil : Double(now - min(now, time)) / 1e9
}

private func text(of time: UInt64) -> String? { time == 0 ? nil : tracefwd.time(milliseconds: Int64(time / 1_000_000)) }

extension StatusReport.Destination {
    init(_ one: DestinationStatus, _ consumer: Consumer?, _ letters: [DeadLetter.State: Int64]) {
        self.init(
            name: one.name, type: one.type, target: one.target, state: one.state.rawValue, detail: one.detail, base: consumer?.base ?? 0,
            position: consumer?.cursor.position ?? 0, settledBeyond: consumer?.cursor.settledBeyond ?? 0, backlogSpans: one.backlogSpans,
            backlogBytes: one.backlogBytes, inFlightSpans: one.inFlightSpans, oldestAgeSeconds: one.oldestAgeSeconds,
            lastDeliveredAt: text(of: one.lastDeliveredAt), lastDeliveredAgeSeconds: age(of: one.lastDeliveredAt),
            lastError: one.lastError.isEmpty ? nil : one.lastError, lastErrorAt: text(of: one.lastErrorAt),
            lastErrorAgeSeconds: one.lastErrorAt > one.lastDeliveredAt ? age(of: one.lastErrorAt) : nil, requests: one.requests,
            requestSpans: one.requestSpans, requestBytes: one.requestBytes, spansPerRequest: one.spansPerRequest,
            responses: one.statusClasses.byStatusClass, retries: one.retries,
            deadLetters: Dictionary(uniqueKeysWithValues: letters.map { ($0.key.rawValue, $0.value) }),
            ledger: (consumer?.ledger ?? [:]).map { key, tally in
                StatusReport.LedgerLine(
                    outcome: key.outcome.rawValue, reason: key.reason, route: key.route, spans: tally.spans, bytes: tally.bytes)
            }.sorted { ($0.outcome, $0.reason, $0.route) < ($1.outcome, $1.reason, $1.route) }, balances: consumer?.balances ?? true)
    }
}
