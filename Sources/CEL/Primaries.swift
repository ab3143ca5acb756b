/// The innermost parts of an expression: literals, names, calls, lists and maps.
extension Parser {
    mutating func primary() -> Expression {
        let token = current
        switch token.kind {
        case .symbol("("):
            advance()
            let inner = expression()
            expect(")")
            return inner
        case .symbol("["):
            advance()
            return listLiteral(from: token.range)
        case .symbol("{"):
            advance()
            return mapLiteral(from: token.range)
        case .symbol("-"):
            advance()
            return number(isNegative: true, from: token.range.lowerBound)
        case .int, .uint, .double: return number(isNegative: false, from: token.range.lowerBound)
        case .string(let text):
            advance()
            return make(.string(text), token.range)
        case .bytes(let bytes):
            advance()
            return make(.bytes(bytes), token.range)
        case .identifier, .symbol("."): return name()
        case .invalid:
            advance()
            return make(.mistaken, token.range)
        default:
            unexpected("a value")
            return make(.mistaken, token.range)
        }
    }

    private mutating func number(isNegative: Bool, from start: Int) -> Expression {
        let token = current
        let place = start..<token.range.upperBound
        advance()
        switch token.kind {
        case .int(let magnitude):
            guard let value = isNegative ? Int64(exactly: -Int128(magnitude)) : Int64(exactly: magnitude) else {
                fail("\(magnitude) does not fit an int, which has 64 bits", at: place)
                return make(.mistaken, place)
            }
            return make(.int(value), place)
        case .uint(let value) where !isNegative || value == 0: return make(.uint(value), place)
        case .double(let value): return make(.double(isNegative ? -value : value), place)
        default:
            fail("a uint has no sign", at: place)
            return make(.mistaken, place)
        }
    }

    private mutating func name() -> Expression {
        let isAbsolute = take(".")
        let token = current
        guard case .identifier(let name) = token.kind else {
            unexpected("a name")
            return make(.mistaken, token.range)
        }
        advance()
        switch name {
        case "true", "false", "null":
            if isAbsolute { fail("'\(name)' is a value, not a name", at: token.range) }
            return make(name == "null" ? .null : .bool(name == "true"), token.range)
        case _ where Parser.reserved.contains(name):
            fail("'\(name)' is a reserved word and cannot be a name", at: token.range)
            return make(.mistaken, token.range)
        default: break
        }
        if take("(") {
            let arguments = list(until: ")")
            if !isAbsolute, let macro = macro(name, arguments, at: token.range) { return macro }
            return make(.call(isAbsolute ? "." + name : name, target: nil, arguments: arguments), token.range, arguments)
        }
        if current.isSymbol("{") {
            fail("messages are not part of this CEL; a map is {\"key\": value}", at: current.range)
            recover()
            return make(.mistaken, token.range)
        }
        return make(.name(name, isAbsolute: isAbsolute), token.range)
    }

    // MARK: Lists of expressions

    mutating func list(until closing: String) -> [Expression] {
        var items: [Expression] = []
        while !current.isSymbol(closing), !current.isEnd {
            items.append(expression())
            if !take(",") { break }
        }
        expect(closing)
        return items
    }

    private mutating func listLiteral(from place: Range<Int>) -> Expression {
        var elements: [Expression.Element] = []
        while !current.isSymbol("]"), !current.isEnd {
            let isOptional = take("?")
            elements.append(Expression.Element(value: expression(), isOptional: isOptional))
            if !take(",") { break }
        }
        let end = current.range.upperBound
        expect("]")
        return make(.list(elements), place.lowerBound..<end, elements.map(\.value))
    }

    private mutating func mapLiteral(from place: Range<Int>) -> Expression {
        var entries: [Expression.Entry] = []
        while !current.isSymbol("}"), !current.isEnd {
            let isOptional = take("?")
            let key = expression()
            expect(":")
            entries.append(Expression.Entry(key: key, value: expression(), isOptional: isOptional))
            if !take(",") { break }
        }
        let end = current.range.upperBound
        expect("}")
        return make(.map(entries), place.lowerBound..<end, entries.flatMap { [$0.key, $0.value] })
    }

    /// Whether a text can be written as a name.
    static func isName(_ text: String) -> Bool {
        let (tokens, errors) = Lexer.tokens(of: Array(text.utf8))
        return errors.isEmpty && tokens.map(\.kind) == [.identifier(text), .end] && !reserved.contains(text)
            && !["true", "false", "null"].contains(text)
    }

    private static let reserved: Set<String> = [
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return",
        "var",
        "void", "while",
    ]
}
