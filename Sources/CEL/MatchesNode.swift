import Patterns

/// `text.matches(pattern)` with a constant pattern, compiled once.
final class MatchesNode: ConditionNode {
    let operand: Node
    let pattern: Pattern

    init(_ operand: Node, _ pattern: Pattern, offset: Int32) {
        (self.operand, self.pattern) = (operand, pattern)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        guard let value = value(of: operand, &evaluation) else { return .failed }
        guard case .string(let text) = value else { return fail(.noSuchOverload, &evaluation) }
        guard Matching.spend(text, &evaluation.arena) else { return fail(.tooExpensive, &evaluation) }
        return Truth(pattern.matches(text))
    }
}

/// What matching costs.
enum Matching {
    // An automaton looks at each byte in turn, about four times as dear as a comparison.
    static func spend(_ text: UnsafeRawBufferPointer, _ arena: inout Arena) -> Bool { arena.spend(bytes: 4 * text.count) }

    /// `matches` with a pattern that is known only now: it is compiled for this one call, and paid for.
    static func matches(_ text: UnsafeRawBufferPointer, _ pattern: UnsafeRawBufferPointer, _ arena: inout Arena) -> Value {
        guard arena.spend(1_000 + 50 * pattern.count), spend(text, &arena) else { return .failure(.tooExpensive) }
        var options = PatternOptions()
        options.memoryBytesMax = 1 << 20
        guard let compiled = try? Pattern(Text.string(pattern), options: options) else { return .failure(.invalidPattern) }
        return .bool(compiled.matches(text))
    }
}
