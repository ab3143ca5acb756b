/// An attribute's value, decoded: for those that keep it or compare it. Writers use `RawValue`, which copies nothing.
public enum AttributeValue: Sendable, Equatable {
    case null
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case bytes([UInt8])
    case array([AttributeValue])
    /// Of a repeated key the last value.
    case map([String: AttributeValue])

    /// Decodes a raw value with all that is in it.
    public init(_ raw: RawValue) { self.init(raw, depth: 0) }

    private init(_ raw: RawValue, depth: Int) {
        guard depth < RawValue.depthMax else {
            self = .null
            return
        }
        switch raw {
        case .null: self = .null
        case .string(let text): self = .string(String(decoding: text, as: UTF8.self))
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .bytes(let bytes): self = .bytes([UInt8](bytes))
        case .array(let message):
            self = .array(RawValue.elements(of: message).map { AttributeValue(RawValue(anyValue: $0), depth: depth + 1) })
        case .map(let message):
            var map: [String: AttributeValue] = [:]
            for (key, value) in RawValue.pairs(of: message) {
                map[String(decoding: key, as: UTF8.self)] = AttributeValue(value, depth: depth + 1)
            }
            self = .map(map)
        }
    }

    /// The last value of `key` among `pairs`.
    init?(of key: String, in pairs: KeyValues) {
        var key = key
        let found = key.withUTF8 { key in
            var found: RawValue?
            for pair in pairs where pair.key.equals(UnsafeRawBufferPointer(key)) { found = pair.value }
            return found
        }
        guard let found else { return nil }
        self.init(found)
    }

    /// The text of a string; nil for every other kind.
    public var text: String? {
        if case .string(let text) = self { text } else { nil }
    }
}
