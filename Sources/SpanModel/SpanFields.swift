// Raw reading: slices of stored bytes, valid as long as the closure that handed them out runs. Nothing here makes a String or an array.
import Glibc

/// The parts of a stored `ResourceSpans` message, see `SpanEntry`.
public struct SpanParts {
    /// The fields of `ResourceSpans` but scope_spans.
    public let resource: UnsafeRawBufferPointer
    /// The fields of `ScopeSpans` but spans.
    public let scope: UnsafeRawBufferPointer
    /// The one span as it stands in `ScopeSpans`: tag, length and message.
    public let spanField: UnsafeRawBufferPointer
    /// The `Span` message itself.
    public let span: UnsafeRawBufferPointer

    /// The parts of a message that is none.
    @usableFromInline static var empty: SpanParts { SpanParts(resource: .empty, scope: .empty, spanField: .empty, span: .empty) }

    private init(
        resource: UnsafeRawBufferPointer, scope: UnsafeRawBufferPointer, spanField: UnsafeRawBufferPointer, span: UnsafeRawBufferPointer
    ) {
        (self.resource, self.scope, self.spanField, self.span) = (resource, scope, spanField, span)
    }

    @usableFromInline
    init?(_ message: UnsafeRawBufferPointer, _ entry: SpanEntry) {
        let (resourceLength, scopeLength) = (Int(entry.resourceLength), Int(entry.scopeLength))
        guard resourceLength < message.count,
            let scopeSpans = Self.field2(UnsafeRawBufferPointer(rebasing: message[resourceLength...])), scopeLength < scopeSpans.count
        else { return nil }
        spanField = UnsafeRawBufferPointer(rebasing: scopeSpans[scopeLength...])
        guard let span = Self.field2(spanField) else { return nil }
        self.span = span
        resource = UnsafeRawBufferPointer(rebasing: message[..<resourceLength])
        scope = UnsafeRawBufferPointer(rebasing: scopeSpans[..<scopeLength])
    }

    /// The value of field 2, where it is length-delimited and fills `bytes` to the end. By hand, for each span of each request asks twice.
    private static func field2(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var at = 1
        guard bytes.count > 1, bytes[0] == 2 << 3 | WireType.bytes.rawValue, let length = readVarint(bytes, at: &at),
            length == UInt64(bytes.count - at)
        else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[at...])
    }

    /// The attributes of the resource.
    public var resourceAttributes: KeyValues { KeyValues(of: Self.message(1, of: resource), field: 1) }

    /// The message or string in field `number` of `bytes`; the last where there are several, empty where there is none.
    static func message(_ number: UInt32, of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var found = UnsafeRawBufferPointer.empty
        for field in ProtobufReader(bytes) where field.number == number && field.type == .bytes { found = field.bytes }
        return found
    }
}

/// The members of a `Span` message, read in one pass. Members that are absent, or of another wire type than OTLP's, have their defaults.
public struct SpanFields {
    /// The whole message.
    public let message: UnsafeRawBufferPointer
    /// 16 bytes, where the span is sound.
    public private(set) var traceID = UnsafeRawBufferPointer.empty
    /// 8 bytes, where the span is sound.
    public private(set) var spanID = UnsafeRawBufferPointer.empty
    /// W3C tracestate, UTF-8.
    public private(set) var traceState = UnsafeRawBufferPointer.empty
    /// 8 bytes; empty for a root.
    public private(set) var parentSpanID = UnsafeRawBufferPointer.empty
    /// UTF-8.
    public private(set) var name = UnsafeRawBufferPointer.empty
    /// The kind; unspecified where its number is unknown.
    public private(set) var kind = SpanKind.unspecified
    /// Nanoseconds of the Unix epoch; nil where the field is not written.
    public private(set) var startTime: UInt64?
    /// Nanoseconds of the Unix epoch; nil where the field is not written.
    public private(set) var endTime: UInt64?
    /// How the span ended; unset where its number is unknown.
    public private(set) var status = StatusCode.unset
    /// UTF-8.
    public private(set) var statusMessage = UnsafeRawBufferPointer.empty
    /// W3C trace flags and the two "remote" bits.
    public private(set) var flags: UInt32 = 0
    /// Attributes, events and links that the sender left out.
    public private(set) var droppedAttributes: UInt32 = 0, droppedEvents: UInt32 = 0, droppedLinks: UInt32 = 0
    /// How many attributes, events and links are here.
    public private(set) var attributeCount = 0, eventCount = 0, linkCount = 0

