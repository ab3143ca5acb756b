/// A value of any shape where it lies in a span: an attribute's `AnyValue`, a piece of JSON in an attribute's text, or the attributes of an
/// event together. Walked without a copy; good inside the scope of its view.
public enum ContentValue {
    /// An `AnyValue`.
    case raw(RawValue)
    /// One JSON value that has been checked.
    case json(UnsafeRawBufferPointer)
    /// Attributes, as an object.
    case pairs(KeyValues)
    /// A text.
    case text(SpanText)

    /// The text, where it is one.
    public var text: SpanText? {
        switch self {
        case .raw(.string(let text)): .utf8(text)
        case .json(let json) where json.first == UInt8(ascii: "\""): .escaped(UnsafeRawBufferPointer(rebasing: json[1..<json.count - 1]))
        case .text(let text): text
        default: nil
        }
    }

    /// The text, where it is one that is not empty, or an integer.
    var label: SpanText? {
        if let text { return text.isEmpty ? nil : text }
        switch self {
        case .raw(.int(let value)): return .digits(value)
        case .json(let json): return decimalInteger(json).map { .digits($0) }
        default: return nil
        }
    }

    /// The number, where it is one, or a text of one.
    public var number: Double? {
        switch self {
        case .raw(let value): value.number
        case .json(let json): text == nil ? decimalNumber(json) : decimalNumber(UnsafeRawBufferPointer(rebasing: json[1..<json.count - 1]))
        default: nil
        }
    }

    /// Whether it is null.
    public var isNull: Bool {
        switch self {
        case .raw(.null): true
        case .json(let json): json.first == UInt8(ascii: "n")
        default: false
        }
    }

    /// Whether it is an object.
    public var isObject: Bool {
        switch self {
        case .raw(.map), .pairs: true
        case .json(let json): json.first == UInt8(ascii: "{")
        default: false
        }
    }

    /// Whether it is an array.
    public var isArray: Bool {
        switch self {
        case .raw(.array): true
        case .json(let json): json.first == UInt8(ascii: "[")
        default: false
        }
    }

    /// The object or array that the text is JSON of; every other value is itself.
    public var parsed: ContentValue {
        switch self {
        case .raw(.string(let text)), .text(.utf8(let text)): JSONText.container(text).map { .json($0) } ?? self
        default: self
        }
    }

    /// As `parsed`, for attributes whose text is always JSON: a JSON string too.
    var parsedText: ContentValue {
        guard case .raw(.string(let text)) = self, let json = JSONText.value(text) else { return self }
        return json.first == UInt8(ascii: "\"") ? .json(json) : parsed
    }

    /// Gives the elements of an array; none of anything else.
    public func forEachElement(_ body: (ContentValue) -> Void) {
        switch self {
        case .raw(.array(let message)):
            for element in RawValue.elements(of: message) { body(.raw(RawValue(anyValue: element))) }
        case .json(let json) where json.first == UInt8(ascii: "["):
            JSONText.forEachElement(of: json) {
                body(.json($0))
                return true
            }
        default: return
        }
    }

    /// Gives the members of an object; none of anything else.
    public func forEachMember(_ body: (SpanText, ContentValue) -> Void) {
        switch self {
        case .raw(.map(let message)): for (key, value) in RawValue.pairs(of: message) { body(.utf8(key), .raw(value)) }
        case .pairs(let pairs): for (key, value) in pairs { body(.utf8(key), .raw(value)) }
        case .json(let json) where json.first == UInt8(ascii: "{"):
            JSONText.forEachMember(of: json) { key, value in
                body(.escaped(key), .json(value))
                return true
            }
        default: return
        }
    }

    /// The member of that name, unless it is null; of a repeated one the last.
    public func member(_ name: StaticString) -> ContentValue? {
        var found: ContentValue?
        forEachMember { if $0 == name { found = $1 } }
        return found.flatMap { $0.isNull ? nil : $0 }
    }
}

extension JSONBytes {
    /// Any value, as JSON.
    public mutating func value(_ value: ContentValue) {
        switch value {
        case .raw(let raw): self.value(raw)
        case .json(let json): self.value(json: json)
        case .pairs(let pairs): object(of: pairs)
        case .text(let text): string(text)
        }
    }

    /// Any value as a string: a text itself, another value's JSON.
    public mutating func stringified(_ value: ContentValue) {
        if let text = value.text { return string(text) }
        var inner = JSONBytes()
        inner.value(value)
        inner.bytes.withUnsafeBytes { string(utf8: $0) }
    }

    /// Any value, a text that is JSON of an object or an array as that.
    public mutating func unwrapped(_ value: ContentValue) {
        guard case .escaped(let escaped)? = value.text else { return self.value(value.parsed) }
        JSONText.decoded(escaped).withUnsafeBytes { self.value(ContentValue.text(.utf8($0)).parsed) }
    }
}
