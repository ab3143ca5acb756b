import Pipeline
import SpanModel
import Synchronization
import Testing
import TestSupport
import Threading

@testable import Delivery
@testable import Spool

/// A whole life of the spool and of delivery in one thread: the real code over a simulated disk, a played clock and a scripted network.
/// Every choice comes from the seed, so a run happens again. `Model` says what must be true.
final class Simulation {
    let seed: UInt64
    let time = PlayedTime()
    let wire: ScriptedWire
    let disk: SimulatedDisk
    var random: SeededRandom
    var model = Model()
    var specs: [DestinationSpec]
    var options: SpoolOptions
    private(set) var log: SpanLog?
    private(set) var loop: Loop?
    private let heard = Heard()
    /// The monotonic time since which the disk has taken everything.
    private var soundSince: UInt64 = 0
    /// Whether anything was damaged or cut behind the daemon's back: what was acknowledged may be lost then, and must be counted so.
    var wasDamaged = false
    private(set) var lives = 0
    /// What repairs have told, in all lives.
    private(set) var lost: Set<Int64> = []
    private(set) var cursorsLost = false
    private(set) var troubles: [String: Int] = [:]

    private final class Heard: Sendable {
        let spool = Mutex<[SpoolEvent]>([])
    }

    init(seed: UInt64, specs: [DestinationSpec], _ change: (inout SpoolOptions) -> Void = { _ in }) {
        (self.seed, self.specs) = (seed, specs)
        random = SeededRandom(seed: seed)
        disk = SimulatedDisk(seed: seed &* 31)
        wire = ScriptedWire(time)
        wire.keepsSent = false
        options = SpoolOptions(path: "/spool.db")
        options.disk = disk
        options.reserveBytes = 1 << 20
        change(&options)
        wire.took = { [unowned self] destination, spans, heard in
            model.took(destination, spans, heard: heard, at: time.monotonic)
        }
    }

    func broken(_ text: String) { failures.append(text) }
    private(set) var failures: [String] = []
    var isBroken: Bool { !failures.isEmpty || !model.broken.isEmpty }

    /// What the lock's file says.
    var witness: String { String(decoding: disk.contents(options.path + ".lock").prefix(200), as: UTF8.self) }

    /// The last id that it knows of.
    var witnessedID: Int64 { Witness(Array(disk.contents(options.path + ".lock").prefix(200)))?.lastID ?? 0 }

    // MARK: Life and death

    /// Starts the daemon; nil where the disk does not let it, with the reason.
    func start() -> String? {
        do throws(SpoolError) {
            let log = try SpanLog(options, clock: time.clock, beat: {}, turnedByCaller: true)
            log.observe { [heard] event in heard.spool.withLock { $0.append(event) } }
            self.log = log
            let loop = try Loop(
                log: log, http: wire, clock: time.clock, random: SeededRandom(seed: random.next()),
                budget: MemoryBudget(bytes: 64 << 20),
                sinkDone: { _, _ in }, tell: { _ in })
            try loop.apply(specs, rules: .everything(to: specs))
            self.loop = loop
            lives += 1
            if let repair = log.status.repair { note(repair) }
            soundSince = time.monotonic
            if log.status.refusal == .ioError { loop.spoolFails = true }
            return nil
        } catch {
            die(cleanly: false)
            return "\(error)"
        }
    }

    /// How a life ends.
    enum End: CaseIterable { case stop, kill, power }

    func end(_ end: End) {
        guard log != nil else { return }
        if end == .stop { loop?.stopping = true }
        die(cleanly: end == .stop)
        switch end {
        case .stop, .kill: disk.kill()
        case .power: disk.cutPower()
        }
    }

    private var inFlightAtEnd: [(destination: String, spans: [Int64])] = []
    private var endedAt: UInt64 = 0

    private func die(cleanly: Bool) {
        inFlightAtEnd += wire.inFlight.map { ($0.destination, $0.spans) }
        if loop != nil { endedAt = time.monotonic }
        loop?.abort()
        if cleanly {
            log?.close()
            hear()
        }
        (loop, log) = (nil, nil)
        heard.spool.withLock { $0.removeAll() }
        model.forgetUndecided()
    }

    /// What the books on the disk say right after a start, before anything is sent: they decide what may come twice.
    func reckon() {
        guard let log else { return }
        disk.withoutFaults {
            if let reader = try? reader(), let stored = try? stored(reader) { model.found(stored) }
        }
        for consumer in log.status.consumers.values {
            let settled = Settled(consumer, model)
            var letters: Set<Int64> = []
            disk.withoutFaults {
                letters = Set(((try? reader())?.letters(of: consumer) ?? []).map(\.span))
            }
            // A dead letter that was sent again stays one until that is settled.
            model.died(
                consumer.name, at: endedAt, isSettled: { [model] in settled.contains($0) && !letters.contains(model.ids[$0] ?? 0) },
                inFlight: inFlightAtEnd.filter { $0.destination == consumer.name }.flatMap(\.spans), sound: soundBefore,
                patience: 150_000_000)
        }
        inFlightAtEnd = []
    }

