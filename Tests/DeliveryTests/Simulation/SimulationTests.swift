import CSQLite
import Foundation
import Pipeline
import SpanModel
import Spool
import Testing
import TestSupport

@testable import Delivery

/// Lives of the daemon in which everything may fail: the disk in each of its calls, the power, the network, the platforms, the person.
/// Each run leaves out some troubles and overdoes others. `make simulate SEEDS=10000` explores.
@Suite("simulation")
struct SimulationTests {
    /// The seeds of this run: a few hundred, or as many as `TRACEFWD_SEEDS` says, or the one that `TRACEFWD_SEED` names.
    static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let one = environment["TRACEFWD_SEED"].flatMap(UInt64.init) { return [one] }
        let first = environment["TRACEFWD_FIRST_SEED"].flatMap(UInt64.init) ?? 1
        return Array(first..<first + (environment["TRACEFWD_SEEDS"].flatMap(UInt64.init) ?? 300))
    }()

    @Test("nothing acknowledged is lost, nothing comes twice without a cause, and the books balance, whatever fails", arguments: seeds)
    func everythingFails(seed: UInt64) throws {
        let failures = try Plan(seed: seed).run()
        let again = "make simulate SEED=\(seed)"
        #expect(failures.isEmpty, "\(failures.prefix(3).joined(separator: "\n"))\nagain: \(again)")
    }

    @Test("a run is repeated by its seed")
    func repeated() throws {
        let runs = try (0..<2).map { _ in
            let plan = Plan(seed: 11)
            _ = try plan.run()
            return plan.trace
        }
        #expect(runs[0] == runs[1] && runs[0].count > 20)
    }
}

/// One run.
final class Plan {
    /// What a platform does for a while.
    enum Mood: CaseIterable {
        case well, flaky, down, hanging, refusing, forbidding, choosy, unsure, throttling, small, poisoned, halfClosing
    }
    /// What may go wrong on the disk.
    enum DiskTrouble: CaseIterable { case sync, write, read, open, shared, full, dieInside }
    /// What people do.
    enum Person: CaseIterable { case seek, skip, pause, reload, leave, replay, purge, clock }

