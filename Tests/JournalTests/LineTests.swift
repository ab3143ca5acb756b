import Glibc
import Logging
import Testing

@testable import Journal

@Suite struct LineTests {
    /// 2026-11-26T09:30:00.123Z
    static let at: UInt64 = 1_795_685_400_123_456_789

    static let retry = Line(
        level: .warning, at: at, message: "langfuse answered 429 to 120 spans; attempt 2 in 4 s",
        fields: [("event", "retry"), ("destination", "langfuse"), ("spans", "120"), ("attempt", "2"), ("status", "429")].map(
            Line.Field.init))

    @Test("a line of text is time, level, sentence, and the fields that the sentence does not say")
    func text() {
        #expect(
            Self.retry.text(coloured: false)
                == "2026-11-26T09:30:00.123Z warning langfuse answered 429 to 120 spans; attempt 2 in 4 s  destination=langfuse event=retry status=429\n"
        )
    }

    @Test("colour is the level's only")
    func colour() { #expect(Self.retry.text(coloured: true).contains("Z \u{1b}[33mwarning\u{1b}[0m langfuse")) }

    @Test("a library's line has all its fields, and one without fields ends with its sentence")
    func foreign() {
        let line = Line(level: .info, at: Self.at, message: "listening", fields: [Line.Field(name: "port", value: "8127")])
        #expect(line.text(coloured: false).hasSuffix("Z info listening  port=8127\n"))
        #expect(Line(level: .info, at: Self.at, message: "hello", fields: []).text(coloured: false).hasSuffix("Z info hello\n"))
    }

    @Test(
        "a value that would be read wrongly is quoted",
        arguments: [("plain", "plain"), ("two words", "\"two words\""), ("", "\"\""), ("a\"b", "\"a\\\"b\""), ("a=b", "\"a=b\"")])
    func quoted(value: String, shown: String) {
        let line = Line(level: .info, message: "hello", fields: [Line.Field(name: "reason", value: value)])
        #expect(line.text(coloured: false).hasSuffix(" hello  reason=\(shown)\n"))
    }

    @Test(
        "no value can begin a line, a field or a colour of its own",
        arguments: ["a\nPRIORITY=0", "a\r\nb", "\u{1b}[31mred", "nul\0", "\u{7f}", "c1 \u{9b}31m"])
    func control(value: String) {
        let line = Line.event("x", ["reason": value], message: value)
        let text = line.text(coloured: false).dropLast() + JournaldOutlet.entry(line).joined()
        #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control })
    }

    @Test("text beyond ASCII stays as it is, and a long one is cut")
    func long() {
        #expect(Line.event("x", message: "Größe → 漢字").message == "Größe → 漢字")
        let cut = Line.event("x", message: String(repeating: "é", count: 100_000)).message
        #expect(cut.utf8.count <= Line.textBytesMax + 4 && cut.hasSuffix("é…"))
    }

    @Test("the journal gets every field under its own name")
    func entry() {
        #expect(
            JournaldOutlet.entry(Self.retry) == [
                "MESSAGE=langfuse answered 429 to 120 spans; attempt 2 in 4 s", "PRIORITY=4", "SYSLOG_IDENTIFIER=tracefwd",
                "TRACEFWD_ATTEMPT=2", "TRACEFWD_DESTINATION=langfuse", "TRACEFWD_EVENT=retry", "TRACEFWD_SPANS=120", "TRACEFWD_STATUS=429",
            ])
    }

    @Test(
        "a field's name is one that the journal takes",
        arguments: [
            ("trace_id", "TRACEFWD_TRACE_ID"), ("hb.request.id", "TRACEFWD_HB_REQUEST_ID"), ("größe", "TRACEFWD_GR_SSE"),
            ("a=\nb", "TRACEFWD_A__B"),
        ])
    func names(name: String, journal: String) { #expect(JournaldOutlet.journalName(name) == journal) }

    @Test("no name is longer than 64 bytes")
    func longName() { #expect(JournaldOutlet.journalName(String(repeating: "x", count: 200)).utf8.count == 64) }

    @Test("each level is its syslog priority")
    func priorities() { #expect(Logger.Level.allCases.map(JournaldOutlet.priority) == [7, 7, 6, 5, 4, 3, 2]) }

    @Test("the journal is known by device and inode, not by the variable alone")
    func isTheJournal() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        var status = stat()
        fstat(ends[1], &status)
        #expect(isJournal("\(status.st_dev):\(status.st_ino)", ends[1]))
        #expect(!isJournal("\(status.st_dev):\(status.st_ino + 1)", ends[1]))
        #expect(!isJournal(nil, ends[1]))
        #expect(!isJournal("\(status.st_dev):\(status.st_ino)", -1))
    }
}
