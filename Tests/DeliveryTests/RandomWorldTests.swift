import CEL
import SpanModel
import Spool
import Testing

@testable import Delivery
@testable import Pipeline

/// Hundreds of short lives of a daemon with three destinations, in which anything may happen; each omits some troubles and overdoes others.
@Suite("whatever happens")
struct RandomWorldTests {
    /// What a platform does for a while.
    private enum Mood: CaseIterable {
        case well, flaky, down, hanging, refusing, forbidding, choosy, unsure, throttling, small, slow
    }

    private enum Trouble: CaseIterable {
        case restart, crash, seek, skip, pause, reload, leave, replay, purge, clock, filter
    }

    @Test("no span is lost or counted twice, and the books balance after every step", arguments: Seeds.thisRun)
    func books(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let names = ["a", "b", "c"]
        var specs = names.map { Self.anySpec($0, using: &random) }
        var rules = Rules.everything(to: specs)
        let world = try World(specs, rules: rules, seed: seed)
        let bad = Set((0..<3).map { _ in Int64.random(in: 1...200, using: &random) })
        var moods = names.reduce(into: [String: Mood]()) { $0[$1] = .well }
        var chance = SeededRandom(seed: seed &+ 1)
        world.wire.script = { sent in Self.answer(sent, moods[sent.destination] ?? .well, bad, using: &chance) }

        let likes = Mood.allCases.filter { _ in random.chance(2) }
        let troubles = Trouble.allCases.filter { _ in random.chance(2) }
        var seen: Set<Trouble> = []
        // What a fallback takes of a batch, but not all of it, its own destination gets too.
        var twice = false
        for _ in 0..<30 {
            if random.chance(2) { world.append(Int.random(in: 1...20, using: &random), bytes: random.chance(5) ? 3000 : 60) }
            if random.chance(3), let name = names.randomElement(using: &random) {
                moods[name] = likes.randomElement(using: &random) ?? .well
            }
            if random.chance(3), let trouble = troubles.randomElement(using: &random), let name = names.randomElement(using: &random) {
                seen.insert(trouble)
                try make(trouble, name, world, &specs, &rules, using: &random)
            }
            twice = twice || specs.contains { $0.settings.fallback != nil }
            let longest = random.chance(6) ? 100_000 : 3000
            world.run(.milliseconds(Int.random(in: 0...longest, using: &random)))
            try world.checkBooks()
        }

        world.wire.script = { bad.isDisjoint(with: $0.spans) ? .status(200) : .status(422) }
        // What is under way now is still answered as before.
        world.run(.seconds(40))
        try world.reload(names.map { name in specs.first { $0.name == name } ?? Self.anySpec(name, using: &random) })
        for name in names { try world.loop.resume(world.lane(name)) }
        world.loop.trustClock()
        world.run(.seconds(1200))
        try world.checkSettled(names)
        twice = twice || !seen.isDisjoint(with: [.restart, .crash, .seek])
        for name in names { try checkArrivals(name, world, twice, seed) }
    }

    /// What the platforms took against what the ledger says.
    private func checkArrivals(_ name: String, _ world: World, _ twice: Bool, _ seed: UInt64) throws {
        let outcomes = try world.outcomes(name)
        let taken = world.wire.taken[name, default: [:]]
        let arrivals = Int64(taken.values.reduce(0, +))
        // What others handed over to this one arrived there too.
        let handed = world.log.status.consumers.values.flatMap(\.ledger).filter { $0.key.outcome == .handedOver && $0.key.reason == name }
            .reduce(Int64(0)) { $0 + $1.value.spans }
        let counted = (outcomes[.delivered] ?? 0) + (outcomes[.replayed] ?? 0) + handed
        if twice {
            #expect(arrivals >= counted, "\(name): the platform took \(arrivals), the ledger has \(counted) (seed \(seed))")
        } else {
            #expect(arrivals == counted, "\(name): the platform took \(arrivals), the ledger has \(counted) (seed \(seed))")
            #expect(taken.values.allSatisfy { $0 == 1 }, "\(name): sent twice (seed \(seed))")
        }
    }

    private func make(
        _ trouble: Trouble, _ name: String, _ world: World, _ specs: inout [DestinationSpec], _ rules: inout Rules,
        using random: inout SeededRandom
    ) throws {
        let lane = world.loop.lane(name)
        switch trouble {
        case .restart: try world.restart(specs)
        case .crash: try world.crash()
        case .seek:
            if let lane { world.loop.seek(lane, to: Int64.random(in: -1...world.log.lastID + 1, using: &random)) }
        case .skip: if let lane { world.loop.seek(lane, to: world.log.lastID) }
        case .pause: if let lane { if lane.hold == .user { try world.loop.resume(lane) } else { try world.loop.pause(lane) } }
        case .reload:
            specs = specs.map { Self.anySpec($0.name, using: &random) }
            try world.reload(specs, rules: rules)
        case .leave:
            if specs.contains(where: { $0.name == name }), specs.count > 1 {
                specs.removeAll { $0.name == name }
            } else {
                specs.append(Self.anySpec(name, using: &random))
            }
            try world.reload(specs, rules: rules)
        case .replay:
            guard let lane else { return }
            _ = try world.log.replay(consumer: lane.consumer, DeadLetterFilter())
            world.loop.lettersChanged(lane.consumer)
        case .purge:
            // Not what is under way just now: see `purgeInFlight`.
            guard let lane, lane.inFlight.values.allSatisfy({ $0.batch.isOfLog }) else { return }
            _ = try world.log.purge(consumer: lane.consumer, DeadLetterFilter(reason: random.chance(2) ? "http_422" : nil))
            world.loop.lettersChanged(lane.consumer)
        case .clock: world.time.jump(.seconds(Int.random(in: -100_000...100_000, using: &random)))
        case .filter:
            rules = try Self.anyRules(["a", "b", "c"], using: &random)
            try world.reload(specs, rules: rules)
        }
    }

