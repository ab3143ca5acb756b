import Intake
import SpanModel
import Testing

/// What a line becomes may not depend on the lines before it, though the parser remembers their keys.
@Suite("Keys that were read before")
struct FamiliarKeyTests {
    static let ids = #""trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef""#

    static let lines: [String] = [
        #"{\#(ids),"name":"a","kind":"client","model":"m","session_id":"s","attributes":{"x.a":1,"x.b":[true]},"status":"ok"}"#,
        // Less, more, in another order, with other white space.
        #"{\#(ids),"name":"a","model":"m","attributes":{"x.b":1},"status":"error"}"#,
        #"{\#(ids),"name":"a","kind":"client","user_id":"u","model":"m","session_id":"s","status":"ok"}"#,
        #"{"status":"ok",\#(ids),"session_id":"s","kind":"server","name":"a"}"#,
        #"{\#(ids), "name": "a", "kind": "client", "model": "m", "session_id": "s", "attributes": {"x.a": 1}, "status": "ok"}"#,
        #"{\#(ids),"name" :"a","kind":  "client"  ,"model"  :  "m","session_id":"s"}"#,
        "{\(ids)\t,\n\"name\"\t:\n\"a\",\"kind\":\"client\"}",
        // The same keys where they mean something else, and written otherwise.
        #"{\#(ids),"name":"a","events":[{"name":"e","time":1,"kind":2},{"name":"f","attributes":{"name":1}}],"status":{"code":"ok"}}"#,
        #"{\#(ids),"name":"a","usage":{"name":1,"input_tokens":3},"error":{"type":"t","message":"m"}}"#,
        #"{\#(ids),"n\u0061me":"a","\u006bind":"client","model":"m"}"#,
        #"{\#(ids),"näme":"ä","name":"a","kïnd":"client"}"#,
        // Keys that begin alike, stand twice, are empty, or longer than what is remembered.
        #"{\#(ids),"name":"a","names":"b","nam":"c","name":"d","":"e","":"f"}"#,
        #"{\#(ids),"name":"a","a.key.that.is.longer.than.what.a.parser.remembers.of.one":1,"kind":"client"}"#,
        #"{\#(ids),"name":"a","a.key.that.is.longer.than.what.a.parser.remembers.of.on":1,"kind":"client"}"#,
        #"{\#(ids),"name":"a"\#((0..<100).map { ",\"k.\($0)\":\($0)" }.joined())}"#,
        #"{\#(ids),"name":"a"\#((0..<100).map { ",\"k.\(99 - $0)\":\($0)" }.joined())}"#,
        // What is wrong, right behind a key that is familiar.
        #"{\#(ids),"name":"a","kind":}"#,
        #"{\#(ids),"name":"a","kind":"#,
        #"{\#(ids),"name":"a","kind": "#,
        #"{\#(ids),"name":"a","kind""#,
        #"{\#(ids),"name":"a","kind":"client","model"}"#,
        #"{\#(ids),"name":"a",,"kind":"client"}"#,
        #"{\#(ids),"name":"a","kind":"client",}"#,
        "{\(ids),\"name\":\"a\",\"kind\":\u{0}\"client\"}",
        "{\(ids),\"name\":\"a\",\(String(repeating: "\u{0}", count: 64))}",
        // Not a span at all.
        #"{"ack":1}"#, #"{"ack":1,"ack":"two"}"#, #"{"\u0061ck":1}"#, #"{"ack":1,\#(ids),"name":"a"}"#, #"{ "ack" : 1 }"#, #"{"ac":1}"#,
        "{}", "[]",
        "{",
    ]

    @Test("a line becomes the same whatever was read before it")
    func memory() {
        for before in Self.lines {
            for line in Self.lines {
                let alone = parse(Array(line.utf8), with: LineParser(), acceptsAck: true)
                let parser = LineParser()
                _ = parse(Array(before.utf8), with: parser, acceptsAck: true)
                // The second time its own keys are familiar, as far as they may be.
                for _ in 0..<3 {
                    let outcome = parse(Array(line.utf8), with: parser, acceptsAck: true)
                    #expect(outcome.result == alone.result, "\(line) behind \(before)")
                    #expect(outcome.batch.payload == alone.batch.payload, "\(line) behind \(before)")
                }
            }
        }
    }

    @Test("each byte of a familiar line may be another one, and any end may be missing")
    func everyByte() {
        let line = Array(Self.lines[0].utf8)
        let parser = LineParser()
        let check = { (changed: [UInt8]) in
            _ = parse(line, with: parser)
            let (alone, outcome) = (parse(changed, with: LineParser()), parse(changed, with: parser))
            let same = alone.result == outcome.result && alone.batch.payload.count == outcome.batch.payload.count
            #expect(same, "\(String(decoding: changed, as: UTF8.self)) became \(outcome.result), not \(alone.result)")
        }
        for index in line.indices {
            check(Array(line[..<index]))
            for byte in [0x00, 0x20, 0x22, 0x3a, 0x5c, 0x61, 0x7d, 0xc3] as [UInt8] {
                var changed = line
                changed[index] = byte
                check(changed)
            }
        }
    }
}
