import Foundation
import Testing

@testable import CEL

@Suite("Whatever the text") struct FuzzTests {
    /// Expressions to take apart: those of these tests, and the specification's own where they are there.
    private static let corpus: [[String]] = {
        var sources = [
            #"environment == "prod" && model.startsWith("gpt-4") || duration > duration("5s")"#,
            #"service in ["shop", 'search'] ? cost_usd * 100.0 : -1.5e3"#,
            "tags.exists(t, t.matches('^v.*p$')) && attributes[?'shop.tier'].orValue('x') != text",
            "cel.bind(x, [1, 2u, 3.5, null], x.map(y, dyn(y)).size() + 0x1F)",
            "{'a': 1, 2: b'\\x00\\377'}.transformMap(k, v, v == attributes.depth).size() % 3 == int('5')",
            "'%s %d %.2f'.format([text, count, cost_usd])",
            "timestamp('2024-02-29T12:00:00Z').getHours('+01:00') - start.getFullYear() / 0",
            "!has(attributes.nested.a) || attributes.nested.a[0] >= 9223372036854775807",
            "text.substring(1, 3).replace('', r'\\d').split('b', -1).join(\"\"\"-\"\"\")",
            "maybe.optMap(m, m + 1).or(optional.none()).value() << nothing",
            "math.greatest(1, -2.5, 3u) > math.bitShiftLeft(1, 62) && cidr('10.0.0.0/8').containsIP('10.1.1.1')",
            "type(tags) == list && base64.decode('aGk=') < data",
        ]
        if let conformance = Conformance() {
            for cases in [conformance.core, conformance.extensions] {
                sources += cases.values.joined().map(\.expression).filter { $0.utf8.count < 300 }
            }
        }
        return sources.map(pieces)
    }()

    private static func pieces(_ source: String) -> [String] {
        let bytes = Array(source.utf8)
        return Lexer.tokens(of: bytes).tokens.map { String(decoding: bytes[$0.range], as: UTF8.self) }
    }

    @Test("random bytes are refused or run, and nothing traps", arguments: Seeds.thisRun)
    func bytes(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let alphabet = Array("abtx01._ \t\n\"'`\\()[]{}?:,<>=!&|+-*/%rRbBuUeE@$\u{e9}\u{0}".utf8) + [0xff, 0x80]
        repeatedly {
            let count = Int.random(in: 0...60, using: &rng)
            check(String(decoding: (0..<count).map { _ in rng.pick(alphabet) }, as: UTF8.self), seed)
        }
    }

    @Test(
        "expressions with pieces put in, taken out and swapped are refused or run within their budget, and nothing traps",
        arguments: Seeds.thisRun)
    func mutations(seed: UInt64) {
        var rng = SeededRandom(seed: seed &+ 1_000)
        repeatedly {
            var pieces = rng.pick(FuzzTests.corpus)
            for _ in 0..<Int.random(in: 0...4, using: &rng) {
                let other = rng.pick(FuzzTests.corpus)
                let at = Int.random(in: 0...pieces.count, using: &rng)
                switch Int.random(in: 0..<5, using: &rng) {
                case 0: pieces.insert(rng.pick(other), at: at)
                case 1 where at < pieces.count: pieces.remove(at: at)
                case 2 where at < pieces.count: pieces[at] = rng.pick(other)
                case 3: pieces.insert(contentsOf: other.shuffled(using: &rng).prefix(5), at: at)
                default: pieces = Array(pieces.prefix(at)) + Array(other.suffix(from: min(other.count, at)))
                }
            }
            check(pieces.joined(separator: rng.pick(["", " ", " ", "\n"])), seed)
        }
    }

    @Test("expressions that are right run like those that are not checked", arguments: Seeds.thisRun)
    func generated(seed: UInt64) {
        var rng = SeededRandom(seed: seed &+ 2_000)
        var compiled = 0
        repeatedly {
            let source = Generator.expression(rng.pick(Generator.types), depth: 4, &rng)
            if check(source, seed) { compiled += 1 }
        }
        #expect(compiled > 0, "again: TRACEFWD_SEED=\(seed) make test")
    }

    private func repeatedly(_ body: () -> Void) {
        guard let seconds = ProcessInfo.processInfo.environment["TRACEFWD_FUZZ_SECONDS"].flatMap(Double.init) else {
            for _ in 0..<100 { body() }
            return
        }
        // Three tests share the time, each with its seeds.
        let end = ContinuousClock.now.advanced(by: .seconds(seconds / Double(3 * Seeds.thisRun.count)))
        while ContinuousClock.now < end { body() }
    }

