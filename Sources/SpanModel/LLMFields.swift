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
    /// What the pass found, in the memory of `withLLM`: a view is an address, however much is known of the span.
    @usableFromInline let pass: UnsafePointer<LLMPass>

    /// Good as long as the memory is there.
    @inlinable
    init(_ pass: UnsafePointer<LLMPass>) { self.pass = pass }

    /// The members of the span itself: ids, name, kind, times, status.
    @inlinable public var span: SpanFields { pass.pointee.span }
    /// The parts of the stored message that are around the span.
    @inlinable public var parts: SpanParts { pass.pointee.parts }
    /// Which families of names (`gen_ai.prompt.0.role`, ...) have a member here.
    var families: NameFamilies { pass.pointee.families }
    /// What the resource says.
    var resource: UnsafeMutablePointer<ResourceMembers> { pass.pointee.resource }

    /// The value of a known name; nil where there is none, or null. As most names are absent, that is told in the reader's own code.
    @inline(__always)
    func value(_ name: KnownName) -> RawValue? {
        let note = pass.pointee.notes[name.ordinal]
        return note == 0 ? nil : value(noted: note)
    }

    /// The text of a known name, unless it is empty.
    @inline(__always)
    func text(_ name: KnownName) -> SpanText? {
        let note = pass.pointee.notes[name.ordinal]
        return note == 0 ? nil : text(noted: note)
    }

    /// The last value of any attribute; nil where the span has none of this key, `.null` where it has no value.
    public func attribute(_ key: UnsafeRawBufferPointer) -> RawValue? {
        let notes = pass.pointee.notes
        if let ordinal = KnownNameTable.shared.find(key) {
            // Without a note it is absent or null, which the span itself tells.
            if notes[ordinal] != 0 { return RawValue(anyValue: bytes(noted: notes[ordinal])) }
        } else if pass.pointee.otherCount <= LLMPass.othersMax {
            for other in (0..<pass.pointee.otherCount).reversed() {
                let place = LLMPass.knownCount + 2 * other
                guard Int(notes[place] >> 32) == key.count, bytes(noted: notes[place]).equals(key) else { continue }
                return RawValue(anyValue: bytes(noted: notes[place + 1]))
            }
            return nil
        }
        return span.attributes.last(key)
    }

    private func bytes(noted note: UInt64) -> UnsafeRawBufferPointer {
        let offset = Int(UInt32(truncatingIfNeeded: note))
        return UnsafeRawBufferPointer(rebasing: parts.span[offset..<offset + Int(note >> 32)])
    }

    @inline(never)
    private func value(noted note: UInt64) -> RawValue? {
        let value = RawValue(anyValue: bytes(noted: note))
        if case .null = value { return nil }
        return value
    }

    @inline(never)
    private func text(noted note: UInt64) -> SpanText? {
        switch value(noted: note) {
        case .string(let text) where !text.isEmpty: .utf8(text)
        case .int(let value): .digits(value)
        default: nil
        }
    }

    /// A count; negative ones count as absent.
    @inline(__always)
    func count(_ name: KnownName) -> Int64? { value(name).flatMap { $0.count } }

    /// A number that may have a fraction; what is not finite counts as absent.
    @inline(__always)
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
            var at = keyEnd + 1
            if at < pair.count, pair[keyEnd] == 2 << 3 | WireType.bytes.rawValue, let length = readVarint(pair, at: &at),
                length == UInt64(pair.count - at)
            {
                return (UnsafeRawBufferPointer(rebasing: pair[2..<keyEnd]), UnsafeRawBufferPointer(rebasing: pair[at...]))
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
