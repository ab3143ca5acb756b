import Spool
import Testing

@testable import Delivery

/// `Declaration.doors`, `.hosts` and `.sharedRate`: a platform with several ways in (contract keywordsai, section 4).
@Suite("a platform with several doors, hosts and destinations")
struct DetourTests {
    private static let second: UInt64 = 1_000_000_000

    // MARK: The value

    @Test("another door holds for an hour from the delivery that showed it, then the first is tried again")
    func doorHolds() {
        var detour = Detour()
        #expect(detour.door(now: 5) == 0)
        let (shown, again) = (detour.delivered(sentOnTo: 2, now: 10), detour.delivered(sentOnTo: 2, now: 1800 * Self.second))
        #expect(shown)
        #expect(!again, "what follows through it shows nothing new")
        #expect(detour.door(now: 10) == 2)
        #expect(detour.door(now: 10 + Detour.doorHolds - 1) == 2)
        #expect(detour.door(now: 10 + Detour.doorHolds) == 0)
    }

    @Test("another host holds for five minutes; behind the last one comes the first")
    func hostHolds() {
        var detour = Detour()
        let isAlone = [0, 1].allSatisfy { !detour.unreachable(0, of: $0, now: 0) }
        #expect(isAlone, "there is no other")
        let (first, late) = (detour.unreachable(0, of: 2, now: 10), detour.unreachable(0, of: 2, now: 11))
        #expect(first)
        #expect(!late, "one that had been on its way to the first tells nothing new")
        #expect(detour.host(now: 10) == 1)
        #expect(detour.host(now: 10 + 300 * Self.second - 1) == 1)
        #expect(detour.host(now: 10 + 300 * Self.second) == 0)
        let both = [detour.unreachable(0, of: 2, now: 400 * Self.second), detour.unreachable(1, of: 2, now: 401 * Self.second)]
        #expect(both == [true, true])
        #expect(detour.host(now: 401 * Self.second) == 0)
    }

    // MARK: Doors

    private func doors(_ count: Int) -> TestDestination {
        var destination = TestDestination()
        destination.declaration.doors = (0..<count).map { "door \($0)" }
        return destination
    }

    @Test("what a door does not take goes to the next at once, without an attempt counted, and what follows goes there first")
    func nextDoor() throws {
        let world = try World([spec("a", doors(3)) { $0.workers = 1 }])
        world.wire.script = { $0.request.door == 2 ? .status(200) : .status(421) }
        world.append(10)
        world.run(.seconds(1))
        #expect(world.wire.sent.map(\.request.door) == [0, 1, 2])
        #expect(world.wire.sent.allSatisfy { $0.spans == Array(1...10) })
        world.append(10)
        world.run(.seconds(1))
        #expect(world.wire.sent.map(\.request.door) == [0, 1, 2, 2])
        #expect(try world.outcomes() == [.delivered: 20])
        #expect(world.loop.status().map(\.doorChanges) == [1])
        #expect(world.loop.status().map(\.retries) == [0])
        let notes = world.events.compactMap { if case .note(_, let text) = $0 { text } else { nil } }
        #expect(notes == ["goes by door 2 for an hour (the one before it: status 421)"])
        try world.checkSettled()
    }

    @Test("after an hour the first door is tried again, by one batch that costs nothing")
    func firstAgain() throws {
        let world = try World([spec("a", doors(2)) { $0.workers = 1 }])
        var isMoved = true
        world.wire.script = { $0.request.door == 1 || !isMoved ? .status(200) : .status(421) }
        for _ in 0..<70 {
            world.append(1)
            world.run(.seconds(60))
        }
        // At the start and after an hour.
        #expect(world.wire.sent.count { $0.request.door == 0 } == 2)
        isMoved = false
        for _ in 0..<70 {
            world.append(1)
            world.run(.seconds(60))
        }
        #expect(world.wire.sent.last?.request.door == 0)
        #expect(try world.outcomes() == [.delivered: 140])
        try world.checkSettled()
    }

    @Test("behind the last door the destination pauses, and its probe begins with the first")
    func lastDoor() throws {
        let world = try World([spec("a", doors(3)) { $0.workers = 1 }])
        world.wire.script = { _ in .status(421) }
        world.append(10)
        world.run(.seconds(30))
        #expect(world.wire.sent.map(\.request.door) == [0, 1, 2])
        #expect(world.loop.status().map(\.state) == [.paused])
        world.run(.seconds(40))
        #expect(world.wire.sent.map(\.request.door) == [0, 1, 2, 0, 1, 2])
        #expect(try world.letters().isEmpty)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(600))
        #expect(try world.outcomes() == [.delivered: 10])
        try world.checkSettled()
    }

    @Test("a span that every door refuses is a dead letter; its neighbours go by the first door, and so does what follows")
    func badSpan() throws {
        let world = try World([spec("a", doors(2)) { $0.workers = 1 }])
        // As of a platform that answers 400 to an encoding that it does not take, and to a span that is no good.
        world.wire.script = { sent in
            guard sent.spans.contains(4) else { return .status(200) }
            return .status(sent.request.door == 0 ? 421 : 400)
        }
        world.append(10)
        world.run(.seconds(5))
        #expect(try world.letters().map(\.span) == [4])
        #expect(world.wire.taken["a"]?.count == 9)
        #expect(world.wire.sent.filter { $0.request.door == 1 }.allSatisfy { $0.spans.contains(4) })
        #expect(world.loop.status().map(\.doorChanges) == [0])
        world.append(1)
        world.run(.seconds(1))
        #expect(world.wire.sent.last?.request.door == 0)
        try world.checkSettled()
    }

