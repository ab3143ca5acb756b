import Patterns

/// Checking of calls and operators: which signatures fit, and the node that runs the call best.
extension Compiler {
    mutating func call(_ name: String, _ target: Expression?, _ arguments: [Expression], at place: Range<Int>) -> Part {
        guard let target else {
            let isAbsolute = name.hasPrefix(".")
            let name = isAbsolute ? String(name.dropFirst()) : name
            let parts = parts(arguments)
            if name == "matches", let pattern = arguments.last { checkPattern(parts.last?.node, at: pattern.place) }
            return call(functions(name, isAbsolute: isAbsolute), name, parts, isMember: false, at: place)
        }
        // `math.abs(x)`: a function with a namespace, not a member of a variable.
        if let (path, isAbsolute) = path(target) {
            let functions = functions("\(path).\(name)", isAbsolute: isAbsolute)
            if !functions.isEmpty { return call(functions, "\(path).\(name)", parts(arguments), isMember: false, at: place) }
            let known = environment.functions.keys.filter { $0.hasPrefix("\(path).") }
            if isChecked, !known.isEmpty, !isVariable(path, isAbsolute: isAbsolute) {
                fail("unknown function '\(path).\(name)'\(NearMiss.hint(for: "\(path).\(name)", among: known))", at: place)
                return mistaken(at: place)
            }
        }
        let parts = parts([target] + arguments)
        if name == "matches", let pattern = arguments.last { checkPattern(parts.last?.node, at: pattern.place) }
        return call(environment.functions[name] ?? [], name, parts, isMember: true, at: place)
    }

    private mutating func parts(_ expressions: [Expression]) -> [Part] {
        var parts: [Part] = []
        for expression in expressions { parts.append(compile(expression)) }
        return parts
    }

    private func functions(_ name: String, isAbsolute: Bool) -> [Function] {
        for candidate in candidates(name, isAbsolute: isAbsolute) {
            if let functions = environment.functions[candidate] { return functions }
        }
        return []
    }

    private mutating func call(_ functions: [Function], _ name: String, _ arguments: [Part], isMember: Bool, at place: Range<Int>) -> Part {
        var fitting: [Function] = []
        var result: ValueType?
        for function in functions {
            var fits = false
            for overload in function.overloads where overload.isMember == isMember && overload.parameters.count == arguments.count {
                if isChecked {
                    let types = unifier.instantiate(overload.parameters + [overload.result])
                    guard unifier.unify(types.dropLast(), arguments.map(\.type)) else { continue }
                    let type = unifier.resolve(types[types.count - 1])
                    result = result == nil || result == type ? (types[types.count - 1]) : .dyn
                }
                fits = true
            }
            if fits { fitting.append(function) }
        }
        guard !fitting.isEmpty else { return noOverload(functions, name, arguments, isMember: isMember, at: place) }
        let node =
            specialNode(name, arguments.map(\.node), at: place) ?? callNode(fitting, arguments.map(\.node), isMember: isMember, at: place)
        let call = part(result ?? .dyn, node)
        guard fitting.allSatisfy(\.isConstant) else {
            unknowns += 1
            return call
        }
        guard arguments.allSatisfy({ $0.node.constant != nil }) else { return call }
        let folded = folded(call)
        if folded.node.constant == nil { checkConstants(name, arguments, at: place) }
        return folded
    }

    private func callNode(_ functions: [Function], _ arguments: [Node], isMember: Bool, at place: Range<Int>) -> Node {
        let offset = offset(place)
        if functions.count == 1 {
            switch (functions[0].body, arguments.count) {
            case (.one(let body), 1): return UnaryCallNode(body, arguments[0], offset: offset)
            case (.two(let body), 2): return BinaryCallNode(body, arguments[0], arguments[1], offset: offset)
            default: break
            }
        }
        return CallNode(functions, arguments, isMember: isMember, offset: offset)
    }

    /// Nodes of their own for what has other rules than a call, and for the commonest conditions.
    private mutating func specialNode(_ name: String, _ nodes: [Node], at place: Range<Int>) -> Node? {
        let offset = offset(place)
        switch name {
        case Operator.and: return JunctionNode(nodes[0], nodes[1], isAnd: true, offset: offset)
        case Operator.or: return JunctionNode(nodes[0], nodes[1], isAnd: false, offset: offset)
        case Operator.not: return NotNode(nodes[0], offset: offset)
        case Operator.conditional: return ConditionalNode(nodes[0], nodes[1], nodes[2], offset: offset)
        case "_==_", "_!=_":
            let negated = name == "_!=_"
            for (node, other) in [(nodes[0], nodes[1]), (nodes[1], nodes[0])] {
                if case .string(let text) = node.constant { return TextEqualsNode(other, equals: text, negated: negated, offset: offset) }
            }
            return EqualsNode(nodes[0], nodes[1], negated: negated, offset: offset)
        case "_<_": return OrderNode(nodes[0], nodes[1], .less, offset: offset)
        case "_<=_": return OrderNode(nodes[0], nodes[1], .lessOrEqual, offset: offset)
        case "_>_": return OrderNode(nodes[0], nodes[1], .greater, offset: offset)
        case "_>=_": return OrderNode(nodes[0], nodes[1], .greaterOrEqual, offset: offset)
        case Operator.isIn:
            return texts(nodes[1]).map { TextInNode(nodes[0], $0, offset: offset) } ?? InNode(nodes[0], nodes[1], offset: offset)
        case Operator.index: return LookupNode(nodes[0], nodes[1], isOptional: false, offset: offset)
        case Operator.optionalIndex: return LookupNode(nodes[0], nodes[1], isOptional: true, offset: offset)
        case "startsWith", "endsWith", "contains":
            guard nodes.count == 2, case .string(let part) = nodes[1].constant, let test = TextPartNode.Test(rawValue: name) else {
                return nil
            }
            return TextPartNode(nodes[0], test, part, offset: offset)
        case "matches":
            guard nodes.count == 2, case .string(let pattern) = nodes[1].constant, let compiled = try? Pattern(Text.string(pattern)) else {
                return nil
            }
            return MatchesNode(nodes[0], compiled, offset: offset)
        default: return nil
        }
    }

