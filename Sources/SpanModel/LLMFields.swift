/// What an LLM span says, whichever dialect wrote it: GenAI (its newest and its older names), OpenInference, OpenLLMetry (contract `otlp`,
/// part B.4). Of several names for one thing the first that is there wins: GenAI's newest, its older ones, OpenInference's, OpenLLMetry's.
/// A value that cannot be what its name says (a negative count, an empty text, null) counts as not there.
///
/// Made in one pass over the span, which notes where the values of known names lie and decodes none: a reader pays for the members that it
/// asks for. Everything that it hands out lies in the stored bytes and is good inside the scope of `withLLM` only.
///
///     span.withLLM { llm in
///         json.member("model", llm.model)
///         if let tokens = llm.inputTokens { ... }
///     }
///
/// Scalars are in LLMScalars.swift, messages in LLMContent.swift, tools and documents in LLMTools.swift.
public struct LLMFields {
    /// The members of the span itself: ids, name, kind, times, status.
    public let span: SpanFields
    /// The parts of the stored message that are around the span.
    public let parts: SpanParts
    /// Which families of names (`gen_ai.prompt.0.role`, ...) have a member here.
    let families: NameFamilies
    /// For each known name where its `AnyValue` lies in the span's message (offset in the low half, length in the high); 0 where it is not.
    private let notes: UnsafeMutablePointer<UInt64>

    /// How many notes a pass takes.
    @usableFromInline static let noteCount = KnownName.count

    /// The pass. `notes` has room for `noteCount` of them, all 0, and outlives the view.
    @usableFromInline
    init(_ parts: SpanParts, notes: UnsafeMutablePointer<UInt64>) {
        var span = SpanFields(unread: parts.span)
        var families = NameFamilies()
        let names = KnownNameTable.shared
        for field in ProtobufReader(parts.span) {
            span.take(field)
            guard field.number == 9, field.type == .bytes else { continue }
            let (key, value) = RawPair.read(field.bytes)
            if let ordinal = names.find(key) {
                notes[ordinal] = Self.note(value, in: parts.span)
            } else {
                families.note(key)
            }
        }
        self.span = span
        self.parts = parts
        self.families = families
        self.notes = notes
    }

    /// Where `value` lies in `message`; 0 for an empty value, which is null, and for what lies beyond 32 bits.
    private static func note(_ value: UnsafeRawBufferPointer, in message: UnsafeRawBufferPointer) -> UInt64 {
        guard let from = message.baseAddress, let to = value.baseAddress, !value.isEmpty,
            let offset = UInt32(exactly: to - from), let count = UInt32(exactly: value.count)
        else { return 0 }
        return UInt64(count) << 32 | UInt64(offset)
    }

    /// The value of a known name; nil where there is none, or null.
    func value(_ name: KnownName) -> RawValue? {
        let note = notes[name.ordinal]
        guard note != 0 else { return nil }
        let offset = Int(UInt32(truncatingIfNeeded: note))
        let value = RawValue(anyValue: UnsafeRawBufferPointer(rebasing: parts.span[offset..<offset + Int(note >> 32)]))
        if case .null = value { return nil }
        return value
    }

    /// The text of a known name, unless it is empty.
    func text(_ name: KnownName) -> SpanText? {
        switch value(name) {
        case .string(let text) where !text.isEmpty: .utf8(text)
        case .int(let value): .digits(value)
        default: nil
        }
    }

    /// A count; negative ones count as absent.
    func count(_ name: KnownName) -> Int64? { value(name).flatMap { $0.count } }

    /// A number that may have a fraction; what is not finite counts as absent.
    func number(_ name: KnownName) -> Double? { value(name).flatMap { $0.number } }

    /// True or false, as a text too.
    func bool(_ name: KnownName) -> Bool? {
        switch value(name) {
        case .bool(let value): value
        case .string(let text) where text.equals("true") || text.equals("True"): true
        case .string(let text) where text.equals("false") || text.equals("False"): false
        default: nil
        }
    }

