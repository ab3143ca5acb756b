import SpanModel
import Spool
import Testing

@testable import Delivery

@Suite("stop and start")
struct RestartTests {
    @Test("a stop in any state loses nothing: the next start sends exactly what is not settled", arguments: Seeds.upTo(60), [false, true])
    func everyState(seed: UInt64, killed: Bool) throws {
        var random = SeededRandom(seed: seed)
        let order: Declaration.Order = random.chance(4) ? .log : .none
        let destination = TestDestination(declaration: Declaration(limits: BatchLimits(spans: 7, bytes: 10_000), order: order))
        let specs = [
            spec("a", destination) {
                $0.workers = Int.random(in: 1...8, using: &random)
                $0.maxAge = .seconds(1_000_000)
            }
        ]
        let world = try World(specs, seed: seed)
        var chance = SeededRandom(seed: seed ^ 0xabcd)
        world.wire.script = { sent in
            let after = Duration.milliseconds(Int.random(in: 0...1500, using: &chance))
            switch Int.random(in: 0..<10, using: &chance) {
            case 0: return .status(503, after: after)
            case 1: return .status(429, headers: ["retry-after": "2"], after: after)
            case 2: return .status(401, after: after)
            case 3: return .status(413, after: after)
            case 4: return .status(207, body: String(sent.spans.map { _ in chance.chance(3) ? "r" : "d" }), after: after)
            case 5: return .hang
            default: return .status(200, after: after)
            }
        }
        var dead: Set<Int64> = []
        for _ in 0..<8 {
            world.append(Int.random(in: 1...40, using: &random))
            world.run(.milliseconds(Int.random(in: 0...4000, using: &random)))
            if killed { try world.crash() } else { try world.restart() }
            try world.checkBooks()
            dead.formUnion(try world.letters().map(\.span))
            let cursor = try world.consumer().cursor
            let before = world.wire.sent.count
            world.run(.milliseconds(Int.random(in: 0...4000, using: &random)))
            let sent = Set(world.wire.sent.dropFirst(before).flatMap(\.spans)).subtracting(dead)
            for id in sent { #expect(!cursor.unsettled(in: id...id).isEmpty, "\(id) was settled before the stop (seed \(seed))") }
        }
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(3 * 3600))
        try world.checkSettled()
        let outcomes = try world.outcomes()
        #expect(outcomes.keys.allSatisfy { [.delivered, .dead, .replayed].contains($0) }, "\(outcomes) (seed \(seed))")
        let letters = Set(try world.letters().map(\.span))
        let taken = Set(world.wire.taken["a"]?.keys ?? [:].keys)
        #expect(taken.union(letters) == Set(1...world.log.lastID), "(seed \(seed))")
        // A span whose verdict was on disk is never sent again; after a kill the last verdicts may not have been.
        if !killed { #expect(world.wire.taken["a"]?.values.allSatisfy { $0 == 1 } == true, "(seed \(seed))") }
    }

    @Test("at once after a kill the same spans go out in requests of equal spans, where nothing was settled")
    func sameIDs() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .hang }
        world.append(20)
        world.run(.seconds(1))
        let before = world.wire.sent.map(\.spans)
        try world.crash()
        world.run(.seconds(1))
        #expect(world.wire.sent.dropFirst(before.count).map(\.spans) == before)
    }
}