    /// Whether it compiles. Whatever it is: mistakes have places in it, runs end, and checking does not change what is given.
    @discardableResult private func check(_ source: String, _ seed: UInt64) -> Bool {
        let unchecked = try? Shop.environment.compileUnchecked(source)
        switch Result(catching: { () throws(CompileErrors) in try Shop.environment.compile(source) }) {
        case .failure(let errors):
            #expect(!errors.errors.isEmpty && errors.errors.count <= Limits.errors)
            for error in errors.errors {
                #expect(
                    0...source.utf8.count ~= error.offset && error.line > 0 && error.column > 0 && error.excerpt.contains("^"), "\(source)")
            }
            if let unchecked { _ = run(unchecked) }
            return false
        case .success(let program):
            let (left, right) = (run(program), unchecked.map(run))
            #expect(left == right, "\(source)\nagain: TRACEFWD_SEED=\(seed) make test")
            return true
        }
    }

    /// What a run gives, as text: errors by their kind, because which of several is told is not specified.
    private func run(_ program: Program) -> String {
        do throws(EvaluationError) {
            return try program.result(Shop.activation, budget: 20_000).description
        } catch {
            #expect(error.offset < program.source.utf8.count)
            return "error"
        }
    }
}

/// Random expressions that are right by their types.
private enum Generator {
    static let types: [ValueType] = [.bool, .int, .double, .string, .list(.int), .duration]

    static func expression(_ type: ValueType, depth: Int, _ rng: inout SeededRandom) -> String {
        func make(_ type: ValueType) -> String { expression(type, depth: depth - 1, &rng) }
        guard depth > 0 else { return leaf(type, &rng) }
        switch (type, Int.random(in: 0..<6, using: &rng)) {
        case (_, 0): return leaf(type, &rng)
        case (_, 1): return "(\(make(.bool)) ? \(make(type)) : \(make(type)))"
        case (.bool, 2): return "(\(make(.bool)) \(rng.pick(["&&", "||", "==", "!="])) \(make(.bool)))"
        case (.bool, 3):
            let type = rng.pick(types)
            let ordered = ["==", "!="] + (type == .list(.int) ? [] : ["<", "<=", ">", ">="])
            return "(\(make(type)) \(rng.pick(ordered)) \(make(type)))"
        case (.bool, 4):
            return "\(make(.list(.int))).\(rng.pick(["all", "exists", "exists_one"]))(x, x \(rng.pick(["<", ">", "=="])) \(make(.int)))"
        case (.bool, _): return "\(make(.string)).\(rng.pick(["startsWith", "endsWith", "contains", "matches"]))(\(make(.string)))"
        case (.int, 2...3): return "(\(make(.int)) \(rng.pick(["+", "-", "*", "/", "%"])) \(make(.int)))"
        case (.int, 4): return "size(\(make(rng.pick([.string, .list(.int)]))))"
        case (.int, _): return "\(make(.list(.int)))[\(make(.int))]"
        case (.double, 2...4): return "(\(make(.double)) \(rng.pick(["+", "-", "*", "/"])) \(make(.double)))"
        case (.double, _): return "double(\(make(rng.pick([.int, .string]))))"
        case (.string, 2...3): return "(\(make(.string)) + \(make(.string)))"
        case (.string, 4): return "string(\(make(rng.pick([.int, .double, .bool, .duration]))))"
        case (.string, _):
            return "\(make(.string)).\(rng.pick(["substring(\(make(.int)))", "upperAscii()", "replace(\(make(.string)), 'x')", "trim()"]))"
        case (.list, 2): return "[\(make(.int)), \(make(.int))]"
        case (.list, 3): return "(\(make(.list(.int))) + \(make(.list(.int))))"
        case (.list, 4): return "\(make(.list(.int))).map(x, x + \(make(.int)))"
        case (.list, _): return "\(make(.list(.int))).filter(x, \(make(.bool)))"
        case (.duration, 2...3): return "(\(make(.duration)) \(rng.pick(["+", "-"])) \(make(.duration)))"
        default: return leaf(type, &rng)
        }
    }

    private static func leaf(_ type: ValueType, _ rng: inout SeededRandom) -> String {
        switch type {
        case .bool: rng.pick(["true", "false", "root", "has(attributes.depth)", "model in tags"])
        case .int: rng.pick(["0", "1", "-7", "3", "input_tokens", "9223372036854775807", "int(attributes.depth)"])
        case .double: rng.pick(["0.0", "1.5", "-2.25", "cost_usd", "1e308"])
        case .string: rng.pick(["''", "'a'", "'12'", "model", "text", "'ñ🐱'", "attributes['shop.tier']", "'('"])
        case .duration: rng.pick(["duration", "duration('1h')", "duration('-3ms')"])
        default: rng.pick(["[]", "[1, 2, 3]", "[input_tokens]"])
        }
    }
}
