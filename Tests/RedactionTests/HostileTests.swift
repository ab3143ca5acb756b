import CShim
import Testing

@testable import Redaction

@Suite("Hostile texts")
struct HostileTests {
    static let patterns = [
        "1", "1 ", "1-", "12.", "a", "@", "-", ":", "_", ".", "a@", "a.a@", "@a.", "+1", "+44 1 ", "415-", "1111 ", "1111-", "DE89",
        "DE89 ", "::",
        "f:", "1::", "://", "://a:", "://:@", "eyJ", "eyJ.", ".eyJ", " eyJhbGci.", "xoxb-", "xoxb-1-", "sk-", "_sk-",
        "-----BEGIN PRIVATE KEY",
        "-----BEGIN PRIVATE KEY-----", "-----END ", "-----BEGIN PRIVATE KEY-----END ", "authorization", "authorization: ",
        "authorization:bearer ",
        "ssn ", "ssn 123456789", "version 1.2.3.4 ", "a/1.2.3.4", "00-", "001a.", "AKIA", "IA", "12345678:", "y=", "'a", "=a@", "é@", "\\n",
        "[", "{",
        "[\"", "\"", "{\"a\":", "[1,", "\\\"", "\\u0040", "[\"\\\"", "jane@example.com ", "fe80::a@b.co", "jane@example.comfe80::",
    ]

    @Test("work grows as the text does", arguments: patterns)
    func linear(pattern: String) throws {
        let redactor = try Redactor(everything)
        func work(_ bytes: Int) -> Int {
            let workspace = RedactionWorkspace()
            _ = redactor.redact(Array(String(repeating: pattern, count: bytes / pattern.utf8.count).utf8), with: workspace)
            return workspace.redaction.work
        }
        let (one, two) = (work(20_000), work(40_000))
        #expect(two <= 2 * one + 2_000)
        #expect(two <= 60 * 40_000)
    }

    @Test(
        "own patterns too, though each match is looked for to the end of the text",
        arguments: [("a.*b|a", "a"), ("(a+)+$", "a"), ("(?s)x.*y|x", "x\n"), ("[ab]*c|[ab]", "ab")])
    func linearPatterns(pattern: String, text: String) throws {
        let redactor = try Redactor([.pattern(pattern)])
        func work(_ bytes: Int) -> Int {
            let workspace = RedactionWorkspace()
            _ = redactor.redact(Array(String(repeating: text, count: bytes / text.utf8.count).utf8), with: workspace)
            return workspace.redaction.work
        }
        // The last searches see less than 4 KiB.
        #expect(work(40_000) <= 2 * work(20_000) + 4_096 * 4_096)
    }

    @Test("a pattern that is found very often is found whole each time")
    func manyMatches() throws {
        let numbers = (0..<5_000).map { "ACME-" + String(repeating: "7", count: $0 % 97 == 0 ? 9_000 : 1 + $0 % 40) }
        let text = numbers.joined(separator: " ")
        let redacted = try #require(try Redactor([.pattern(#"ACME-\d+"#, as: "#")]).redact(Array(text.utf8)))
        #expect(redacted.bytes == Array(repeating: "#", count: 5_000).joined(separator: " ").utf8.map { $0 })
    }

    @Test("documents in documents cost no more than their depth")
    func nested() throws {
        let redactor = try Redactor(everything)
        func work(_ bytes: Int) -> Int {
            var text = "[" + String(repeating: #""a@example.com","#, count: bytes / 16) + "0"
            for _ in 0..<6 {
                text = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                text = "[\"" + text + "\""
            }
            let workspace = RedactionWorkspace()
            _ = redactor.redact(Array(text.utf8), with: workspace)
            return workspace.redaction.work * 1_000 / text.utf8.count
        }
        #expect(work(4_000) <= work(2_000) + 200)
    }

    @Test("no bytes trap, whatever they are, and none is added where nothing is found", arguments: Seeds.thisRun)
    func anyBytes(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let redactor = try Redactor(everything + [.pattern(#"\d\C"#)])
        let workspace = RedactionWorkspace()
        for _ in 0..<300 {
            var bytes = Array(Pieces.text(Int.random(in: 0...8, using: &rng), using: &rng).utf8)
            for _ in 0..<Int.random(in: 0...4, using: &rng) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &rng)
                switch Int.random(in: 0..<3, using: &rng) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &rng)
                case 1: bytes.remove(at: index)
                default: bytes.insert(rng.pick(Array("\"\\{}[]:,@.-_0aé".utf8)), at: index)
                }
            }
            let text = bytes.prefix(Int.random(in: 0...bytes.count, using: &rng))
            guard let redacted = redactor.redact(Array(text), with: workspace) else { continue }
            #expect(redacted.counts.reduce(0, +) > 0, "again: TRACEFWD_SEED=\(seed)")
        }
    }

