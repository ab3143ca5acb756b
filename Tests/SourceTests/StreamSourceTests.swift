import Foundation
import Glibc
import Intake
import SpanModel
import Testing
import Threading

@testable import Source
@testable import Spool

@Suite struct StreamSourceTests {
    private static let span = #"{"name":"x"}"#

    @Test("acks are answered in order, each once all before it is durable")
    func acks() throws {
        let test = try TestSource()
        let client = try test.client()
        client.send(Self.span + "\n" + Self.span + "\n{\"ack\":7}\n")
        #expect(try client.answer() == Answer(ack: .number(7), accepted: 2, rejected: 0, errors: [], durable: "fsync"))
        #expect(test.log.lastID == 2)
        client.send("nonsense\n" + Self.span + "\n{\"ack\":\"a \\u00e9 \\\" b\"}\n{\"ack\":1.5e3}\n")
        #expect(
            try client.answer()
                == Answer(
                    ack: .text("a é \" b"), accepted: 1, rejected: 1, errors: [.init(line: 4, reason: "invalid_json")], durable: "fsync"))
        #expect(try client.answer() == Answer(ack: .number(1_500), accepted: 0, rejected: 0, errors: [], durable: "fsync"))
        client.finish()
        #expect(try client.answer() == Answer(ack: .null, accepted: 0, rejected: 0, errors: [], durable: "fsync"))
        #expect(client.line() == nil && client.rest == 0)
        #expect(eventually { test.source.counters.connectionsOpen.load(ordering: .relaxed) == 0 })
        #expect(test.log.flush() && test.log.status.rejections == [RejectionKey(source: .unix, reason: "invalid_json"): 1])
    }

    @Test(
        "what a stream of bytes comes to, in one write or byte by byte",
        arguments: [
            ("S\n", 1, []), ("S\r\nS\r\n", 2, []), ("\n\n\r\n\nS\n\n", 1, []), ("S", 1, []), ("S\nS", 2, []), ("S\r", 1, []), ("", 0, []),
            ("\n", 0, []),
            ("x\nS\n", 1, ["1:invalid_json"]), ("S\n[1]\nS\n", 2, ["2:not_an_object"]), ("\n\n{}\nS\n", 1, ["3:missing_name"]),
            ("{\"ack\":true}\nS\n", 1, ["1:bad_type:ack"]), ("{\"ack\":null}\n", 0, ["1:bad_type:ack"]),
            ("{\"ack\":[1]}\n", 0, ["1:bad_type:ack"]),
            ("{\"ack\":{}}\n", 0, ["1:bad_type:ack"]), ("S\n\u{1}\nS", 2, ["2:invalid_json"]), ("LONG\nS\n", 1, ["1:too_large"]),
            ("S\nLONG", 1, ["2:too_large"]), ("LONGLONG\nS\nLONG\r\nS", 2, ["1:too_large", "3:too_large"]),
        ] as [(String, Int, [String])])
    func streams(text: String, accepted: Int, mistakes: [String]) throws {
        let test = try TestSource(limits: IntakeLimits(spanBytes: 100))
        let bytes = text.replacing("S", with: Self.span).replacing(
            "LONG", with: "{\"name\":\"" + String(repeating: "y", count: 120) + "\"}")
        for pieces in [[bytes], bytes.map { String($0) }] {
            let client = try test.client()
            for piece in pieces { client.send(piece) }
            client.finish()
            let answer = try client.answer()
            #expect(answer.ack == .null && answer.accepted == accepted && answer.rejected == mistakes.count)
            #expect(answer.errors.map { "\($0.line):\($0.reason)" } == mistakes)
            #expect(client.line() == nil)
        }
        #expect(test.log.lastID == Int64(accepted * 2))
    }

    @Test("invalid UTF-8 and 2 MiB without a newline cost their line only")
    func rubbish() throws {
        let test = try TestSource(limits: IntakeLimits(spanBytes: 64 << 10))
        let client = try test.client()
        client.send(Array("{\"name\":\"".utf8) + [0xff, 0xfe] + Array("\"}\n".utf8))
        client.send([UInt8](repeating: 0x61, count: 2 << 20))
        client.send("\n" + Self.span + "\n")
        client.finish()
        let answer = try client.answer()
        #expect(
            answer.accepted == 1 && answer.errors.map(\.reason) == ["invalid_utf8", "too_large"] && answer.errors.map(\.line) == [1, 2])
    }

    @Test("spans bear the peer's user and their source")
    func sender() throws {
        let test = try TestSource()
        let client = try test.client()
        client.send(Self.span)
        client.finish()
        _ = client.line()
        let entry = try #require(try test.entries().first)
        #expect(entry.sender == getuid() && entry.source == SourceID.unix.rawValue)
        #expect(entry.receivedAt > Clock.system.wall() - 60_000_000_000)
    }

    @Test("a peer outside the rule is closed and told of; a peer inside is served", arguments: [true, false])
    func allow(admitted: Bool) throws {
        let test = try TestSource(allow: try PeerRule(users: [admitted ? "\(getuid())" : "54321"], groups: []))
        let client = try test.client()
        client.send(Self.span)
        client.finish()
        #expect((client.line() != nil) == admitted)
        // The close is seen before it is counted and told.
        #expect(eventually { test.source.counters.connectionsRefused.load(ordering: .relaxed) == (admitted ? 0 : 1) })
        #expect(eventually { test.told.all.isEmpty == admitted })
        let refused = test.told.all.contains {
            if case .peerRefused(.unix, getuid(), getpid(), let rule) = $0 { rule.contains("54321") } else { false }
        }
        #expect(refused == !admitted)
        #expect(test.log.lastID == (admitted ? 1 : 0))
    }

    @Test("who asks and never reads loses answers, not the daemon's time; spans go on, and those of others")
    func neverReads() throws {
        let test = try TestSource()
        let (silent, other) = (try test.client(), try test.client())
        for _ in 0..<40 { silent.send(String(repeating: Self.span + "\n{\"ack\":1}\n", count: 200)) }
        other.send(Self.span)
        other.finish()
        #expect(try other.answer().accepted == 1)
        #expect(eventually { test.log.lastID == 8_001 })
        #expect(eventually { test.source.counters.answersDropped.load(ordering: .relaxed) > 0 })
        // What does arrive is whole.
        silent.finish()
        var answers = 0
        while let line = silent.line() {
            answers += 1
            #expect(line.hasPrefix("{\"ack\":") && line.hasSuffix("}"))
        }
        #expect(silent.rest == 0 && answers > 100 && answers < 8_001)
    }

    @Test("who reads late gets the summary at the end of the stream, however many answers wait before it")
    func readsLate() throws {
        let test = try TestSource()
        let client = try test.client()
        client.send(String(repeating: "{\"ack\":1}\n", count: 900))
        client.send(Self.span + "\n")
        client.finish()
        #expect(eventually { test.log.lastID == 1 })
        usleep(200_000)
        var lines: [String] = []
        while let line = client.line() { lines.append(line) }
        #expect(client.rest == 0)
        #expect(lines.last?.hasPrefix("{\"ack\":null,\"accepted\":1,") == true)
        #expect(lines.count == 901 - test.source.counters.answersDropped.load(ordering: .relaxed))
    }

    @Test("the last line of a writer who asked, never read and is gone is taken, its newline missing")
    func goneUnread() throws {
        let test = try TestSource()
        do {
            let client = try test.client()
            client.send(Self.span + "\n{\"ack\":1}\n")
            // The answer lies in its buffer, unread: closing now is a reset to the other side.
            var wait = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&wait, 1, 20_000) == 1)
            client.send(Self.span)
        }
        #expect(eventually { test.log.lastID == 2 })
        #expect(eventually { test.source.counters.connectionsOpen.load(ordering: .relaxed) == 0 })
    }

    @Test("1,000 peers that say nothing cost nobody anything, and all can still speak")
    func idle() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, 8_192)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let test = try TestSource()
        let clients = try (0..<1_000).map { _ in try test.client() }
        let busy = try test.client()
        busy.send(Self.span + "\n{\"ack\":1}\n")
        #expect(try busy.answer().accepted == 1)
        #expect(eventually { test.source.counters.connectionsOpen.load(ordering: .relaxed) == 1_001 })
        let turns = test.turns.passed
        usleep(300_000)
        #expect(test.turns.passed - turns <= 2)
        for client in clients { client.send(Self.span) }
        for client in clients { client.finish() }
        for client in clients { #expect(try client.answer().accepted == 1) }
        #expect(test.log.lastID == 1_001)
    }

    @Test("above its share of the descriptors a source leaves peers waiting, says so, and takes them when others go")
    func crowded() throws {
        let test = try TestSource(connectionsMax: 3)
        var early = try (0..<3).map { _ in try test.client() }
        early[0].send(Self.span + "\n{\"ack\":1}\n")
        #expect(try early[0].answer().accepted == 1)
        let late = try (0..<2).map { _ in try test.client() }
        for client in late {
            client.send(Self.span)
            client.finish()
        }
        #expect(eventually { test.source.counters.isCrowded.load(ordering: .relaxed) })
        #expect(test.source.counters.connectionsOpen.load(ordering: .relaxed) == 3)
        early[0].send(Self.span + "\n{\"ack\":2}\n")
        #expect(try early[0].answer().accepted == 1)
        #expect(test.log.lastID == 2)
        early.removeAll()
        for client in late { #expect(try client.answer().accepted == 1) }
        #expect(eventually { !test.source.counters.isCrowded.load(ordering: .relaxed) })
        let failed = test.told.all.filter {
            if case .acceptFailed(.unix, "3 are open, which is the share of writers") = $0 { true } else { false }
        }
        let again = test.told.all.filter { if case .acceptsAgain(.unix) = $0 { true } else { false } }
        #expect(!failed.isEmpty && again.count == 1)
    }

    @Test("a peer that writes and goes at once is not waited for in a circle while its commit is made")
    func noCircle() throws {
        let test = try TestSource()
        test.commits.shut()
        do {
            let (first, gone) = (try test.client(), try test.client())
            // The first commit holds the spool's thread; what comes then waits for it.
            first.send(Self.span + "\n{\"ack\":1}\n")
            #expect(eventually { test.log.lastID == 1 })
            gone.send(Self.span)
        }
        #expect(eventually { test.source.counters.bytes.load(ordering: .relaxed) >= 34 })
        usleep(100_000)
        let turns = test.turns.passed
        usleep(300_000)
        #expect(test.turns.passed - turns < 10)
        test.commits.open()
        #expect(eventually { test.log.lastID == 2 })
        #expect(eventually { test.source.counters.connectionsOpen.load(ordering: .relaxed) == 0 })
    }

    @Test("spans that the spool does not take are rejected by their own lines")
    func full() throws {
        let test = try TestSource { $0.maxSize = 16 << 20 }
        _ = try test.log.register("holds", backlog: BacklogLimit(bytes: 0, expires: false))
        let client = try test.client()
        let large = #"{"name":"x","input":""# + String(repeating: "z", count: 1 << 20) + "\"}\n"
        var taken = 0
        for round in 0..<40 {
            client.send(large + "{\"ack\":\(round)}\n")
            let answer = try client.answer()
            taken += answer.accepted
            if answer.rejected > 0 { break }
        }
        #expect((5..<25).contains(taken) && eventually { test.log.status.refusal == .full })
        let last = try test.client()
        last.send("\n" + Self.span + "\nnonsense\n" + Self.span + "\n\n" + Self.span)
        last.finish()
        let answer = try last.answer()
        #expect(answer.accepted == 0 && answer.rejected == 4)
        #expect(answer.errors.map { "\($0.line):\($0.reason)" } == ["2:spool_full", "3:invalid_json", "4:spool_full", "6:spool_full"])
        #expect(test.log.flush() && test.log.status.rejections[RejectionKey(source: .unix, reason: "spool_full")] ?? 0 >= 3)
    }

    @Test("a stop reads what peers have sent to the end, answers, and closes")
    func stop() throws {
        let test = try TestSource()
        let clients = try (0..<5).map { _ in try test.client() }
        for client in clients {
            client.send(Self.span + "\n{\"ack\":1}\n")
            #expect(try client.answer().accepted == 1)
        }
        // The source's thread stands still while they write more, then is told to stop.
        test.turns.shut()
        for client in clients { client.send(String(repeating: Self.span + "\n", count: 50) + Self.span) }
        let stopping = startThread(name: "stops") { [source = test.source] in source.stop(drain: .seconds(20)) }
        usleep(100_000)
        test.turns.open()
        for client in clients {
            #expect(try client.answer() == Answer(ack: .null, accepted: 51, rejected: 0, errors: [], durable: "fsync"))
            #expect(client.line() == nil)
        }
        stopping.join()
        #expect(test.log.lastID == 5 * 52)
        #expect(throws: Client.Failure.self) { try test.client() }
    }

    @Test("a stop takes in those who had connected before it and were not looked at yet")
    func stopBacklog() throws {
        let test = try TestSource()
        test.turns.shut()
        var clients: [Client] = []
        for _ in 0..<200 {
            let client = try test.client()
            client.send(Self.span)
            client.finish()
            clients.append(client)
        }
        let stopping = startThread(name: "stops") { [source = test.source] in source.stop(drain: .seconds(20)) }
        usleep(100_000)
        test.turns.open()
        for client in clients { #expect(client.line()?.contains("\"accepted\":1") == true) }
        stopping.join()
        #expect(test.log.lastID == 200)
    }

    @Test("a stop waits for nobody longer than it may")
    func stopInTime() throws {
        let test = try TestSource()
        let client = try test.client()
        client.send(Self.span + "\n{\"ack\":1}\n")
        #expect(try client.answer().accepted == 1)
        test.commits.shut()
        client.send(Self.span + "\n{\"ack\":2}\n")
        #expect(eventually { test.log.lastID == 2 })
        // Its commit is made, the news of it is held back: the answer cannot come.
        let began = SuspendingClock.now
        test.source.stop(drain: .milliseconds(300))
        #expect(began.duration(to: .now) >= .milliseconds(250) && began.duration(to: .now) < .seconds(10))
        #expect(client.line() == nil)
        test.commits.open()
    }

    @Test("whatever many peers send, each is told exactly what became of its own lines", arguments: Seeds.thisRun.prefix(4))
    func accounting(seed: UInt64) throws {
        let test = try TestSource(limits: IntakeLimits(spanBytes: 300))
        let threads = (0..<6).map { peer in
            startThread(name: "peer") { [path = test.path] in
                var rng = SeededRandom(seed: seed &* 31 &+ UInt64(peer))
                guard let client = try? Client(path) else { return #expect(Bool(false), "cannot connect") }
                var (accepted, rejected, asked) = (0, 0, 0)
                for _ in 0..<200 {
                    var text = ""
                    for _ in 0...rng.below(20) {
                        switch rng.below(8) {
                        case 0:
                            text += "junk\n"
                            rejected += 1
                        case 1:
                            text += String(repeating: "k", count: 400) + "\n"
                            rejected += 1
                        case 2: text += "\r\n"
                        default:
                            text += StreamSourceTests.span + "\n"
                            accepted += 1
                        }
                    }
                    if rng.below(3) == 0 {
                        text += "{\"ack\":\(asked)}\n"
                        client.send(text)
                        guard let answer = try? client.answer() else { return #expect(Bool(false), "no answer") }
                        #expect(answer.ack == .number(Double(asked)), "again: TRACEFWD_SEED=\(seed)")
                        #expect(answer.accepted == accepted && answer.rejected == rejected, "again: TRACEFWD_SEED=\(seed)")
                        (accepted, rejected, asked) = (0, 0, asked + 1)
                    } else {
                        client.send(text)
                    }
                }
                client.finish()
                let answer = try? client.answer()
                #expect(answer?.accepted == accepted && answer?.rejected == rejected, "again: TRACEFWD_SEED=\(seed)")
            }
        }
        for thread in threads { thread.join() }
    }
}
