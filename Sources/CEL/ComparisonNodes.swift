/// The commonest condition: a text that is, or is not, a constant one.
final class TextEqualsNode: ConditionNode {
    let operand: Node
    let text: UnsafeRawBufferPointer
    let equal: Truth
    let unequal: Truth

    init(_ operand: Node, equals text: UnsafeRawBufferPointer, negated: Bool, offset: Int32) {
        (self.operand, self.text) = (operand, text)
        (equal, unequal) = negated ? (.no, .yes) : (.yes, .no)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let value = value(of: operand, &evaluation) else { return .failed }
        guard case .string(let other) = value else { return unequal }
        return Text.equal(other, text) ? equal : unequal
    }
}

/// `text.startsWith(part)`, `endsWith` and `contains` with a constant part.
final class TextPartNode: ConditionNode {
    enum Test: String { case startsWith, endsWith, contains }
    let operand: Node
    let test: Test
    let part: UnsafeRawBufferPointer

    init(_ operand: Node, _ test: Test, _ part: UnsafeRawBufferPointer, offset: Int32) {
        (self.operand, self.test, self.part) = (operand, test, part)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let value = value(of: operand, &evaluation) else { return .failed }
        guard case .string(let text) = value else { return fail(.noSuchOverload, &evaluation) }
        switch test {
        case .startsWith: return Truth(Text.hasPrefix(text, part))
        case .endsWith: return Truth(Text.hasSuffix(text, part))
        case .contains:
            guard evaluation.arena.spend(bytes: text.count) else { return fail(.tooExpensive, &evaluation) }
            return Truth(Text.find(part, in: text) != nil)
        }
    }
}

/// `==` and `!=` of any two values.
final class EqualsNode: ConditionNode {
    let left: Node
    let right: Node
    let negated: Bool

    init(_ left: Node, _ right: Node, negated: Bool, offset: Int32) {
        (self.left, self.right, self.negated) = (left, right, negated)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let a = value(of: left, &evaluation), let b = value(of: right, &evaluation) else { return .failed }
        do {
            return Truth(try Equality.equal(a, b, &evaluation.arena) != negated)
        } catch {
            return fail(error.kind, &evaluation)
        }
    }
}

/// `<`, `<=`, `>`, `>=`.
final class OrderNode: ConditionNode {
    enum Relation { case less, lessOrEqual, greater, greaterOrEqual }
    let left: Node
    let right: Node
    let relation: Relation

    init(_ left: Node, _ right: Node, _ relation: Relation, offset: Int32) {
        (self.left, self.right, self.relation) = (left, right, relation)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let a = value(of: left, &evaluation), let b = value(of: right, &evaluation) else { return .failed }
        guard let order = Equality.compare(a, b) else {
            // A NaN is neither below nor above anything; other values without an order are a mistake.
            return Equality.isNumber(a) && Equality.isNumber(b) ? .no : fail(.noSuchOverload, &evaluation)
        }
        if case .string(let text) = a, !evaluation.arena.spend(bytes: text.count) { return fail(.tooExpensive, &evaluation) }
        return switch relation {
        case .less: Truth(order < 0)
        case .lessOrEqual: Truth(order <= 0)
        case .greater: Truth(order > 0)
        case .greaterOrEqual: Truth(order >= 0)
        }
    }
}

/// `x in ["a", "b"]`: a text in a list of constant ones; a few are compared in turn, more are looked up.
final class TextInNode: ConditionNode {
    let operand: Node
    private let few: [UnsafeRawBufferPointer]
    private let many: Set<ByteKey>

    init(_ operand: Node, _ texts: [UnsafeRawBufferPointer], offset: Int32) {
        self.operand = operand
        (few, many) = texts.count <= 8 ? (texts, []) : ([], Set(texts.map { ByteKey($0) }))
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let value = value(of: operand, &evaluation) else { return .failed }
        guard case .string(let other) = value else { return .no }
        for text in few where Text.equal(other, text) { return .yes }
        return many.isEmpty ? .no : Truth(many.contains(ByteKey(other)))
    }
}

/// `in` over any list or the keys of any map.
final class InNode: ConditionNode {
    let operand: Node
    let container: Node

    init(_ operand: Node, _ container: Node, offset: Int32) {
        (self.operand, self.container) = (operand, container)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let value = value(of: operand, &evaluation), let container = self.value(of: container, &evaluation) else { return .failed }
        switch container {
        case .list(let reference):
            let list = reference.takeUnretainedValue()
            for index in 0..<list.count {
                guard evaluation.arena.spend(1) else { return fail(.tooExpensive, &evaluation) }
                do {
                    if try Equality.equal(value, list.element(at: index, in: &evaluation.arena), &evaluation.arena) { return .yes }
                } catch {
                    return fail(error.kind, &evaluation)
                }
            }
            return .no
        case .map(let reference):
            return Truth(reference.takeUnretainedValue().value(for: value, in: &evaluation.arena) != nil)
        default: return fail(.noSuchOverload, &evaluation)
        }
    }
}
