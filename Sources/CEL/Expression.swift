/// An expression as it was written, macros already told from calls.
struct Expression {
    indirect enum Kind {
        case null
        case bool(Bool)
        case int(Int64)
        case uint(UInt64)
        case double(Double)
        case string([UInt8])
        case bytes([UInt8])
        /// `x`, or `.x` which means the outermost x.
        case name(String, isAbsolute: Bool)
        /// `e.f`, `e.?f`, or `has(e.f)`.
        case select(Expression, field: String, mode: SelectMode)
        /// `f(a)`, `e.f(a)`, and operators by the names in `Operator`.
        case call(String, target: Expression?, arguments: [Expression])
        case list([Element])
        case map([Entry])
        case comprehension(Comprehension)
        /// `cel.bind(name, value, body)`.
        case bind(String, value: Expression, body: Expression)
        /// What could not be read; a message already stands for it.
        case mistaken
    }

    enum SelectMode { case plain, optional, test }

    struct Element {
        let value: Expression
        let isOptional: Bool
    }

    struct Entry {
        let key: Expression
        let value: Expression
        let isOptional: Bool
    }

    /// A macro over a list or a map.
    struct Comprehension {
        enum Macro { case all, exists, existsOne, list, map, mapEntry, optionalMap, optionalFlatMap }
        let macro: Macro
        let range: Expression
        /// One or two names.
        let variables: [String]
        let variablesRange: Range<Int>
        /// The condition; `map` and `filter` may have none.
        let condition: Expression?
        /// What each element becomes; nil where the element itself is the result.
        let result: Expression?
    }

    let kind: Kind
    /// What an error about this expression points at: its name, its operator or all of it.
    let place: Range<Int>
    /// How deep the tree below is, this node counted.
    let depth: Int
}

/// Operators by the names under which the standard library declares them; no name in an expression can be equal.
enum Operator {
    static let not = "!_"
    static let negate = "-_"
    static let index = "_[_]"
    static let optionalIndex = "_[?_]"
    static let conditional = "_?_:_"
    static let and = "_&&_"
    static let or = "_||_"
    static let isIn = "_in_"

    /// Binary operators, loosest first.
    static let precedence: [String: Int] = [
        "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
    ]

    /// How a person writes what a name stands for: `_==_` is `==`.
    static func symbol(of name: String) -> String? {
        guard name.contains("_"), !(name.utf8.first?.isLetter ?? true) || name.hasPrefix("_") else { return nil }
        let symbol = name.filter { $0 != "_" }
        return symbol == "?:" ? "? :" : symbol
    }

    static func binary(_ symbol: String) -> String { "_\(symbol)_" }
}
