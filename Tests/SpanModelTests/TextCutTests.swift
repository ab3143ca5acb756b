import Foundation
import Testing

@testable import SpanModel

@Suite("A text that is cut")
struct TextCutTests {
    private func cut(_ text: String, to bytesMax: Int) -> String? {
        Array(text.utf8).withUnsafeBytes { TextCut.cut($0, to: bytesMax) }.map { String(decoding: $0, as: UTF8.self) }
    }

    private func json(_ text: String?) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(try #require(text).utf8), options: .fragmentsAllowed)
    }

    @Test(
        "ends between two characters, and says how much is gone",
        arguments: [
            ("abcdef", 6, nil), ("abcdef", 4, "abcd [+2 bytes]"), ("aé", 2, "a [+2 bytes]"), ("😀😀", 7, "😀 [+4 bytes]"),
            ("😀😀", 3, " [+8 bytes]"), ("", 0, nil),
        ])
    func plain(text: String, bytesMax: Int, result: String?) {
        #expect(cut(text, to: bytesMax) == result)
    }

    private static let long = String(repeating: "words and ", count: 40)

    @Test(
        "that is a JSON object or array stays one: strings are cut at any depth, so that it fits; keys, numbers and words stay",
        arguments: [130, 200, 390])
    func nested(bytesMax: Int) throws {
        let text = #" {"role": "user", "parts": [{"content": "\#(Self.long)", "n": 1.50}, ["\#(Self.long)", true, null]]} "#
        let short = try #require(cut(text, to: bytesMax))
        #expect(short.utf8.count <= bytesMax)
        #expect(short.hasPrefix(#" {"role": "user", "parts": [{"content": "words"#) && short.contains(#""n": 1.50"#))
        let object = try #require(try json(short) as? [String: Any])
        let parts = try #require(object["parts"] as? [Any])
        for content in [(parts[0] as? [String: Any])?["content"], (parts[1] as? [Any])?[0]] {
            #expect((content as? String)?.wholeMatch(of: /words.* \[\+\d+ bytes\]/) != nil)
        }
    }

    @Test("is no JSON, though it begins so, where its end is missing or something is behind it")
    func invalid() {
        for text in [#"{"a":"\#(Self.long)""#, #"["\#(Self.long)"] and more"#, #"{"a":"\#(Self.long)\x"}"#, #"{"\#(Self.long)"}"#] {
            #expect(cut(text, to: 50) == text.prefix(50) + " [+\(text.utf8.count - 50) bytes]")
        }
        // A string of JSON alone is a text.
        let string = "\"\(Self.long)\""
        #expect(cut(string, to: 10) == string.prefix(10) + " [+\(string.utf8.count - 10) bytes]")
    }

    @Test("of JSON is never cut inside a character or an escape", arguments: 40..<80)
    func edge(bytesMax: Int) throws {
        let text = #"["é\"😀\\\ud83d\ude00\u00e9\n中é\"😀\\\ud83d\ude00\u00e9\n中é\"😀\\\ud83d\ude00\u00e9\n中"]"#
        let whole = try #require(try json(text) as? [String])[0]
        let short = try #require(try json(cut(text, to: bytesMax)) as? [String])[0]
        let kept = try #require(short.wholeMatch(of: /(?s)(.*) \[\+\d+ bytes\]/)).1
        #expect(whole.hasPrefix(kept) && !short.contains("\u{fffd}"))
        #expect(try #require(cut(text, to: bytesMax)).utf8.count <= bytesMax)
    }

    @Test("of JSON with many short strings, or none, is as short as it can be, and cut once")
    func short() throws {
        let many = "[" + (0..<50).map { #""this is string number \#($0) of fifty""# }.joined(separator: ",") + "]"
        let once = try #require(cut(many, to: 100))
        #expect(try #require(try json(once) as? [String]).allSatisfy { $0.utf8.count <= 24 && $0.hasSuffix(" bytes]") })
        #expect(cut(once, to: 100) == nil)
        #expect(cut("[" + (0..<50).map { "\($0)" }.joined(separator: ",") + "]", to: 20) == nil)
        #expect(cut(#"{"a key that is rather long, which nobody cuts": 1}"#, to: 20) == nil)
    }
}
