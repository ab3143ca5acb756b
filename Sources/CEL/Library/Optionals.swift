/// Values that may be absent (cel-spec extension "optionals"): made, asked, and given a value instead.
extension StandardLibrary {
    static let optionals: [Function] = [
        Function("optional.none", [.init([], some)], body: .none { _ in .optional(nil) }),
        Function("optional.of", value, returns: some) { $1.optional($0) },
        Function("optional.ofNonZeroValue", value, returns: some) { isZero($0) ? .optional(nil) : $1.optional($0) },
        Function(
            "hasValue", [.init([some], .bool, isMember: true)],
            body: .one { optional, _ in
                guard case .optional(let reference) = optional else { return .failure(.noSuchOverload) }
                return .bool(reference != nil)
            }),
        Function(
            "value", [.init([some], value, isMember: true)],
            body: .one { optional, _ in
                guard case .optional(let reference) = optional else { return .failure(.noSuchOverload) }
                return reference?.takeUnretainedValue().value ?? .failure(.noValue)
            }),
        Function(
            "or", [.init([some, some], some, isMember: true)],
            body: .two { optional, other, _ in
                guard case .optional(let reference) = optional, case .optional = other else { return .failure(.noSuchOverload) }
                return reference == nil ? other : optional
            }),
        Function(
            "orValue", [.init([some, value], value, isMember: true)],
            body: .two { optional, other, _ in
                guard case .optional(let reference) = optional else { return .failure(.noSuchOverload) }
                return reference?.takeUnretainedValue().value ?? other
            }),
    ]

    private static let value = ValueType.parameter("A")
    private static let some = ValueType.optional(.parameter("A"))

    private static func isZero(_ value: Value) -> Bool {
        switch value {
        case .null: true
        case .bool(let bool): !bool
        case .int(let int): int == 0
        case .uint(let uint): uint == 0
        case .double(let double): double == 0
        case .string(let bytes), .bytes(let bytes): bytes.isEmpty
        case .list(let list): list.takeUnretainedValue().count == 0
        case .map(let map): map.takeUnretainedValue().count == 0
        case .duration(let nanoseconds): nanoseconds == 0
        case .timestamp(let time): time == Timestamp(unixNanoseconds: 0)
        case .optional(let reference): reference == nil
        case .type, .opaque, .error: false
        }
    }
}