    /// The last value of a key of the resource; nil where there is none, or null.
    func resourceValue(_ key: StaticString) -> RawValue? {
        var found = UnsafeRawBufferPointer.empty
        for pair in Messages(of: SpanParts.message(1, of: parts.resource), field: 1) {
            let (name, value) = RawPair.read(pair)
            if name.equals(key) { found = value }
        }
        guard !found.isEmpty, case let value = RawValue(anyValue: found) else { return nil }
        if case .null = value { return nil }
        return value
    }
}

extension SpanView {
    /// What the span says as an LLM span, read in one pass; nothing of it where the message is malformed. Good inside `body` only.
    @inlinable
    public func withLLM<Result>(_ body: (LLMFields) throws -> Result) rethrows -> Result {
        try withBytes { try (SpanParts($0, entry) ?? .empty).withLLM(body) }
    }
}

extension SpanParts {
    /// What the span says as an LLM span. Good inside `body` only.
    @inlinable
    public func withLLM<Result>(_ body: (LLMFields) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: LLMFields.noteCount) { notes in
            notes.initialize(repeating: 0)
            guard let base = notes.baseAddress else { preconditionFailure("an allocation without an address") }
            return try body(LLMFields(self, notes: base))
        }
    }
}

extension RawValue {
    /// A count that is not negative, however it was written: an integer, a double without a fraction, a text of digits.
    var count: Int64? {
        let value: Int64? =
            switch self {
            case .int(let value): value
            case .double(let value): Int64(exactly: value.rounded())
            case .string(let text): decimalInteger(text)
            default: nil
            }
        return value.flatMap { $0 < 0 ? nil : $0 }
    }

    /// A finite number, however it was written.
    var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value.isFinite ? value : nil
        case .string(let text): decimalNumber(text)
        default: nil
        }
    }
}

/// An integer of decimal digits with an optional sign.
func decimalInteger(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard text.count <= 20 else { return nil }
    return Int64(String(decoding: text, as: UTF8.self))
}

/// A number as JSON writes them. `Double` itself would take `nan`, `inf` and hexadecimal ones too.
func decimalNumber(_ text: UnsafeRawBufferPointer) -> Double? {
    guard !text.isEmpty, text.count <= 64, text.allSatisfy({ decimalCharacters.contains($0) }) else { return nil }
    return Double(String(decoding: text, as: UTF8.self)).flatMap { $0.isFinite ? $0 : nil }
}

private let decimalCharacters: Set<UInt8> = Set("0123456789+-.eE".utf8)

/// A `KeyValue` message: its key and its `AnyValue`, both where they lie.
enum RawPair {
    @inline(__always)
    static func read(_ pair: UnsafeRawBufferPointer) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        // Most keys are short and stand before their value, and nothing else stands in the message.
        if pair.count > 4, pair[0] == 1 << 3 | WireType.bytes.rawValue, pair[1] < 0x80 {
            let keyEnd = 2 + Int(pair[1])
            if keyEnd + 2 <= pair.count, pair[keyEnd] == 2 << 3 | WireType.bytes.rawValue, pair[keyEnd + 1] < 0x80,
                keyEnd + 2 + Int(pair[keyEnd + 1]) == pair.count
            {
                return (UnsafeRawBufferPointer(rebasing: pair[2..<keyEnd]), UnsafeRawBufferPointer(rebasing: pair[(keyEnd + 2)...]))
            }
        }
        return readInAnyForm(pair)
    }

    @inline(never)
    private static func readInAnyForm(
        _ pair: UnsafeRawBufferPointer
    ) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        var (key, value) = (UnsafeRawBufferPointer.empty, UnsafeRawBufferPointer.empty)
        for field in ProtobufReader(pair) where field.type == .bytes {
            switch field.number {
            case 1: key = field.bytes
            case 2: value = field.bytes
            default: continue
            }
        }
        return (key, value)
    }
}