    /// The elements of a constant list of texts.
    private mutating func texts(_ node: Node) -> [UnsafeRawBufferPointer]? {
        guard case .list(let reference) = node.constant else { return nil }
        let list = reference.takeUnretainedValue()
        var texts: [UnsafeRawBufferPointer] = []
        for index in 0..<list.count {
            guard case .string(let text) = list.element(at: index, in: &constants.arena) else { return nil }
            texts.append(text)
        }
        return texts
    }

    // MARK: Mistakes

    /// Constants that can never work: a mistake of the one who wrote them, told before anything runs.
    private mutating func checkConstants(_ name: String, _ arguments: [Part], at place: Range<Int>) {
        guard isChecked, case .string(let text) = arguments.last?.node.constant else { return }
        let shown = Text.string(text)
        switch name {
        case "duration": fail("'\(shown)' is no duration: write 1h30m, 1.5s, 250ms, within 292 years", at: place)
        case "timestamp": fail("'\(shown)' is no time: write 2026-01-31T12:00:00Z, in the years 1 to 9999", at: place)
        default: break
        }
    }

    /// A pattern that is not valid is a mistake wherever the text comes from.
    private mutating func checkPattern(_ pattern: Node?, at place: Range<Int>) {
        guard isChecked, case .string(let text) = pattern?.constant else { return }
        do {
            _ = try Pattern(Text.string(text))
        } catch {
            let part = error.part.map { Text.string(Text.slice(text, $0.lowerBound, $0.upperBound)) } ?? ""
            fail("not a regular expression (RE2): \(error.reason)\(error.reason.hasSuffix(part) ? "" : ": \(part)")", at: place)
        }
    }

    private mutating func noOverload(_ functions: [Function], _ name: String, _ arguments: [Part], isMember: Bool, at place: Range<Int>)
        -> Part
    {
        guard isChecked, !isFull else { return mistaken(functions.isEmpty ? .unknownFunction : .noSuchOverload, at: place) }
        let types = arguments.map { unifier.resolve($0.type).description }
        // What a macro became is told by the macro's name.
        let name = name.replacing("@", with: "")
        if let symbol = Operator.symbol(of: name) {
            fail("no such overload: \(written(symbol, types))\(numberHint(symbol, arguments))", at: place)
        } else if functions.isEmpty {
            let known = environment.functions.keys.filter { name in
                Operator.symbol(of: name) == nil
                    && environment.functions[name]?.contains { $0.overloads.contains { $0.isMember == isMember } } == true
            }
            fail("unknown function '\(name)'\(NearMiss.hint(for: name, among: known))", at: place)
        } else {
            let all = functions.flatMap(\.overloads)
            let shown = (all.filter { $0.isMember == isMember }.isEmpty ? all : all.filter { $0.isMember == isMember }).prefix(4)
            let known = shown.map { written(name, $0.parameters.map(\.description), isMember: $0.isMember) }.joined(separator: ", ")
            fail("no such overload: \(written(name, types, isMember: isMember)); there is \(known)", at: place)
        }
        return mistaken(at: place)
    }

    private func written(_ name: String, _ types: [String], isMember: Bool) -> String {
        isMember ? "\(types[0]).\(name)(\(types.dropFirst().joined(separator: ", ")))" : "\(name)(\(types.joined(separator: ", ")))"
    }

    private func written(_ symbol: String, _ types: [String]) -> String {
        switch (symbol, types.count) {
        case ("[]", 2), ("[?]", 2): "\(types[0])[\(types[1])]"
        case (_, 1): "\(symbol)\(types[0])"
        case ("? :", 3): "\(types[0]) ? \(types[1]) : \(types[2])"
        case (_, 2): "\(types[0]) \(symbol) \(types[1])"
        default: symbol
        }
    }

    private func numberHint(_ symbol: String, _ arguments: [Part]) -> String {
        let types = Set(arguments.map { unifier.resolve($0.type) })
        guard types.count == 2, types.isSubset(of: [.int, .uint, .double]) else { return "" }
        return types.contains(.double) ? "; write a whole number as 1.0, or convert it: double(x)" : "; convert one side: int(x) or uint(x)"
    }
}
