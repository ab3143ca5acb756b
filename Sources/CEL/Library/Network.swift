/// The extension "network": addresses and ranges of them.
extension StandardLibrary {
    static let network: [Function] = [
        Function(
            "ip", [.init([.string], address), .init([range], address, isMember: true)],
            body: .one { value, arena in
                switch value {
                case .string(let text): IPAddress(text).map { arena.opaque(AddressValue($0)) } ?? .failure(.invalidText)
                case .opaque(let object):
                    (object.takeUnretainedValue() as? RangeValue).map { arena.opaque(AddressValue($0.range.address)) } ?? none
                default: none
                }
            }),
        Function("cidr", .string, returns: range) { value, arena in
            guard case .string(let text) = value else { return none }
            return IPRange(text).map { arena.opaque(RangeValue($0)) } ?? .failure(.invalidText)
        },
        Function("isIP", .string, returns: .bool) { value, _ in
            guard case .string(let text) = value else { return none }
            return .bool(IPAddress(text) != nil)
        },
        Function("isCIDR", .string, returns: .bool) { value, _ in
            guard case .string(let text) = value else { return none }
            return .bool(IPRange(text) != nil)
        },
        Function("ip.isCanonical", .string, returns: .bool) { value, _ in
            guard case .string(let text) = value else { return none }
            guard let address = IPAddress(text) else { return .failure(.invalidText) }
            return .bool(address.text == Text.string(text))
        },
        question("family", .int) { .int($0.isV4 ? 4 : 6) },
        question("isUnspecified", .bool) { .bool($0.isUnspecified) },
        question("isLoopback", .bool) { .bool($0.isLoopback) },
        question("isGlobalUnicast", .bool) { .bool($0.isGlobalUnicast) },
        question("isLinkLocalMulticast", .bool) { .bool($0.isLinkLocalMulticast) },
        question("isLinkLocalUnicast", .bool) { .bool($0.isLinkLocalUnicast) },
        Function(
            "containsIP", containing(address),
            body: .two { container, value, _ in
                guard let range = object(container, RangeValue.self)?.range else { return none }
                if case .string(let text) = value { return IPAddress(text).map { .bool(range.contains($0)) } ?? .failure(.invalidText) }
                return object(value, AddressValue.self).map { .bool(range.contains($0.address)) } ?? none
            }),
        Function(
            "containsCIDR", containing(range),
            body: .two { container, value, _ in
                guard let range = object(container, RangeValue.self)?.range else { return none }
                if case .string(let text) = value { return IPRange(text).map { .bool(range.contains($0)) } ?? .failure(.invalidText) }
                return object(value, RangeValue.self).map { .bool(range.contains($0.range)) } ?? none
            }),
        Function(
            "masked", [.init([range], range, isMember: true)],
            body: .one { value, arena in
                object(value, RangeValue.self).map { arena.opaque(RangeValue($0.range.masked)) } ?? none
            }),
        Function(
            "prefixLength", [.init([range], .int, isMember: true)],
            body: .one { value, _ in
                object(value, RangeValue.self).map { .int(Int64($0.range.prefixLength)) } ?? none
            }),
    ]

    private static let address = ValueType.opaque("net.IP")
    private static let range = ValueType.opaque("net.CIDR")
    private static var none: Value { .failure(.noSuchOverload) }

    private static func containing(_ type: ValueType) -> [Function.Overload] {
        [.init([range, type], .bool, isMember: true), .init([range, .string], .bool, isMember: true)]
    }

    private static func object<Object: OpaqueValue>(_ value: Value, _ type: Object.Type) -> Object? {
        if case .opaque(let object) = value { object.takeUnretainedValue() as? Object } else { nil }
    }

    private static func question(_ name: String, _ result: ValueType, _ body: @escaping @Sendable (IPAddress) -> Value) -> Function {
        Function(
            name, [.init([address], result, isMember: true)],
            body: .one { value, _ in
                object(value, AddressValue.self).map { body($0.address) } ?? none
            })
    }
}

private final class AddressValue: OpaqueValue {
    let address: IPAddress
    init(_ address: IPAddress) {
        self.address = address
        super.init(typeName: "net.IP")
    }

    override func equals(_ other: OpaqueValue) -> Bool { (other as? AddressValue)?.address.bits == address.bits }
    override var text: String { address.text }
}

private final class RangeValue: OpaqueValue {
    let range: IPRange
    init(_ range: IPRange) {
        self.range = range
        super.init(typeName: "net.CIDR")
    }

    override func equals(_ other: OpaqueValue) -> Bool { (other as? RangeValue)?.range == range }
    override var text: String { "\(range.address.text)/\(range.prefixLength)" }
}
