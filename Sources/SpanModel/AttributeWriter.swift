/// Writes attributes as OTLP has them: `KeyValue` messages, each with the tag of the field that it is in. Nil values are not written, and
/// of one key only what was set first: what must stand is set before what comes from a user's own keys.
///
///     writer.set("langfuse.user.id", text: llm.user)
///     writer.set("gen_ai.prompt") { json in json.messages(llm.inputMessages) }
public struct AttributeWriter: Sendable {
    /// The fields written so far.
    public private(set) var bytes: [UInt8] = []
    private let field: UInt8
    /// Where the keys lie in `bytes`.
    private var keys: [Range<Int>] = []
    /// A bit for each key, so that most other keys are known to be none of them without a comparison.
    private var filter: UInt64 = 0
    private var scratch: [UInt8] = []

    /// A writer of attributes in the field of that number, below 16: 9 in a `Span`, 3 in an event, 1 in a resource.
    public init(field: UInt8) { self.field = field }

    /// Number of attributes written.
    public var count: Int { keys.count }

    /// A string.
    public mutating func set(_ key: String, text: SpanText?) {
        switch text {
        case nil: return
        case .utf8(let bytes): string(key, bytes)
        case .some(let text):
            scratch.removeAll(keepingCapacity: true)
            text.append(to: &scratch)
            stringFromScratch(key)
        }
    }

    /// A string.
    public mutating func set(_ key: String, string: String?) {
        guard var string else { return }
        string.withUTF8 { self.string(key, UnsafeRawBufferPointer($0)) }
    }

    /// A string whose text is the JSON that `write` writes; nothing where it writes nothing.
    public mutating func set(_ key: String, json write: (inout JSONBytes) -> Void) {
        scratch.removeAll(keepingCapacity: true)
        JSONBytes.append(to: &scratch, write)
        if !scratch.isEmpty { stringFromScratch(key) }
    }

    /// An integer.
    public mutating func set(_ key: String, int: Int64?) {
        guard let int else { return }
        let value = UInt64(bitPattern: int)
        guard begin(key, valueSize: 1 + varintSize(value)) else { return }
        bytes.append(Tag.int)
        bytes.appendVarint(value)
    }

    /// A double.
    public mutating func set(_ key: String, double: Double?) {
        guard let double else { return }
        guard begin(key, valueSize: 9) else { return }
        bytes.append(Tag.double)
        withUnsafeBytes(of: double.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// True or false.
    public mutating func set(_ key: String, bool: Bool?) {
        guard let bool else { return }
        guard begin(key, valueSize: 2) else { return }
        bytes.append(Tag.bool)
        bytes.append(bool ? 1 : 0)
    }

    /// An array of strings; nothing where there are none.
    public mutating func set(_ key: String, texts: some Sequence<SpanText>) {
        set(key, strings: texts.map(\.string))
    }

    /// An array of strings; nothing where there are none.
    public mutating func set(_ key: String, strings: some Collection<String>) {
        guard !strings.isEmpty else { return }
        let sizes = strings.map { (text: $0.utf8.count, element: fieldSize($0.utf8.count)) }
        let array = sizes.reduce(0) { $0 + fieldSize($1.element) }
        guard begin(key, valueSize: fieldSize(array)) else { return }
        head(Tag.array, array)
        for (string, size) in zip(strings, sizes) {
            head(Tag.element, size.element)
            head(Tag.string, size.text)
            bytes.append(contentsOf: string.utf8)
        }
    }

    /// A value that lies in another span, as it is.
    public mutating func set(_ key: String, anyValue: UnsafeRawBufferPointer) {
        guard begin(key, valueSize: anyValue.count) else { return }
        bytes.append(contentsOf: anyValue)
    }

    /// A text, number or truth value as such, anything else as a string of its JSON; nothing for null.
    public mutating func set(_ key: String, scalarOrJSON value: ContentValue) {
        switch value {
        case .raw(.bool(let bool)): set(key, bool: bool)
        case .raw(.int(let int)): set(key, int: int)
        case .raw(.double(let double)): set(key, double: double)
        case _ where value.isNull: return
        case _ where value.text != nil: set(key, text: value.text)
        case .json(let json) where json.first == UInt8(ascii: "t") || json.first == UInt8(ascii: "f"):
            set(key, bool: json.first == UInt8(ascii: "t"))
        case .json(let json) where !value.isObject && !value.isArray:
            if let int = Int64(String(decoding: json, as: UTF8.self)) { set(key, int: int) } else { set(key, double: value.number) }
        default: set(key) { $0.value(value) }
        }
    }

    /// The attributes of `span` that have these names, as they are; of a repeated one the first.
    public mutating func copy(_ names: AttributeNames, of span: SpanFields) {
        for pair in Messages(of: span.message, field: 9) {
            let (key, value) = RawPair.read(pair)
            if names.contains(key) { set(String(decoding: key, as: UTF8.self), anyValue: value) }
        }
    }

    /// Whether an attribute of that key has been written.
    public func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        guard filter & Self.filterBit(key) != 0 else { return false }
        return bytes.withUnsafeBytes { bytes in keys.contains { UnsafeRawBufferPointer(rebasing: bytes[$0]).equals(key) } }
    }

    /// Forgets all and keeps the memory.
    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        keys.removeAll(keepingCapacity: true)
        filter = 0
    }

    // MARK: Parts

    /// Tags of `KeyValue`, `AnyValue` and `ArrayValue`.
    private enum Tag {
        static let key: UInt8 = 0x0a, value: UInt8 = 0x12, element: UInt8 = 0x0a
        static let string: UInt8 = 0x0a, bool: UInt8 = 0x10, int: UInt8 = 0x18, double: UInt8 = 0x21, array: UInt8 = 0x2a
    }

    private mutating func string(_ key: String, _ text: UnsafeRawBufferPointer) {
        guard begin(key, valueSize: fieldSize(text.count)) else { return }
        head(Tag.string, text.count)
        bytes.append(contentsOf: text)
    }

    private mutating func stringFromScratch(_ key: String) {
        guard begin(key, valueSize: fieldSize(scratch.count)) else { return }
        head(Tag.string, scratch.count)
        bytes.append(contentsOf: scratch)
    }

    /// Writes all that stands before the `AnyValue` message of `valueSize` bytes; false where the key has been set.
    private mutating func begin(_ key: String, valueSize: Int) -> Bool {
        var key = key
        return key.withUTF8 { key in
            guard !contains(UnsafeRawBufferPointer(key)) else { return false }
            head(field << 3 | WireType.bytes.rawValue, fieldSize(key.count) + fieldSize(valueSize))
            head(Tag.key, key.count)
            keys.append(bytes.count..<bytes.count + key.count)
            filter |= Self.filterBit(UnsafeRawBufferPointer(key))
            bytes.append(contentsOf: key)
            head(Tag.value, valueSize)
            return true
        }
    }

    private mutating func head(_ tag: UInt8, _ size: Int) {
        bytes.append(tag)
        bytes.appendVarint(UInt64(size))
    }

    private static func filterBit(_ key: UnsafeRawBufferPointer) -> UInt64 {
        guard let last = key.last else { return 1 }
        return 1 << UInt64((key.count &* 7 &+ Int(last) &* 3 &+ Int(key[key.count / 2])) & 63)
    }
}
