import CEL
import SpanModel
import Spool
import Testing

@testable import Delivery
@testable import Pipeline

/// Routes with programs: the real log, the real loop, real programs; clock and wire are played.
@Suite("transform: exec")
struct ExecTests {
    /// One route to `a`, whose spans go through a program. What it names "new" is renamed so that a test sees it.
    private func rules(_ command: [String], timeout: Duration = .seconds(60), keeps: Bool = false, when: String? = nil) throws -> Rules {
        let program = ExecProgram(command: command, timeout: timeout, keepsOnError: keeps)
        let transformation = Transformation(first: [], program: program, steps: [], redaction: nil)
        let selection: Route.Selection =
            try when.map { .when(try Environment.ofSpans(RuleHost()).compile($0, returning: .bool)) } ?? .always
        let scrub = Route(
            name: "scrub", selection: selection, to: ["a"], drops: false, isFinal: false, sampler: nil, transformation: transformation)
        let rest = Route(name: "rest", selection: .always, to: ["a"], drops: false, isFinal: false, sampler: nil, transformation: nil)
        return Rules(routes: when == nil ? [scrub] : [scrub, rest], destinations: ["a"], prices: nil, host: RuleHost())
    }

    private func world(_ rules: Rules, _ change: (inout DeliverySettings) -> Void = { _ in }) throws -> World {
        try World(
            [
                spec {
                    $0.linger = .milliseconds(10)
                    change(&$0)
                }
            ], rules: rules)
    }

    private func taken(_ world: World) -> [Int64] { world.wire.taken["a", default: [:]].keys.sorted() }

    private func ledger(_ world: World) throws -> [LedgerKey: Int64] { try world.consumer().ledger.mapValues(\.spans) }

    private func append(_ world: World, _ count: Int) { world.append((0..<count).map { _ in TracedSpan(trace: 1) }) }

    @Test("spans go as the program gives them back")
    func changes() async throws {
        let world = try world(rules(ShellProgram.lines(#"printf '%s\n' "$l" | sed 's/"name":"\([0-9]*\)"/"name":"10\1"/'"#)))
        append(world, 3)
        try await world.runWithPrograms()
        #expect(taken(world) == [101, 102, 103])
        try world.checkSettled()
        #expect(try ledger(world) == [LedgerKey(.delivered, route: "scrub"): 3])
    }

    @Test("what the program leaves out is filtered, reason exec; spans of other routes do not wait for an answer of theirs")
    func discards() async throws {
        let world = try world(rules(ShellProgram.but("2", "echo null"), when: "name != '3'"))
        append(world, 4)
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 3, 4])
        try world.checkSettled()
        #expect(
            try ledger(world) == [
                LedgerKey(.delivered, route: "scrub"): 2, LedgerKey(.delivered, route: "rest"): 1,
                LedgerKey(.filtered, reason: "exec", route: "scrub"): 1,
            ])
    }

    @Test("a batch of which the program leaves out everything is settled without a request")
    func discardsAll() async throws {
        let world = try world(rules(ShellProgram.lines("echo null")))
        append(world, 25)
        try await world.runWithPrograms()
        #expect(world.wire.sent.isEmpty)
        try world.checkSettled()
        #expect(try ledger(world) == [LedgerKey(.filtered, reason: "exec", route: "scrub"): 25])
    }

