import Synchronization
import Testing

@testable import CEL

/// Counts what it is asked for.
private final class Counting: Activation, Sendable {
    let asked = Mutex<[Int: Int]>([:])
    let environment: Environment
    init(_ environment: Environment) { self.environment = environment }

    func value(of slot: Int, in arena: inout Arena) -> Value {
        asked.withLock { $0[slot, default: 0] += 1 }
        return Shop.values[environment.variables[slot].name]?.view(in: &arena) ?? .failure(.unknownVariable)
    }

    func names() -> [String] { asked.withLock { $0.keys.map { environment.variables[$0].name }.sorted() } }
}

@Suite("What a host gives and gets") struct HostTests {
    @Test("a program says which variables it may read, and asks for no other, and only when it comes to them")
    func lazy() throws {
        let environment = Shop.environment
        let program = try environment.compile("status == 'error' || root && model in tags.map(t, t + service)")
        #expect(program.variables.map { environment.variables[$0].name } == ["model", "root", "service", "status", "tags"])
        let activation = Counting(environment)
        #expect(try program.test(activation) == false)
        #expect(activation.names() == ["model", "root", "service", "status", "tags"])
        let first = Counting(environment)
        #expect(try environment.compile("status == 'ok' || text.matches('.*')").test(first))
        #expect(first.names() == ["status"])
        let other = Counting(environment)
        #expect(try environment.compile("root ? cost_usd > 0.1 : text == ''").test(other))
        #expect(other.names() == ["cost_usd", "root"])
    }

    @Test("functions of the host are checked, called, and run once where their arguments are constants")
    func functions() throws {
        let calls = Mutex(0)
        var environment = Shop.environment
        environment.add(
            Function("shout", .string, returns: .string) { value, arena in
                calls.withLock { $0 += 1 }
                guard case .string(let text) = value else { return .failure(.noSuchOverload) }
                return arena.string(Text.string(text) + "!")
            })
        environment.add(
            Function("within", .int, .int, returns: .bool) { a, b, _ in
                guard case .int(let a) = a, case .int(let b) = b else { return .failure(.noSuchOverload) }
                return b == 0 ? .failure(.functionFailed) : .bool(a <= b)
            })
        let bindings = Bindings(Shop.values, in: environment)
        #expect(try environment.compile("shout(model) == 'gpt-4o!' && within(input_tokens, 2000)").test(bindings))
        let constant = try environment.compile("shout('a') == model")
        let before = calls.withLock { $0 }
        for _ in 0..<5 { _ = try constant.test(bindings) }
        #expect(calls.withLock { $0 } == before)
        #expect(throws: CompileErrors.self) { try environment.compile("shout(5)") }
        #expect(throws: CompileErrors.self) { try environment.compile("within(5)") }
        #expect(throws: EvaluationError(.functionFailed, offset: 0)) { try environment.compile("within(input_tokens, 0)").test(bindings) }
        #expect(throws: EvaluationError(.noSuchOverload, offset: 0)) {
            try environment.compile("shout(attributes.depth) == ''").test(bindings)
        }
    }

    @Test("a function with several signatures is told by its arguments, now or when it runs")
    func overloads() throws {
        var environment = Shop.environment
        environment.add(Function("kind", .int, returns: .string) { _, _ in .string("int") })
        environment.add(Function("kind", .string, returns: .string) { _, _ in .string("string") })
        environment.add(Function("kind", [.init([.list(.dyn), .int], .int)], body: .two { _, _, _ in .int(2) }))
        let bindings = Bindings(Shop.values, in: environment)
        #expect(try environment.compile("kind(1) + kind(model)").result(bindings) == .string("intstring"))
        #expect(try environment.compile("kind(attributes.depth) + kind(tags[0])").result(bindings) == .string("intstring"))
        #expect(try environment.compile("kind(attributes['shop.tier'])").result(bindings) == .string("string"))
        #expect(try environment.compile("kind(tags, 1)").result(bindings) == .int(2))
        #expect(throws: EvaluationError(.noSuchOverload, offset: 0)) { try environment.compile("kind(attributes.nested)").result(bindings) }
        let error = try #require(throws: CompileErrors.self) { try environment.compile("kind(root)") }
        #expect(error.errors[0].message == "no such overload: kind(bool); there is kind(int), kind(string), kind(list(dyn), int)")
    }

    @Test("definitions are names for expressions, checked when they are made, with what they read")
    func definitions() throws {
        var environment = Shop.environment
        try environment.define("expensive", as: "cost_usd > 0.25", returning: .bool)
        try environment.define("ours", as: "service in ['shop'] && tags.exists(t, t == 'vip')")
        try environment.define("both", as: "ours && expensive")
        try environment.define("five", as: "2 + 3")
        let bindings = Bindings(Shop.values, in: environment)
        let program = try environment.compile("['x'].exists(t, both && t == 'x') && five == 5", returning: .bool)
        #expect(try program.test(bindings))
        #expect(program.variables.map { environment.variables[$0].name } == ["cost_usd", "service", "tags"])
        #expect(throws: CompileErrors.self) { try environment.define("wrong", as: "cost_usd", returning: .bool) }
        #expect(throws: CompileErrors.self) { try environment.define("model", as: "true") }
        #expect(throws: CompileErrors.self) { try environment.define("ours", as: "true") }
        for name in ["", "a-b", "a.b", "for", "true", "1a", "in", "a b", "ä"] {
            let error = try #require(throws: CompileErrors.self) { try environment.define(name, as: "true") }
            #expect(error.errors[0].message == "'\(name)' cannot be a name: letters, digits and '_', no reserved word")
        }
        let error = try #require(throws: CompileErrors.self) { try environment.compile("expensiv") }
        #expect(error.errors[0].message == "unknown variable 'expensiv'; did you mean 'expensive'?")
        try environment.define("failing", as: "root && attributes.absent == 1")
        #expect(throws: EvaluationError(.noSuchKey, offset: 8)) { try environment.compile("root && failing").test(bindings) }
    }

    @Test("values hold while the result is looked at, and are copied where they must last")
    func results() throws {
        let program = try Shop.environment.compile("model + '-' + service")
        let length = try program.evaluate(Shop.activation) { value, _ in if case .string(let text) = value { text.count } else { 0 } }
        #expect(length == 11)
        #expect(try program.result(Shop.activation) == .string("gpt-4o-shop"))
        #expect(program.type == .string)
        #expect(
            try Shop.environment.compile("{'a': [1, 2.5, b'x', null, duration, start, maybe, int]}").result(Shop.activation).description
                == #"{"a": [1, 2.5, b"x", null, duration("6.5s"), timestamp("2023-11-14T22:13:20.123456789Z"), optional.of(3), int]}"#)
    }

    @Test("an error of a run can be shown with its place")
    func places() throws {
        let program = try Shop.environment.compile("root &&\n  attributes.absent == 1")
        let error = try #require(throws: EvaluationError.self) { try program.test(Shop.activation) }
        #expect(program.place(of: error).description == "2:14: no such key")
        #expect(program.place(of: error).excerpt == "  attributes.absent == 1\n             ^")
        #expect(program.place(of: EvaluationError(.tooExpensive)).description == "1:1: the evaluation exceeded its cost limit")
    }

    @Test("many threads run one program at once")
    func threads() async throws {
        let program = try Shop.environment.compile(
            "tags.map(t, t + model).exists(t, t == 'eugpt-4o') && text.matches('b.c$') && start.getHours('Asia/Tokyo') == 7")
        let held = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let activation = Shop.activation
                    return (0..<300).count { _ in (try? program.test(activation)) == true }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(held == 2_400)
    }
}
