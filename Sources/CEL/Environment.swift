// CEL, the Common Expression Language (github.com/google/cel-spec): expressions that are checked when the configuration is read and then
// run for every span. Knows nothing of spans.
// Promises: whatever the text, compiling ends in time and never traps, and every mistake is told with its place. A checked program has no
// side effects, its cost is bounded by a budget, a run that fails says why, and an ordinary condition allocates nothing. `matches` is RE2.
// Not here: protocol buffer messages.
// Start with `Environment` (names, functions, compile), then Program.swift (run), Value.swift and Activation.swift (what a host gives);
// inside: Parser.swift, Compiler.swift (checks and builds), Evaluation.swift (what a program is made of), Library/ (the functions).

/// The names and functions that expressions may use.
public struct Environment: Sendable {
    /// A variable of the host's. Its slot is its number in `variables`.
    public struct Variable: Sendable, Equatable {
        /// The name, with dots where it has a namespace.
        public let name: String
        /// The type of every value that it will have.
        public let type: ValueType
    }

    /// The variables in the order of their declaration.
    public private(set) var variables: [Variable] = []
    /// The namespace in which names are looked up first: in `a.b`, x is a.b.x, a.x or x.
    public var container = ""
    private(set) var slots: [String: Int] = [:]
    private(set) var functions: [String: [Function]] = StandardLibrary.functions
    private(set) var definitions: [String: Program] = [:]

    /// The standard library with the extensions strings, math, encoders, bindings, comprehensions, optionals and network.
    public init() {}

    /// Declares a variable and gives its slot, by which the activation is asked for it. The name must be new.
    @discardableResult public mutating func declare(_ name: String, _ type: ValueType) -> Int {
        precondition(slots[name] == nil && definitions[name] == nil, "\(name) is declared twice")
        slots[name] = variables.count
        variables.append(Variable(name: name, type: type))
        return variables.count - 1
    }

    /// Adds a function, or more signatures to one; they must not overlap with those there are.
    public mutating func add(_ function: Function) { functions[function.name, default: []].append(function) }

    /// Names an expression, so that others compiled from now on can use it like a variable; it is run where the name stands.
    public mutating func define(_ name: String, as source: String, returning type: ValueType? = nil) throws(CompileErrors) {
        func refuse(_ message: String) -> CompileErrors {
            CompileErrors(errors: [CompileError(message, at: 0..<1, in: Array(source.utf8))])
        }
        guard Parser.isName(name) else { throw refuse("'\(name)' cannot be a name: letters, digits and '_', no reserved word") }
        guard slots[name] == nil, definitions[name] == nil else {
            throw refuse("'\(name)' is a \(slots[name] == nil ? "definition" : "variable") already")
        }
        let program = try compile(source, returning: type)
        definitions[name] = program
    }

    /// Checks an expression and makes its program, or throws every mistake that it has. `type` is what it must give; `dyn` fits when the
    /// program runs, or fails.
    public func compile(_ source: String, returning type: ValueType? = nil) throws(CompileErrors) -> Program {
        try Compiler.program(source, self, returning: type, isChecked: true)
    }

    /// As `compile`, with types and names found out when the program runs: the specification's tests ask for that.
    func compileUnchecked(_ source: String) throws(CompileErrors) -> Program {
        try Compiler.program(source, self, returning: nil, isChecked: false)
    }

    /// The first number that a macro may give to what it binds: definitions run inside of other programs and have theirs below.
    var localBase: Int { definitions.values.map(\.localCount).max() ?? 0 }
}
