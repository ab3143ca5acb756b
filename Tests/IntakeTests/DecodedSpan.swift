import SpanModel

// A decoder of OTLP that shares nothing with the parser but its input: generic protobuf first, then messages by field number. It is strict:
// varints as short as can be, fields in ascending order, no field twice that is not repeated, sizes that add up.

struct Field {
    var number: Int
    var wire: Int
    var scalar: UInt64 = 0
    var bytes: [UInt8] = []
}

func decodeFields(_ bytes: [UInt8], repeated: Set<Int>) throws -> [Field] {
    var fields: [Field] = []
    var at = 0
    func varint() throws -> UInt64 {
        var (value, shift): (UInt64, UInt64) = (0, 0)
        while true {
            try require(at < bytes.count && shift < 64, "a varint is cut off")
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                try require(byte != 0 || shift == 0, "a varint is longer than it need be")
                return value
            }
            shift += 7
        }
    }
    func take(_ count: Int) throws -> [UInt8] {
        try require(count >= 0 && bytes.count - at >= count, "a field of \(count) bytes is cut off")
        defer { at += count }
        return Array(bytes[at..<at + count])
    }
    while at < bytes.count {
        let tag = try varint()
        var field = Field(number: Int(tag >> 3), wire: Int(tag & 7))
        switch field.wire {
        case 0: field.scalar = try varint()
        case 1: field.scalar = try take(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        case 5: field.scalar = try take(4).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        case 2: field.bytes = try take(Int(try varint()))
        default: throw Unexpected(description: "wire type \(field.wire)")
        }
        if let last = fields.last?.number {
            try require(field.number > last || (field.number == last && repeated.contains(last)), "field \(field.number) after \(last)")
        }
        fields.append(field)
    }
    return fields
}

private func text(_ bytes: [UInt8]) throws -> Name {
    try require(String(validating: bytes, as: UTF8.self) != nil, "a string is no UTF-8")
    return Name(bytes)
}

private func decodeValue(_ bytes: [UInt8]) throws -> Value {
    let fields = try decodeFields(bytes, repeated: [])
    try require(fields.count <= 1, "two kinds of value in one")
    guard let field = fields.first else { return .null }
    switch (field.number, field.wire) {
    case (1, 2): return .string(try text(field.bytes))
    case (2, 0):
        try require(field.scalar <= 1, "a bool of \(field.scalar)")
        return .bool(field.scalar == 1)
    case (3, 0): return .int(Int64(bitPattern: field.scalar))
    case (4, 1): return .double(field.scalar)
    case (5, 2):
        return .array(
            try decodeFields(field.bytes, repeated: [1]).map { element in
                try require(element.number == 1 && element.wire == 2, "an element is no value")
                return try decodeValue(element.bytes)
            })
    case (6, 2): return .map(try decodeKeyValues(try decodeFields(field.bytes, repeated: [1]), number: 1))
    default: throw Unexpected(description: "field \(field.number) of AnyValue")
    }
}

private func decodeKeyValues(_ fields: [Field], number: Int) throws -> [Name: Value] {
    var result: [Name: Value] = [:]
    for field in fields where field.number == number {
        try require(field.wire == 2, "a KeyValue is a scalar")
        let parts = try decodeFields(field.bytes, repeated: [])
        try require(parts.last?.number == 2 && parts.allSatisfy { $0.wire == 2 && $0.number <= 2 }, "a KeyValue without value")
        let key = try text(parts.first { $0.number == 1 }?.bytes ?? [])
        try require(result[key] == nil, "the key \(key) stands twice")
        result[key] = try decodeValue(parts[parts.count - 1].bytes)
    }
    return result
}

struct DecodedEvent: Equatable {
    var time: UInt64 = 0
    var name: Name = ""
    var attributes: [Name: Value] = [:]
    var dropped: UInt64 = 0
}

struct DecodedLink: Equatable {
    var traceID: [UInt8] = []
    var spanID: [UInt8] = []
    var traceState: Name = ""
    var attributes: [Name: Value] = [:]
    var dropped: UInt64 = 0
    var flags: UInt64 = 0
}

struct DecodedScope: Equatable {
    var name: Name = ""
    var version: Name = ""
    var attributes: [Name: Value] = [:]
    var dropped: UInt64 = 0
}

/// A span and what is around it, as it was stored.
struct DecodedSpan: Equatable {
    var resource: [Name: Value] = [:]
    var scope = DecodedScope()
    var schemaURL: Name = ""
    var traceID: [UInt8] = []
    var spanID: [UInt8] = []
    var traceState: Name = ""
    var parentSpanID: [UInt8] = []
    var name: Name = ""
    var kind: UInt64 = 0
    var start: UInt64 = 0
    var end: UInt64 = 0
    var attributes: [Name: Value] = [:]
    var droppedAttributes: UInt64 = 0
    var events: [DecodedEvent] = []
    var droppedEvents: UInt64 = 0
    var links: [DecodedLink] = []
    var droppedLinks: UInt64 = 0
    var statusMessage: Name = ""
    var statusCode: UInt64 = 0
    var flags: UInt64 = 0

    init() {}

