/// Checks an expression and builds its program in one pass: each part gets a type and a node. After a mistake it goes on, with a part that
/// fits everywhere, so that all mistakes are told and each only once.
struct Compiler: ~Copyable {
    /// A part that has been checked.
    struct Part {
        let type: ValueType
        let node: Node
    }

    /// A name that a macro binds.
    private struct Local {
        let name: String
        let type: ValueType
        let index: Int
    }

    let environment: Environment
    let source: [UInt8]
    // An unchecked program finds out about types and names when it runs, as the specification's own tests want it.
    let isChecked: Bool
    var unifier = Unifier()
    private(set) var errors: [CompileError]
    // Runs calls of constants, and owns what they and the literals make.
    var constants: Evaluation
    private var scope: [Local] = []
    private var usesLocals = false
    var localCount: Int
    private(set) var steps = 0
    private(set) var variables: Set<Int> = []
    // Grows with each part whose value is not known before the program runs.
    var unknowns = 0

    init(_ environment: Environment, _ source: [UInt8], isChecked: Bool, errors: [CompileError]) {
        (self.environment, self.source, self.isChecked, self.errors) = (environment, source, isChecked, errors)
        constants = Evaluation(NoActivation.shared, UnsafeMutableBufferPointer(start: nil, count: 0), budget: Limits.folding)
        localCount = environment.localBase
    }

    /// The program, or every mistake.
    static func program(
        _ text: String, _ environment: Environment, returning expected: ValueType?, isChecked: Bool
    ) throws(CompileErrors) -> Program {
        let source = Array(text.utf8)
        guard source.count <= Limits.bytes else {
            let message = "the expression has \(source.count) bytes; \(Limits.bytes) are the most"
            throw CompileErrors(errors: [CompileError(message, at: 0..<1, in: Array(source.prefix(80)))])
        }
        let (expression, errors) = Parser.parse(source)
        var compiler = Compiler(environment, source, isChecked: isChecked, errors: errors)
        let part = compiler.compile(expression)
        let type = compiler.unifier.resolve(part.type)
        if let expected, !compiler.unifier.unify([part.type], [expected]) {
            compiler.fail("the expression must give \(expected); this gives \(type)", at: compiler.wholeRange)
        }
        return try compiler.finish(text, type, part.node)
    }

    private var wholeRange: Range<Int> {
        let blank: (UInt8) -> Bool = { $0 == 32 || $0 == 10 || $0 == 13 || $0 == 9 }
        let start = source.firstIndex { !blank($0) } ?? 0
        return start..<max((source.lastIndex { !blank($0) } ?? 0) + 1, start)
    }

    private consuming func finish(_ text: String, _ type: ValueType, _ root: Node) throws(CompileErrors) -> Program {
        guard errors.isEmpty else {
            throw CompileErrors(errors: Array(errors.sorted { $0.offset < $1.offset }.prefix(Limits.errors)))
        }
        let count = usesLocals ? localCount : 0
        return Program(
            source: text, type: type, variables: variables.sorted(), root: root, steps: steps, localCount: count, constants: constants.arena
        )
    }

    // MARK: Making parts

    mutating func fail(_ message: String, at place: Range<Int>) {
        if !isFull { errors.append(CompileError(message, at: place, in: source)) }
    }

    /// Whether no more mistakes are told, so that no more work is put into telling them.
    var isFull: Bool { errors.count >= Limits.errors }

    func offset(_ place: Range<Int>) -> Int32 { Int32(truncatingIfNeeded: place.lowerBound) }

    mutating func part(_ type: ValueType, _ node: Node) -> Part {
        steps += 1
        return Part(type: isChecked ? type : .dyn, node: node)
    }

    mutating func constant(_ type: ValueType, _ value: Value, at place: Range<Int>) -> Part {
        part(type, ConstantNode(value, offset: offset(place)))
    }

    /// What stands for a part with a mistake.
    mutating func mistaken(_ kind: EvaluationError.Kind = .noSuchOverload, at place: Range<Int>) -> Part {
        unknowns += 1
        return part(.mistaken, FailureNode(kind, offset: offset(place)))
    }

    /// The part run now, where it needs nothing that is known only later; unchanged where that fails, because it may stand in a branch that
    /// never runs.
    mutating func folded(_ part: Part) -> Part {
        guard errors.isEmpty, !constants.arena.isExhausted else { return part }
        let value = part.node.evaluate(&constants)
        guard !value.isError, !constants.arena.isExhausted else { return part }
        return Part(type: part.type, node: ConstantNode(value, offset: part.node.offset))
    }

    // MARK: Expressions

