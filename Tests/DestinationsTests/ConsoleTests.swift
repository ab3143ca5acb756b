import Delivery
import Foundation
import SpanModel
import Testing

@testable import Destinations

@Suite("console")
struct ConsoleTests {
    private func line(_ span: TestSpan, hasColours: Bool = false) throws -> String {
        try Console(format: .text, hasColours: hasColours).encode(views([span]), context)[0].text
    }

    @Test("a span is a line: time, trace, name, model, tokens, duration, status")
    func text() throws {
        let expected =
            "2023-11-14 22:13:20.000Z  4bf92f35  chat gpt-4o                   gpt-4o            120 > 30 tokens     1.00 s    ok\n"
        #expect(try line(TestSpan()) == expected)
    }

    @Test(
        "durations read well",
        arguments: [
            (0, "0 ms"), (12_345_678, "12 ms"), (1_050_000_000, "1.05 s"), (59_999_999_999, "59.99 s"), (125_000_000_000, "2 m 5 s"),
        ] as [(UInt64, String)])
    func durations(nanoseconds: UInt64, text: String) throws {
        var span = TestSpan()
        span.end = span.start + nanoseconds
        #expect(try line(span).contains("  \(text) "))
        (span.start, span.end) = (span.start + nanoseconds, span.start)
        #expect(nanoseconds == 0 ? true : try line(span).contains("  -\(text) "))
    }

    @Test("what a span lacks is a dash")
    func bare() throws {
        let span = TestSpan(name: "job", kind: 0, end: nil, texts: [], counts: [], status: 0)
        #expect(
            try line(span).split(separator: " ", omittingEmptySubsequences: true).dropFirst(3).joined(separator: " ") == "job - - - unset\n"
        )
    }

    @Test("a sender cannot steer the terminal, nor break the line")
    func control() throws {
        var span = TestSpan(name: "a\u{1b}[2Jb\nc\r\u{9b}31m\u{202e}d")
        span.status = 2
        span.statusMessage = "x\u{7}\ny" + String(repeating: "z", count: 500)
        let text = try line(span)
        #expect(text.filter { $0 == "\n" }.count == 1)
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0 == "\u{9b}" || $0 == "\u{202e}" })
        #expect(text.contains("error: x"))
        #expect(text.count < 260)
    }

    @Test("colours stand on a terminal only")
    func colours() throws {
        #expect(try !line(TestSpan()).contains("\u{1b}"))
        #expect(try line(TestSpan(), hasColours: true).contains("\u{1b}[32mok\u{1b}[0m"))
    }

    @Test("json is native NDJSON")
    func json() throws {
        let text = try Console(format: .json, hasColours: true).encode(views(TestSpan.many(2)), context)[0].text
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.hasPrefix(#"{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba90201","name":"span 0","#))
    }

    @Test("everything is written, to a slow reader of a pipe that does not block too")
    func slowReader() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        for end in ends { #expect(fcntl(end, F_SETFL, O_NONBLOCK) == 0) }
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000)
        let reader = Thread.detachedReader(of: reading, count: body.count)
        try ConsoleSink(file: writing).write(Request(url: "", body: body, spans: 0..<1))
        #expect(reader.wait() == body.count)
        close(reading)
        close(writing)
    }
}

extension Thread {
    /// Reads so many bytes on a thread of its own.
    fileprivate static func detachedReader(of file: Int32, count: Int) -> Reader {
        let reader = Reader()
        detachNewThread {
            var (total, chunk) = (0, [UInt8](repeating: 0, count: 10_000))
            while total < count {
                var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
                guard poll(&ready, 1, 5_000) == 1 else { break }
                total += max(0, read(file, &chunk, chunk.count))
            }
            reader.finish(total)
        }
        return reader
    }

    fileprivate final class Reader: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        private var total = 0  // written before `done` is signalled, read after it

        func finish(_ total: Int) {
            self.total = total
            done.signal()
        }
        func wait() -> Int {
            done.wait()
            return total
        }
    }
}