    /// Reads span `index` of a batch, and holds its entry against it.
    init(_ batch: SpanBatch, at index: Int) throws {
        let entry = batch.entries[index]
        let next = index + 1 < batch.count ? Int(batch.entries[index + 1].offset) : batch.payload.count
        try require(Int(entry.offset + entry.length) == next, "an entry does not end where the next begins")
        try require(entry.receivedAt == receivedAt && entry.sender == 1_000 && entry.source == SourceID.unix.rawValue, "a wrong stamp")
        let message = Array(batch.payload[Int(entry.offset)..<next])

        // The layout that SpanEntry promises.
        let resourcePart = Array(message[..<Int(entry.resourceLength)])
        for field in try decodeFields(resourcePart, repeated: []) {
            try require(field.number == 1, "field \(field.number) in the resource part")
            resource = try decodeKeyValues(try decodeFields(field.bytes, repeated: [1]), number: 1)
        }
        let outer = try decodeFields(Array(message[resourcePart.count...]), repeated: [])
        try require(outer.count == 1 && outer[0].number == 2 && outer[0].wire == 2, "no scope_spans behind the resource part")
        let scopePart = Array(outer[0].bytes[..<Int(entry.scopeLength)])
        for field in try decodeFields(scopePart, repeated: []) {
            switch field.number {
            case 1: try readScope(field.bytes)
            case 3: schemaURL = try text(field.bytes)
            default: throw Unexpected(description: "field \(field.number) in the scope part")
            }
        }
        let inner = try decodeFields(Array(outer[0].bytes[scopePart.count...]), repeated: [])
        try require(inner.count == 1 && inner[0].number == 2 && inner[0].wire == 2, "no span behind the scope part")
        try readSpan(inner[0].bytes)
        try require(entry.traceHash == traceID[8...].reduce(0) { $0 << 8 | UInt64($1) }, "a wrong trace hash")
    }

    private mutating func readScope(_ bytes: [UInt8]) throws {
        let fields = try decodeFields(bytes, repeated: [3])
        scope.attributes = try decodeKeyValues(fields, number: 3)
        for field in fields {
            switch field.number {
            case 1: scope.name = try text(field.bytes)
            case 2: scope.version = try text(field.bytes)
            case 3: continue
            case 4: scope.dropped = field.scalar
            default: throw Unexpected(description: "field \(field.number) of the scope")
            }
        }
    }

    private mutating func readSpan(_ bytes: [UInt8]) throws {
        let fields = try decodeFields(bytes, repeated: [9, 11, 13])
        attributes = try decodeKeyValues(fields, number: 9)
        for field in fields {
            let wire = [6: 0, 7: 1, 8: 1, 10: 0, 12: 0, 14: 0, 16: 5][field.number] ?? 2
            try require(field.wire == wire, "field \(field.number) of the span has wire type \(field.wire)")
            switch field.number {
            case 1: traceID = field.bytes
            case 2: spanID = field.bytes
            case 3: traceState = try text(field.bytes)
            case 4: parentSpanID = field.bytes
            case 5: name = try text(field.bytes)
            case 6: kind = field.scalar
            case 7: start = field.scalar
            case 8: end = field.scalar
            case 9: continue
            case 10: droppedAttributes = field.scalar
            case 11: events.append(try Self.event(field.bytes))
            case 12: droppedEvents = field.scalar
            case 13: links.append(try Self.link(field.bytes))
            case 14: droppedLinks = field.scalar
            case 15:
                for part in try decodeFields(field.bytes, repeated: []) {
                    if part.number == 2 { statusMessage = try text(part.bytes) } else { statusCode = part.scalar }
                    try require(part.number == 2 || part.number == 3, "field \(part.number) of the status")
                }
            case 16: flags = field.scalar
            default: throw Unexpected(description: "field \(field.number) of the span")
            }
        }
        try require(traceID.count == 16 && traceID.contains { $0 != 0 }, "a trace id of \(traceID.count) bytes")
        try require(spanID.count == 8 && spanID.contains { $0 != 0 }, "a span id of \(spanID.count) bytes")
        try require([0, 8].contains(parentSpanID.count), "a parent id of \(parentSpanID.count) bytes")
    }

    private static func event(_ bytes: [UInt8]) throws -> DecodedEvent {
        let fields = try decodeFields(bytes, repeated: [3])
        var event = DecodedEvent(attributes: try decodeKeyValues(fields, number: 3))
        for field in fields {
            switch (field.number, field.wire) {
            case (1, 1): event.time = field.scalar
            case (2, 2): event.name = try text(field.bytes)
            case (3, 2): continue
            case (4, 0): event.dropped = field.scalar
            default: throw Unexpected(description: "field \(field.number) of an event")
            }
        }
        return event
    }

    private static func link(_ bytes: [UInt8]) throws -> DecodedLink {
        let fields = try decodeFields(bytes, repeated: [4])
        var link = DecodedLink(attributes: try decodeKeyValues(fields, number: 4))
        for field in fields {
            switch (field.number, field.wire) {
            case (1, 2): link.traceID = field.bytes
            case (2, 2): link.spanID = field.bytes
            case (3, 2): link.traceState = try text(field.bytes)
            case (4, 2): continue
            case (5, 0): link.dropped = field.scalar
            case (6, 5): link.flags = field.scalar
            default: throw Unexpected(description: "field \(field.number) of a link")
            }
        }
        return link
    }
}