    @Test("a failure that proves nothing stays at its door", arguments: [500, 503, 429, 408])
    func sameDoor(status: Int) throws {
        let world = try World([spec("a", doors(2))])
        var failures = 0
        world.wire.script = { _ in
            failures += 1
            return failures > 3 ? .status(200) : .status(status)
        }
        world.append(10)
        world.run(.seconds(60))
        #expect(world.wire.sent.allSatisfy { $0.request.door == 0 })
        try world.checkSettled()
    }

    @Test("a reload that takes doors away sends what waits for them through what is left")
    func fewerDoors() throws {
        let world = try World([spec("a", doors(3)) { $0.workers = 1 }])
        world.wire.script = { $0.request.door == 2 ? .status(503) : .status(421) }
        world.append(10)
        world.run(.seconds(2))
        try world.reload([spec("a", doors(1))])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(1))
        #expect(world.wire.sent.last?.request.door == 0)
        #expect(try world.outcomes() == [.delivered: 10])
    }

    // MARK: Hosts

    @Test("where connecting fails the other host is asked, for five minutes; nothing else leads there", arguments: [false, true])
    func otherHost(isConnecting: Bool) throws {
        var destination = TestDestination()
        destination.declaration.hosts = ["one", "two"]
        let world = try World([spec("a", destination) { $0.workers = 1 }])
        world.wire.script = { $0.request.hostNumber == "1" ? .status(200) : isConnecting ? .unreachable : .networkError() }
        world.append(10)
        world.run(.seconds(60))
        #expect(try world.outcomes()[.delivered] ?? 0 == (isConnecting ? 10 : 0))
        #expect(world.wire.sent.contains { $0.request.hostNumber == "1" } == isConnecting)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(300))
        world.append(1)
        world.run(.seconds(1))
        #expect(world.wire.sent.last?.request.hostNumber == "0")
        #expect(world.loop.status().map(\.hostChanges) == [isConnecting ? 1 : 0])
        try world.checkSettled()
    }

    // MARK: A limit of several

    private func shared(_ names: [String], account: String = "one", firstDoor: Int = 0) -> [DestinationSpec] {
        names.map { name in
            var destination = firstDoor == 0 ? TestDestination() : doors(firstDoor + 1)
            destination.declaration.sharedRate = SharedRate(account: account, requestsPerSecond: 0.5, firstDoor: firstDoor)
            return spec(name, destination) { ($0.limits.spans, $0.linger) = (1, .zero) }
        }
    }

    @Test("destinations of one account have 30 requests a minute together, over any minute, and take turns")
    func together() throws {
        let world = try World(shared(["a", "b", "c"]))
        world.append(100)
        world.run(.seconds(300))
        let times = world.wire.sent.map(\.at)
        for (index, at) in times.enumerated() {
            #expect(times[index...].count { $0 < at + 60 * Self.second } <= 30)
        }
        #expect(world.wire.sent.count >= 148)
        for name in ["a", "b", "c"] {
            #expect(world.wire.sent.count { $0.destination == name } >= 49, "\(name) has had its turns")
        }
        // A reload does not fill the bucket.
        let before = world.wire.sent.count
        for _ in 0..<10 {
            try world.reload(shared(["a", "b", "c"]))
            world.run(.milliseconds(100))
        }
        #expect(world.wire.sent.count <= before + 1)
    }

    @Test("one that has nothing to send, or that waits, costs the others of its account nothing")
    func idle() throws {
        var specs = shared(["a", "b", "c"])
        specs[1].settings.isEnabled = false
        let world = try World(specs)
        world.wire.script = { $0.destination == "c" ? .status(401) : .status(200) }
        world.append(20)
        world.run(.seconds(45))
        #expect(world.wire.sent.count { $0.destination == "a" } == 20)
    }

    @Test("the limit holds for its doors only")
    func firstDoors() throws {
        let world = try World(shared(["a"], firstDoor: 1))
        world.append(40)
        world.run(.seconds(5))
        #expect(try world.outcomes() == [.delivered: 40])
        world.wire.script = { $0.request.door == 1 ? .status(200) : .status(421) }
        world.append(40)
        world.run(.seconds(40))
        let late = world.wire.sent.filter { $0.request.door == 1 }.map(\.at).dropFirst(4)
        #expect(late.count >= 10)
        for (one, next) in zip(late, late.dropFirst()) { #expect(next >= one + 2 * Self.second - 1_000) }
    }

    @Test("destinations of different accounts share nothing")
    func apart() throws {
        let world = try World(shared(["a"], account: "one") + shared(["b"], account: "two"))
        world.append(10)
        world.run(.seconds(21))
        for name in ["a", "b"] { #expect(world.wire.sent.count { $0.destination == name } == 10) }
    }
}

extension Request {
    fileprivate var hostNumber: String? { headers.first { $0.name == "host" }?.value.reveal() }
}
