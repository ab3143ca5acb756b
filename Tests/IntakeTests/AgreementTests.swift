import Intake
import SpanModel
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// The seed of this run: TRACEFWD_SEED, or another one each time.
let runSeed = environment("TRACEFWD_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// What is wrong with what the parser makes of a line, nil if nothing is.
func disagreement(_ line: [UInt8], _ parser: LineParser) -> String? {
    let before = parse(#"{"name":"before"}"#).batch
    let outcome = parse(line, with: parser, into: before)
    switch (expectation(line), outcome.result) {
    case (.rejected(let code), .rejected(let rejection)):
        if outcome.batch.payload != before.payload || outcome.batch.entries != before.entries { return "a rejected line changed the batch" }
        return code == rejection.code ? nil : "rejected as \(rejection.code), not \(code)"
    case (.span(var expected), .span):
        do {
            guard outcome.batch.count == 2 else { return "\(outcome.batch.count - 1) spans" }
            let decoded = try DecodedSpan(outcome.batch, at: 1)
            if expected.traceID.isEmpty { expected.traceID = decoded.traceID }
            if expected.spanID.isEmpty { expected.spanID = decoded.spanID }
            return decoded == expected ? nil : "became \(decoded), not \(expected)"
        } catch {
            return "\(error)"
        }
    case (let expected, let result): return "\(result), not \(expected)"
    }
}

@Suite("What the parser makes of lines, against the contract written down a second time")
struct AgreementTests {
    @Test("thousands of generated spans become what the contract says")
    func generated() {
        var random = SeededRandom(seed: runSeed)
        let parser = LineParser()
        var accepted = 0
        for _ in 0..<2_000 {
            let line = SpanGenerator.line(&random)
            if case .span = expectation(line) { accepted += 1 }
            if let disagreement = disagreement(line, parser) {
                Issue.record("again: TRACEFWD_SEED=\(runSeed); \(disagreement); \(String(decoding: line, as: UTF8.self))")
                return
            }
        }
        #expect(accepted > 1_000, "most of what is generated ought to be a span")
    }

    @Test("spans with bytes changed, cut and doubled are read or rejected as the contract says, and nothing crashes")
    func mutated() {
        var random = SeededRandom(seed: runSeed &+ 1)
        let parser = LineParser()
        let seconds = environment("TRACEFWD_FUZZ_SECONDS").flatMap { Double($0) } ?? 2
        let deadline = ContinuousClock.now + .seconds(seconds)
        var lines = (0..<50).map { _ in SpanGenerator.line(&random) }
        while ContinuousClock.now < deadline {
            let index = Int.random(in: 0..<lines.count, using: &random)
            let line = Mutator.mutated(lines[index], other: random.pick(lines), &random)
            // Its keys are familiar then, all but those that were changed.
            if random.one(in: 2) { _ = parse(lines[index], with: parser) }
            if let disagreement = disagreement(line, parser) {
                Issue.record("again: TRACEFWD_SEED=\(runSeed); \(disagreement); \(String(decoding: line, as: UTF8.self)); \(line)")
                return
            }
            // What was accepted is mutated further, for a while.
            if case .span = expectation(line), line.count < 4_000 {
                lines[index] = line
            } else if random.one(in: 50) {
                lines[index] = SpanGenerator.line(&random)
            }
        }
    }
}

/// Spans as applications might send them, and as they might not.
enum SpanGenerator {
    static func line(_ random: inout SeededRandom) -> [UInt8] {
        var members: [String] = []
        if !random.one(in: 8) { members.append(#""name":"# + string(&random)) }
        let known = [
            "trace_id", "trace_state", "flags", "span_id", "parent_span_id", "kind", "start_time", "end_time", "start_time_unix_nano",
            "end_time_unix_nano", "duration_ms", "status", "attributes", "events", "links", "resource", "scope", "schema_url",
            "dropped_attributes_count", "dropped_events_count", "dropped_links_count", "model", "response_model", "provider", "operation",
            "input", "output", "usage", "cost_usd", "session_id", "user_id", "environment", "service", "tags", "metadata", "error",
        ]
        for _ in 0..<Int.random(in: 0...14, using: &random) {
            let name = random.pick(known)
            members.append("\"\(name)\":" + (random.one(in: 60) ? value(&random, 3) : member(name, &random)))
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) { members.append(string(&random) + ":" + value(&random, 3)) }
        if random.one(in: 6), let again = members.randomElement(using: &random) { members.append(again) }
        if random.one(in: 6) { members.append("\"\(random.pick(known))\":" + member(random.pick(known), &random)) }
        members.shuffle(using: &random)
        return Array(object(members, &random).utf8)
    }

    private static func space(_ random: inout SeededRandom) -> String {
        random.one(in: 12) ? random.pick([" ", "  ", "\t", "\r", "\n "]) : ""
    }

    private static func object(_ members: [String], _ random: inout SeededRandom) -> String {
        let separator = space(&random) + "," + space(&random)
        return "{" + space(&random) + members.joined(separator: separator) + space(&random) + "}"
    }

    private static func list(_ elements: [String]) -> String { "[" + elements.joined(separator: ",") + "]" }

    private static func some(_ count: Int, _ random: inout SeededRandom, _ make: (inout SeededRandom) -> String) -> [String] {
        (0..<Int.random(in: 0...count, using: &random)).map { _ in make(&random) }
    }

    private static func member(_ name: String, _ random: inout SeededRandom) -> String {
        if random.one(in: 30) { return "null" }
        switch name {
        case "trace_id": return id(32, &random)
        case "span_id", "parent_span_id": return id(16, &random)
        case "flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count":
            return random.pick(["0", "1", "257", "4294967295"])
        case "kind":
            return random.pick([
                #""client""#, #""Server""#, #""INTERNAL""#, #""SPAN_KIND_PRODUCER""#, #""span_kind_consumer""#, "0", "3", "5",
            ])
        case "start_time", "end_time": return time(&random)
        case "start_time_unix_nano", "end_time_unix_nano":
            return random.pick(["1700000000000000000", #""1700000000500000001""#, "0", "17e17", #""18446744073709551615""#])
        case "duration_ms": return random.pick(["0", "12", "1500.25", "0.0000019", "1e3", "2.5E-3", "-0", "-7", "99999999999"])
        case "status":
            let code = random.pick([#""ok""#, #""ERROR""#, #""unset""#, "2", #""STATUS_CODE_OK""#, "null"])
            if random.one(in: 2) { return code }
            return object(
                ["\"code\":\(code)", "\"message\":" + string(&random)] + some(1, &random) { string(&$0) + ":" + value(&$0, 1) }, &random)
        case "attributes", "resource", "metadata": return attributes(&random)
        case "events": return list(some(3, &random) { event(&$0) })
        case "links": return list(some(2, &random) { link(&$0) })
        case "scope":
            return object(
                ["\"name\":" + string(&random), "\"version\":\"1.2\""] + some(1, &random) { "\"attributes\":" + attributes(&$0) }
                    + some(1, &random) { string(&$0) + ":" + value(&$0, 1) }, &random)
        case "usage": return usage(&random)
        case "cost_usd": return random.pick(["0.0125", "1", "3.0e-4"])
        case "tags": return list(some(3, &random) { string(&$0) })
        case "session_id", "user_id":
            return random.one(in: 3) ? random.pick(["42", "1.50", "123456789012345678901234567890"]) : string(&random)
        case "input", "output": return random.one(in: 2) ? string(&random) : value(&random, 4)
        case "operation": return random.pick([#""chat""#, #""invoke_agent""#, #""execute_tool""#, #""embeddings""#, #""""#])
        case "error":
            if random.one(in: 2) { return string(&random) }
            return object(
                some(2, &random) { "\"type\":" + string(&$0) } + some(1, &random) { "\"message\":" + string(&$0) }
                    + some(1, &random) { string(&$0) + ":" + value(&$0, 1) }, &random)
        default: return string(&random)
        }
    }

    private static func event(_ random: inout SeededRandom) -> String {
        object(
            some(2, &random) { "\"name\":" + string(&$0) } + some(1, &random) { "\"time\":" + time(&$0) }
                + some(2, &random) { "\"attributes\":" + attributes(&$0) } + some(1, &random) { _ in "\"dropped_attributes_count\":3" }
                + some(2, &random) { string(&$0) + ":" + value(&$0, 1) }, &random)
    }

    private static func link(_ random: inout SeededRandom) -> String {
        object(
            ["\"trace_id\":" + id(32, &random), "\"span_id\":" + id(16, &random)] + some(1, &random) { "\"trace_state\":" + string(&$0) }
                + some(1, &random) { _ in "\"flags\":1" } + some(2, &random) { "\"attributes\":" + attributes(&$0) }
                + some(1, &random) { string(&$0) + ":" + value(&$0, 1) }, &random)
    }

    private static func usage(_ random: inout SeededRandom) -> String {
        let names = [
            "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "prompt_tokens",
            "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "total_tokens", "service_tier", "cached_tokens",
        ]
        let details = ["prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details", "other"]
        return object(
            some(8, &random) { "\"\($0.pick(names))\":" + ($0.one(in: 15) ? value(&$0, 2) : "\(Int.random(in: 0...5_000, using: &$0))") }
                + some(2, &random) { random in
                    let inner = some(3, &random) { "\"\($0.pick(names))\":\(Int.random(in: 0...99, using: &$0))" }
                    return "\"\(random.pick(details))\":" + object(inner, &random)
                }, &random)
    }

    private static func attributes(_ random: inout SeededRandom) -> String {
        // Now and then more keys than the parser compares one by one, and most of them more than once.
        let count = random.one(in: 60) ? 160 : 6
        return object(some(count, &random) { key(&$0) + ":" + value(&$0, $0.one(in: 10) ? 12 : 3) }, &random)
    }

    private static func key(_ random: inout SeededRandom) -> String {
        let names = [
            "gen_ai.request.model", "gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.usage.input_tokens",
            "service.name", "deployment.environment.name", "session.id", "error.type", "tracefwd.cost_usd", "tracefwd.tags", "a", "b", "",
        ]
        if random.one(in: 3) { return "\"llm.input_messages.\(Int.random(in: 0...90, using: &random)).message.content\"" }
        return random.one(in: 2) ? "\"\(random.pick(names))\"" : string(&random)
    }

    static func value(_ random: inout SeededRandom, _ depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
        case 0: return random.pick(["null", "true", "false"])
        case 1, 2: return number(&random)
        case 6: return list(some(depth > 3 ? 2 : 4, &random) { value(&$0, depth - 1) })
        case 7, 8: return object(some(depth > 3 ? 2 : 4, &random) { key(&$0) + ":" + value(&$0, depth - 1) }, &random)
        default: return string(&random)
        }
    }

    private static func number(_ random: inout SeededRandom) -> String {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return "\(Int64.random(in: Int64.min...Int64.max, using: &random))"
        case 1: return "\(Int.random(in: -200...200, using: &random))"
        case 2: return "\(Double.random(in: -1...1, using: &random))"
        case 3:
            return "\(Double(bitPattern: random.next()))".replacing("inf", with: "1").replacing("nan", with: "2").replacing("+", with: "")
        case 4:
            return random.pick([
                "-0", "0", "-0.0", "0e5", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
                "1e999",
                "-1E+400", "1e-400", "123456789012345678901234567890", "9007199254740993.0", "1e22", "1e23", "5e-324", "0.1e1",
                "2.2250738585072011e-308",
            ])
        default:
            return
                "\(Int.random(in: 0...9, using: &random)).\(Int.random(in: 0...99_999_999, using: &random))e\(Int.random(in: -30...30, using: &random))"
        }
    }

    private static func string(_ random: inout SeededRandom) -> String {
        var text = "\""
        let pieces = [
            "a", "word", " ", "plain text of some length, more than sixteen bytes", "\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\u00e9",
            "\\u20AC",
            "\\ud83d\\ude00", "\\u0000", "é", "€", "😀", "日本語", ".", "user.id", "\u{7f}",
        ]
        for _ in 0..<Int.random(in: 0...(random.one(in: 10) ? 60 : 4), using: &random) { text += random.pick(pieces) }
        if random.one(in: 60) { text += String(repeating: "x", count: Int.random(in: 100...20_000, using: &random)) }
        return text + "\""
    }

    private static func id(_ digits: Int, _ random: inout SeededRandom) -> String {
        if random.one(in: 40) { return random.pick([#""""#, #""00000000000000000000000000000000""#, #""0000000000000000""#, #""xyz""#]) }
        let alphabet = Array("0123456789abcdefABCDEF")
        var text = String((0..<digits).map { _ in random.pick(alphabet) })
        if digits == 32, random.one(in: 5) {
            for at in [20, 16, 12, 8] { text.insert("-", at: text.index(text.startIndex, offsetBy: at)) }
        }
        return "\"\(text)\""
    }

    private static func time(_ random: inout SeededRandom) -> String {
        let seconds = Int.random(in: 0...4_000_000_000, using: &random)
        let two = { (range: ClosedRange<Int>, random: inout SeededRandom) in
            let number = Int.random(in: range, using: &random)
            return number < 10 ? "0\(number)" : "\(number)"
        }
        switch Int.random(in: 0..<9, using: &random) {
        case 0: return "\(seconds)"
        case 1: return "\(seconds).\(Int.random(in: 0...999_999_999_999, using: &random))"
        case 2: return "\(seconds)000"
        case 3: return "\"\(seconds)123456\""
        case 4: return "\(seconds)123456789"
        case 5: return "\(Int.random(in: 1...9, using: &random)).\(seconds)e\(Int.random(in: 0...20, using: &random))"
        default:
            let date = "\(Int.random(in: 1968...2560, using: &random))-\(two(1...12, &random))-\(two(1...31, &random))"
            let clock = "\(two(0...24, &random)):\(two(0...59, &random)):\(two(0...60, &random))"
            let fraction = random.pick(["", ".5", ".123456789", ".1234567899"])
            return "\"\(date)\(random.pick(["T", "t", " "]))\(clock)\(fraction)\(random.pick(["Z", "z", "+05:30", "-23:59", "+00:00"]))\""
        }
    }
}

/// Changes at the level of bytes, most of which leave something that is nearly JSON.
enum Mutator {
    private static let tokens: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "null", "true", "false", "-", "0", "1e9", ".", "\"a\":1,",
            "\"name\":\"x\",",
            "\"ack\":1,", "\"model\":\"m\",", " ", "\n", "\"attributes\":{},", "[[", "{\"a\":",
        ].map { Array($0.utf8) } + [
            [0xef, 0xbb, 0xbf], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0xe2, 0x82], [0x00], [0x1f],
        ]

    static func mutated(_ line: [UInt8], other: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var line = line
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            guard !line.isEmpty else { return random.pick(tokens) }
            let at = Int.random(in: 0..<line.count, using: &random)
            let end = min(line.count, at + Int.random(in: 1...(random.one(in: 4) ? 200 : 8), using: &random))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: line[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: line[at] = UInt8.random(in: 0...255, using: &random)
            case 2: line.insert(contentsOf: random.pick(tokens), at: at)
            case 3: line.removeSubrange(at..<end)
            case 4: line.insert(contentsOf: line[at..<end], at: at)
            case 5: line.replaceSubrange(at..<end, with: random.pick(tokens))
            default:
                let from = Int.random(in: 0..<other.count, using: &random)
                line.insert(contentsOf: other[from..<min(other.count, from + 40)], at: at)
            }
        }
        return line
    }
}
