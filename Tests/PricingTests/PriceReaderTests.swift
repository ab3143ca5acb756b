import Testing

@testable import Pricing

@Suite("Reading prices")
struct PriceReaderTests {
    @Test(
        "each mistake in own prices says where it is, what it is and what would be right",
        arguments: [
            (#"{"m": {"imput": 1}}"#, "tracefwd.yaml:1:17: models.m: unknown key \"imput\"; known are `input`"),
            (#"{"m": {"output": 1}}"#, "tracefwd.yaml:1:7: models.m: `input` is required"),
            (#"{"m": {"input": -1}}"#, "models.m.input: \"-1\" is no price; it is USD per 1,000,000 tokens, 0 to 1000000, to 12 decimals"),
            (#"{"m": {"input": "free"}}"#, "models.m.input: \"free\" is no price"), (#"{"m": {"input": 1e-13}}"#, "is no price"),
            (#"{"m": {"input": 1000001}}"#, "is no price"), (#"{"m": {"input": [1]}}"#, "models.m.input: a number or a text is required"),
            (#"{"m": 3}"#, "models.m: a section is required"), (#"["m"]"#, "tracefwd.yaml:1:1: models: a section is required"),
            (#"{"m": {"input": 1, "input": 2}}"#, "\"input\" stands twice"),
            (#"{"a*b": {"input": 1}}"#, "a * stands before or behind a name"),
            (#"{"*": {"input": 1}}"#, "a * stands"), (#"{"": {"input": 1}}"#, "the model's name is empty"),
            (#"{"m": {"input": 1, "from": "2026-02-30"}}"#, "models.m.from: \"2026-02-30\" is no day; write it as 2026-10-29"),
            (#"{"m": {"input": 1, "above": [{"input": 2}]}}"#, "models.m.above[0].input_tokens: a number of tokens is required"),
            (
                #"{"m": {"input": 1, "above": [{"input_tokens": 5, "input": 2}, {"input_tokens": 5, "input": 3}]}}"#,
                "models.m.above[1]: two rows hold"
            ),
            (
                #"{"m": {"input": 1, "windows": [{"input": 2, "daily_utc": ["1:00", "25:00"]}]}}"#,
                "models.m.windows[0].daily_utc: two times"
            ),
            (#"{"m": {"input": 1, "variants": [{"input": 2}]}}"#, "models.m.variants[0]: `when` is required"),
            (#"{"m": {"input": 1, "variants": [{"input": 2, "when": {"tier": "x"}}]}}"#, "models.m.variants[0].when: unknown key \"tier\""),
            (#"{"m": {"input": 1, "match": {"any": []}}}"#, "models.m.match.any: at least one condition"),
            (#"{"m": {"input": 1, "match": {"equals": "a", "prefix": "b"}}}"#, "models.m.match: exactly one condition"),
            (#"{"m": {"input": 1, "match": {"regex": "(a"}}}"#, "models.m.match.regex: pattern \"(a\""),
            (#"{"m": {"input": 1, "match": {"regex": "a(?=b)"}}}"#, "models.m.match.regex: pattern"),
        ])
    func mistakes(json: String, told: String) throws {
        let error = try #require(throws: PriceError.self) { try ownPrices(json) }
        #expect(error.description.contains(told), "\(error)")
    }

    @Test("all mistakes come at once")
    func atOnce() throws {
        let error = try #require(throws: PriceError.self) {
            try ownPrices(#"{"a": {"input": -1, "outptu": 2}, "b": {}, "c*d": {"input": "x"}}"#)
        }
        #expect(error.mistakes.count == 5, "\(error)")
    }

    @Test(
        "a file that is no table says what is missing",
        arguments: [
            ("{}", "prices.json:1:1: `providers` and `models` are required"), ("", "prices.json:1:1: no JSON value"),
            (
                "{\n \"unit\": \"EUR per token\", \"providers\": [], \"models\": []}",
                "prices.json:2:10: unit: the unit is \"USD per 1,000,000 tokens\""
            ),
            (
                #"{"providers": [{"id": "a"}], "models": [{"provider": "b", "model": "m", "match": {"equals": "m"}, "input": 1}]}"#,
                "models[0].provider: \"b\" is none of `providers`"
            ),
            (#"{"providers": [{"names": ["a"]}], "models": []}"#, "providers[0]: `id` is required"),
            (#"{"providers": [{"id": "a", "api": "("}], "models": []}"#, "providers[0].api: pattern"),
            (#"{"providers": [{"id": "a"}], "models": [{"provider": "a", "model": "m", "input": 1}]}"#, "models[0]: `match` is required"),
            (#"{"providers": [{"id": "a"}], "models": [{"input": 1}]}"#, "models[0]: `provider` and `model` are required"),
        ])
    func tables(json: String, told: String) throws {
        let error = try #require(throws: PriceError.self) { try PriceTable(json: Array(json.utf8), file: "prices.json") }
        #expect(error.description.contains(told), "\(error)")
    }

    @Test(
        "what is no JSON is refused at its place",
        arguments: [
            ("{\"a\": 1,}", "1:9"), ("[1 2]", "1:4"), ("{\"a\" 1}", "1:6"), ("[\"a\n\"]", "1:4"), ("[\"\\x\"]", "1:5"),
            ("[\"\\u12\"]", "1:5"),
            ("[\"\\ud800x\"]", "1:9"), ("[1] 2", "1:5"), ("{\n  \"a\": nope}", "2:8"), ("[", "1:2"), ("\"a", "1:3"),
            (String(repeating: "[", count: 100_000), "1:33"),
        ])
    func json(text: String, place: String) throws {
        let error = try #require(throws: PriceError.self) { try PriceValue(json: Array(text.utf8), file: "x") }
        #expect(error.mistakes.first?.place == "x:\(place)", "\(error)")
    }

    @Test("escapes are read, and numbers stay as they are written")
    func escapes() throws {
        let value = try PriceValue(json: Array(#"["\u00e9\ud83d\ude00\n\"\\\/", 0.10, null, true]"#.utf8), file: "x")
        guard case .list(let values) = value.content, values.count == 4 else {
            Issue.record("not a list of four")
            return
        }
        let texts = values.map { if case .text(let text) = $0.content { text } else { "-" } }
        #expect(texts == ["é😀\n\"\\/", "0.10", "-", "true"])
    }

    @Test("chance cuts and changes of a table are read or refused, never more", arguments: 1...5 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let text = Array(
            #"{"m": {"input": 1.5, "from": "2026-01-01", "above": [{"input_tokens": 5, "input": 2}], "match": {"any": [{"regex": "^a(?!b)"}, {"prefix": "\u0041"}]}}}"#
                .utf8)
        for _ in 0..<3_000 {
            var changed = text
            for _ in 0..<Int.random(in: 1...3, using: &rng) {
                changed[Int.random(in: changed.indices, using: &rng)] =
                    Bool.random(using: &rng) ? .random(in: 0...255, using: &rng) : text.randomElement(using: &rng) ?? 0
            }
            if Bool.random(using: &rng) { changed.removeLast(Int.random(in: 0..<changed.count, using: &rng)) }
            do {
                _ = try OwnPrices(PriceValue(json: changed, file: "x"))
            } catch {
                #expect(!error.mistakes.isEmpty && error.mistakes.allSatisfy { $0.place.hasPrefix("x:") }, "seed \(seed)")
            }
        }
    }

    @Test(
        "days are counted as the calendar does",
        arguments: [("1970-01-01", 0), ("1970-03-01", 59), ("2000-02-29", 11_016), ("2026-10-29", 20_755), ("0001-01-01", -719_162)])
    func days(text: String, number: Int) { #expect(Day(text)?.number == number) }

    @Test(
        "what is no day is none",
        arguments: ["2026-2-03", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "+026-01-01", "2026-01-01-", ""])
    func noDays(text: String) { #expect(Day(text) == nil) }
}
