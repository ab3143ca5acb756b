import Foundation
import Synchronization
import Testing

@testable import CEL

@Suite("Bad input and its bounds") struct LimitTests {
    @Test("an expression of 100 KB is refused, and the longest that is not is read in time")
    func size() throws {
        let long = try #require(throws: CompileErrors.self) {
            try Shop.environment.compile(String(repeating: "true && ", count: 12_800) + "true")
        }
        #expect(long.description.hasPrefix("1:1: the expression has 102404 bytes; 65536 are the most"))
        let conditions = try Shop.environment.compile(String(repeating: "root && ", count: 8_000) + "root")
        #expect(try conditions.test(Shop.activation))
        let list = try Shop.environment.compile("input_tokens in [" + (0..<9_000).map { "\($0)" }.joined(separator: ",") + "]")
        #expect(try list.test(Shop.activation))
        let text = try Shop.environment.compile("size('" + String(repeating: "x", count: 65_000) + "') == 65000")
        #expect(try text.test(Shop.activation))
        #expect(throws: CompileErrors.self) { try Shop.environment.compile(String(repeating: "\"", count: 65_000)) }
        #expect(throws: CompileErrors.self) { try Shop.environment.compile(String(repeating: "(", count: 65_000)) }
        #expect(throws: CompileErrors.self) { try Shop.environment.compile(String(repeating: "a.", count: 32_000)) }
    }

    @Test(
        "the worst texts of the longest size are read in time, and their mistakes are few and short",
        arguments: [
            "@", "'\\q", "\\", "zzz ", "zzz(", "[],", "[] == [] && ", "1 < 2u || ", "{1: 2}, ", "a.b.c || ", "-", "!", "0x", "1 ", "? ",
            "\n", "é", "has(",
            "[[]] + ", "optional.none() == ", "x(y, ", "[[], dyn([])], ", "'\\u1F", "\"\"\"", "b'", "`", "/", "//\n", ".", "root ? ",
            "type(1) == ",
        ])
    func worst(piece: String) {
        let body = String(repeating: piece, count: Limits.bytes / piece.utf8.count - 3)
        for source in [body, "[\(body)[]]"] {
            switch Result(catching: { () throws(CompileErrors) in try Shop.environment.compile(source) }) {
            case .success(let program): _ = try? program.result(Shop.activation)
            case .failure(let errors):
                #expect(errors.errors.count <= Limits.errors)
                #expect(errors.description.utf8.count < 50_000)
            }
        }
    }

    // What is put before, in the middle and behind, as often as it is nested.
    static let nests: [(String, String, String)] = [
        ("(", "true", ")"), ("[", "1", "]"), ("{1: ", "2", "}"), ("-(", "1", ")"), ("!(", "true", ")"), ("f(", "1", ")"),
        ("root ? root : ", "root", ""),
        ("1 + ", "1", ""), ("", "1", " + 1"), ("", "attributes", ".a"), ("", "attributes", "[1]"), ("", "attributes", ".f()"),
        ("[1].map(x, ", "x", ")"), ("[1].exists(x, ", "true", ")"), ("cel.bind(x, ", "1", ", x)"), ("optional.of(", "1", ")"),
        ("root == ", "root", ""), ("[1, ", "1", "]"), ("{'a': {'b': ", "1", "}}.a"), ("has(", "a.b", ".c)"), ("size([", "1", "])"),
    ]

    @Test("deep nesting is refused with its place, and what is allowed runs on half a mebibyte of stack", arguments: nests)
    func depth(before: String, middle: String, after: String) throws {
        for count in [1, 10, 20, 24, 32, 48, 49, 50, 51, 78, 79, 80, 81, 100, 1_000, 5_000] {
            let source = String(repeating: before, count: count) + middle + String(repeating: after, count: count)
            try onSmallStack {
                switch Result(catching: { () throws(CompileErrors) in try Shop.environment.compile(source) }) {
                case .success(let program):
                    #expect(count <= Limits.depth, "\(count) levels should be too many")
                    _ = try? program.result(Shop.activation)
                case .failure(let error):
                    guard source.utf8.count <= Limits.bytes else { return }
                    let isDeep = error.description.contains(" deep here; give a part of it a name, or write it flatter")
                    #expect(isDeep ? count >= Limits.nesting / 2 : count <= Limits.depth, "\(count) levels: \(error)")
                }
            }
        }
    }

    private func onSmallStack(_ body: @escaping @Sendable () throws -> Void) throws {
        let result = Mutex<Result<Void, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
            done.signal()
        }
        thread.stackSize = 512 << 10
        thread.start()
        done.wait()
        try result.withLock { try $0?.get() }
    }

    @Test(
        "nested quantifiers on a mebibyte of a end, constant or not",
        arguments: [("(a+)+$", true), ("(a*)*b", false), ("(a|aa)+b", false), ("(x+x+)+y", false)])
    func patterns(pattern: String, expected: Bool) throws {
        var environment = Environment()
        environment.declare("text", .string)
        environment.declare("pattern", .string)
        let bindings = Bindings(["text": .string(String(repeating: "a", count: 1 << 20)), "pattern": .string(pattern)], in: environment)
        #expect(try environment.compile("text.matches('\(pattern)')").test(bindings) == expected)
        #expect(try environment.compile("text.matches(pattern)").test(bindings) == expected)
        #expect(throws: EvaluationError(.invalidPattern, offset: 5)) {
            try environment.compile("text.matches(pattern + '(')").test(bindings)
        }
    }

    @Test(
        "what would run long or grow large ends in an error, even where the error would not matter",
        arguments: [
            "tags.all(a, LIST.all(b, LIST.all(c, LIST.all(d, LIST.all(e, LIST.all(f, LIST.all(g, tags.size() > 0)))))))",
            "[model].map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).size() > 0",
            "LIST.map(a, LIST.map(b, LIST.map(c, LIST.map(d, LIST.map(e, LIST.map(f, tags)))))).size() > 0",
            "LIST.exists(a, LIST.exists(b, LIST.exists(c, LIST.exists(d, LIST.exists(e, LIST.exists(f, model == 'x'))))))  || true",
            "LIST.exists(a, LIST.all(b, LIST.all(c, LIST.all(d, LIST.all(e, LIST.all(f, model.matches(model + 'x?'))))))) || true",
        ])
    func budget(source: String) throws {
        let list = "[\((0..<30).map { "input_tokens + \($0)" }.joined(separator: ", "))]"
        let program = try Shop.environment.compile(source.replacing("LIST", with: list))
        let error = try #require(throws: EvaluationError.self) { try program.test(Shop.activation, budget: 300_000) }
        #expect(error.kind == .tooExpensive)
    }

    @Test("a budget can be smaller, and is kept to the unit by what only compares")
    func smallBudget() throws {
        let program = try Shop.environment.compile("model == 'x' || tags.exists(t, t == 'eu')")
        #expect(try program.test(Shop.activation))
        #expect(throws: EvaluationError.self) { try program.test(Shop.activation, budget: 3) }
    }

    @Test("constants that would run long are left to the run, where the budget is")
    func folding() throws {
        let list = "[\((0..<100).map(String.init).joined(separator: ","))]"
        let source = "\(list).all(a, \(list).all(b, \(list).all(c, \(list).all(d, a + b + c + d >= 0))))"
        let program = try Environment().compile(source)
        #expect(throws: EvaluationError(.tooExpensive)) { try program.test(Bindings([:], in: Environment()), budget: 300_000) }
    }

    @Test("definitions that double each other are bounded by the budget")
    func definitions() throws {
        var environment = Shop.environment
        try environment.define("d0", as: "input_tokens > 0")
        for number in 1...60 { try environment.define("d\(number)", as: "d\(number - 1) && d\(number - 1)") }
        let program = try environment.compile("d60")
        #expect(throws: EvaluationError(.tooExpensive)) { try program.test(Bindings(Shop.values, in: environment), budget: 300_000) }
        #expect(try environment.compile("d3").test(Bindings(Shop.values, in: environment)))
    }

    @Test("values nested deeper than any stack are told apart by an error")
    func deepValues() throws {
        var value = OwnedValue.list([])
        for _ in 0..<5_000 { value = .list([value]) }
        var environment = Environment()
        environment.declare("x", .dyn)
        let bindings = Bindings(["x": value], in: environment)
        #expect(throws: EvaluationError(.tooDeep, offset: 2)) { try environment.compile("x == x").test(bindings) }
        #expect(throws: EvaluationError(.invalidFormat, offset: 5)) { try environment.compile("'%s'.format([x])").result(bindings) }
        #expect(throws: EvaluationError.self) { try environment.compile("x").result(bindings) }
        #expect(try environment.compile("x.size() == 1").test(bindings))
    }

    /// Gives bytes that are no UTF-8 where a text is declared, as no host should.
    private final class Invalid: Activation {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func value(of slot: Int, in arena: inout Arena) -> Value {
            arena.string(capacity: bytes.count) {
                $0.copyBytes(from: bytes)
                return bytes.count
            }
        }
    }

    @Test(
        "bytes that are no UTF-8 give a wrong text at worst",
        arguments: [[0xF0], [0x61, 0xE2, 0x82], [0x80, 0x80], [0xC3], [0xFF, 0xFE, 0x20]] as [[UInt8]])
    func invalidText(bytes: [UInt8]) throws {
        var environment = Environment()
        environment.declare("x", .string)
        for call in [
            "x.size()", "x.charAt(0)", "x.reverse()", "x.split('')", "x.replace('', '-')", "x.trim()", "x.substring(0, 1)",
            "x.indexOf('a')", "x.lastIndexOf(x)",
            "x.matches('.')", "x.upperAscii()", "strings.quote(x)", "'%s %x'.format([x, x])", "x + x", "bytes(x)", "x == x",
            "[x, x].join(x)", "x in {x: 1}",
            "string(bytes(x))", "double(x)", "duration(x)", "timestamp(x)", "ip(x)", "base64.decode(x)",
        ] {
            _ = try? environment.compile(call).result(Invalid(bytes))
            #expect(throws: Never.self) { try environment.compile(call) }
        }
    }
}
