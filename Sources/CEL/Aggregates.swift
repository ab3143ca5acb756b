/// Checking of fields, lists, maps and macros.
extension Compiler {
    mutating func select(_ operand: Part, _ field: String, _ mode: Expression.SelectMode, at place: Range<Int>) -> Part {
        let key = Value.string(literal(Array(field.utf8)))
        let type = fieldType(unifier.outermost(operand.type), field, at: place)
        switch mode {
        case .test: return part(.bool, HasNode(operand.node, key, offset: offset(place)))
        case .plain, .optional:
            let node = LookupNode(
                operand.node, ConstantNode(key, offset: offset(place)), isOptional: mode == .optional, offset: offset(place))
            // A field of an optional is optional already.
            let selected = part(mode == .plain || isOptional(operand.type) ? type : .optional(type), node)
            return operand.node.constant == nil ? selected : folded(selected)
        }
    }

    private func isOptional(_ type: ValueType) -> Bool {
        if case .optional = unifier.outermost(type) { true } else { false }
    }

    private mutating func fieldType(_ type: ValueType, _ field: String, at place: Range<Int>) -> ValueType {
        switch type {
        case .map(let key, let value):
            if unifier.unify([key], [.string]) { return value }
            fail("a field is a text, but this map's keys are \(unifier.resolve(key)): use [...]", at: place)
            return .mistaken
        case .optional(let value): return .optional(fieldType(unifier.outermost(value), field, at: place))
        case .dyn, .unknown: return .dyn
        case .mistaken: return .mistaken
        default:
            guard isChecked else { return .dyn }
            fail("\(unifier.resolve(type)) has no fields, so no '\(field)'", at: place)
            return .mistaken
        }
    }

    mutating func list(_ elements: [Expression.Element], at place: Range<Int>) -> Part {
        var type: ValueType?
        var nodes: [Node] = []
        for element in elements {
            let part = compile(element.value)
            nodes.append(part.node)
            let elementType = element.isOptional ? unwrapped(part.type, at: element.value.place) : part.type
            type = type.map { unifier.join($0, elementType) } ?? elementType
        }
        let optional = Set(elements.indices.filter { elements[$0].isOptional })
        let list = part(.list(type ?? unifier.unknown()), ListNode(nodes, optional: optional, offset: offset(place)))
        return nodes.allSatisfy { $0.constant != nil } ? folded(list) : list
    }

    mutating func map(_ entries: [Expression.Entry], at place: Range<Int>) -> Part {
        var types: (key: ValueType, value: ValueType)?
        var keys: [Node] = []
        var values: [Node] = []
        for entry in entries {
            let key = compile(entry.key)
            let value = compile(entry.value)
            keys.append(key.node)
            values.append(value.node)
            checkKey(key.type, at: entry.key.place)
            let valueType = entry.isOptional ? unwrapped(value.type, at: entry.value.place) : value.type
            types = types.map { (unifier.join($0.key, key.type), unifier.join($0.value, valueType)) } ?? (key.type, valueType)
        }
        let optional = Set(entries.indices.filter { entries[$0].isOptional })
        let type = ValueType.map(types?.key ?? unifier.unknown(), types?.value ?? unifier.unknown())
        let map = part(type, MapNode(keys, values, optional: optional, offset: offset(place)))
        if isChecked, let twice = repeated(keys) { fail("this key stands here a second time", at: entries[twice].key.place) }
        return (keys + values).allSatisfy { $0.constant != nil } ? folded(map) : map
    }

    /// The first constant key that an earlier one is equal to.
    private func repeated(_ keys: [Node]) -> Int? {
        var seen: Set<MapKey> = []
        return keys.indices.first { index in
            guard let key = keys[index].constant.flatMap({ MapKey($0, isNew: true) }) else { return false }
            return !seen.insert(key).inserted
        }
    }

    private mutating func checkKey(_ type: ValueType, at place: Range<Int>) {
        switch unifier.outermost(type) {
        case .bool, .int, .uint, .string, .dyn, .unknown, .mistaken: break
        case let other: if isChecked { fail("a map's key is a bool, int, uint or string, not \(unifier.resolve(other))", at: place) }
        }
    }

    private mutating func unwrapped(_ type: ValueType, at place: Range<Int>) -> ValueType {
        switch unifier.outermost(type) {
        case .optional(let value): return value
        case .dyn, .unknown, .mistaken: return .dyn
        case let other:
            if isChecked { fail("an entry with '?' takes an optional value, not \(unifier.resolve(other))", at: place) }
            return .mistaken
        }
    }

