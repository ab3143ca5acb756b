import Foundation
import Testing

@testable import SpanModel

@Suite("The native form")
struct NativeJSONTests {
    @Test("the contract's worked example comes out byte for byte, without its query columns")
    func golden() {
        let expected = """
            {"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","name":"chat gpt-4o","kind":"client","start_time":"2023-11-14T22:13:20.000000000Z","end_time":"2023-11-14T22:13:21.000000000Z","duration_ms":1000,"status":{"code":"ok"},"attributes":{"gen_ai.operation.name":"chat","gen_ai.request.model":"gpt-4o","gen_ai.usage.input_tokens":120,"gen_ai.usage.output_tokens":30},"resource":{"service.name":"shop"},"scope":{"name":"tracefwd"}}
            """
        #expect(native(.vector) == expected)
    }

    @Test("every member has its place, and only what is there is written")
    func order() {
        var span = TestSpan.vector
        span.parent = hexBytes("0102030405060708")
        span.traceState = "a=1"
        span.flags = 257
        span.status = 2
        span.statusMessage = "no"
        span.attributes = [TestSpan.Pair("a", .int(1))]
        span.events = [TestSpan.Event(time: 1, name: "e", attributes: [TestSpan.Pair("b", .null)], dropped: 1)]
        span.links = [TestSpan.Link(traceID: span.traceID, spanID: span.spanID, traceState: "c=2", attributes: [], dropped: 0, flags: 1)]
        span.scopeVersion = "2"
        span.scopeAttributes = [TestSpan.Pair("c", .bool(true))]
        span.resourceSchema = "https://example.com/schema"
        span.dropped = (1, 2, 3)
        let expected = """
            {"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_span_id":"0102030405060708","trace_state":"a=1","flags":257,"name":"chat gpt-4o","kind":"client","start_time":"2023-11-14T22:13:20.000000000Z","end_time":"2023-11-14T22:13:21.000000000Z","duration_ms":1000,"status":{"code":"error","message":"no"},"attributes":{"a":1},"events":[{"name":"e","time":"1970-01-01T00:00:00.000000001Z","attributes":{"b":null},"dropped_attributes_count":1}],"links":[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_state":"c=2","flags":1}],"resource":{"service.name":"shop"},"scope":{"name":"tracefwd","version":"2","attributes":{"c":true}},"schema_url":"https://example.com/schema","dropped_attributes_count":1,"dropped_events_count":2,"dropped_links_count":3}
            """
        #expect(native(span) == expected)
    }

    @Test(
        "values keep their kind",
        arguments: [
            (TestSpan.Value.int(1), "1"), (.int(.min), "-9223372036854775808"), (.int(.max), "9223372036854775807"), (.double(1), "1.0"),
            (.double(-0.0), "-0.0"), (.double(0.1), "0.1"), (.double(1e20), "1e+20"), (.double(.leastNonzeroMagnitude), "5e-324"),
            (.double(.nan), "\"NaN\""),
            (.double(-.infinity), "\"-Infinity\""), (.null, "null"), (.absent, "null"), (.string(""), "\"\""), (.bool(false), "false"),
            (.bytes([]), "\"\""), (.bytes([0xfb]), "\"+w==\""), (.bytes([0xff, 0xff]), "\"//8=\""), (.bytes([1, 2, 3]), "\"AQID\""),
            (.array([]), "[]"),
            (.map([]), "{}"), (.array([.array([.int(1), .null]), .map([TestSpan.Pair("", .array([]))])]), "[[1,null],{\"\":[]}]"),
        ])
    func values(value: TestSpan.Value, text: String) {
        var span = TestSpan()
        span.attributes = [TestSpan.Pair("v", value)]
        #expect(native(span).contains("\"attributes\":{\"v\":\(text)},"))
    }

    @Test(
        "a duration is exact to the nanosecond",
        arguments: [
            (0, 1_000_000_000, "1000"), (0, 500_000, "0.5"), (1, 1_234_567_892, "1234.567891"), (5, 5, "0"), (0, 1, "0.000001"),
            (10_000_000, 0, "-10"),
            (1_500_000, 1, "-1.499999"), (0, .max, "18446744073709.551615"), (.max, 0, "-18446744073709.551615"),
        ] as [(UInt64, UInt64, String)])
    func duration(start: UInt64, end: UInt64, text: String) {
        var span = TestSpan()
        (span.start, span.end) = (start, end)
        #expect(native(span).contains("\"duration_ms\":\(text),"))
    }