    private let simulation: Simulation
    private var random: SeededRandom
    private var chance: SeededRandom
    private let names = ["a", "b", "c"]
    private var moods: [String: Mood] = [:]
    private var specs: [DestinationSpec]
    /// What happened, for the comparison of two runs and for whoever reads a failure.
    private(set) var trace: [String] = []
    private let verbose = ProcessInfo.processInfo.environment["TRACEFWD_SEED"] != nil
    private let bad: Set<Int64>
    private let rots: Bool

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        chance = SeededRandom(seed: seed &+ 1)
        var maker = SeededRandom(seed: seed &+ 2)
        specs = ["a", "b", "c"].map { RandomWorldTests.anySpec($0, using: &maker) }
        bad = Set((0..<3).map { _ in Int64.random(in: 1...200, using: &maker) })
        rots = random.chance(6)
        let (small, short, policy) = (random.chance(3), random.chance(3), random.below(3))
        simulation = Simulation(seed: seed, specs: specs) { options in
            if small { options.maxSize = 3 << 20 }
            if short { options.history = .seconds(30) }
            options.whenFull = [.reject, .dropOldest, .block(.seconds(1))][policy]
            options.cacheBytesMax = 1 << 18
        }
        if !random.chance(4) { for index in specs.indices { specs[index].settings.fallback = nil } }
        simulation.specs = specs
        allowFallbacks()
        simulation.wire.script = { [unowned self] sent in answer(sent) }
    }

    /// What another destination hands over comes to a platform beside its own.
    private func allowFallbacks() { if specs.contains(where: { $0.settings.fallback != nil }) { simulation.model.countsTwice = false } }

    private func note(_ text: String) {
        let line = "\(simulation.time.monotonic / 1_000_000) \(text)"
        trace.append(line)
        if verbose { print(line) }
    }

    func run() throws -> [String] {
        let likes = Mood.allCases.filter { _ in random.chance(2) }
        let diskTroubles = DiskTrouble.allCases.filter { _ in random.chance(2) }
        let people = Person.allCases.filter { _ in random.chance(3) }
        let ends = Simulation.End.allCases.filter { _ in random.chance(2) }
        let calm = 2 + random.below(12)
        note("likes \(likes), disk \(diskTroubles), people \(people), ends \(ends), rots \(rots)")
        begin()
        for step in 0..<40 where !simulation.isBroken {
            if random.chance(2) {
                let count = 1 + random.below(random.chance(4) ? 200 : 20)
                simulation.append(count, bytes: random.chance(6) ? 20000 : 60, wantsAck: !random.chance(3))
            }
            if random.chance(3), let name = names.randomElement(using: &random) {
                moods[name] = likes.randomElement(using: &random) ?? .well
                note("\(name) is \(moods[name] ?? .well)")
            }
            if random.chance(calm), let trouble = diskTroubles.randomElement(using: &random) {
                spoilDisk(trouble)
            } else if random.chance(3) {
                healDisk()
            }
            if random.chance(6), let person = people.randomElement(using: &random), let name = names.randomElement(using: &random) {
                note("\(person) \(name)")
                try act(person, name)
            }
            simulation.run(.milliseconds(random.below(random.chance(6) ? 100_000 : 3000))) { simulation.checkBooks() }
            if random.chance(5), let end = ends.randomElement(using: &random) { try self.end(end) }
            note("step \(step): \(state)")
        }
        if !simulation.isBroken { try finish() }
        return simulation.failures + simulation.model.broken
    }

    private var state: String {
        guard let log = simulation.log else { return "down" }
        let status = log.status
        let cursors = status.consumers.values.sorted { $0.name < $1.name }.map {
            "\($0.name) \($0.cursor.position)+\($0.cursor.settledBeyond)"
        }
        return
            "accepted \(status.accepted), acknowledged \(simulation.model.acknowledged.count), \(cursors.joined(separator: ", ")) \(status.trouble)"
    }

    // MARK: Life

    private func begin() {
        for attempt in 0..<20 {
            if verbose { print("files \(simulation.disk.paths.map { "\($0) \(simulation.disk.size($0) ?? 0)" }) \(simulation.witness)") }
            guard let reason = simulation.start() else {
                simulation.reckon()
                return note("started")
            }
            note("no start: \(reason)")
            simulation.time.advance(.seconds(1))
            // A disk that never lets it start is no test of anything else.
            if attempt > 3 || random.chance(2) { healDisk() }
            simulation.disk.kill()
        }
        simulation.broken("it does not start on a sound disk")
    }

    private func end(_ end: Simulation.End) throws {
        note("end: \(end)")
        simulation.end(end)
        if rots, random.chance(2) { rot(after: end) }
        if random.chance(4) { simulation.time.advance(.seconds(random.below(100_000))) }
        // Half of the time it comes back to a disk that still fails.
        if random.chance(2) { healDisk() }
        begin()
        guard random.chance(3) else { return }
        healDisk()
        simulation.run(.seconds(2))
        try simulation.checkFile()
    }

    private func finish() throws {
        note("quiet")
        healDisk()
        moods = [:]
        if simulation.log == nil { begin() }
        // A stop, and a start without any trouble.
        simulation.run(.seconds(5)) { simulation.checkBooks() }
        try simulation.checkFile()
        simulation.end(.stop)
        begin()
        guard let loop = simulation.loop, let log = simulation.log else { return }
        specs = names.map { name in specs.first { $0.name == name } ?? spec(name) }.map { spec in
            var spec = spec
            spec.settings.fallback = nil
            return spec
        }
        simulation.specs = specs
        try loop.apply(specs, rules: .everything(to: specs))
        for name in names { if let lane = loop.lane(name) { try loop.resume(lane) } }
        loop.trustClock()
        log.trustClock()
        simulation.run(.seconds(7200)) { simulation.checkBooks() }
        try simulation.checkFile(final: true)
        note(
            "end of the run: \(state); \(simulation.lives) lives, \(simulation.model.duplicates) duplicates, \(simulation.troubles.sorted { $0.key < $1.key })"
        )
    }

    // MARK: The disk

    private func spoilDisk(_ trouble: DiskTrouble) {
        let oneIn = 1 + random.below(random.chance(2) ? 3 : 40)
        note("disk: \(trouble), one in \(oneIn)")
        var dice = SeededRandom(seed: random.next())
        let disk = simulation.disk
        switch trouble {
        case .full: disk.capacity = disk.paths.reduce(0) { $0 + (disk.size($1) ?? 0) } + random.below(200_000)
        case .dieInside:
            // The process dies in the middle of something: from this call on nothing reaches the disk.
            let last = disk.callCount + random.below(200)
            disk.setFault { $0.number > last ? SQLITE_IOERR : nil }
        default:
            let operation: SimulatedDisk.Operation =
                switch trouble {
                case .sync: .sync
                case .write: .write
                case .read: .read
                case .open: .open
                default: .shared
                }
            disk.setFault { call in call.operation == operation && dice.chance(oneIn) ? Self.code(operation) : nil }
        }
    }

    private static func code(_ operation: SimulatedDisk.Operation) -> Int32 {
        switch operation {
        case .sync: SQLITE_IOERR | 4 << 8
        case .write: SQLITE_IOERR | 3 << 8
        case .read: SQLITE_IOERR | 1 << 8
        case .open: SQLITE_CANTOPEN
        default: SQLITE_IOERR | 19 << 8
        }
    }

    private func healDisk() {
        simulation.disk.setFault { _ in nil }
        simulation.disk.capacity = .max
    }

    /// Bits that change by themselves, a WAL that somebody cuts, a file that somebody removes. Not the last two together with a power cut, and
    /// none where the power took the newest witness along: an older one knows less, and then nobody knows better.
    private func rot(after end: Simulation.End) {
        let disk = simulation.disk
        if end == .power, simulation.witnessedID < simulation.model.lastID { return }
        simulation.wasDamaged = true
        // What the books had forgotten comes again.
        simulation.model.countsTwice = false
        switch end == .power ? 3 : random.below(4) {
        case 0:
            note("a file is gone")
            disk.remove(random.chance(2) ? "/spool.db" : "/spool.db-wal")
        case 1:
            note("the WAL is cut")
            disk.shorten("/spool.db-wal", to: random.below((disk.size("/spool.db-wal") ?? 0) + 1))
        default:
            note("rot: \(disk.rot(random.chance(3) ? "/spool.db-wal" : "/spool.db"))")
        }
    }

    // MARK: People

    private func act(_ person: Person, _ name: String) throws {
        guard let log = simulation.log, let loop = simulation.loop else { return }
        let lane = loop.lane(name)
        // What a person asks may be refused by a failing disk: he is told, and that is all.
        do {
            switch person {
            case .seek:
                guard let lane else { return }
                simulation.model.turnedBack(name)
                loop.seek(lane, to: Int64.random(in: -1...log.lastID + 1, using: &random))
            case .skip: if let lane { loop.seek(lane, to: log.lastID) }
            case .pause:
                guard let lane else { return }
                if lane.hold == .user { try loop.resume(lane) } else { try loop.pause(lane) }
            case .reload:
                var maker = SeededRandom(seed: random.next())
                let handsOver = specs.contains { $0.settings.fallback != nil }
                specs = specs.map { RandomWorldTests.anySpec($0.name, using: &maker) }
                if !handsOver { for index in specs.indices { specs[index].settings.fallback = nil } }
                try reload()
            case .leave:
                if specs.contains(where: { $0.name == name }), specs.count > 1 {
                    specs.removeAll { $0.name == name }
                } else {
                    specs.append(spec(name))
                }
                try reload()
            case .replay:
                guard let lane else { return }
                simulation.model.allowAll(name)
                _ = try log.replay(consumer: lane.consumer, DeadLetterFilter())
                loop.lettersChanged(lane.consumer)
            case .purge:
                guard let lane, lane.inFlight.values.allSatisfy({ $0.batch.isOfLog }) else { return }
                _ = try log.purge(consumer: lane.consumer, DeadLetterFilter())
                loop.lettersChanged(lane.consumer)
            case .clock: simulation.time.jump(.seconds(random.below(200_000) - 100_000))
            }
        } catch let error as SpoolError {
            note("refused: \(error)")
        }
    }

    private func reload() throws {
        simulation.specs = specs
        allowFallbacks()
        try simulation.loop?.apply(specs, rules: .everything(to: specs))
    }

    // MARK: Platforms

    /// Of dead letters that are sent again each is known alone: where nobody says which were refused, both halves go once more.
    private func allowBisection(of sent: Sent, refused: Int) {
        guard refused > 0, let flight = simulation.loop?.lane(sent.destination)?.inFlight[sent.token], !flight.batch.isOfLog else { return }
        for span in sent.spans { simulation.model.allow(sent.destination, span) }
    }

    private func answer(_ sent: Sent) -> Answer {
        let after = Duration.milliseconds(chance.below(400))
        let well = bad.isDisjoint(with: sent.spans) ? Answer.status(200, after: after) : .status(422, after: after)
        switch moods[sent.destination] ?? .well {
        case .well: return well
        case .flaky: return chance.chance(2) ? well : chance.chance(2) ? .status(500, after: after) : .networkError(after: after)
        case .down: return .networkError(after: after)
        case .hanging: return .hang
        case .refusing: return sent.spans.contains { $0 % 7 == 0 } ? .status(400, after: after) : well
        case .forbidding: return chance.chance(3) ? well : .status(401, after: after)
        case .choosy:
            let letters = sent.spans.map { _ in ["d", "d", "r", "x"].randomElement(using: &chance) ?? "d" }
            return .status(207, body: letters.joined(), after: after)
        case .unsure:
            let refused = chance.below(sent.spans.count + 1)
            allowBisection(of: sent, refused: refused)
            return .status(206, headers: ["refused": "\(refused)"], after: after)
        case .throttling: return chance.chance(2) ? well : .status(429, headers: ["retry-after": "\(chance.below(3600))"])
        case .small: return sent.spans.count > 2 ? .status(413, after: after) : well
        case .poisoned: return sent.spans.contains { $0 % 13 == 0 } ? .status(500, after: after) : well
        case .halfClosing: return chance.chance(2) ? .lostAnswer(after: after) : well
        }
    }
}
