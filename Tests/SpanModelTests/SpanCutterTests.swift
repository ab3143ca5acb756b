import Foundation
import Testing

@testable import SpanModel

@Suite("Spans that are too large")
struct SpanCutterTests {
    /// A stored span with these texts as attributes.
    private func span(_ texts: [(key: String, value: String)]) throws -> SpanView {
        var writer = AttributeWriter(field: 9)
        for (key, value) in texts { writer.set(key, string: value) }
        var span: [UInt8] = []
        span.appendField(5, size: 4)
        span += Array("chat".utf8) + writer.bytes
        var payload: [UInt8] = []
        payload.appendField(2, size: fieldSize(span.count))
        payload.appendField(2, size: span.count)
        payload += span
        let entry = SpanEntry(
            offset: 0, length: UInt32(payload.count), resourceLength: 0, scopeLength: 0, receivedAt: 0, traceHash: 0, sender: 0, source: 1)
        return SpanView(segment: Segment(firstID: 7, payload: payload, entries: [entry]), index: 0)
    }

    @Test("the longest texts are cut to one length, between characters, with a marker that says how much is gone")
    func longest() throws {
        let span = try span([("a", String(repeating: "é", count: 5000)), ("b", "short"), ("c", String(repeating: "x", count: 300))])
        let cut = try #require(span.cut(to: 4000))
        #expect(cut.entry.length <= 4000 && cut.entry.length > 3900)
        #expect(cut.id == 7 && cut.name == "chat")
        let text = try #require(cut.attribute("a")?.text)
        let kept = text.prefix { $0 == "é" }
        #expect(text == "\(kept) [+\(10_000 - kept.utf8.count) bytes]")
        #expect(cut.attribute("b")?.text == "short")
        #expect(cut.attribute("c")?.text?.count == 300)
    }

    @Test("JSON stays JSON: the strings in it are cut, keys and numbers are not", arguments: [400, 1000, 4000])
    func json(size: Int) throws {
        let content = String(repeating: #"\"quoted\" \\ \n \ud83d\ude00 é "#, count: 300)
        let span = try span([("m", #"[{"role" : "user","parts":[{"type":"text","content":"\#(content)"}],"n":12.5}]"#)])
        let cut = try #require(span.cut(to: size))
        #expect(cut.entry.length <= UInt32(size))
        let text = try #require(cut.attribute("m")?.text)
        let list = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        #expect(list[0]["role"] as? String == "user" && list[0]["n"] as? Double == 12.5)
        let parts = try #require(list[0]["parts"] as? [[String: Any]])
        #expect((parts[0]["content"] as? String)?.wholeMatch(of: /(?s).* \[\+\d+ bytes\]/) != nil)
    }

    @Test("what has no long texts cannot be cut")
    func impossible() throws {
        let span = try span((0..<200).map { ("key \($0)", "value") })
        #expect(span.cut(to: 1000) == nil)
        #expect(try #require(span.cut(to: 1 << 20)).entry == span.entry)
    }

    @Test("media go, whether data URIs, JSON's blobs or text that is base64 alone; words stay")
    func media() throws {
        let data = String(repeating: "iVBORw0KGgo/", count: 200)
        let span = try span([
            ("uri", "data:image/png;base64,\(data)=="), ("inside", "see ![x](data:image/png;base64,\(data)) there"), ("bare", data),
            ("json", #"[{"type":"blob","mime_type":"image/png","content":"\#(data)"},{"url":"data:image/jpeg;base64,\#(data)"}]"#),
            ("slashes", #"{"url":"data:image\/png;base64,\#(data.replacing("/", with: #"\/"#))"}"#),
            ("prose", String(repeating: "words and words ", count: 200)), ("tiny", "data:image/png;base64,iVBORw0KGgo="),
        ])
        let lean = try #require(span.withoutMedia())
        #expect(lean.attribute("uri")?.text == "[image/png +2402 bytes]")
        #expect(lean.attribute("inside")?.text == "see ![x]([image/png +2400 bytes]) there")
        #expect(lean.attribute("bare")?.text == "[+2400 bytes]")
        #expect(
            lean.attribute("json")?.text
                == #"[{"type":"blob","mime_type":"image/png","content":"[+2400 bytes]"},{"url":"[image/jpeg +2400 bytes]"}]"#)
        #expect(lean.attribute("slashes")?.text == #"{"url":"[image\/png +2600 bytes]"}"#)
        for key in ["prose", "tiny"] { #expect(lean.attribute(key) == span.attribute(key)) }
        #expect(lean.withoutMedia() == nil)
    }
}
