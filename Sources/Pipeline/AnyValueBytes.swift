import CEL
import SpanModel

/// `AnyValue` messages as bytes.
enum AnyValueBytes {
    private enum Tag {
        static let string: UInt8 = 1, bool: UInt8 = 2, int: UInt8 = 3, double: UInt8 = 4, array: UInt8 = 5, map: UInt8 = 6, bytes: UInt8 = 7
    }

    static func string(_ text: some Collection<UInt8>) -> [UInt8] { lengthDelimited(Tag.string, text) }
    static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }
    static func bool(_ flag: Bool) -> [UInt8] { [Tag.bool << 3, flag ? 1 : 0] }

    static func int(_ number: Int64) -> [UInt8] {
        var bytes = [Tag.int << 3]
        bytes.appendVarint(UInt64(bitPattern: number))
        return bytes
    }

    static func double(_ number: Double) -> [UInt8] {
        var bytes = [Tag.double << 3 | WireType.fixed64.rawValue]
        withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    static func array(_ elements: [[UInt8]]) -> [UInt8] {
        var message: [UInt8] = []
        for element in elements { message += lengthDelimited(1, element) }
        return lengthDelimited(Tag.array, message)
    }

    static func map(_ pairs: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
        var message: [UInt8] = []
        for (key, value) in pairs { message += lengthDelimited(1, lengthDelimited(1, key) + lengthDelimited(2, value)) }
        return lengthDelimited(Tag.map, message)
    }

    static func lengthDelimited(_ number: UInt8, _ content: some Collection<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(content.count + 6)
        bytes.appendField(number, size: content.count)
        bytes.append(contentsOf: content)
        return bytes
    }

    /// An expression's value; nil for null. Durations and times become texts as CEL writes them, unsigned integers beyond int64 the text of
    /// their digits.
    static func value(_ value: OwnedValue) -> [UInt8]? {
        switch value {
        case .null: nil
        case .bool(let flag): bool(flag)
        case .int(let number): int(number)
        case .uint(let number): Int64(exactly: number).map { int($0) } ?? string("\(number)")
        case .double(let number): double(number)
        case .string(let text): string(text)
        case .list(let elements): array(elements.map { Self.value($0) ?? [] })
        case .map(let entries):
            map(
                entries.map { (key: Array(text($0.key).utf8), value: Self.value($0.value) ?? []) }.sorted {
                    $0.key.lexicographicallyPrecedes($1.key)
                })
        default: string(text(value))
        }
    }

    private static func text(_ value: OwnedValue) -> String {
        if case .string(let text) = value { return text }
        return value.description
    }

    /// The value with each text in it, keys of maps too where `keys` says so, changed by `change`, which gives nil where it changes nothing;
    /// nil where nothing is changed.
    static func mapTexts(
        _ value: UnsafeRawBufferPointer, keys: Bool, depth: Int = 0, _ change: (UnsafeRawBufferPointer) -> [UInt8]?
    ) -> [UInt8]? {
        guard depth < 100 else { return nil }
        switch RawValue(anyValue: value) {
        case .string(let text): return change(text).map { string($0) }
        case .array(let message):
            var isChanged = false
            var elements: [[UInt8]] = []
            for element in RawValue.elements(of: message) {
                let new = mapTexts(element, keys: keys, depth: depth + 1, change)
                isChanged = isChanged || new != nil
                elements.append(new ?? Array(element))
            }
            return isChanged ? array(elements) : nil
        case .map(let message):
            var isChanged = false
            var pairs: [(key: [UInt8], value: [UInt8])] = []
            for pair in Messages(of: message, field: 1) {
                var (key, inner) = ([UInt8](), [UInt8]())
                for field in ProtobufReader(pair) where field.type == .bytes {
                    if field.number == 1 { key = Array(field.bytes) }
                    if field.number == 2 { inner = Array(field.bytes) }
                }
                if let new = inner.withUnsafeBytes({ mapTexts($0, keys: keys, depth: depth + 1, change) }) {
                    inner = new
                    isChanged = true
                }
                if keys, let new = key.withUnsafeBytes({ change($0) }) {
                    key = new
                    isChanged = true
                }
                pairs.append((key, inner))
            }
            return isChanged ? map(pairs) : nil
        default: return nil
        }
    }
}
