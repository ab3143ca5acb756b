import Foundation
import SpanModel
import Testing
import Threading

@testable import Delivery
@testable import Pipeline

/// Real programs, in the shell's words.
enum ShellProgram {
    /// Calls `each` for every line `l`.
    static func lines(_ each: String) -> [String] { ["/bin/sh", "-c", "while IFS= read -r l; do \(each); done"] }

    /// Gives each line back, but does something else with the span of this name.
    static func but(_ name: String, _ instead: String) -> [String] {
        lines(#"case "$l" in *'"name":"\#(name)"'*) \#(instead);; *) printf '%s\n' "$l";; esac"#)
    }
}

@Suite("programs of routes")
struct ExecRunnerTests {
    /// What a runner told.
    private final class Desk: Sendable {
        let news = Monitor<[ExecNews]>([])

        func wait<Found>(_ find: @escaping ([ExecNews]) -> Found?) throws -> Found {
            try #require(news.wait(for: .seconds(60)) { news in find(news) })
        }

        /// The answers under a token, as words.
        func answers(_ token: UInt64 = 1) throws -> [String] {
            try wait { news in
                for case .answered(token, let answers) in news { return answers.map(Self.word) }
                return nil
            }
        }

        private static func word(_ answer: ExecAnswer) -> String {
            switch answer {
            case .span(let span): span.name
            case .discarded: "discarded"
            case .failed(let reason, _): reason
            }
        }

        var said: [String] { news.withLock { news in news.compactMap { if case .said(let line) = $0 { line } else { nil } } } }
        var starts: Int { news.withLock { news in news.count { if case .started = $0 { true } else { false } } } }
        var stops: [String] {
            news.withLock { news in news.compactMap { if case .stopped(let detail, _) = $0 { detail } else { nil } } }
        }
    }

    private func runner(
        _ command: [String], _ desk: Desk, timeout: Duration = .seconds(60), keeps: Bool = false, patience: Duration = .seconds(60)
    ) -> ExecRunner {
        ExecRunner(ExecProgram(command: command, timeout: timeout, keepsOnError: keeps), route: "test", patience: patience) { news in
            desk.news.withLock { $0.append(news) }
            desk.news.broadcast()
        }
    }

    /// Spans 1 to `count`; each is named by its number.
    private func spans(_ count: Int, padding: Int = 0) -> [SpanView] {
        var batch = SpanBatch()
        for number in 1...count {
            batch.append(number: Int64(number), TracedSpan(trace: UInt64(number)), receivedAt: 1_700_000_000_000_000_000)
        }
        let segment = Segment(firstID: 1, payload: batch.payload, entries: batch.entries)
        return (0..<count).map { SpanView(segment: segment, index: $0) }
    }

    /// Asks once, and ends the runner.
    private func answers(
        _ command: [String], _ count: Int = 5, desk: Desk = Desk(), timeout: Duration = .seconds(60), keeps: Bool = false
    ) throws -> [String] {
        let runner = runner(command, desk, timeout: timeout, keeps: keeps)
        defer {
            runner.stop()
            runner.wait(.seconds(5))
        }
        runner.ask(1, spans(count))
        return try desk.answers()
    }

    @Test("what the program gives back is the same span: id, times, sender and what it was received with")
    func echo() throws {
        let desk = Desk()
        let runner = runner(["/bin/cat"], desk)
        defer { runner.stop() }
        let asked = spans(3)
        runner.ask(7, asked)
        let answered: [SpanView] = try desk.wait { news in
            for case .answered(7, let answers) in news {
                return answers.compactMap { if case .span(let span) = $0 { span } else { nil } }
            }
            return nil
        }
        for (before, after) in zip(asked, answered) {
            var (old, new): ([UInt8], [UInt8]) = ([], [])
            appendNativeJSON(before, to: &old)
            appendNativeJSON(after, to: &new)
            // A span without times has them after it has been parsed.
            #expect(String(decoding: new, as: UTF8.self).contains(#""name":"\#(before.name)""#))
            #expect(after.id == before.id && after.entry.receivedAt == before.entry.receivedAt)
            #expect(after.traceID == before.traceID && after.entry.sender == before.entry.sender && after.spanID == before.spanID)
        }
        #expect(answered.count == 3)
    }