    @Test("times agree with the C library's calendar", arguments: Seeds.thisRun)
    func times(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let leaps: [UInt64] = [
            0, 951_782_399, 951_782_400, 951_868_799, 951_868_800, 1_709_164_800, 4_107_542_399, 4_107_542_400, 18_446_744_073,
        ]
        for time in leaps.map({ $0 * 1_000_000_000 }) + (0..<500).map({ _ in rng.next() }) {
            var text: [UInt8] = []
            text.appendRFC3339(nanoseconds: time, fraction: 9)
            #expect(String(decoding: text, as: UTF8.self) == rfc3339(time))
        }
    }

    @Test("it holds exactly what the span holds, whatever it is", arguments: Seeds.thisRun)
    func random(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<50 {
            let span = TestSpan.random(using: &rng)
            let text = native(span)
            #expect(try JSON(Array(text.utf8)) == span.native, "again: TRACEFWD_SEED=\(seed) make test")
            #expect(throws: Never.self, "again: TRACEFWD_SEED=\(seed) make test") {
                try JSONSerialization.jsonObject(with: Data(text.utf8))
            }
        }
    }
}

@Suite("JSON strings")
struct JSONStringTests {
    @Test(
        "are escaped exactly where RFC 8259 asks for it",
        arguments: [
            ("", ""), ("plain text of some length", "plain text of some length"), ("\"", "\\\""), ("\\", "\\\\"), ("a/b", "a/b"),
            ("\u{8}\t\n\u{c}\r", "\\b\\t\\n\\f\\r"), ("\u{0}\u{1}\u{1f}", "\\u0000\\u0001\\u001f"),
            ("\u{7f}\u{2028}é中😀", "\u{7f}\u{2028}é中😀"),
            ("1234567\"", "1234567\\\""), ("12345678\"", "12345678\\\""), ("\"12345678\\", "\\\"12345678\\\\"),
        ])
    func escapes(text: String, expected: String) {
        #expect(quoted(Array(text.utf8)) == "\"\(expected)\"")
    }

    @Test("read back as they were, at every length and with every byte at every place")
    func everyByte() throws {
        for length in 0...17 {
            for place in 0..<length {
                for byte in 0...127 as ClosedRange<UInt8> {
                    var text = [UInt8](repeating: 0x61, count: length)
                    text[place] = byte
                    #expect(try JSON(Array(quoted(text).utf8)) == .string(String(decoding: text, as: UTF8.self)))
                }
            }
        }
    }

    @Test("are always UTF-8: what is none is replaced, the rest is kept", arguments: Seeds.thisRun)
    func repair(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let pieces: [[UInt8]] = [
            Array("abcdefgh".utf8), Array("é".utf8), Array("中".utf8), Array("😀".utf8), [0x80], [0xc0, 0xaf], [0xe0, 0x80, 0x80],
            [0xed, 0xa0, 0x80],
            [0xf4, 0x90, 0x80, 0x80], [0xf0, 0x9f], [0xff], [0x22], [0xc3],
        ]
        for _ in 0..<200 {
            let text = (0..<6).flatMap { _ in pieces.randomElement(using: &rng) ?? [] }
            guard case .string(let back) = try JSON(Array(quoted(text).utf8)) else { continue }
            let kept = back.unicodeScalars.filter { $0 != "\u{fffd}" }
            let expected = String(decoding: text, as: UTF8.self).unicodeScalars.filter { $0 != "\u{fffd}" }
            #expect(kept.elementsEqual(expected), "again: TRACEFWD_SEED=\(seed) make test")
        }
    }

    private func quoted(_ text: [UInt8]) -> String {
        var json = JSONBytes()
        text.withUnsafeBytes { json.string(utf8: $0) }
        return String(decoding: json.bytes, as: UTF8.self)
    }
}

func native(_ span: TestSpan) -> String { native(view(span)) }

func native(_ span: SpanView) -> String {
    var bytes: [UInt8] = []
    appendNativeJSON(span, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}
