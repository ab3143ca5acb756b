import Glibc
import Logging
import Testing
import Threading

@testable import Journal

@Suite struct JournalWriterTests {
    private func logger(_ writer: JournalWriter, _ level: Logger.Level = .info) -> Logger {
        Logger(label: "tracefwd") { _ in writer.handler(level: level) }
    }

    @Test("metadata of logger, provider and line become fields; the nearest wins")
    func fields() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        var handler = writer.handler()
        handler.metadataProvider = Logger.MetadataProvider { ["trace_id": "provider", "reason": "provider"] }
        var logger = Logger(label: "tracefwd") { _ in handler }
        logger[metadataKey: "destination"] = "langfuse"
        logger[metadataKey: "reason"] = "logger"
        logger.info("hello", metadata: ["spans": "3", "reason": "line"])
        #expect(writer.stop())
        let line = recorder.lines.first
        #expect(line?.message == "hello" && line?.level == .info)
        #expect(
            line?.fields.map { "\($0.name)=\($0.value)" } == ["destination=langfuse", "reason=line", "spans=3", "trace_id=provider"])
    }

    @Test("below its level nothing is written")
    func level() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        logger(writer, .warning).firstDelivery("a", spans: 1, took: .seconds(1))
        logger(writer, .warning).warning("this")
        #expect(writer.stop())
        #expect(recorder.lines.map(\.message) == ["this"])
    }

    @Test("a stuck journal never blocks the caller; its losses are counted, and told when it flows again")
    func stuck() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        let log = logger(writer, .debug)
        recorder.stick()
        log.debug("held by the outlet")
        recorder.waitUntilHeld()
        let began = ContinuousClock.now
        for _ in 0..<LineQueue.linesMax + 1_234 { log.debug("a batch") }
        #expect(began.duration(to: .now) < .seconds(20))
        #expect(writer.linesLost == 1_234)
        recorder.flow()
        recorder.wait(for: LineQueue.linesMax + 2)
        #expect(recorder.lines.contains { $0.message == "1,234 lines were lost: the journal did not take them" })
        #expect(writer.stop())
    }

    @Test("a blocked pipe: stop gives up in its time, and the lines come out when somebody reads")
    func blockedPipe() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let writer = JournalWriter(outlet: FileOutlet(ends[1], coloured: false))
        let log = logger(writer, .debug)
        for number in 0..<3_000 { log.debug("line \(number) of more than a pipe holds") }
        let began = ContinuousClock.now
        #expect(!writer.stop(within: .milliseconds(100)))
        #expect(began.duration(to: .now) < .seconds(5))
        var (lines, buffer) = (0, [UInt8](repeating: 0, count: 1 << 16))
        while lines < 3_000 {
            let count = read(ends[0], &buffer, buffer.count)
            guard count > 0 else { break }
            lines += buffer[..<count].count { $0 == UInt8(ascii: "\n") }
        }
        #expect(lines == 3_000)
        #expect(writer.stop())
        ends.forEach { close($0) }
    }

    @Test("a pipe that nobody reads any more costs lines, not the process")
    func brokenPipe() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        let writer = JournalWriter(outlet: FileOutlet(ends[1], coloured: false))
        for _ in 0..<3 { logger(writer).info("hello") }
        #expect(writer.stop())
        #expect(writer.linesLost == 3)
        close(ends[1])
    }

    @Test("a non-blocking pipe gets each line whole")
    func nonBlocking() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        let text = String(repeating: "x", count: 5_000)
        let reader = ends[0]
        let reading = startThread(name: "reader") {
            var (bytes, buffer) = (0, [UInt8](repeating: 0, count: 4_096))
            while bytes < 100 * 5_000 {
                let count = read(reader, &buffer, buffer.count)
                if count > 0 { bytes += buffer[..<count].count { $0 == UInt8(ascii: "x") } } else if count == 0 { return }
            }
        }
        let writer = JournalWriter(outlet: FileOutlet(ends[1], coloured: false))
        for _ in 0..<100 { logger(writer, .debug).debug("\(text)") }
        #expect(writer.stop(within: .seconds(20)))
        reading.join()
        #expect(writer.linesLost == 0)
        ends.forEach { close($0) }
    }

    @Test("many threads at once: no line is lost or torn")
    func threads() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        let threads = (0..<4).map { thread in
            startThread(name: "logs") {
                for number in 0..<500 { self.logger(writer, .debug).debug("\(thread) \(number)") }
            }
        }
        for thread in threads { thread.join() }
        #expect(writer.stop())
        for thread in 0..<4 {
            #expect(recorder.lines.map(\.message).filter { $0.hasPrefix("\(thread) ") } == (0..<500).map { "\(thread) \($0)" })
        }
    }
}