    @Test("redacting twice changes nothing, and valid UTF-8 stays valid", arguments: Seeds.thisRun)
    func twice(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let redactor = try Redactor(everything)
        let workspace = RedactionWorkspace()
        for _ in 0..<300 {
            let text = Pieces.text(Int.random(in: 1...10, using: &rng), using: &rng)
            guard let redacted = redactor.redact(Array(text.utf8), with: workspace) else { continue }
            let result = String(validating: redacted.bytes, as: UTF8.self)
            #expect(result != nil, "again: TRACEFWD_SEED=\(seed)")
            let again = redactor.redact(redacted.bytes, with: workspace)
            #expect(again == nil, "again: TRACEFWD_SEED=\(seed), \(text.debugDescription) -> \(result.debugDescription)")
        }
    }

    @Test(
        "redacting twice changes nothing where a fuzzer once found something",
        arguments: [
            "://std::vector@-----BEGIN PRIVATE KEY-----[", "://4111 1111 1111 1111::fe80::1%eth0react@18.2.0x=",
            "://0.4[credit_card]DE89 3704 0044 0532 0130 00::ffff:192.0.2.128git@github.com:org/repo.git", "redis://:s3cret@10.0.0.1:6379",
            "AIza" + "SvuOhKVFax59RyKRVqaHK2nO3NN2mgZ2Ye5" + "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"
                + "+44 20 7946 0958+14155550132(415) 555-0132",
            "://u:ab,4111 1111 1111 1111@h ", "://u:{4111 1111 1111 1111@h ",
        ])
    func twice(text: String) throws {
        let once = try redact(text)
        #expect(once != text)
        #expect(try redact(once) == once)
    }

    @Test("what is found in a string does not depend on what stands behind it", arguments: Seeds.thisRun)
    func surroundings(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let redactor = try Redactor(everything)
        let workspace = RedactionWorkspace()
        for _ in 0..<200 {
            let text = Pieces.text(Int.random(in: 1...6, using: &rng), using: &rng).filter { $0 != "\"" && $0 != "\\" }
            guard let first = text.first, !"{[ \n".contains(first) else { continue }
            let alone = redactor.redact(Array(text.utf8), with: workspace)
            for tail in ["", "1", ":", "a", " "] {
                let document = redactor.redact(Array("[\"\(text)\",\"\(tail)\"]".utf8), with: workspace)
                let counts = document?.counts ?? [Int](repeating: 0, count: everything.count)
                #expect(counts == alone?.counts ?? counts.map { _ in 0 }, "again: TRACEFWD_SEED=\(seed), \(text.debugDescription)")
            }
        }
    }

    @Test("the candidates' loop finds what its definition says, at every place", arguments: Seeds.thisRun)
    func candidates(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<60 {
            var fingerprints = Fingerprints.make(secrets: !rng.chance(4), numbers: rng.chance(2))
            var bytes = Array(Pieces.text(Int.random(in: 0...20, using: &rng), using: &rng).utf8)
            bytes += (0..<Int.random(in: 0...80, using: &rng)).map { _ in UInt8.random(in: 0...255, using: &rng) }
            let length = bytes.count, extra = Int.random(in: 0...min(70, length), using: &rng)
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let end = base + length - extra, limit = base + length
                var found: [Int] = []
                var block = base
                while block < end {
                    let candidates = tracefwd_next_candidates(block, end, limit, &fingerprints)
                    if candidates.mask == 0 { break }
                    for bit in 0..<64 where candidates.mask >> UInt64(bit) & 1 == 1 { found.append(candidates.block + bit - base) }
                    block = candidates.block + 64
                }
                let expected = (0..<length - extra).filter { tracefwd_is_candidate(base + $0, limit, &fingerprints) }
                #expect(found == expected, "again: TRACEFWD_SEED=\(seed)")
            }
        }
    }
}