    init(_ message: UnsafeRawBufferPointer) {
        self.message = message
        for field in ProtobufReader(message) { take(field) }
    }

    /// A reader's own pass over `message` begins here; it hands each field to `take`.
    init(unread message: UnsafeRawBufferPointer) { self.message = message }

    /// Counts an attribute that a reader's own pass reads itself.
    @inline(__always)
    mutating func countAttribute() { attributeCount &+= 1 }

    /// Reads the next field of the message.
    mutating func take(_ field: ProtobufField) {
        switch (field.number, field.type) {
        case (1, .bytes): traceID = field.bytes
        case (2, .bytes): spanID = field.bytes
        case (3, .bytes): traceState = field.bytes
        case (4, .bytes): parentSpanID = field.bytes
        case (5, .bytes): name = field.bytes
        case (6, .varint): kind = UInt8(exactly: field.scalar).flatMap(SpanKind.init) ?? .unspecified
        case (7, .fixed64): startTime = field.scalar
        case (8, .fixed64): endTime = field.scalar
        case (9, .bytes): attributeCount += 1
        case (10, .varint): droppedAttributes = UInt32(truncatingIfNeeded: field.scalar)
        case (11, .bytes): eventCount += 1
        case (12, .varint): droppedEvents = UInt32(truncatingIfNeeded: field.scalar)
        case (13, .bytes): linkCount += 1
        case (14, .varint): droppedLinks = UInt32(truncatingIfNeeded: field.scalar)
        case (15, .bytes): readStatus(field.bytes)
        case (16, .fixed32): flags = UInt32(truncatingIfNeeded: field.scalar)
        default: break
        }
    }

    private mutating func readStatus(_ message: UnsafeRawBufferPointer) {
        for field in ProtobufReader(message) {
            switch (field.number, field.type) {
            case (2, .bytes): statusMessage = field.bytes
            case (3, .varint): status = UInt8(exactly: field.scalar).flatMap(StatusCode.init) ?? .unset
            default: continue
            }
        }
    }

    /// The span's attributes, in stored order.
    public var attributes: KeyValues { KeyValues(of: message, field: 9) }
    /// The `Span.Event` messages.
    public var events: Messages { Messages(of: message, field: 11) }
    /// The `Span.Link` messages.
    public var links: Messages { Messages(of: message, field: 13) }
}

/// The values of one repeated, length-delimited field of a message.
public struct Messages: Sequence, IteratorProtocol {
    private var reader: ProtobufReader
    private let field: UInt32

    /// The values of `field` in `message`.
    public init(of message: UnsafeRawBufferPointer, field: UInt32) {
        reader = ProtobufReader(message)
        self.field = field
    }

    /// The next value.
    public mutating func next() -> UnsafeRawBufferPointer? {
        while let next = reader.next() {
            if next.number == field, next.type == .bytes { return next.bytes }
        }
        return nil
    }

    /// The next value as a `KeyValue`: its key, and its value's `AnyValue` message.
    @inline(__always)
    mutating func nextPair() -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        while true {
            if field < 16, let pair = reader.nextUsualPair(of: UInt8(field)) { return pair }
            guard let next = reader.next() else { return nil }
            if next.number == field, next.type == .bytes { return RawPair.read(next.bytes) }
        }
    }
}

/// The key-value pairs of one repeated `KeyValue` field of a message.
public struct KeyValues: Sequence, IteratorProtocol {
    private var messages: Messages

    /// The pairs in `field` of `message`.
    public init(of message: UnsafeRawBufferPointer, field: UInt32) { messages = Messages(of: message, field: field) }

    /// The next pair: the key in UTF-8, and its value (`.null` where it has none).
    public mutating func next() -> (key: UnsafeRawBufferPointer, value: RawValue)? {
        guard let (key, value) = messages.nextPair() else { return nil }
        return (key, RawValue(anyValue: value))
    }

    /// The last value of a key; nil where the key is not there, `.null` where it has no value. Reads no other value.
    public func last(_ key: UnsafeRawBufferPointer) -> RawValue? {
        var (messages, found) = (messages, UnsafeRawBufferPointer?.none)
        while let (name, value) = messages.nextPair() {
            if name.equals(key) { found = value }
        }
        return found.map { RawValue(anyValue: $0) }
    }

    /// The value of the first of `keys` that is there; of a repeated key its last value. One pass, however many keys.
    public func first(of keys: [StaticString]) -> RawValue? {
        var found: (rank: Int, value: RawValue)?
        for (key, value) in self {
            guard let rank = keys.firstIndex(where: { key.equals($0) }), rank <= found?.rank ?? rank else { continue }
            found = (rank, value)
        }
        return found?.value
    }
}

