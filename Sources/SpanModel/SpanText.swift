/// A text of a span where it lies in the stored bytes, good inside the scope that handed it out. Writers take it as it is; `string` makes a
/// copy to keep.
public enum SpanText {
    /// UTF-8.
    case utf8(UnsafeRawBufferPointer)
    /// What stands between the quotes of a JSON string: UTF-8 with JSON's escapes.
    case escaped(UnsafeRawBufferPointer)
    /// A number where a text was looked for: ids are sent as numbers too.
    case digits(Int64)

    /// A text that the program itself holds.
    init(_ literal: StaticString) { self = .utf8(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)) }

    /// The text as a string of its own.
    public var string: String {
        switch self {
        case .utf8(let bytes): String(decoding: bytes, as: UTF8.self)
        case .escaped(let bytes): String(decoding: JSONText.decoded(bytes), as: UTF8.self)
        case .digits(let value): String(value)
        }
    }

    /// Whether it has no characters.
    public var isEmpty: Bool {
        switch self {
        case .utf8(let bytes), .escaped(let bytes): bytes.isEmpty
        case .digits: false
        }
    }

    /// Appends the text in UTF-8.
    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .utf8(let text): bytes.append(contentsOf: text)
        case .escaped(let text): JSONText.decode(text, to: &bytes)
        case .digits(let value): bytes.append(contentsOf: String(value).utf8)
        }
    }

    /// Whether the text is `other`.
    public static func == (text: SpanText, other: StaticString) -> Bool {
        switch text {
        case .utf8(let bytes): bytes.equals(other)
        case .escaped(let bytes): bytes.equals(other) || (bytes.contains(UInt8(ascii: "\\")) && text.string == other.description)
        case .digits(let value): String(value) == other.description
        }
    }
}

extension JSONBytes {
    /// A string.
    public mutating func string(_ text: SpanText) {
        switch text {
        case .utf8(let bytes): string(utf8: bytes)
        case .escaped(let bytes): string(escaped: bytes)
        case .digits(let value): quoted(value)
        }
    }

    /// A key and a string; nothing where there is no text.
    public mutating func member(_ name: StaticString, _ text: SpanText?) {
        guard let text else { return }
        key(name)
        string(text)
    }
}
