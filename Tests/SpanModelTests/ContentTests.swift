import Testing

@testable import SpanModel

@Suite("Content of spans")
struct ContentTests {
    /// What a writer makes of a JSON text, byte by byte as a string of the test.
    private func rewritten(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { bytes -> String? in
            guard let value = JSONText.value(bytes) else { return nil }
            var json = JSONBytes()
            json.value(json: value)
            return String(decoding: json.bytes, as: UTF8.self)
        }
    }

    @Test(
        "JSON is what RFC 8259 says, and is written without its white space",
        arguments: [
            (" {\"a\" : [ 1 ,\n-0.5e+3, true,false , null ] } ", "{\"a\":[1,-0.5e+3,true,false,null]}"), ("\"a b\"", "\"a b\""),
            ("[]", "[]"), ("{}", "{}"), ("0", "0"), ("\"\\u00e9\\n\\/\"", "\"\\u00e9\\n\\/\""),
            ("\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""), ("\"\\ud83d\"", "\"\u{fffd}\""), ("[\"\\ude00x\"]", "[\"\u{fffd}x\"]"),
            ("\"é😀\"", "\"é😀\""), ("", nil), ("[", nil), ("[1,]", nil), ("{\"a\"}", nil), ("{a:1}", nil), ("01", nil), ("1.", nil),
            ("-", nil), ("\"\\x\"", nil), ("\"\\u12g4\"", nil), ("\"\n\"", nil), ("nul", nil), ("1 2", nil), ("\"", nil), ("\"\\", nil),
            ("{\"a\":1,}", nil), ("[1 2]", nil), ("\"\\u12", nil),
        ] as [(String, String?)])
    func json(text: String, written: String?) {
        #expect(rewritten(text) == written)
    }

    @Test("JSON that is nested deeper than we walk is a text", arguments: [1, 127, 128, 129, 100_000])
    func depth(levels: Int) {
        let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        #expect(rewritten(text) == (levels <= JSONText.depthMax ? text : nil))
        #expect(view(.with(["gen_ai.input.messages": text])).withLLM { $0.input } != nil)
    }

    @Test("escaped texts read as what they mean")
    func escapes() {
        let message = #"[{"role":"user","content":"a\"\\\/\b\f\n\r\té😀\ud83dz"}]"#
        let view = view(.with(["gen_ai.prompt": message]))
        #expect(view.withLLM { $0.inputText } == "a\"\\/\u{8}\u{c}\n\r\té😀\u{fffd}z")
        let chat = view.withLLM { llm in
            var json = JSONBytes()
            json.chat(llm.inputMessages)
            return String(decoding: json.bytes, as: UTF8.self)
        }
        #expect(chat == #"[{"role":"user","content":"a\"\\\/\b\f\n\r\té😀�z"}]"#)
    }

    @Test("text that is no UTF-8 is repaired on its way through JSON")
    func brokenUTF8() throws {
        var span = TestSpan()
        let bytes = Array(#"[{"role":"user","content":"a"#.utf8) + [0xff, 0xc3] + Array(#""}]"#.utf8)
        span.attributes = [TestSpan.Pair("gen_ai.prompt", .bytes(bytes))]
        // The same bytes as a string: no Swift string can hold them.
        var stored = span.stored
        let tag = try #require(stored.bytes.indices.last { stored.bytes[$0] == 0x3a && Int(stored.bytes[$0 + 1]) == bytes.count })
        stored.bytes[tag] = 0x0a
        let entry = entry(length: stored.bytes.count, resource: stored.resourceLength, scope: stored.scopeLength)
        let view = SpanView(segment: Segment(firstID: 1, payload: stored.bytes, entries: [entry]), index: 0)
        let chat = view.withLLM { llm in
            var json = JSONBytes()
            json.chat(llm.inputMessages)
            return String(decoding: json.bytes, as: UTF8.self)
        }
        #expect(chat == "[{\"role\":\"user\",\"content\":\"a\u{fffd}\u{fffd}\"}]")
    }

    @Test("a list is taken whole from one dialect, whatever the others hold")
    func oneDialect() {
        let view = view(
            .with([
                "llm.input_messages.0.message.content": "a", "llm.input_messages.2.message.content": "b",
                "gen_ai.prompt.0.content": "x", "gen_ai.prompt.1.content": "y", "gen_ai.prompt.2.content": "z",
            ]))
        #expect(view.withLLM { $0.inputText } == "a\nb")
    }

    @Test(
        "`gen_ai.prompt`, `gen_ai.prompt.name` and `gen_ai.prompt.0.role` are three things",
        arguments: [
            (["gen_ai.prompt": "p"], "p", nil), (["gen_ai.prompt.name": "n"], "", "n"), (["gen_ai.prompt.0.content": "i"], "i", nil),
            (["gen_ai.prompt.name": "n", "gen_ai.prompt.0.content": "i"], "i", "n"),
            (["gen_ai.prompt.name": "n", "gen_ai.prompt.0.content": "i", "gen_ai.prompt": "p"], "p", "n"),
            (["gen_ai.prompt.version": "1", "gen_ai.prompt.variable.0": "v"], "", nil),
        ] as [([String: String], String, String?)])
    func prompts(attributes: [String: String], input: String, name: String?) {
        #expect(view(.with(attributes)).withLLM { $0.inputText } == input)
        #expect(view(.with(attributes)).withLLM { $0.promptName?.string } == name)
    }

    @Test("indices count by their order, as numbers")
    func indices() {
        let names = (0..<12).shuffled().map { TestSpan.Pair("gen_ai.prompt.\($0 * 7).content", .string("\($0)")) }
        var span = TestSpan()
        span.attributes = names
        #expect(view(span).withLLM { $0.inputText } == (0..<12).map(String.init).joined(separator: "\n"))
    }

    @Test("damaged spans of every dialect are read without a crash, and what is written is JSON", arguments: Seeds.thisRun)
    func mutations(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for name in DialectTests.names {
            let stored = try DialectTests.span(name).stored
            for _ in 0..<20 {
                var bytes = stored.bytes
                for _ in 0...Int.random(in: 0...3, using: &rng) {
                    let at = Int.random(in: 0..<bytes.count, using: &rng)
                    // Half of the time with a byte that means something in JSON.
                    bytes[at] =
                        rng.chance(2)
                        ? UInt8.random(in: 0...255, using: &rng) : Array("{}[]\",:\\u0".utf8)[Int.random(in: 0..<10, using: &rng)]
                }
                let entry = entry(length: bytes.count, resource: stored.resourceLength, scope: stored.scopeLength)
                let span = SpanView(segment: Segment(firstID: 1, payload: bytes, entries: [entry]), index: 0)
                let json = DialectTests.compact(viewJSON(span))
                #expect(throws: Never.self, "\(name), again: TRACEFWD_SEED=\(seed) make test") { try JSON(json) }
            }
        }
    }
}
