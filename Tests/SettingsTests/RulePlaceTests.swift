import Testing

@testable import Settings

/// The place of a word in a text, line and column from 1.
private func find(_ word: String, in text: String) -> (line: Int, column: Int)? {
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
        if let range = String(line).firstRange(of: word) { return (index + 1, String(line)[..<range.lowerBound].unicodeScalars.count + 1) }
    }
    return nil
}

@Test(
    "a mistake inside an expression has the line and column of the file, however YAML writes the expression",
    arguments: [
        "define: { a: a + HERE }",
        "define: { a: 'it''s ''x'' HERE' }",
        #"define: { a: "a\" \u00e9\x41\U0001F600 \\ HERE" }"#,
        "define: { a: &anchor b + HERE }",
        "define: { a: &anchor 'b + HERE' }",
        "define: { a: !!str 'b + HERE' }",
        "define:\n  a: |\n    one\n    two HERE\n",
        "define:\n  a: |-\n      one\n\n\n      two\n        HERE\n",
        "define:\n  a: |2\n      one\n      HERE\n",
        "define:\n  a: |\n\n\n    HERE",
        "define:\n  a: >\n    one\n    two HERE\n    three\n",
        "define:\n  a: >-\n    one\n    two\n\n    three\n      more HERE\n    four\n",
        "define:\n  a: >\n\n    one\n\n\n    two\n    HERE",
        "define:\n  a: one\n    two\n\n    three HERE\n",
        "define:\n  a: 'one   \n\n    two\n     three'' HERE'\n",
        "define:\n  a: \"one\n    two \\\n    three \\\" HERE\"\n",
        "define:\r\n  a: |\r\n    one\r\n    two HERE\r\n",
        "define:\r\n  a: \"one\r\n    two HERE\"\r\n",
        "\u{FEFF}define: { a: HERE }",
        "# ünïcödé\ndefine: { a: 'ü + HERE' }",
    ])
func placeOfMistake(yaml: String) throws {
    let seen = yaml.replacing("\u{FEFF}", with: "").replacing("\r\n", with: "\n")
    let place = try #require(find("HERE", in: seen))
    #expect(complaint(yaml, check: mistakeAt("HERE")) == "t.yaml:\(place.line):\(place.column): define: a: no such thing (1 mistake)")
}

@Test("the place of an expression is that of its first character, inside quotes and below the sign of a block")
func placeOfText() throws {
    let rules = try loadText(
        """
        define:
          plain: x
          single: 'x'
          double: "x"
          block: |
            x
          folded: >-
              x
        """
    ).rules
    #expect(
        rules.definitions.map { "\($0.expression.place)" } == ["t.yaml:2:10", "t.yaml:3:12", "t.yaml:4:12", "t.yaml:6:5", "t.yaml:8:7"])
}

@Test("a mistake at the end of an expression, and beyond it, has a place")
func placeOfEnd() {
    let check = { (rules: RuleSettings) in rules.definitions.map { $0.expression.mistake(line: 1, column: $0.name == "a" ? 4 : 99, "ends") }
    }
    #expect(
        complaint("define: { a: 'x +', b: y }", check: check) == """
            t.yaml:1:18: define: a: ends
            t.yaml:1:25: define: b: ends (2 mistakes)
            """)
}

@Test("the line and the carets stand below their mistake, and the mistakes of all kinds come in the order of the file")
func excerpts() {
    let check = { (rules: RuleSettings) -> [Mistake] in
        (rules.routes ?? []).compactMap { route in
            guard case .when(let condition) = route.selection else { return nil }
            return condition.mistake(
                line: 1, column: 1, "unknown variable 'modle'; did you mean 'model'?", excerpt: "\(condition.text)\n^^^^^")
        }
    }
    let yaml = """
        destinations: { a: { type: file, path: /a } }
        memory: 1
        routes:
          - { name: one, when: modle == "x", to: a, sample: 10 }
          - { name: two, when: "modle > 1", to: b }
        """
    #expect(
        complaint(yaml, check: check) == """
            t.yaml:2:9: memory is 1; it is at least 32MiB
            t.yaml:4:24: routes[0] "one": when: unknown variable 'modle'; did you mean 'model'?
                modle == "x"
                ^^^^^
            t.yaml:4:53: routes[0] "one": sample is 10; a rate is from 0 to 1, for 10 % write 0.10
            t.yaml:5:25: routes[1] "two": when: unknown variable 'modle'; did you mean 'model'?
                modle > 1
                ^^^^^
            t.yaml:5:41: routes[1] "two": to is "b", which is no destination; known are a (5 mistakes)
            """)
}

@Test("expressions are not looked at where a definition could not be read, which would only look unknown in them")
func noSecondMistake() {
    let check = { (_: RuleSettings) -> [Mistake] in
        Issue.record("asked")
        return []
    }
    #expect(complaint("define: { a: [1] }", check: check) == "t.yaml:1:14: define: a is a list; it is an expression (1 mistake)")
    #expect(complaint("define: a", check: check) == "t.yaml:1:9: define is a text; it is names, each with an expression (1 mistake)")
    #expect(complaint("define: {", check: check).hasSuffix("(1 mistake)"))
}

private func mistakeAt(_ word: String) -> (RuleSettings) -> [Mistake] {
    { rules in
        rules.definitions.compactMap { definition in
            find(word, in: definition.expression.text).map {
                definition.expression.mistake(line: $0.line, column: $0.column, "no such thing")
            }
        }
    }
}
