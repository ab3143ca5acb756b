/// Equality and order over all values (language definition, "Equality", "Ordering"): numbers stand on one line whatever their types, values
/// of different types are unequal and have no order.
enum Equality {
    // Values that a host shows may nest as deep as JSON does.
    private static let depthMax = 200

    /// Whether two values are equal; an error where they nest too deeply or are too large to compare.
    static func equal(_ left: Value, _ right: Value, _ arena: inout Arena, depth: Int = 0) throws(EvaluationError) -> Bool {
        switch (left, right) {
        case (.string(let a), .string(let b)), (.bytes(let a), .bytes(let b)):
            guard a.count == b.count else { return false }
            guard arena.spend(bytes: a.count) else { throw EvaluationError(.tooExpensive) }
            return Text.equal(a, b)
        case (.type(let a), .type(let b)): return Text.equal(a, b)
        case (.int(let a), .int(let b)): return a == b
        case (.bool(let a), .bool(let b)): return a == b
        case (.null, .null): return true
        case (.duration(let a), .duration(let b)): return a == b
        case (.timestamp(let a), .timestamp(let b)): return a == b
        case (.list(let a), .list(let b)): return try equal(a.takeUnretainedValue(), b.takeUnretainedValue(), &arena, depth)
        case (.map(let a), .map(let b)): return try equal(a.takeUnretainedValue(), b.takeUnretainedValue(), &arena, depth)
        case (.optional(let a), .optional(let b)):
            guard let a, let b else { return a == nil && b == nil }
            guard depth < depthMax else { throw EvaluationError(.tooDeep) }
            return try equal(a.takeUnretainedValue().value, b.takeUnretainedValue().value, &arena, depth: depth + 1)
        case (.opaque(let a), .opaque(let b)):
            return Text.equal(left.typeName, right.typeName) && a.takeUnretainedValue().equals(b.takeUnretainedValue())
        default: return compareNumbers(left, right) == .some(0)
        }
    }

    private static func equal(
        _ left: ListValue, _ right: ListValue, _ arena: inout Arena, _ depth: Int
    ) throws(EvaluationError) -> Bool {
        guard left.count == right.count else { return false }
        guard depth < depthMax else { throw EvaluationError(.tooDeep) }
        for index in 0..<left.count {
            guard arena.spend(1) else { throw EvaluationError(.tooExpensive) }
            let (a, b) = (left.element(at: index, in: &arena), right.element(at: index, in: &arena))
            guard try equal(a, b, &arena, depth: depth + 1) else { return false }
        }
        return true
    }

    private static func equal(_ left: MapValue, _ right: MapValue, _ arena: inout Arena, _ depth: Int) throws(EvaluationError) -> Bool {
        guard left.count == right.count else { return false }
        guard depth < depthMax else { throw EvaluationError(.tooDeep) }
        for index in 0..<left.count {
            guard arena.spend(1) else { throw EvaluationError(.tooExpensive) }
            guard let other = right.value(for: left.key(at: index, in: &arena), in: &arena) else { return false }
            guard try equal(left.value(at: index, in: &arena), other, &arena, depth: depth + 1) else { return false }
        }
        return true
    }

    /// Below, at or above zero; nil where the two have no order (other types, a NaN).
    static func compare(_ left: Value, _ right: Value) -> Int? {
        switch (left, right) {
        case (.int(let a), .int(let b)): order(a, b)
        case (.double(let a), .double(let b)): a.isNaN || b.isNaN ? nil : order(a, b)
        case (.duration(let a), .duration(let b)): order(a, b)
        case (.timestamp(let a), .timestamp(let b)): order(a, b)
        case (.string(let a), .string(let b)), (.bytes(let a), .bytes(let b)): Text.compare(a, b)
        case (.bool(let a), .bool(let b)): order(a ? 1 : 0, b ? 1 : 0)
        default: compareNumbers(left, right)
        }
    }

    /// As `compare`, for numbers of any two types.
    static func compareNumbers(_ left: Value, _ right: Value) -> Int? {
        switch (left, right) {
        case (.int(let a), .int(let b)): order(a, b)
        case (.uint(let a), .uint(let b)): order(a, b)
        case (.double(let a), .double(let b)): a.isNaN || b.isNaN ? nil : order(a, b)
        case (.int(let a), .uint(let b)): a < 0 ? -1 : order(UInt64(a), b)
        case (.uint(let a), .int(let b)): b < 0 ? 1 : order(a, UInt64(b))
        case (.int(let a), .double(let b)): compare(a, b)
        case (.double(let a), .int(let b)): compare(b, a).map { -$0 }
        case (.uint(let a), .double(let b)): compare(a, b)
        case (.double(let a), .uint(let b)): compare(b, a).map { -$0 }
        default: nil
        }
    }

    static func isNumber(_ value: Value) -> Bool {
        switch value {
        case .int, .uint, .double: true
        default: false
        }
    }

    private static func order<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }

    // As the specification's tests have it: beyond the range by the range, within it by the nearest double of the whole number.
    private static func compare<Whole: FixedWidthInteger>(_ a: Whole, _ b: Double) -> Int? {
        if b.isNaN { return nil }
        if b > Double(Whole.max) { return -1 }
        if b < Double(Whole.min) { return 1 }
        return order(Double(a), b)
    }
}