    mutating func compile(_ expression: Expression) -> Part {
        let place = expression.place
        switch expression.kind {
        case .null: return constant(.null, .null, at: place)
        case .bool(let bool): return constant(.bool, .bool(bool), at: place)
        case .int(let int): return constant(.int, .int(int), at: place)
        case .uint(let uint): return constant(.uint, .uint(uint), at: place)
        case .double(let double): return constant(.double, .double(double), at: place)
        case .string(let text): return constant(.string, .string(literal(text)), at: place)
        case .bytes(let bytes): return constant(.bytes, .bytes(literal(bytes)), at: place)
        case .name(let name, let isAbsolute):
            return resolve(name, isAbsolute: isAbsolute, at: place) ?? unknownName(name, at: place)
        case .select(let operand, let field, let mode):
            if mode == .plain, let (path, isAbsolute) = path(expression), let part = resolve(path, isAbsolute: isAbsolute, at: place) {
                return part
            }
            return select(compile(operand), field, mode, at: place)
        case .call(let name, let target, let arguments): return call(name, target, arguments, at: place)
        case .list(let elements): return list(elements, at: place)
        case .map(let entries): return map(entries, at: place)
        case .comprehension(let comprehension): return self.comprehension(comprehension, at: place)
        case .bind(let name, let value, let body):
            let value = compile(value)
            let index = bind(name, value.type)
            let body = compile(body)
            unbind(1)
            return part(body.type, BindNode(local: index, value.node, body.node, offset: offset(place)))
        case .mistaken: return mistaken(at: place)
        }
    }

    /// Bytes of a literal, kept as long as the program.
    mutating func literal(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        constants.arena.literal(bytes)
    }

    // MARK: Names

    /// Gives a name of a macro's its place; names that are not there at the same time share one.
    mutating func bind(_ name: String, _ type: ValueType) -> Int {
        let index = environment.localBase + scope.count
        scope.append(Local(name: name, type: type, index: index))
        usesLocals = true
        localCount = max(localCount, index + 1)
        return index
    }

    mutating func unbind(_ count: Int) { scope.removeLast(count) }

    var isOutermost: Bool { scope.isEmpty }

    /// `a.b.c` as one name, where the expression is names with dots between them and the first is not bound by a macro.
    func path(_ expression: Expression) -> (path: String, isAbsolute: Bool)? {
        switch expression.kind {
        case .name(let name, let isAbsolute): return !isAbsolute && scope.contains { $0.name == name } ? nil : (name, isAbsolute)
        case .select(let operand, let field, .plain): return path(operand).map { ("\($0.path).\(field)", $0.isAbsolute) }
        default: return nil
        }
    }

    /// A name and the names that it may stand for within the container, innermost first ("Name Resolution").
    func candidates(_ name: String, isAbsolute: Bool) -> [String] {
        guard !isAbsolute, !environment.container.isEmpty else { return [name] }
        var names: [String] = []
        var container = Substring(environment.container)
        while !container.isEmpty {
            names.append("\(container).\(name)")
            container = container.lastIndex(of: ".").map { container[..<$0] } ?? ""
        }
        return names + [name]
    }

    private mutating func resolve(_ name: String, isAbsolute: Bool, at place: Range<Int>) -> Part? {
        if !isAbsolute, let local = scope.last(where: { $0.name == name }) {
            return part(local.type, LocalNode(index: local.index, offset: offset(place)))
        }
        for candidate in candidates(name, isAbsolute: isAbsolute) {
            if let slot = environment.slots[candidate] {
                unknowns += 1
                variables.insert(slot)
                return part(environment.variables[slot].type, VariableNode(slot: slot, offset: offset(place)))
            }
            if let program = environment.definitions[candidate] { return definition(program, at: place) }
            if let (type, name) = StandardLibrary.types[candidate] { return constant(.type(type), .type(Value.bytes(of: name)), at: place) }
        }
        return nil
    }

    /// Whether a name stands for a variable or a definition here.
    func isVariable(_ name: String, isAbsolute: Bool) -> Bool {
        candidates(name, isAbsolute: isAbsolute).contains { environment.slots[$0] != nil || environment.definitions[$0] != nil }
    }

    private mutating func definition(_ program: Program, at place: Range<Int>) -> Part {
        if let value = program.root.constant { return constant(program.type, value, at: place) }
        unknowns += 1
        variables.formUnion(program.variables)
        usesLocals = usesLocals || program.localCount > 0
        return part(program.type, DefinitionNode(program, offset: offset(place)))
    }

    private mutating func unknownName(_ name: String, at place: Range<Int>) -> Part {
        guard isChecked, !isFull else { return mistaken(.unknownVariable, at: place) }
        if environment.functions[name] != nil {
            fail("'\(name)' is a function; it is called with its arguments in brackets", at: place)
        } else {
            let known = environment.variables.map(\.name) + Array(environment.definitions.keys) + scope.map(\.name)
            fail("unknown variable '\(name)'\(NearMiss.hint(for: name, among: known))", at: place)
        }
        return mistaken(at: place)
    }
}

/// Where constants are run: there are no variables.
private final class NoActivation: Activation, Sendable {
    static let shared = NoActivation()

    func value(of slot: Int, in arena: inout Arena) -> Value { .failure(.unknownVariable) }
}