    @Test("null leaves a span out")
    func discards() throws {
        #expect(try answers(ShellProgram.but("2", "echo null"), 3) == ["1", "discarded", "3"])
    }

    @Test("a program that ends at a span is tried three times with it; the others have their answers")
    func dies() throws {
        let desk = Desk()
        #expect(try answers(ShellProgram.but("2", "exit 3"), 4, desk: desk) == ["1", "exec_died", "3", "4"])
        #expect(desk.starts == 4)
        #expect(desk.stops.first == "ended with status 3")
    }

    @Test("a program that hangs at a span is ended after the timeout; the others have their answers")
    func hangs() throws {
        let desk = Desk()
        #expect(
            try answers(ShellProgram.but("2", "sleep 1000"), 4, desk: desk, timeout: .milliseconds(500))
                == ["1", "exec_timeout", "3", "4"])
        #expect(desk.stops == ["gave no answer within 0.5 seconds"])
    }

    @Test("a program may take its time to start; then the timeout holds")
    func startsSlowly() throws {
        let command = ["/bin/sh", "-c", "sleep 1; exec cat"]
        #expect(try answers(command, 3, timeout: .milliseconds(300)) == ["1", "2", "3"])
    }

    @Test("what a program that ends has said counts")
    func lastWords() throws {
        let desk = Desk()
        // Reads three lines, answers them, and is gone before the fourth.
        let command = ["/bin/sh", "-c", "for i in 1 2 3; do IFS= read -r l; printf '%s\\n' \"$l\"; done"]
        #expect(try answers(command, 9, desk: desk) == (1...9).map(String.init))
        #expect((3...4).contains(desk.starts))
    }

    @Test("a program that never reads or answers is given up span by span", .timeLimit(.minutes(10)))
    func neverAnswers() throws {
        let desk = Desk()
        let runner = runner(["/bin/sleep", "1000"], desk, timeout: .milliseconds(50), patience: .milliseconds(200))
        defer { runner.stop() }
        runner.ask(1, spans(3))
        #expect(try desk.answers() == ["exec_timeout", "exec_timeout", "exec_timeout"])
    }

    @Test(
        "an answer that is no span costs that span alone",
        arguments: [
            "echo nonsense", "echo", "echo '[]'", "echo '{}'", #"printf '\377\376\n'"#, #"printf '{"name":"x","trace_id":"'; echo"#,
            "echo '{\"trace_id\":1,\"name\":\"x\"}'",
        ])
    func garbage(_ instead: String) throws {
        let desk = Desk()
        #expect(try answers(ShellProgram.but("2", instead), 3, desk: desk) == ["1", "exec_answer", "3"])
        #expect(desk.starts == 1)
    }

    @Test(
        "an answer about another span ends the program: what comes behind it would be taken for another span's",
        arguments: [
            #"echo '{"name":"x"}'"#,
            #"echo '{"name":"x","trace_id":"00000000000000000000000000000001","span_id":"0000000000000001"}'"#,
            // A line of its own before the answer.
            #"printf '%s\n%s\n' '{"name":"debug"}' "$l""#,
        ])
    func another(_ instead: String) throws {
        let desk = Desk()
        #expect(try answers(ShellProgram.but("2", instead), 4, desk: desk) == ["1", "exec_answer", "3", "4"])
        #expect(desk.starts == 2)
    }

    @Test("what a program says without being asked ends it, and costs no span")
    func unasked() throws {
        let desk = Desk()
        let runner = runner(["/bin/sh", "-c", "echo hello; exec cat"], desk)
        defer { runner.stop() }
        _ = try desk.wait { news in news.contains { if case .stopped = $0 { true } else { false } } ? true : nil }
        #expect(desk.stops.first == "answers what it was not asked")
    }

    @Test("an answer without an end does not fill the memory")
    func endless() throws {
        let desk = Desk()
        #expect(try answers(ShellProgram.but("2", "tr '\\0' x < /dev/zero"), 3, desk: desk) == ["1", "exec_answer", "3"])
        #expect(desk.stops.count == 1)
    }

