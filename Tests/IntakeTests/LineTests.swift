import CShim
import Intake
import SpanModel
import Testing

@Suite("Lines")
struct LineTests {
    @Test("the vector of the OTLP contract comes out byte for byte")
    func vector() {
        let line = #"""
            {"resource":{"service.name":"shop"},"scope":{"name":"tracefwd"},"name":"chat gpt-4o","kind":"client","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","start_time":1700000000.0,"end_time":"2023-11-14T22:13:21Z","attributes":{"gen_ai.operation.name":"chat","gen_ai.request.model":"gpt-4o","gen_ai.usage.input_tokens":120,"gen_ai.usage.output_tokens":30},"status":"ok"}
            """#
        let request = bytes(
            "0af3010a180a160a0c736572766963652e6e616d6512060a0473686f7012d6010a0a0a08747261636566776412c7010a104bf92f3577b34da6a3ce929d0e0e4736120800f067aa0ba902b7"
                + "2a0b63686174206770742d346f30033900002a36fe9c97174100cac471fe9c97174a1f0a1567656e5f61692e6f7065726174696f6e2e6e616d6512060a04636861744a200a1467656e5f61"
                + "692e726571756573742e6d6f64656c12080a066770742d346f4a1f0a1967656e5f61692e75736167652e696e7075745f746f6b656e73120218784a200a1a67656e5f61692e75736167652e"
                + "6f75747075745f746f6b656e731202181e7a021801")
        let batch = parse(line).batch
        #expect(batch.payload == Array(request[3...]))  // the request's own tag and length
        #expect(
            batch.entries == [
                SpanEntry(
                    offset: 0, length: 243, resourceLength: 26, scopeLength: 12, receivedAt: receivedAt, traceHash: 0xa3ce_929d_0e0e_4736,
                    sender: 1_000, source: SourceID.unix.rawValue)
            ])
    }

    @Test("the contract's codes, all of them, and no others")
    func codes() {
        let plain: Set = [
            "invalid_json", "invalid_utf8", "not_an_object", "too_large", "too_deep", "missing_name", "bad_trace_id", "bad_span_id",
            "bad_timestamp",
            "truncated", "io_error", "rate_limited", "quota_exceeded", "unauthorized", "spool_full",
        ]
        let codes = Rejection.allCases.map(\.code)
        #expect(Set(codes).count == codes.count)
        #expect(Set(codes.filter { !$0.hasPrefix("bad_type:") }) == plain)
        #expect(codes.contains("bad_type:attributes") && codes.contains("bad_type:ack"))
    }

    @Test("what is no JSON to the end is that first, whatever its members mean")
    func precedence() {
        #expect(code(#"{"trace_id":"bad","x":tru}"#) == "invalid_json")
        #expect(code(#"{"name":1}x"#) == "invalid_json")
        #expect(code(#"[1,2"#) == "invalid_json")
        #expect(code(Array(#"{"trace_id":"bad","x":""#.utf8) + [0xff] + Array("\"}".utf8)) == "invalid_utf8")
        #expect(code(#"{"trace_id":"bad","span_id":"bad","kind":true}"#) == "bad_trace_id")
        #expect(code(#"{"kind":true,"trace_id":"bad"}"#) == "bad_type:kind")
        #expect(code(#"{"name":1,"a.b":"# + String(repeating: "[", count: 100) + String(repeating: "]", count: 100) + "}") == "too_deep")
    }

    // MARK: Limits

    @Test("64 levels are taken, 65 are too_deep, and 100,000 are so at once", arguments: ["[", "{\"a\":"])
    func depth(open: String) {
        let close = open == "[" ? "]" : "}"
        func line(_ levels: Int) -> String {
            "{\"name\":\"n\",\"x\":" + String(repeating: open, count: levels - 1) + (open == "[" ? "" : "1")
                + String(repeating: close, count: levels - 1) + "}"
        }
        #expect(code(line(64)) == nil)
        #expect(code(line(65)) == "too_deep")
        #expect(code(line(100_000)) == "too_deep")
        #expect(code(String(repeating: open, count: 100_000)) == "too_deep")
        #expect(code(line(11), limits: IntakeLimits(depth: 10)) == "too_deep")
        #expect(code(line(512), limits: IntakeLimits(depth: 1_000_000)) == nil)
        #expect(code(line(513), limits: IntakeLimits(depth: 1_000_000)) == "too_deep")
    }

    @Test("a line of 4 MiB is taken, one byte more is too_large")
    func size() {
        func line(_ bytes: Int) -> String { "{\"name\":\"\(String(repeating: "x", count: bytes - 11))\"}" }
        #expect(code(line(4 << 20)) == nil)
        #expect(code(line(4 << 20 + 1)) == "too_large")
        #expect(code(line(101), limits: IntakeLimits(spanBytes: 100)) == "too_large")
    }

    @Test("1,000 attributes are taken, short forms and unknown members among them; one more is too_large, an equal key is none more")
    func attributes() {
        func line(_ count: Int, _ more: String = "") -> String {
            "{\"name\":\"n\",\"attributes\":{\((0..<count).map { "\"k\($0)\":1" }.joined(separator: ","))}\(more)}"
        }
        #expect(code(line(1_000)) == nil)
        #expect(code(line(1_001)) == "too_large")
        #expect(code(line(1_000, ",\"provider\":\"p\"")) == "too_large")
        #expect(code(line(999, ",\"x\":1")) == nil)
        #expect(code(line(1_000, ",\"x\":1")) == "too_large")
        #expect(code("{\"name\":\"n\",\"attributes\":{\(String(repeating: "\"k\":1,", count: 5_000))\"k\":2}}") == nil)
        #expect(code("{\"name\":\"n\",\"attributes\":{\"m\":{\((0..<2_000).map { "\"k\($0)\":1" }.joined(separator: ","))}}}") == nil)
    }

    @Test("long names in usage cannot make much of little")
    func usageNames() {
        let outer = String(repeating: "o", count: 100_000)
        let inner = (0..<900).map { "\"i\($0)\":1" }.joined(separator: ",")
        let batch = parse("{\"name\":\"n\",\"usage\":{\"\(outer)\":{\(inner)}}}").batch
        #expect(batch.count == 1 && batch.payload.count < 300_000)
    }

    // MARK: Neighbours

    @Test("a rejected line leaves the batch as it was, and the next line is read as if nothing had happened")
    func neighbours() throws {
        let parser = LineParser()
        var batch = parse(Array(#"{"name":"first"}"#.utf8), with: parser).batch
        let before = batch
        for bad in [
            "{", "{}", #"{"name":"n","events":[{"name":"e"},{"time":"x"}]}"#, #"{"name":"n","attributes":{"a":[{"b":{"c":1"#, "[[[[",
            "\"\\ud800\"",
        ] {
            batch = parse(Array(bad.utf8), with: parser, into: batch).batch
            #expect(batch.payload == before.payload && batch.entries == before.entries)
        }
        batch = parse(Array(#"{"name":"second","attributes":{"a":1}}"#.utf8), with: parser, into: batch).batch
        #expect(batch.count == 2)
        #expect(try DecodedSpan(batch, at: 0).name == "first")
        #expect(try DecodedSpan(batch, at: 1).attributes == ["a": .int(1)])
    }

    @Test("equal lines make equal bytes, whatever was read between them")
    func stable() {
        let parser = LineParser()
        var random = SeededRandom(seed: runSeed)
        let line = Array(
            #"{"name":"n","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","input":"hello","metadata":{"a":[[{"b":"c"}]]},"resource":{"a":{"b":1}}}"#
                .utf8)
        let first = parse(line, with: parser).batch.payload
        for _ in 0..<50 {
            _ = parse(SpanGenerator.line(&random), with: parser)
            #expect(parse(line, with: parser).batch.payload == first)
        }
    }

    // MARK: Control lines

    @Test(
        "an object whose only member is ack is a control line where it can be answered",
        arguments: [
            (#"{"ack":7}"#, "7"), (#"{"ack":"a\"b"}"#, #""a\"b""#), (#" { "ack" : -1.5e3 } "#, "-1.5e3"), (#"{"\u0061ck":1}"#, "1"),
            (#"{"ack":1,"ack":2}"#, "2"),
            (#"{"ack":""}"#, #""""#),
        ])
    func control(line: String, value: String) {
        guard case .ack(let range) = parse(line, acceptsAck: true).result else {
            Issue.record("no control line: \(line)")
            return
        }
        #expect(Array(line.utf8)[range] == Array(value.utf8)[...])
        #expect(code(line) == "missing_name")
    }

    @Test(
        "an ack of another type is bad_type:ack; a broken one is no JSON; beside other members it is a member",
        arguments: [
            (#"{"ack":null}"#, "bad_type:ack"), (#"{"ack":true}"#, "bad_type:ack"), (#"{"ack":[1]}"#, "bad_type:ack"),
            (#"{"ack":{}}"#, "bad_type:ack"),
            (#"{"ack":1"#, "invalid_json"), (#"{"ack":1}}"#, "invalid_json"), (#"{"ack":}"#, "invalid_json"),
            (#"{"ack":1,"x":2}"#, "missing_name"),
            (#"{"acknowledged":1}"#, "missing_name"), ("{}", "missing_name"), (#"{"ack":1,"name":"n"}"#, nil),
            (#"{"name":"n","ack":1}"#, nil),
        ] as [(String, String?)])
    func notControl(line: String, expected: String?) {
        let outcome = parse(line, acceptsAck: true)
        if case .rejected(let rejection) = outcome.result {
            #expect(rejection.code == expected)
        } else {
            #expect(outcome.result == .span && expected == nil)
        }
    }

    // MARK: The scan in C

    @Test("the scan for plain text finds the same end, by 16 bytes, by 8, and by one")
    func scan() {
        var random = SeededRandom(seed: runSeed)
        for _ in 0..<20_000 {
            let plain = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                random.pick([0x20, 0x21, 0x41, 0x5b, 0x5d, 0x7e, 0x7f] as [UInt8])
            }
            let special = random.pick([[], [0x22], [0x5c], [0x00], [0x1f], [0x80], [0xff], [0xe2]] as [[UInt8]])
            let bytes =
                plain + special + (0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            let expected =
                special.isEmpty ? bytes.firstIndex { $0 < 0x20 || $0 >= 0x80 || $0 == 0x22 || $0 == 0x5c } ?? bytes.count : plain.count
            var copy = [UInt8](repeating: 0, count: bytes.count + 1)
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let end = base + buffer.count
                #expect(tracefwd_plain_end(base, end) - base == expected)
                #expect(tracefwd_plain_end_portable(base, end) - base == expected)
                copy.withUnsafeMutableBufferPointer { copy in
                    guard let to = copy.baseAddress else { return }
                    #expect(tracefwd_plain_copy(to, base, end) - base == expected)
                }
            }
            #expect(Array(copy[..<expected]) == Array(bytes[..<expected]))
            #expect(copy[bytes.count] == 0, "written beyond the line's length")
        }
    }
}
