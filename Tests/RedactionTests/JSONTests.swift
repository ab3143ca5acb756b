import Foundation
import Testing

@testable import Redaction

@Suite("JSON in texts")
struct JSONTests {
    @Test(
        "a document is searched as it reads, and every other byte stays",
        arguments: [
            (#"{"a":"jane@example.com"}"#, #"{"a":"[email]"}"#),
            (#" [ "jane\u0040example.com" , "x" ] "#, #" [ "[email]" , "x" ] "#),
            (#"["a\njane@example.com\tb \"q\" \/ \u00e9"]"#, #"["a\n[email]\tb \"q\" \/ \u00e9"]"#),
            (#"["😀 jane@example.com 😀"]"#, #"["😀 [email] 😀"]"#),
            (#"["\ud83d\ude00jane@example.com"]"#, #"["\ud83d\ude00[email]"]"#),
            (#""jane@example.com""#, #""[email]""#),
            (#"{"jane@example.com":{"ssn":"x"}}"#, #"{"[email]":{"ssn":"x"}}"#),
            (
                #"{"pan":4111111111111111,"n":[4111111111111112,-4111111111111111,4111111111111111.0]}"#,
                #"{"pan":"[credit_card]","n":[4111111111111112,-4111111111111111,4111111111111111.0]}"#
            ),
            (#"{"ssn":123456789,"SSN": "123456789","id":123456789}"#, #"{"ssn":"[us_ssn]","SSN": "[us_ssn]","id":123456789}"#),
            (#"{"Authorization": "Bearer abcdefghijklmnopqrst"}"#, #"{"Authorization": "Bearer [secret]"}"#),
            (#"{"authorization":"Bearer abcdefghijk\u006cmnopqrst"}"#, #"{"authorization":"Bearer [secret]"}"#),
            (#"{"authorization":"Bearer abcdefghijklmnopqrst\n"}"#, #"{"authorization":"Bearer [secret]\n"}"#),
            (#"["https:\/\/user:hunter\u0032@db","{\"a\":\"\\u0068f_\"}"]"#, #"["https:\/\/user:[secret]@db","{\"a\":\"\\u0068f_\"}"]"#),
            (#"{"version":"1.2.3.4","ip":"1.2.3.4"}"#, #"{"version":"1.2.3.4","ip":"[ip_address]"}"#),
            (
                #"{"args":"{\"to\":\"jane\\u0040example.com\",\"pan\":4111111111111111}"}"#,
                #"{"args":"{\"to\":\"[email]\",\"pan\":\"[credit_card]\"}"}"#
            ),
            (#"["[4111111111111111]"]"#, #"["[\"[credit_card]\"]"]"#),
            (#"["-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"]"#, #"["[secret]\n"]"#),
        ])
    func documents(text: String, redacted: String) throws {
        #expect(try redact(text) == redacted)
        #expect(try JSONSerialization.jsonObject(with: Data(redacted.utf8), options: .fragmentsAllowed) is NSObject)
    }

    @Test(
        "a document that is cut off is searched as far as it goes; what is none, as plain text",
        arguments: [
            (#"{"a":"x\n4111111111111111 and j"#, #"{"a":"x\n[credit_card] and j"#),
            (#"{"a":"jane\u0040example.com\u00"#, #"{"a":"[email]\u00"#),
            (#"{"a":"jane\u0040example.com\"#, #"{"a":"[email]\"#),
            (#"{"a":4111111111111111"#, #"{"a":"[credit_card]""#),
            (#"{"a":"jane@example.com","b":tr"#, #"{"a":"[email]","b":tr"#),
            (#"{"a":"jane@example.com"}}"#, #"{"a":"[email]"}}"#),
            (#"[INST] jane@example.com [/INST]"#, #"[INST] [email] [/INST]"#),
            (#""jane@example.com" is quoted"#, #""[email]" is quoted"#),
            (#"[1-800-555-0199]"#, #"[[phone]]"#),
            ("4111111111111111", "[credit_card]"),
            (#"["\ud83djane@example.com\ud83d"]"#, #"["\ud83d[email]\ud83d"]"#),
            (#"{"path":"C:\users\jane","a":"\u0040jane\u0040example.com"}"#, #"{"path":"C:\users\jane","a":"\u0040[email]"}"#),
            (#"Result: {"a":"x\n4111111111111111"}"#, #"Result: {"a":"x\n[credit_card]"}"#),
        ])
    func others(text: String, redacted: String) throws {
        #expect(try redact(text) == redacted)
    }

    @Test("a replacement is escaped for each string that it lies in")
    func escapes() throws {
        let rules: [RedactionRule] = [.entity(.email, as: "say \"hi\"\n\u{1}\\")]
        #expect(try redact("jane@example.com", rules) == "say \"hi\"\n\u{1}\\")
        #expect(try redact(#"["jane@example.com"]"#, rules) == #"["say \"hi\"\n\u0001\\"]"#)
        let nested = try redact(#"["[\"jane@example.com\"]"]"#, rules)
        let outer = try #require(try JSONSerialization.jsonObject(with: Data(nested.utf8)) as? [String])
        let inner = try #require(try JSONSerialization.jsonObject(with: Data(outer[0].utf8)) as? [String])
        #expect(inner == ["say \"hi\"\n\u{1}\\"])
    }

    @Test("JSON in JSON is read to a depth, and what lies deeper is still found and breaks nothing")
    func depth() throws {
        var text = #"{"to":"jane@example.com"}"#
        for _ in 0..<12 {
            let data = try JSONSerialization.data(withJSONObject: [text])
            text = String(decoding: data, as: UTF8.self)
            var redacted = try redact(text)
            #expect(redacted.contains("[email]") && !redacted.contains("jane"))
            while let strings = try? JSONSerialization.jsonObject(with: Data(redacted.utf8)) as? [String] { redacted = strings[0] }
            #expect(redacted == #"{"to":"[email]"}"#)
        }
        let deep = String(repeating: "[", count: 100_000) + #""jane@example.com""# + String(repeating: "]", count: 100_000)
        #expect(try redact(deep).contains(#"["[email]"]"#))
    }

    @Test("the result of a valid document is a valid document of the same shape, and holds nothing more to find", arguments: Seeds.thisRun)
    func property(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let redactor = try Redactor(everything + [.pattern(#"1|\d{3}|中|\\|""#, as: "\"\\\n")])
        let plain = try Redactor(everything)
        let workspace = RedactionWorkspace()
        for _ in 0..<60 {
            let text = Self.document(depth: 0, using: &rng)
            let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            for redactor in [redactor, plain] {
                guard let redacted = redactor.redact(Array(text.utf8), with: workspace) else { continue }
                let result = try? JSONSerialization.jsonObject(with: Data(redacted.bytes), options: .fragmentsAllowed)
                #expect(result != nil, "again: TRACEFWD_SEED=\(seed), \(text)")
                if let result { #expect(Self.hasSameShape(value, result), "again: TRACEFWD_SEED=\(seed), \(text)") }
            }
            if let redacted = plain.redact(Array(text.utf8), with: workspace) {
                let again = plain.redact(redacted.bytes, with: workspace)
                #expect(again == nil, "again: TRACEFWD_SEED=\(seed), \(text) -> \(String(decoding: redacted.bytes, as: UTF8.self))")
            }
        }
    }

    /// Objects, arrays and strings; strings are written with escapes of all kinds, and may hold a document.
    private static func document(depth: Int, using rng: inout SeededRandom) -> String {
        let space = rng.chance(4) ? " \n" : ""
        switch Int.random(in: 0..<(depth < 3 ? 9 : 6), using: &rng) {
        case 0 where depth > 0:
            return rng.pick(["4111111111111111", "123456789", "-1.5e3", "0", "378282246310005", "1790000000000", "12.34E-2"])
        case 1 where depth > 0: return rng.pick(["true", "false", "null"])
        case 0, 1, 2, 3, 4: return string(Pieces.text(Int.random(in: 0...6, using: &rng), using: &rng), using: &rng)
        case 5: return string(document(depth: depth + 1, using: &rng), using: &rng)
        case 6, 7:
            let members = (0..<Int.random(in: 0...4, using: &rng)).map { index in
                let key = rng.chance(3) ? rng.pick(["ssn", "authorization", "version"]) : Pieces.text(2, using: &rng)
                return string("\(index)\(key)", using: &rng) + space + ":" + space + document(depth: depth + 1, using: &rng)
            }
            return space + "{" + space + members.joined(separator: "," + space) + "}" + space
        default:
            let elements = (0..<Int.random(in: 0...4, using: &rng)).map { _ in document(depth: depth + 1, using: &rng) }
            return "[" + elements.joined(separator: space + ",") + space + "]"
        }
    }

    private static func string(_ text: String, using rng: inout SeededRandom) -> String {
        let escapesMuch = rng.chance(4)
        var written = "\""
        for unit in text.unicodeScalars {
            switch unit {
            case "\"", "\\": written += "\\\(unit)"
            case "\n" where rng.chance(2): written += "\\n"
            case "/" where rng.chance(3): written += "\\/"
            case _ where unit.value < 0x20 || rng.chance(escapesMuch ? 3 : 60):
                for unit in String(unit).utf16 { written += "\\u" + String(0x10000 + Int(unit), radix: 16).dropFirst() }
            default: written.unicodeScalars.append(unit)
            }
        }
        return written + "\""
    }

    /// Equal but for texts, numbers that became texts, and names.
    private static func hasSameShape(_ left: Any, _ right: Any) -> Bool {
        switch (left, right) {
        case (let left as [Any], let right as [Any]): left.count == right.count && zip(left, right).allSatisfy { hasSameShape($0, $1) }
        case (let left as [String: Any], let right as [String: Any]): left.count >= right.count
        case (is String, is String), (is NSNumber, is String), (is NSNull, is NSNull): true
        case (let left as NSNumber, let right as NSNumber): left == right
        default: false
        }
    }
}