    private var firstBases: [String: Int64] = [:]
    /// The time since which the disk was sound in the life that has ended.
    private var soundBefore: UInt64 = 0

    /// The spans that a consumer has settled, by their numbers.
    struct Settled {
        private let cursor: Cursor
        private let model: Model

        init(_ consumer: Consumer, _ model: Model) { (cursor, self.model) = (consumer.cursor, model) }

        func contains(_ number: Int64) -> Bool {
            guard let id = model.ids[number] else { return false }
            return id <= cursor.position || cursor.settled.contains { $0.contains(id) }
        }
    }

    // MARK: Time

    /// Spans with the next numbers.
    func append(_ count: Int, bytes: Int, wantsAck: Bool) {
        guard let log else { return }
        var batch = SpanBatch()
        let numbers = model.offer(count)
        for number in numbers { batch.append(number: number, bytes: bytes, receivedAt: time.wall) }
        if case .taken(let commit) = log.append(&batch, wantsAck: wantsAck) { model.took(commit, numbers) }
        hear()
    }

    /// Hands on what the spool has told, as delivery's engine does.
    func hear() {
        for event in heard.spool.withLock({ events in
            defer { events = [] }
            return events
        }) {
            switch event {
            case .committed(let number, let refusal, let lastID): model.committed(number, durable: refusal == nil, lastID: lastID)
            case .trouble(let error):
                loop?.spoolFails = true
                troubles["trouble \(error.code)", default: 0] += 1
                soundSince = .max
            case .recovered, .repaired:
                loop?.spoolFails = false
                soundSince = time.monotonic
                if case .repaired(let repair) = event { note(repair) }
            case .pressure(let consumer, let through, let dropOldest):
                if let lane = loop?.lane(consumer: consumer) {
                    loop?.giveWay(lane, through: through, reason: dropOldest ? "drop_oldest" : "backlog")
                }
            case .full:
                troubles["full", default: 0] += 1
                soundSince = .max
            case .damaged(let text):
                loop?.spoolFails = true
                troubles[text, default: 0] += 1
                soundSince = .max
            case .agedOut, .walReplaced: break
            }
        }
        soundBefore = soundSince
    }

    private func note(_ repair: SpoolRepair) {
        troubles["repaired", default: 0] += 1
        for ids in repair.lost { lost.formUnion(ids) }
        cursorsLost = cursorsLost || repair.cursorsLost || repair.setAside == nil || !repair.adjusted.isEmpty
        model.countsTwice = false
        if !wasDamaged { broken("repaired, though nothing was damaged: \(repair.sentence)") }
    }

    /// Lets time pass: whoever has something to do does it when it is due. `after` is called after each turn.
    func run(_ duration: Duration, after: () -> Void = {}) {
        let end = time.monotonic + duration.nanosecondsClamped
        var idle = 0
        while let log, let loop {
            hear()
            let before = (wire.sentCount, wire.inFlight.count, log.status.commits)
            _ = turnWriter(log)
            let deadline = loop.step()
            hear()
            let writerWakes = turnWriter(log)
            after()
            let now = time.monotonic
            let next = [deadline, writerWakes, wire.nextAnswerAt].compactMap(\.self).min() ?? .max
            guard next <= now else {
                if next > end || now >= end {
                    if end > now { time.advance(to: end) }
                    return
                }
                idle = 0
                time.advance(to: next)
                continue
            }
            idle = before == (wire.sentCount, wire.inFlight.count, log.status.commits) ? idle + 1 : 0
            // A loop that finds something to do at once, again and again, ends neither.
            if idle > 50 { return broken("the loop spins: \(loop.lanes.map { "\($0.name) \($0.cursor) \($0.waiting.count) waiting" })") }
        }
    }

    /// Lets the writer do all that is due. Returns when it wants to be asked again.
    private func turnWriter(_ log: SpanLog) -> UInt64? {
        for _ in 0..<1000 {
            if case .idle(let until) = log.turn() { return until }
            hear()
        }
        broken("the writer spins")
        return nil
    }

    // MARK: What must be true

    /// After each step: what memory says. Costs nothing of the disk.
    func checkBooks() {
        guard let log else { return }
        let status = log.status
        for consumer in status.consumers.values {
            if firstBases[consumer.name] == nil { firstBases[consumer.name] = consumer.base }
            // Rot inside of the ledger is noticed by its sum alone, which `status` tells.
            if !wasDamaged, !consumer.balances { broken("the books of \(consumer.name) do not balance: \(consumer)") }
            if consumer.cursor.settled.count > 64 { broken("\(consumer.name) has \(consumer.cursor.settled.count) ranges") }
            let last = consumer.cursor.settled.last?.upperBound ?? consumer.cursor.position
            if last > status.accepted { broken("\(consumer.name) has settled \(last) of \(status.accepted)") }
            model.settled(consumer.name, Settled(consumer, model).contains)
        }
        if model.lastID > status.accepted { broken("id \(model.lastID) was acknowledged, the log ends at \(status.accepted)") }
    }

