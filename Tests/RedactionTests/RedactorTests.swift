import Foundation
import Testing

@testable import Redaction

@Suite("Redactor")
struct RedactorTests {
    @Test("nothing found is nil, and so is an empty text")
    func nothing() throws {
        let redactor = try Redactor(everything)
        #expect(redactor.redact(Array("nothing here: 2026-11-24, v1.2.3.4, 42".utf8)) == nil)
        #expect(redactor.redact([]) == nil)
        #expect(try Redactor([]).redact(Array("jane@example.com".utf8)) == nil)
    }

    @Test("values are counted by rule")
    func counts() throws {
        let redactor = try Redactor([.entity(.phone), .entity(.email), .pattern(#"ACME-\d+"#, as: "[order]")])
        let redacted = try #require(redactor.redact(Array("ACME-12, a@example.com, b@example.com".utf8)))
        #expect(String(decoding: redacted.bytes, as: UTF8.self) == "[order], [email], [email]")
        #expect(redacted.counts == [0, 2, 1])
    }

    @Test("where matches overlap the longest wins, then the first in the list")
    func overlaps() throws {
        let text = "https://user:hunter2@db.example.com/x"
        #expect(try redact(text, [.entity(.basicAuth), .entity(.email)]) == "https://user:[email]/x")
        #expect(try redact("ACME-12", [.pattern("ACME-1"), .pattern("ACME-12", as: "[b]")]) == "[b]")
        #expect(try redact("ACME-12", [.pattern("ACME-12", as: "[a]"), .pattern("ACME-12", as: "[b]")]) == "[a]")
        #expect(try redact("abcdef", [.pattern("abc", as: "1"), .pattern("cd", as: "2"), .pattern("def", as: "3")]) == "13")
        #expect(try redact("jane@example.com", [.pattern("jane", as: "[name]"), .entity(.email)]) == "[email]")
    }

    @Test("overlaps are resolved as by definition", arguments: Seeds.thisRun)
    func overlapsByDefinition(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<200 {
            var matches = (0..<Int.random(in: 0...12, using: &rng)).map { _ in
                let start = Int.random(in: 0..<30, using: &rng)
                return Match(start: start, end: start + Int.random(in: 1...9, using: &rng), rule: Int.random(in: 0..<4, using: &rng))
            }
            var expected: [Match] = []
            for match in matches.sorted(by: { ($1.end - $1.start, $0.rule, $0.start) < ($0.end - $0.start, $1.rule, $1.start) })
            where expected.allSatisfy({ $0.end <= match.start || match.end <= $0.start }) {
                expected.append(match)
            }
            resolveOverlaps(&matches)
            #expect(matches == expected.sorted { $0.start < $1.start }, "again: TRACEFWD_SEED=\(seed)")
        }
    }

    @Test("a hash tells values from others, whatever their spelling")
    func hash() throws {
        // FNV-1a, in the place of HMAC-SHA-256 under the host's key.
        let hash: Redactor.Hash = { $0.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 } }
        let rules: [RedactionRule] = [
            .entity(.email, hash: true), .entity(.creditCard, hash: true), .pattern(#"ACME-\d+"#, as: "ORDER", hash: true),
        ]
        let text = "Jane@example.com jane@example.com joe@example.com 4111 1111 1111 1111 4111111111111111 ACME-1"
        let words = try redact(text, rules, hash: hash).split(separator: " ")
        #expect(words.count == 6)
        #expect(words[0] == words[1] && words[1] != words[2] && words[3] == words[4])
        #expect(try redact(#"["jane\u0040example.com"]"#, rules, hash: hash) == "[\"\(words[1])\"]")
        #expect(try words[0].wholeMatch(of: Regex(#"\[email:[0-9a-f]{8}\]"#)) != nil)
        #expect(try words[5].wholeMatch(of: Regex("ORDER:[0-9a-f]{8}")) != nil)
        #expect(throws: RedactionError.noHashKey(rule: 1)) { try Redactor([.entity(.phone), .entity(.email, hash: true)]) }
    }

    @Test("a pattern that is wrong says which rule it belongs to")
    func wrongPattern() throws {
        #expect { try Redactor([.entity(.email), .pattern("(")]) } throws: { "\($0)".hasPrefix("redact[1]: ") }
    }

    @Test("a pattern finds whole characters, and no empty matches")
    func patterns() throws {
        #expect(try redact("aéb", [.pattern("é", as: "-")]) == "a-b")
        #expect(try redact("aéb", [.pattern(#"\C\Cb"#, as: "-")]) == "a-")
        #expect(try redact("aé😀b", [.pattern(#"a\C"#, as: "-")]) == "-😀b")
        #expect(try redact("aaé", [.pattern("x*", as: "-")]) == "aaé")
        #expect(try redact("é1x2", [.pattern("x?[0-9]?", as: "-")]) == "é--")
        #expect(try redact("foo bar", [.pattern("^bar", as: "-"), .pattern("foo", as: "+")]) == "+ bar")
    }

    @Test("limited to some rules, counts keep their places")
    func limited() throws {
        let redactor = try Redactor([.entity(.email), .entity(.ipAddress), .pattern("x")]).limited { $0 == 1 }
        let redacted = try #require(redactor.redact(Array("jane@example.com x 192.0.2.1".utf8)))
        #expect(String(decoding: redacted.bytes, as: UTF8.self) == "jane@example.com x [ip_address]")
        #expect(redacted.counts == [0, 1, 0])
    }

    @Test("what a neighbour hid is found once the neighbour is known")
    func hidden() throws {
        #expect(try redact("fe80::jane@example.com") == "[ip_address][email]")
        #expect(try redact("4111 1111 1111 1111 1111@example.com") == "[credit_card] [email]")
    }

    @Test("10,000 values in a text of several megabytes are all found")
    func large() throws {
        let text = (0..<10_000).map { "\($0): jane\($0)@example.com " + String(repeating: "some words ", count: 30) }.joined()
        let redacted = try #require(try Redactor(everything).redact(Array(text.utf8)))
        #expect(redacted.counts.reduce(0, +) == 10_000 && redacted.counts[0] == 10_000)
    }

    @Test("findings stand where they are written, escapes included")
    func findings() throws {
        #expect(try find(everything, in: #"{"to":"a\njane\u0040example.com"}"#) == [#"jane\u0040example.com"#])
        #expect(try find(everything, in: #"["{\"to\":\"jane@example.com\"}"]"#) == ["jane@example.com"])
    }
}
