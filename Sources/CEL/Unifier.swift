/// Finds out what the letters of signatures stand for: `list(A)` against `list(int)` makes A an int. `dyn` fits everything, and a letter
/// that met both a type and `dyn` becomes `dyn` (gradual typing).
struct Unifier {
    private var found: [ValueType?] = []
    // What stood in `found` before this attempt, oldest first.
    private var trail: [(index: Int, before: ValueType?)] = []

    /// A new letter that nothing is known of.
    mutating func unknown() -> ValueType {
        found.append(nil)
        return .unknown(found.count - 1)
    }

    /// A signature with letters of its own.
    mutating func instantiate(_ types: [ValueType]) -> [ValueType] {
        var letters: [String: ValueType] = [:]
        return types.map { instantiate($0, &letters) }
    }

    private mutating func instantiate(_ type: ValueType, _ letters: inout [String: ValueType]) -> ValueType {
        switch type {
        case .parameter(let name):
            if let known = letters[name] { return known }
            let new = unknown()
            letters[name] = new
            return new
        case .list(let element): return .list(instantiate(element, &letters))
        case .map(let key, let value): return .map(instantiate(key, &letters), instantiate(value, &letters))
        case .optional(let value): return .optional(instantiate(value, &letters))
        case .type(let inner): return .type(instantiate(inner, &letters))
        case .opaque(let name, let parameters) where !parameters.isEmpty:
            var inner: [ValueType] = []
            for parameter in parameters { inner.append(instantiate(parameter, &letters)) }
            return .opaque(name, inner)
        default: return type
        }
    }

    /// The type with all letters replaced by what was found; what nothing is known of is `dyn`.
    func resolve(_ type: ValueType) -> ValueType {
        switch outermost(type) {
        case .unknown: .dyn
        case .list(let element): .list(resolve(element))
        case .map(let key, let value): .map(resolve(key), resolve(value))
        case .optional(let value): .optional(resolve(value))
        case .type(let inner): .type(resolve(inner))
        case .opaque(let name, let parameters): .opaque(name, parameters.map(resolve))
        case let known: known
        }
    }

    /// What a letter is known to be, as far as it goes: the outermost type only.
    func outermost(_ type: ValueType) -> ValueType {
        var type = type
        while case .unknown(let index) = type, let known = found[index] { type = known }
        return type
    }

    /// Whether all the pairs fit; what was learnt on the way stays only if they do.
    mutating func unify(_ left: [ValueType], _ right: [ValueType]) -> Bool {
        guard left.count == right.count else { return false }
        trail.removeAll(keepingCapacity: true)
        for (a, b) in zip(left, right) where !unify(a, b) {
            for (index, before) in trail.reversed() { found[index] = before }
            return false
        }
        return true
    }

    /// The one type of two values that stand in one list: the more general of types that fit, else `dyn`.
    mutating func join(_ left: ValueType, _ right: ValueType) -> ValueType {
        unify([left], [right]) ? (isMoreGeneral(right, than: left) ? right : left) : .dyn
    }

    private mutating func unify(_ left: ValueType, _ right: ValueType) -> Bool {
        switch (last(left), last(right)) {
        case (.unknown(let a), .unknown(let b)): return a == b || merge(a, b)
        case (.unknown(let index), let other), (let other, .unknown(let index)): return learn(index, other)
        case (.dyn, _), (_, .dyn), (.mistaken, _), (_, .mistaken): return true
        case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): return unify(a, b)
        case (.map(let a, let c), .map(let b, let d)): return unify(a, b) && unify(c, d)
        case (.type, .type): return true
        case (.opaque(let a, let c), .opaque(let b, let d)): return a == b && c.count == d.count && zip(c, d).allSatisfy { unify($0, $1) }
        // What may be absent may be null.
        case (.null, .optional), (.null, .timestamp), (.null, .duration), (.null, .opaque): return true
        case (.optional, .null), (.timestamp, .null), (.duration, .null), (.opaque, .null): return true
        case (let a, let b): return a == b
        }
    }

    /// Letters that were found to be equal point at each other; the last of them knows the type. The way there is made short for the next time.
    private mutating func last(_ type: ValueType) -> ValueType {
        guard case .unknown(var index) = type else { return type }
        let first = index
        while case .unknown(let next)? = found[index] { index = next }
        if first != index { set(first, .unknown(index)) }
        return .unknown(index)
    }

    private mutating func set(_ index: Int, _ type: ValueType) {
        trail.append((index, found[index]))
        found[index] = type
    }

    private mutating func merge(_ a: Int, _ b: Int) -> Bool {
        if let known = found[b] {
            guard learn(a, known) else { return false }
        }
        // Else a letter would be a part of itself.
        guard !mentions(.unknown(a), b) else { return false }
        set(b, .unknown(a))
        return true
    }

    private mutating func learn(_ index: Int, _ type: ValueType) -> Bool {
        guard !mentions(type, index) else { return false }
        guard let known = found[index] else {
            set(index, type)
            return true
        }
        guard unify(known, type) else { return false }
        if isMoreGeneral(type, than: known), !mentions(type, index) { set(index, type) }
        return true
    }

    private func isMoreGeneral(_ left: ValueType, than right: ValueType) -> Bool {
        switch (outermost(left), outermost(right)) {
        case (.dyn, .dyn): false
        case (.dyn, _): true
        case (.null, _): false
        case (_, .null): true
        case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): isMoreGeneral(a, than: b)
        case (.map(let a, let c), .map(let b, let d)): isMoreGeneral(a, than: b) || isMoreGeneral(c, than: d)
        case (.opaque(_, let a), .opaque(_, let b)): zip(a, b).contains { isMoreGeneral($0, than: $1) }
        default: false
        }
    }

    private func mentions(_ type: ValueType, _ index: Int) -> Bool {
        var type = type
        while case .unknown(let other) = type {
            if other == index { return true }
            guard let known = found[other] else { return false }
            type = known
        }
        return switch type {
        case .list(let inner), .optional(let inner), .type(let inner): mentions(inner, index)
        case .map(let key, let value): mentions(key, index) || mentions(value, index)
        case .opaque(_, let parameters): parameters.contains { mentions($0, index) }
        default: false
        }
    }
}
