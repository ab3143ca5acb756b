/// The specification's own functions on texts, bytes, lists and maps.
extension StandardLibrary {
    static let text: [Function] = [
        Function("size", sizes(isMember: false) + sizes(isMember: true), body: .one { size($0, &$1) }),
        test("startsWith") { text, part, _ in .bool(Text.hasPrefix(text, part)) },
        test("endsWith") { text, part, _ in .bool(Text.hasSuffix(text, part)) },
        test("contains") { text, part, arena in
            arena.spend(bytes: text.count) ? .bool(Text.find(part, in: text) != nil) : .failure(.tooExpensive)
        },
        Function(
            "matches", [.init([.string, .string], .bool), .init([.string, .string], .bool, isMember: true)],
            body: .two { text, pattern, arena in
                guard case .string(let text) = text, case .string(let pattern) = pattern else { return .failure(.noSuchOverload) }
                return Matching.matches(text, pattern, &arena)
            }),
    ]

    private static func sizes(isMember: Bool) -> [Function.Overload] {
        [.string, .bytes, .list(.parameter("A")), .map(.parameter("A"), .parameter("B"))].map { .init([$0], .int, isMember: isMember) }
    }

    private static func size(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .string(let text): arena.spend(bytes: text.count) ? .int(Int64(Text.characterCount(text))) : .failure(.tooExpensive)
        case .bytes(let bytes): .int(Int64(bytes.count))
        case .list(let list): .int(Int64(list.takeUnretainedValue().count))
        case .map(let map): .int(Int64(map.takeUnretainedValue().count))
        default: .failure(.noSuchOverload)
        }
    }

    private static func test(
        _ name: String, _ body: @escaping @Sendable (UnsafeRawBufferPointer, UnsafeRawBufferPointer, inout Arena) -> Value
    ) -> Function {
        Function(
            name, [.init([.string, .string], .bool, isMember: true)],
            body: .two { text, part, arena in
                guard case .string(let text) = text, case .string(let part) = part else { return .failure(.noSuchOverload) }
                return body(text, part, &arena)
            })
    }
}