/// An `AnyValue`, not decoded further than its kind.
public enum RawValue {
    case null
    /// UTF-8.
    case string(UnsafeRawBufferPointer)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    /// An `ArrayValue` message, see `elements(of:)`.
    case array(UnsafeRawBufferPointer)
    /// A `KeyValueList` message, see `pairs(of:)`.
    case map(UnsafeRawBufferPointer)
    case bytes(UnsafeRawBufferPointer)

    /// How deep values are read: deeper ones are null, so that no stored bytes exhaust the stack. Intake takes none that are deeper.
    static let depthMax = 512

    /// Reads an `AnyValue` message: the last of its oneof's fields counts, none at all is null.
    public init(anyValue message: UnsafeRawBufferPointer) {
        // Most values are one field that fills the message: a string, or a number.
        if message.count >= 2 {
            var at = 1
            if message[0] == 1 << 3 | WireType.bytes.rawValue, let length = readVarint(message, at: &at), length == message.count - at {
                self = .string(UnsafeRawBufferPointer(rebasing: message[at...]))
                return
            }
            if message[0] == 3 << 3, let value = readVarint(message, at: &at), at == message.count {
                self = .int(Int64(bitPattern: value))
                return
            }
        }
        self = .null
        for field in ProtobufReader(message) {
            switch (field.number, field.type) {
            case (1, .bytes): self = .string(field.bytes)
            case (2, .varint): self = .bool(field.scalar != 0)
            case (3, .varint): self = .int(Int64(bitPattern: field.scalar))
            case (4, .fixed64): self = .double(Double(bitPattern: field.scalar))
            case (5, .bytes): self = .array(field.bytes)
            case (6, .bytes): self = .map(field.bytes)
            case (7, .bytes): self = .bytes(field.bytes)
            default: continue
            }
        }
    }

    /// The `AnyValue` messages of an `ArrayValue`.
    public static func elements(of array: UnsafeRawBufferPointer) -> Messages { Messages(of: array, field: 1) }
    /// The pairs of a `KeyValueList`.
    public static func pairs(of map: UnsafeRawBufferPointer) -> KeyValues { KeyValues(of: map, field: 1) }
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    @usableFromInline static var empty: Self { Self(start: nil, count: 0) }

    /// Whether the bytes are those of `text`.
    func equals(_ text: StaticString) -> Bool { text.withUTF8Buffer { equals(UnsafeRawBufferPointer($0)) } }

    /// Whether the bytes are the same as `other`'s.
    @inline(__always)
    func equals(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let one = baseAddress, let two = other.baseAddress else { return true }
        return memcmp(one, two, count) == 0
    }
}

/// The members of a `Span.Event` message but its attributes.
struct EventFields {
    var time: UInt64?
    var name = UnsafeRawBufferPointer.empty
    var droppedAttributes: UInt32 = 0

    init(_ message: UnsafeRawBufferPointer) {
        for field in ProtobufReader(message) {
            switch (field.number, field.type) {
            case (1, .fixed64): time = field.scalar
            case (2, .bytes): name = field.bytes
            case (4, .varint): droppedAttributes = UInt32(truncatingIfNeeded: field.scalar)
            default: continue
            }
        }
    }
}

/// The members of a `Span.Link` message but its attributes.
struct LinkFields {
    var traceID = UnsafeRawBufferPointer.empty
    var spanID = UnsafeRawBufferPointer.empty
    var traceState = UnsafeRawBufferPointer.empty
    var droppedAttributes: UInt32 = 0
    var flags: UInt32 = 0

    init(_ message: UnsafeRawBufferPointer) {
        for field in ProtobufReader(message) {
            switch (field.number, field.type) {
            case (1, .bytes): traceID = field.bytes
            case (2, .bytes): spanID = field.bytes
            case (3, .bytes): traceState = field.bytes
            case (5, .varint): droppedAttributes = UInt32(truncatingIfNeeded: field.scalar)
            case (6, .fixed32): flags = UInt32(truncatingIfNeeded: field.scalar)
            default: continue
            }
        }
    }
}

/// The number in varint field `number` of a message; 0 where there is none.
func droppedCount(_ number: UInt32, of message: UnsafeRawBufferPointer) -> UInt32 {
    var found: UInt32 = 0
    for field in ProtobufReader(message) where field.number == number && field.type == .varint {
        found = UInt32(truncatingIfNeeded: field.scalar)
    }
    return found
}
