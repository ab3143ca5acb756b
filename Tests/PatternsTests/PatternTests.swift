import Testing

@testable import Patterns

@Suite struct PatternTests {
    @Test(
        "a pattern matches anywhere unless it is anchored",
        arguments: [
            ("hubba", "ubb", true), ("hubba", "^ubb", false), ("", "^$", true), ("", "a", false), ("grey", "gr(a|e)y", true),
            ("mañana", "a+ñ+a+", true),
            ("🐱😀😀", "(a|😀){2}", true), ("a\nb", "a.b", false), ("A", "a", false), ("A", "(?i)a", true),
        ])
    func anywhere(text: String, pattern: String, expected: Bool) throws {
        #expect(try Pattern(pattern).matches(text) == expected)
    }

    @Test("options change how a pattern is read")
    func options() throws {
        var options = PatternOptions()
        options.ignoresCase = true
        options.dotMatchesNewline = true
        #expect(try Pattern("A.B", options: options).matches("a\nb"))
        options.longestMatch = true
        #expect(try Pattern("a|ab", options: options).firstMatch(in: "ab") == 0..<2)
        #expect(try Pattern("a|ab").firstMatch(in: "ab") == 0..<1)
    }

    @Test("a search goes on from an offset and sees what stands before it")
    func from() throws {
        let word = try Pattern(#"\bacme\b"#)
        #expect(word.firstMatch(in: "xacme acme") == 6..<10)
        #expect(word.firstMatch(in: "xacme acme", from: 1) == 6..<10)
        #expect(word.firstMatch(in: "xacme acme", from: 7) == nil)
        #expect(word.firstMatch(in: "acme", from: 99) == nil)
        #expect(word.firstMatch(in: "acme", from: -1) == 0..<4)
    }

    @Test("groups lie where they matched, and one that took no part is nil")
    func groups() throws {
        let pattern = try Pattern("(a)|(b)(c*)")
        #expect(pattern.groupCount == 3)
        #expect(pattern.firstMatchGroups(in: "xbcc") == [1..<4, nil, 1..<2, 2..<4])
        #expect(pattern.firstMatchGroups(in: "xbcc", from: 2) == nil)
        #expect(try Pattern(String(repeating: "(a?)", count: 40)).firstMatchGroups(in: "a")?.count == 41)
    }

    @Test("matches do not overlap, and an empty one moves on by a character")
    func all() throws {
        func all(_ pattern: String, _ text: String) throws -> [Range<Int>] {
            var found: [Range<Int>] = []
            try Pattern(pattern).forEachMatch(in: text) {
                found.append($0)
                return found.count < 9
            }
            return found
        }
        #expect(try all("aa", "aaaaa") == [0..<2, 2..<4])
        #expect(try all("x*", "éxx") == [0..<0, 2..<4, 4..<4])
        #expect(try all("", "🐱") == [0..<0, 4..<4])
        #expect(try all("", "") == [0..<0])
    }

    @Test(
        "a wrong pattern is refused with its reason and its part",
        arguments: [
            ("a(b", "missing )", "a(b"), ("é[z-a]", "invalid character class range", "z-a"), ("a**", "bad repetition operator", "**"),
            (#"(a)\1"#, "invalid escape sequence", #"\1"#), ("(?=a)", "invalid perl operator", "(?="), ("a{1001}", "repetition", "{1001}"),
        ])
    func refused(pattern: String, reason: String, part: String) throws {
        let error = try #require(throws: PatternError.self) { try Pattern(pattern) }
        #expect(error.reason.contains(reason), "\(error)")
        let range = try #require(error.part)
        #expect(String(decoding: Array(pattern.utf8)[range], as: UTF8.self) == part)
        #expect(error.description.contains(pattern))
    }

    @Test("a pattern that would take too much memory is refused")
    func tooLarge() throws {
        #expect(throws: PatternError.self) { try Pattern("((a{100}){100}){100}") }
        var options = PatternOptions()
        options.memoryBytesMax = 1 << 12
        #expect(throws: PatternError.self) { try Pattern("[a-zé]{500}", options: options) }
    }

    @Test("nested quantifiers on a mebibyte end, with the automaton's cache and without", arguments: [8 << 20, 40_000])
    func nested(memory: Int) throws {
        var options = PatternOptions()
        options.memoryBytesMax = memory
        let text = String(repeating: "a", count: 1 << 20)
        for (pattern, expected) in [
            ("(a+)+$", true), ("(a|aa)+$", true), ("(a*)*b", false), ("^(([a-z])+.)+[A-Z]([a-z])+$", false), ("(x+x+)+y", false),
        ] {
            #expect(try Pattern(pattern, options: options).matches(text) == expected, "\(pattern)")
        }
    }

    @Test("many threads match with one pattern")
    func threads() async throws {
        let pattern = try Pattern("[a-f]+[0-9]{3}")
        let found = await withTaskGroup(of: Int.self) { group in
            for task in 0..<8 {
                group.addTask { (0..<500).count { pattern.firstMatch(in: "zz\(task)abc\(100 + $0)") == 3..<9 } }
            }
            return await group.reduce(0, +)
        }
        #expect(found == 4000)
    }
}

@Suite struct PatternSetTests {
    @Test("a set names the patterns that match, in their order")
    func which() throws {
        let set = try PatternSet(["[0-9]+", "", "^x", "b"])
        #expect(set.count == 4)
        #expect(set.matching("ab1") == [0, 1, 3])
        #expect(set.matching("") == [1])
        #expect(try PatternSet([]).matching("a") == [])
    }

    @Test("a wrong pattern is named by its index")
    func refused() throws {
        let error = try #require(throws: PatternError.self) { try PatternSet(["a", "b(", "c"]) }
        #expect(error.index == 1)
        #expect(error.pattern == "b(")
    }

    @Test("where the automaton does not fit its memory, a set agrees with its patterns or claims nothing")
    func memory() throws {
        // The states of these patterns double with each repetition, so the cache is thrown away again and again.
        let sources = (0..<8).map { "[a-q][^u-z]{\($0 + 5)}[0x]" }
        var options = PatternOptions()
        options.memoryBytesMax = 150_000
        var state: UInt32 = 7
        let bytes = (0..<100_000).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(97 + state >> 16 % 23)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let together = try PatternSet(sources, options: options).matching(text)
        let alone = try sources.indices.filter { try Pattern(sources[$0], options: options).matches(text) }
        #expect(together == nil || together == alone)
        #expect(throws: PatternError.self) { try PatternSet(Array(repeating: "[a-é]{900}", count: 50), options: options) }
    }
}

extension Pattern {
    func matches(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { matches($0) } }
    func firstMatch(in text: String, from: Int = 0) -> Range<Int>? { Array(text.utf8).withUnsafeBytes { firstMatch(in: $0, from: from) } }
    func firstMatchGroups(in text: String, from: Int = 0) -> [Range<Int>?]? {
        Array(text.utf8).withUnsafeBytes { firstMatchGroups(in: $0, from: from) }
    }
    func forEachMatch(in text: String, _ body: (Range<Int>) -> Bool) { Array(text.utf8).withUnsafeBytes { forEachMatch(in: $0, body) } }
}

extension PatternSet {
    func matching(_ text: String) -> [Int]? { Array(text.utf8).withUnsafeBytes { matching($0) } }
}
