/// What looks like a call and is none: the macros of the specification and of its bindings, comprehension, math and optional extensions.
extension Parser {
    /// A macro without a target, or nil where the name or the number of arguments is that of an ordinary call.
    mutating func macro(_ name: String, _ arguments: [Expression], at place: Range<Int>) -> Expression? {
        guard name == "has", arguments.count == 1 else { return nil }
        guard case .select(let operand, let field, let mode) = arguments[0].kind, mode == .plain else {
            if case .mistaken = arguments[0].kind { return arguments[0] }
            fail("'has' asks for a field: has(e.f)", at: arguments[0].place)
            return make(.mistaken, place)
        }
        return make(.select(operand, field: field, mode: .test), arguments[0].place, [operand])
    }

    /// A macro with a target: `target.name(arguments)`.
    mutating func memberMacro(_ name: String, _ target: Expression, _ arguments: [Expression], at place: Range<Int>) -> Expression? {
        if case .name(let space, false) = target.kind {
            switch (space, name) {
            case ("cel", "bind") where arguments.count == 3: return bind(arguments, at: place)
            case ("math", "greatest"), ("math", "least"): return extremum(name, arguments, at: place)
            default: break
            }
        }
        switch (name, arguments.count) {
        case ("all", 2...3): return comprehension(.all, target, arguments, condition: true, result: false, name, place)
        case ("exists", 2...3): return comprehension(.exists, target, arguments, condition: true, result: false, name, place)
        case ("exists_one", 2...3), ("existsOne", 2...3):
            return comprehension(.existsOne, target, arguments, condition: true, result: false, name, place)
        case ("filter", 2): return comprehension(.list, target, arguments, condition: true, result: false, name, place)
        case ("map", 2): return comprehension(.list, target, arguments, condition: false, result: true, name, place)
        case ("map", 3): return comprehension(.list, target, arguments, condition: true, result: true, name, place)
        case ("transformList", 3...4): return transform(.list, target, arguments, name, place)
        case ("transformMap", 3...4): return transform(.map, target, arguments, name, place)
        case ("transformMapEntry", 3...4): return transform(.mapEntry, target, arguments, name, place)
        case ("optMap", 2): return comprehension(.optionalMap, target, arguments, condition: false, result: true, name, place)
        case ("optFlatMap", 2): return comprehension(.optionalFlatMap, target, arguments, condition: false, result: true, name, place)
        default: return nil
        }
    }

    private mutating func transform(
        _ macro: Expression.Comprehension.Macro, _ target: Expression, _ arguments: [Expression], _ name: String, _ place: Range<Int>
    ) -> Expression { comprehension(macro, target, arguments, condition: arguments.count == 4, result: true, name, place) }

    // The arguments are one or two names, then the condition, then the result, where the macro has them.
    private mutating func comprehension(
        _ macro: Expression.Comprehension.Macro, _ target: Expression, _ arguments: [Expression], condition: Bool, result: Bool,
        _ name: String,
        _ place: Range<Int>
    ) -> Expression {
        let parts = (condition ? 1 : 0) + (result ? 1 : 0)
        var names: [String] = []
        for argument in arguments.dropLast(parts) {
            guard case .name(let name, false) = argument.kind else {
                if case .mistaken = argument.kind { return argument }
                fail("the first argument of '\(name)' is the name of a variable", at: argument.place)
                return make(.mistaken, place)
            }
            if names.contains(name) { fail("'\(name)' cannot name both variables", at: argument.place) }
            names.append(name)
        }
        let comprehension = Expression.Comprehension(
            macro: macro, range: target, variables: names, variablesRange: arguments[0].place,
            condition: condition ? arguments[names.count] : nil, result: result ? arguments.last : nil)
        return make(.comprehension(comprehension), place, [target] + arguments)
    }

    private mutating func bind(_ arguments: [Expression], at place: Range<Int>) -> Expression {
        guard case .name(let name, false) = arguments[0].kind else {
            fail("the first argument of 'cel.bind' is the name of a variable", at: arguments[0].place)
            return make(.mistaken, place)
        }
        return make(.bind(name, value: arguments[1], body: arguments[2]), place, arguments)
    }

    private mutating func extremum(_ name: String, _ arguments: [Expression], at place: Range<Int>) -> Expression {
        guard !arguments.isEmpty else {
            fail("'math.\(name)' needs at least one number", at: place)
            return make(.mistaken, place)
        }
        guard arguments.count > 2 else { return make(.call("math.@\(name)", target: nil, arguments: arguments), place, arguments) }
        let list = make(.list(arguments.map { Expression.Element(value: $0, isOptional: false) }), place, arguments)
        return make(.call("math.@\(name)", target: nil, arguments: [list]), place, [list])
    }
}