    @Test("standard error is told line by line; a flood of it is cut to some lines, each short and in one line")
    func standardError() throws {
        let desk = Desk()
        #expect(
            try answers(
                ShellProgram.but("2", #"yes "$(printf 'a\033b%0.s' $(seq 800))" | head -3000 >&2; printf '%s\n' "$l""#), 3, desk: desk)
                == ["1", "2", "3"])
        #expect((1...60).contains(desk.said.count))
        #expect(desk.said.allSatisfy { $0.utf8.count < 1100 && !$0.utf8.contains { $0 < 0x20 } })
    }

    @Test("a flood that never ends comes before no answer, and a stop is heard in it")
    func endlessFlood() throws {
        let desk = Desk()
        let runner = runner(["/bin/sh", "-c", "yes 'a line' >&2 & exec cat"], desk)
        _ = try desk.wait { news in news.contains { if case .said = $0 { true } else { false } } ? true : nil }
        runner.ask(1, spans(50))
        #expect(try desk.answers() == (1...50).map(String.init))
        runner.stop()
        runner.wait(.seconds(60))
        #expect((1...100).contains(desk.said.count))
    }

    @Test("many long spans go through: neither side waits for the other's pipe")
    func pipes() throws {
        let desk = Desk()
        let runner = runner(["/bin/cat"], desk)
        defer { runner.stop() }
        for token in 1...20 { runner.ask(UInt64(token), spans(500)) }
        for token in 1...20 { #expect(try desk.answers(UInt64(token)) == (1...500).map(String.init)) }
        #expect(desk.starts == 1)
    }

    @Test("without its program a span waits; with `keep` it goes on as it is")
    func missing() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tracefwd-exec-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "scrub").path
        #expect(try answers([path], 3, keeps: true) == ["exec_down", "exec_down", "exec_down"])

        let desk = Desk()
        let runner = runner([path], desk)
        defer { runner.stop() }
        runner.ask(1, spans(3))
        _ = try desk.wait { news in news.count > 1 ? true : nil }
        #expect(runner.trouble == "cannot be started (\(path)): No such file or directory")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/bin/cat")
        #expect(try desk.answers() == ["1", "2", "3"])
        #expect(runner.trouble == nil)
    }

    @Test("with `keep` a span at which the program ends goes on at once, and the others are asked again of the next")
    func keeps() throws {
        let answers = try answers(ShellProgram.but("2", "exit 3"), 3, keeps: true)
        #expect(answers[0] == "1" && answers[1] == "exec_died" && ["3", "exec_down"].contains(answers[2]))
    }

    @Test("a stop answers what is open, and ends the program and all that it has started")
    func stops() throws {
        let desk = Desk()
        let runner = runner(["/bin/sh", "-c", "sleep 1000 & echo $! >&2; read l; sleep 1000"], desk)
        runner.ask(1, spans(2))
        let pid = try desk.wait { news -> pid_t? in
            for case .said(let line) in news { return pid_t(line) }
            return nil
        }
        #expect(kill(pid, 0) == 0)
        runner.stop()
        runner.wait(.seconds(10))
        #expect(try desk.answers() == ["exec_stopped", "exec_stopped"])
        // It may be a moment before the kernel has taken it away.
        for _ in 0..<1000 where kill(pid, 0) == 0 && !isZombie(pid) { usleep(5000) }
        #expect(kill(pid, 0) != 0 || isZombie(pid))
    }

    private func isZombie(_ pid: pid_t) -> Bool {
        let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        return stat.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }

    @Test("a trial starts the program for one span, and says why where it cannot")
    func trial() {
        func program(_ command: [String]) -> ExecProgram { ExecProgram(command: command, timeout: .seconds(60), keepsOnError: false) }
        guard case .span(let span) = program(["/bin/cat"]).tried(on: spans(1)[0]) else { return #expect(Bool(false), "no span") }
        #expect(span.name == "1")
        guard case .failed("exec_down", let detail) = program(["/no/such"]).tried(on: spans(1)[0]) else {
            return #expect(Bool(false), "no failure")
        }
        #expect(detail == "the program cannot be started (/no/such): No such file or directory")
    }
}