    @Test("a span without an answer is a dead letter, the others go; replayed it is asked about again")
    func dead() async throws {
        let world = try world(rules(ShellProgram.but("2", "echo nonsense")))
        append(world, 4)
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 3, 4])
        try world.checkSettled()
        let letters = try world.letters()
        #expect(letters.map(\.span) == [2] && letters.map(\.reason) == ["exec_answer"])
        #expect(letters[0].detail == "the program answered what is no span: invalid_json")

        try world.reload(world.specs, rules: rules(["/bin/cat"]))
        let consumer = try world.consumer().id
        #expect(try world.log.replay(consumer: consumer, DeadLetterFilter()) == 1)
        world.loop.lettersChanged(consumer)
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 2, 3, 4])
        #expect(try world.letters().isEmpty)
        try world.checkBooks()
    }

    @Test("a replayed letter that the program leaves out stays a letter")
    func discardedLetter() async throws {
        let world = try world(rules(ShellProgram.but("2", "echo nonsense")))
        append(world, 2)
        try await world.runWithPrograms()
        try world.reload(world.specs, rules: rules(ShellProgram.lines("echo null")))
        let consumer = try world.consumer().id
        #expect(try world.log.replay(consumer: consumer, DeadLetterFilter()) == 1)
        world.loop.lettersChanged(consumer)
        try await world.runWithPrograms()
        #expect(taken(world) == [1])
        #expect(try world.letters().map(\.reason) == ["exec"])
        try world.checkBooks()
    }

    @Test("of letters that are replayed together some go, some are left out and some have no answer; each is one of them")
    func mixedLetters() async throws {
        let world = try world(rules(ShellProgram.lines("echo nonsense")))
        append(world, 8)
        try await world.runWithPrograms()
        #expect(try world.letters().count == 8)
        let each = #"case "$l" in *'"name":"'[25]'"'*) echo null;; *'"name":"'[37]'"'*) echo nonsense;; *) printf '%s\n' "$l";; esac"#
        try world.reload(world.specs, rules: rules(ShellProgram.lines(each)))
        let consumer = try world.consumer().id
        #expect(try world.log.replay(consumer: consumer, DeadLetterFilter()) == 8)
        world.loop.lettersChanged(consumer)
        for _ in 0..<20 { try await world.runWithPrograms() }
        #expect(world.wire.taken["a"] == [1: 1, 4: 1, 6: 1, 8: 1])
        let letters = try world.letters().sorted { $0.span < $1.span }
        #expect(letters.map(\.span) == [2, 3, 5, 7] && letters.map(\.reason) == ["exec", "exec_answer", "exec", "exec_answer"])
        try world.checkBooks()
    }

    @Test("a refused key pauses the destination, and the probe after a minute goes through the program too")
    func probe() async throws {
        let world = try world(rules(["/bin/cat"]))
        world.wire.script = { [wire = world.wire] _ in wire.sentCount < 2 ? .status(401) : .status(200) }
        append(world, 3)
        try await world.runWithPrograms()
        #expect(taken(world).isEmpty && world.loop.status()[0].state == .paused)
        try await world.runWithPrograms(.seconds(70))
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 2, 3])
        try world.checkSettled()
    }

    @Test("with on_error: keep it goes on as it is")
    func keeps() async throws {
        let world = try world(rules(ShellProgram.but("2", "echo nonsense"), keeps: true))
        append(world, 4)
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 2, 3, 4])
        #expect(try ledger(world) == [LedgerKey(.delivered, route: "scrub"): 4])
        #expect(world.loop.router.counters.programFailures == [.init(route: "scrub", reason: "exec_answer"): 1])
    }

    @Test("each attempt asks anew, and the spans keep their ids")
    func retries() async throws {
        let world = try world(rules(ShellProgram.but("2", "echo null")))
        world.wire.script = { [wire = world.wire] _ in wire.sentCount < 3 ? .status(503) : .status(200) }
        append(world, 3)
        for _ in 0..<10 { try await world.runWithPrograms(.seconds(30)) }
        #expect(taken(world) == [1, 3])
        try world.checkSettled()
        #expect(
            try ledger(world) == [
                LedgerKey(.delivered, route: "scrub"): 2, LedgerKey(.filtered, reason: "exec", route: "scrub"): 1,
            ])
    }

    @Test("a reload while the program thinks goes by the new rules")
    func reload() async throws {
        let world = try world(rules(["/bin/sleep", "1000"]))
        append(world, 3)
        world.run()
        #expect(try world.lane().inFlight.count == 1)
        try world.reload(world.specs, rules: rules(["/bin/cat"]))
        try await world.runWithPrograms()
        #expect(taken(world) == [1, 2, 3])
        try world.checkSettled()
    }

    @Test("a program that does not run is said in the status, and its spans wait")
    func trouble() async throws {
        let world = try world(rules(["/no/such/program"]))
        append(world, 3)
        for _ in 0..<1000 where world.loop.status()[0].state != .retrying {
            world.run(.milliseconds(10))
            try await Task.sleep(for: .milliseconds(5))
        }
        let status = world.loop.status()[0]
        #expect(status.state == .retrying && status.backlogSpans == 3)
        #expect(status.detail == "exec of route scrub: cannot be started (/no/such/program): No such file or directory")
    }

    @Test("spans that wait for a program give way where the spool needs the space, and its late answer changes nothing")
    func givesWay() async throws {
        let world = try world(rules(ShellProgram.lines(#"sleep 1; printf '%s\n' "$l""#)))
        append(world, 2)
        world.run(.seconds(3))
        world.loop.giveWay(try world.lane(), through: 2, reason: "backlog")
        try world.checkSettled()
        append(world, 1)
        try await world.runWithPrograms()
        #expect(taken(world) == [3])
        #expect(
            try ledger(world) == [
                LedgerKey(.expired, reason: "backlog", route: "scrub"): 2, LedgerKey(.delivered, route: "scrub"): 1,
            ])
        try world.checkSettled()
    }

    @Test("a seek back, a pause and a removal end as they would without a program", arguments: ["seek", "pause", "remove"])
    func interrupted(_ how: String) async throws {
        let world = try world(rules(ShellProgram.lines(#"sleep 0.2; printf '%s\n' "$l""#)))
        append(world, 2)
        try await world.runWithPrograms()
        append(world, 2)
        world.run()
        let lane = try world.lane()
        #expect(lane.inFlight.count == 1)
        switch how {
        case "seek":
            world.loop.seek(lane, to: 0)
            try await world.runWithPrograms()
            #expect(world.wire.taken["a"] == [1: 2, 2: 2, 3: 1, 4: 1])
            try world.checkSettled()
        case "pause":
            try world.loop.pause(lane)
            try await world.runWithPrograms()
            #expect(taken(world) == [1, 2])
            try world.loop.resume(lane)
            try await world.runWithPrograms()
            #expect(taken(world) == [1, 2, 3, 4])
            try world.checkSettled()
        default:
            try world.reload([], rules: Rules(everythingTo: []))
            try await world.runWithPrograms()
            #expect(taken(world) == [1, 2] && world.loop.lanes.isEmpty)
        }
    }
}
