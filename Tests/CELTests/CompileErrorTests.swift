import Testing

@testable import CEL

@Suite("Mistakes in expressions") struct CompileErrorTests {
    private func errors(_ source: String, returning type: ValueType? = nil) throws -> [String] {
        try #require(throws: CompileErrors.self) { try Shop.environment.compile(source, returning: type) }.errors.map(\.description)
    }

    @Test(
        "each is told with its place and what would be right",
        arguments: [
            ("modle == 'x'", "1:1: unknown variable 'modle'; did you mean 'model'?"),
            ("model = 'x'", "1:7: unexpected '='; equality is '=='"), ("model == 5", "1:7: no such overload: string == int"),
            ("cost_usd * 100", "1:10: no such overload: double * int; write a whole number as 1.0, or convert it: double(x)"),
            ("model.startWith('a')", "1:7: unknown function 'startWith'; did you mean 'startsWith'?"),
            ("model.startsWith(5)", "1:7: no such overload: string.startsWith(int); there is string.startsWith(string)"),
            ("startsWith(model)", "1:1: no such overload: startsWith(string); there is string.startsWith(string)"),
            ("model.matches('a(b')", "1:15: not a regular expression (RE2): missing ): a(b"),
            ("duration > duration('5 seconds')", "1:12: '5 seconds' is no duration: write 1h30m, 1.5s, 250ms, within 292 years"),
            ("start > timestamp('now')", "1:9: 'now' is no time: write 2026-01-31T12:00:00Z, in the years 1 to 9999"),
            ("model && root", "1:7: no such overload: string && bool"), ("!model", "1:1: no such overload: !string"),
            ("model == 'x' and root", "1:14: unexpected 'and'; 'and' is written '&&'"),
            ("root & root", "1:6: unexpected '&'; did you mean '&&'?"),
            ("size", "1:1: 'size' is a function; it is called with its arguments in brackets"),
            ("'abc", "1:1: this text has no closing quote"),
            ("'\\q'", "1:2: '\\q' is no escape; a backslash itself is '\\\\', and in r'...' nothing is an escape"),
            ("(model", "1:7: the expression ends where ')' is expected"), ("", "1:1: the expression ends where a value is expected"),
            ("tags.all(1, true)", "1:10: the first argument of 'all' is the name of a variable"),
            ("tags.exists(t, t)", "1:16: the condition must be bool; this is string"),
            ("model.all(x, true)", "1:1: this goes over a list or a map, not string"),
            ("model.size", "1:7: string has no fields, so no 'size'"), ("has(model)", "1:5: 'has' asks for a field: has(e.f)"),
            ("{'a': 1, 'a': 2}", "1:10: this key stands here a second time"),
            ("{1.5: 2}", "1:2: a map's key is a bool, int, uint or string, not double"),
            ("9223372036854775808", "1:1: 9223372036854775808 does not fit an int, which has 64 bits"), ("-5u", "1:1: a uint has no sign"),
            ("12ab", "1:1: '12ab' is neither a number nor a name"), ("for == 1", "1:1: 'for' is a reserved word and cannot be a name"),
            ("Span{}", "1:5: messages are not part of this CEL; a map is {\"key\": value}"),
            ("tags[root]", "1:5: no such overload: list(string)[bool]"),
            ("root ? 1 : 'a'", "1:6: no such overload: bool ? int : string"), ("1 < 2 < 3", "1:7: no such overload: bool < int"),
            (
                "math.greatest('a')",
                "1:6: no such overload: math.greatest(string); there is math.greatest(int), math.greatest(uint), math.greatest(double), math.greatest(int, int)"
            ),
            ("math.flor(1.5)", "1:6: unknown function 'math.flor'; did you mean 'math.floor'?"),
            ("[?model]", "1:3: an entry with '?' takes an optional value, not string"), ("\"\\ud800\"", "1:2: U+D800 is no character"),
        ])
    func messages(source: String, expected: String) throws { #expect(try errors(source) == [expected]) }

    @Test("all of them are told in one run, each once, in their order")
    func all() throws {
        let source = "modle == 'x' && statsu == \"y\" ||\n  model.startWith('x' && tags.exists(t, t > 1) || 'un\\closed' == 5 + 'x'"
        #expect(
            try errors(source) == [
                "1:1: unknown variable 'modle'; did you mean 'model'?", "1:17: unknown variable 'statsu'; did you mean 'status'?",
                "2:9: unknown function 'startWith'; did you mean 'startsWith'?", "2:23: no such overload: string && bool",
                "2:43: no such overload: string > int",
                "2:54: '\\c' is no escape; a backslash itself is '\\\\', and in r'...' nothing is an escape",
                "2:68: no such overload: int + string", "2:73: the expression ends where ')' is expected",
            ])
        #expect(try errors(Array(repeating: "zzz", count: 1000).joined(separator: " && ")).count == Limits.errors)
    }

    @Test("a condition must give a bool, and dyn may")
    func result() throws {
        #expect(try errors("model", returning: .bool) == ["1:1: the expression must give bool; this gives string"])
        #expect(try errors(" input_tokens ", returning: .double) == ["1:2: the expression must give double; this gives int"])
        let program = try Shop.environment.compile("attributes.depth", returning: .bool)
        #expect(throws: EvaluationError(.noSuchOverload, offset: 11)) { try program.test(Shop.activation) }
    }

    @Test("a mistake can be shown with carets below it")
    func carets() throws {
        let errors = try #require(throws: CompileErrors.self) { try Shop.environment.compile("true &&\n\t'é' == modle") }
        #expect(errors.errors[0].excerpt == "\t'é' == modle\n\t       ^^^^^")
        #expect(errors.description == "2:9: unknown variable 'modle'; did you mean 'model'?\n\t'é' == modle\n\t       ^^^^^")
        #expect((errors.errors[0].offset, errors.errors[0].length) == (17, 5))
        let long = try #require(throws: CompileErrors.self) {
            try Shop.environment.compile(String(repeating: "root && ", count: 100) + "rot" + String(repeating: " && root", count: 100))
        }
        let lines = long.errors[0].excerpt.split(separator: "\n")
        #expect(lines[0].count == 120)
        #expect(lines[1] == String(repeating: " ", count: 60) + "^^^")
    }

    @Test(
        "a guess is made for what is near, and for nothing else",
        arguments: [("Model", "model"), ("mdoel", "model"), ("x", nil), ("temperature", nil)])
    func nearMiss(name: String, expected: String?) {
        #expect(NearMiss.best(for: name, among: ["model", "name", "environment"]) == expected)
    }
}