    // MARK: Macros

    mutating func comprehension(_ macro: Expression.Comprehension, at place: Range<Int>) -> Part {
        let unknownsBefore = unknowns
        let range = compile(macro.range)
        let types = variableTypes(macro, range, at: macro.range.place)
        let stepsBefore = steps
        let locals = zip(macro.variables, types).map { bind($0, $1) }
        let condition = macro.condition.map { compile($0) }
        if let condition, isChecked, !unifier.unify([condition.type], [.bool]), let place = macro.condition?.place {
            fail("the condition must be bool; this is \(unifier.resolve(condition.type))", at: place)
        }
        let result = macro.result.map { compile($0) }
        unbind(locals.count)
        let loop = Loop(range: range.node, locals: locals, stepsPerTurn: steps - stepsBefore + 1, offset: offset(place))
        let made = comprehensionPart(macro, loop, condition, result, types, at: place)
        // Over constants alone the result is known now. Inside of another macro its variables are not.
        return unknowns == unknownsBefore && isOutermost ? foldedWithLocals(made) : made
    }

    private mutating func comprehensionPart(
        _ macro: Expression.Comprehension, _ loop: Loop, _ condition: Part?, _ result: Part?, _ types: [ValueType], at place: Range<Int>
    ) -> Part {
        switch (macro.macro, condition, result) {
        case (.all, let condition?, _): return part(.bool, QuantifierNode(loop, condition.node, isAll: true))
        case (.exists, let condition?, _): return part(.bool, QuantifierNode(loop, condition.node, isAll: false))
        case (.existsOne, let condition?, _): return part(.bool, ExistsOneNode(loop, condition.node))
        case (.list, _, _): return part(.list(result?.type ?? types[0]), TransformNode(.list, loop, condition?.node, result?.node))
        case (.map, _, let result?): return part(.map(types[0], result.type), TransformNode(.map, loop, condition?.node, result.node))
        case (.mapEntry, _, let result?):
            let type = ValueType.map(unifier.unknown(), unifier.unknown())
            if isChecked, !unifier.unify([type], [result.type]) {
                fail("'transformMapEntry' makes entries: {key: value}, not \(unifier.resolve(result.type))", at: place)
            }
            return part(type, TransformNode(.mapEntry, loop, condition?.node, result.node))
        case (.optionalMap, _, let result?):
            let node = OptionalMapNode(loop.range, local: loop.locals[0], result.node, isFlat: false, offset: loop.offset)
            return part(.optional(result.type), node)
        case (.optionalFlatMap, _, let result?):
            let type = ValueType.optional(unifier.unknown())
            if isChecked, !unifier.unify([type], [result.type]) {
                fail("'optFlatMap' takes an expression that gives an optional, not \(unifier.resolve(result.type))", at: place)
            }
            return part(type, OptionalMapNode(loop.range, local: loop.locals[0], result.node, isFlat: true, offset: loop.offset))
        default: return mistaken(at: place)
        }
    }

    /// The types of the names that a macro binds over a range.
    private mutating func variableTypes(_ macro: Expression.Comprehension, _ range: Part, at place: Range<Int>) -> [ValueType] {
        let type = unifier.outermost(range.type)
        let isOptional = macro.macro == .optionalMap || macro.macro == .optionalFlatMap
        switch type {
        case .optional(let value) where isOptional: return [value]
        case .list(let element) where !isOptional: return macro.variables.count == 2 ? [.int, element] : [element]
        case .map(let key, let value) where !isOptional: return macro.variables.count == 2 ? [key, value] : [key]
        case .dyn, .unknown, .mistaken: break
        default:
            if isChecked {
                fail("this goes over \(isOptional ? "an optional" : "a list or a map"), not \(unifier.resolve(type))", at: place)
            }
            return macro.variables.map { _ in .mistaken }
        }
        return macro.variables.map { _ in .dyn }
    }

    private mutating func foldedWithLocals(_ part: Part) -> Part {
        let locals = UnsafeMutableBufferPointer<Value>.allocate(capacity: localCount)
        locals.initialize(repeating: .null)
        constants.locals = locals
        defer {
            constants.locals = UnsafeMutableBufferPointer(start: nil, count: 0)
            locals.deallocate()
        }
        return folded(part)
    }
}