    /// Up to five routes, most of which look at who sent the span: the test's spans come from four users in turn.
    static func anyRules(_ destinations: [String], using random: inout SeededRandom) throws -> Rules {
        guard !random.chance(6) else { return Rules(everythingTo: destinations) }
        let environment = Environment.ofSpans(RuleHost())
        let routes = try (0..<Int.random(in: 0...5, using: &random)).map { number in
            let to = destinations.filter { _ in random.chance(2) }
            let drops = to.isEmpty && random.chance(2)
            let condition = "sender == 'u\(Int.random(in: 0...3, using: &random))'"
            let rate = Sampler.Rate.program(try environment.compile("sender == 'u1' ? 0.0 : 1.0", returning: .double))
            return Route(
                name: "r\(number)",
                selection: random.chance(4)
                    ? .always : random.chance(6) ? .otherwise : .when(try environment.compile(condition, returning: .bool)),
                to: Set(to), drops: drops, isFinal: drops || random.chance(6),
                sampler: random.chance(4)
                    ? Sampler(
                        rate: random.chance(2) ? rate : .number(1), keep: [], perSecondMax: random.chance(2) ? 3 : nil, hashesTraceID: false
                    )
                    : nil,
                transformation: nil)
        }
        return Rules(routes: routes, destinations: destinations, prices: nil, host: RuleHost(userName: { "u\($0)" }))
    }

    static func anySpec(_ name: String, using random: inout SeededRandom) -> DestinationSpec {
        var destination = TestDestination()
        destination.declaration.order = random.chance(4) ? .log : .none
        destination.declaration.limits = BatchLimits(spans: .random(in: 1...30, using: &random), bytes: random.chance(3) ? 500 : 10_000)
        if random.chance(4) { destination.requestSpans = .random(in: 1...9, using: &random) }
        if random.chance(4) { destination.unencodable = [.random(in: 1...100, using: &random)] }
        return spec(name, destination) { settings in
            settings.workers = .random(in: 1...9, using: &random)
            settings.linger = .milliseconds(Int.random(in: 0...400, using: &random))
            settings.breakerFailures = .random(in: 1...6, using: &random)
            settings.maxAge = random.chance(4) ? .seconds(60) : .seconds(1_000_000)
            if random.chance(3) { settings.catchUp = .liveFirst }
            if random.chance(4) { settings.requestsPerSecond = .random(in: 0.5...20, using: &random) }
            if random.chance(6) { settings.bytesPerSecond = .random(in: 100...5000, using: &random) }
            if random.chance(5), let other = ["a", "b", "c"].filter({ $0 != name }).randomElement(using: &random) {
                settings.fallback = .init(to: other, after: .seconds(Int.random(in: 1...30, using: &random)))
            }
        }
    }

    private static func answer(_ sent: Sent, _ mood: Mood, _ bad: Set<Int64>, using random: inout SeededRandom) -> Answer {
        let after = Duration.milliseconds(Int.random(in: 0...400, using: &random))
        let well = bad.isDisjoint(with: sent.spans) ? Answer.status(200, after: after) : .status(422, after: after)
        switch mood {
        case .well: return well
        case .flaky: return random.chance(2) ? well : random.chance(2) ? .status(500, after: after) : .networkError(after: after)
        case .down: return .status(503, after: after)
        case .hanging: return .hang
        case .refusing: return sent.spans.contains { $0 % 7 == 0 } ? .status(400, after: after) : well
        case .forbidding: return random.chance(3) ? well : .status(random.chance(8) ? 410 : 401, after: after)
        case .choosy:
            let letters = sent.spans.map { _ in ["d", "d", "r", "x"].randomElement(using: &random) ?? "d" }
            return .status(207, body: letters.joined() + (random.chance(9) ? "d" : ""), after: after)
        case .unsure:
            return .status(206, headers: ["refused": "\(Int.random(in: -1...sent.spans.count + 1, using: &random))"], after: after)
        case .throttling:
            return random.chance(2) ? well : .status(429, headers: ["retry-after": "\(Int.random(in: 0...9, using: &random))"])
        case .small: return sent.spans.count > 2 || sent.spans.contains { $0 % 11 == 0 } ? .status(413, after: after) : well
        case .slow: return sent.spans.contains { $0 % 13 == 0 } ? .status(500, after: after) : .status(200, after: .seconds(5))
        }
    }
}