    /// On a disk that reads: what is in the file. Every acknowledged span is there, or settled by all; a cursor has passed nothing that was
    /// neither taken, nor set aside as a dead letter, nor counted as given up.
    func checkFile(final: Bool = false) throws {
        guard let log else { return }
        guard log.flush() else { return broken("a sound disk takes no commit: \(log.status.trouble)") }
        hear()
        let reader = try reader()
        // Of rot nobody knows before it is read.
        let findings = wasDamaged ? [] : try reader.verify { _ in }
        if !findings.isEmpty { broken("verify: \(findings)") }
        let numbers = try stored(reader)
        let status = log.status
        for (id, number) in numbers where model.number(of: id).map({ $0 != number }) ?? false {
            broken("id \(id) was acknowledged for another span than \(number)")
        }
        let oldest = status.oldestID
        if !wasDamaged {
            let gone = model.acknowledged.filter { $0.value >= oldest && numbers[$0.value] == nil }
            if !gone.isEmpty { broken("acknowledged and not in the log: \(gone.keys.sorted().prefix(10))") }
        }
        for consumer in status.consumers.values { try checkCursor(consumer, numbers, reader, final: final) }
    }

    private func reader() throws -> LogReader { try LogReader(path: options.path, vfs: disk.vfs, cache: SegmentCache(bytesMax: 1 << 20)) }

    /// The number of each id in the file.
    private func stored(_ reader: LogReader) throws -> [Int64: Int64] {
        var numbers: [Int64: Int64] = [:]
        var next: Int64 = 1
        while let segment = try reader.segment(holding: next) {
            for index in segment.entries.indices {
                numbers[segment.firstID + Int64(index)] = SpanView(segment: segment, index: index).number
            }
            next = segment.lastID + 1
        }
        return numbers
    }

    private func checkCursor(_ consumer: Consumer, _ stored: [Int64: Int64], _ reader: LogReader, final: Bool) throws {
        var given: [Outcome: Int64] = [:]
        for (key, tally) in consumer.ledger { given[key.outcome, default: 0] += tally.spans }
        let letters = try reader.deadLetters(consumer: consumer.id, limit: 1_000_000)
        let dead = Set(letters.compactMap { model.number(of: $0.span) ?? stored[$0.span] })
        let unknown = letters.reduce(0) { $1.reason == "partial_unknown" ? $0 + $1.weight : $0 }
        var excused =
            unknown + [Outcome.expired, .filtered, .purged, .agedOut, .lost, .handedOver, .replayed].reduce(0) { $0 + (given[$1] ?? 0) }
        // Rot inside of a letter or of a cursor is noticed by nobody: only segments have a checksum.
        if wasDamaged { excused = .max }
        let settled = Settled(consumer, model)
        // A seek back lowers the base; what it was at first was never this one's business.
        let base = firstBases[consumer.name, default: consumer.base]
        let premature = letters.filter { !consumer.cursor.unsettled(in: $0.span...$0.span).isEmpty }
        if !wasDamaged, !premature.isEmpty {
            broken("\(consumer.name) has letters of spans that it delivers yet: \(premature.map(\.span))")
        }
        let taken = model.taken[consumer.name] ?? [:]
        let passed = model.acknowledged.filter {
            $0.value > base && settled.contains($0.key) && taken[$0.key] == nil && !dead.contains($0.key) && !lost.contains($0.value)
        }
        if !cursorsLost, Int64(passed.count) > excused {
            broken(
                "\(consumer.name) has passed \(passed.count) spans that it neither took nor buried, \(excused) are excused: \(passed.keys.sorted().prefix(10))"
            )
        }
        guard final, consumer.state == .active else { return }
        if consumer.cursor != Cursor(position: log?.status.accepted ?? 0) {
            broken("\(consumer.name) is not through: \(consumer.cursor) of \(log?.status.accepted ?? 0)")
        }
        let count = Int64(letters.reduce(0) { $0 + $1.weight })
        let gone = (given[.replayed] ?? 0) + (given[.purged] ?? 0) + (given[.agedOut] ?? 0)
        if given[.dead] ?? 0 != count + gone {
            broken("dead letters of \(consumer.name): ever \(given[.dead] ?? 0), here \(count), gone \(gone)")
        }
        let arrived = Int64(taken.count)
        let claimed = (given[.delivered] ?? 0)
        if claimed > Int64(taken.values.reduce(0, +)) { broken("\(consumer.name) is said to have \(claimed) spans, it took \(arrived)") }
    }
}

extension LogReader {
    fileprivate func letters(of consumer: Consumer) -> [DeadLetter] { (try? deadLetters(consumer: consumer.id, limit: 1_000_000)) ?? [] }
}
