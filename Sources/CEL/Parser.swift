/// Turns tokens into an expression (language definition, "Syntax"), in time linear in the text. After a mistake it goes on at the next
/// comma, bracket or logical operator. What is nested deeper than `Limits` has it is refused before any stack is in danger.
struct Parser {
    let source: [UInt8]
    private let tokens: [Token]
    private var position = 0
    private var nesting = 0
    private(set) var errors: [CompileError]
    // Too deep or too many: what follows is not worth a message.
    private var gaveUp = false

    private init(_ source: [UInt8]) {
        self.source = source
        (tokens, errors) = Lexer.tokens(of: source)
    }

    static func parse(_ source: [UInt8]) -> (expression: Expression, errors: [CompileError]) {
        var parser = Parser(source)
        let expression = parser.expression()
        if !parser.current.isEnd, !parser.gaveUp { parser.unexpected("an operator or the end") }
        return (expression, parser.errors)
    }

    // MARK: Tokens

    var current: Token { tokens[position] }

    mutating func advance() {
        if position < tokens.count - 1 { position += 1 }
    }

    mutating func take(_ symbol: String) -> Bool {
        guard current.isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) {
        if !take(symbol) { unexpected("'\(symbol)'") }
    }

    // MARK: Mistakes

    mutating func fail(_ message: String, at range: Range<Int>) {
        // One message a place: what follows from it is no news.
        guard !gaveUp, errors.last?.offset != range.lowerBound else { return }
        errors.append(CompileError(message, at: range, in: source))
        if errors.count >= Limits.errors { gaveUp = true }
    }

    mutating func unexpected(_ wanted: String) {
        let text = String(decoding: source[current.range].prefix(40), as: UTF8.self)
        switch current.kind {
        case .invalid: break  // the lexer has told it
        case .end: fail("the expression ends where \(wanted) is expected", at: current.range)
        default:
            let meant = ["and": "&&", "or": "||", "not": "!", "is": "=="][text].map { "; '\(text)' is written '\($0)'" }
            fail("unexpected '\(text)'\(meant ?? "; expected \(wanted)")", at: current.range)
        }
        recover()
    }

    /// Goes to where an expression may end, past brackets that open on the way.
    mutating func recover() {
        var open = 0
        while !current.isEnd {
            if case .symbol(let symbol) = current.kind {
                switch symbol {
                case "(", "[", "{": open += 1
                case ")", "]", "}":
                    if open == 0 { return }
                    open -= 1
                case ",", ":", "&&", "||": if open == 0 { return }
                default: break
                }
            }
            advance()
        }
    }

    mutating func make(_ kind: Expression.Kind, _ place: Range<Int>, _ children: [Expression] = []) -> Expression {
        let depth = (children.map(\.depth).max() ?? 0) + 1
        if depth > Limits.depth { return tooDeep(Limits.depth, place) }
        return Expression(kind: kind, place: place, depth: depth)
    }

    private mutating func tooDeep(_ limit: Int, _ place: Range<Int>) -> Expression {
        fail("the expression is nested more than \(limit) deep here; give a part of it a name, or write it flatter", at: place)
        gaveUp = true
        position = tokens.count - 1
        return Expression(kind: .mistaken, place: place, depth: 1)
    }

    // MARK: Expressions

    mutating func expression() -> Expression {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Limits.nesting else { return tooDeep(Limits.nesting, current.range) }
        let condition = binary(above: 0)
        let place = current.range
        guard take("?") else { return condition }
        let yes = binary(above: 0)
        expect(":")
        let no = expression()
        return make(.call(Operator.conditional, target: nil, arguments: [condition, yes, no]), place, [condition, yes, no])
    }

    private mutating func binary(above minimum: Int) -> Expression {
        var left = unary()
        // Conditions in a row become a balanced tree, so that a long one is not a deep one.
        var run: (symbol: String, terms: [Expression], places: [Range<Int>])?
        while case .symbol(let symbol) = current.kind, let level = Operator.precedence[symbol], level > minimum {
            let place = current.range
            advance()
            let right = binary(above: level)
            if level <= 2 {
                if run?.symbol != symbol {
                    if let run { left = balanced(run.symbol, run.terms[...], run.places[...]) }
                    run = (symbol, [left], [])
                }
                run?.terms.append(right)
                run?.places.append(place)
            } else {
                left = make(.call(Operator.binary(symbol), target: nil, arguments: [left, right]), place, [left, right])
            }
        }
        return run.map { balanced($0.symbol, $0.terms[...], $0.places[...]) } ?? left
    }

    private mutating func balanced(_ symbol: String, _ terms: ArraySlice<Expression>, _ places: ArraySlice<Range<Int>>) -> Expression {
        guard terms.count > 1 else { return terms[terms.startIndex] }
        let half = terms.count / 2
        let left = balanced(symbol, terms.prefix(half), places.prefix(half - 1))
        let right = balanced(symbol, terms.dropFirst(half), places.dropFirst(half))
        let place = places[places.startIndex + half - 1]
        return make(.call(Operator.binary(symbol), target: nil, arguments: [left, right]), place, [left, right])
    }

    private mutating func unary() -> Expression {
        let place = current.range
        var signs = 0
        for (symbol, name) in [("!", Operator.not), ("-", Operator.negate)] where current.isSymbol(symbol) {
            while current.isSymbol(symbol), !(symbol == "-" && tokens[position + 1].isNumber) {
                signs += 1
                advance()
            }
            let operand = current.isSymbol("!") || current.isSymbol("-") && !tokens[position + 1].isNumber ? mixedSigns() : member()
            // Two of a kind cancel out, but a single pair stays: `!!x` must still refuse an x that is no bool.
            return (0..<(signs > 2 ? 2 - signs % 2 : signs)).reduce(operand) { inner, _ in
                make(.call(name, target: nil, arguments: [inner]), place, [inner])
            }
        }
        return member()
    }

    private mutating func mixedSigns() -> Expression {
        unexpected("a value; '!' and '-' do not mix")
        return make(.mistaken, current.range)
    }

    private mutating func member() -> Expression {
        var value = primary()
        while !gaveUp {
            let place = current.range
            if take(".") {
                let isOptional = take("?")
                value = field(of: value, isOptional: isOptional, from: place)
            } else if take("[") {
                let name = take("?") ? Operator.optionalIndex : Operator.index
                let index = expression()
                expect("]")
                value = make(.call(name, target: nil, arguments: [value, index]), place, [value, index])
            } else {
                return value
            }
        }
        return value
    }

    private mutating func field(of value: Expression, isOptional: Bool, from dot: Range<Int>) -> Expression {
        let token = current
        switch token.kind {
        case .quoted(let name):
            advance()
            return make(.select(value, field: name, mode: isOptional ? .optional : .plain), token.range, [value])
        case .identifier(let name) where !["true", "false", "null"].contains(name):
            advance()
            guard !isOptional, take("(") else {
                return make(.select(value, field: name, mode: isOptional ? .optional : .plain), token.range, [value])
            }
            let arguments = list(until: ")")
            return memberMacro(name, value, arguments, at: token.range)
                ?? make(.call(name, target: value, arguments: arguments), token.range, [value] + arguments)
        default:
            unexpected("the name of a field or function")
            return make(.mistaken, dot)
        }
    }
}

extension Token {
    var isEnd: Bool { kind == .end }

    var isNumber: Bool {
        switch kind {
        case .int, .uint, .double: true
        default: false
        }
    }
}
