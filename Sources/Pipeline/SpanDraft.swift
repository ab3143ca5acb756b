import SpanModel

/// A span that is being changed: its attributes one by one, the rest as it lies in the stored bytes. For spans that a route transforms; what
/// no rule touches is copied as it is, unknown fields too.
struct SpanDraft {
    /// A key and its `AnyValue` message.
    struct Attribute: Equatable {
        var key: [UInt8]
        var value: [UInt8]
    }

    private let entry: SpanEntry
    private let id: Int64
    /// The fields of `ResourceSpans` but scope_spans and the resource's attributes, and of `ScopeSpans` but spans.
    private var resourceRest: [UInt8] = []
    private var scope: [UInt8] = []
    private var resourceFieldRest: [UInt8] = []
    /// The fields of the span that rules do not change.
    private var rest: [UInt8] = []
    var traceState: [UInt8] = []
    var name: [UInt8] = []
    var attributes: [Attribute] = []
    var resource: [Attribute] = []
    /// `Span.Event` messages.
    var events: [[UInt8]] = []
    var status = StatusCode.unset
    var statusMessage: [UInt8] = []

    /// Nil where the span is malformed.
    init?(_ view: SpanView) {
        entry = view.entry
        id = view.id
        guard view.withParts({ parts in parts.map { read($0) } ?? false }) else { return nil }
    }

    private mutating func read(_ parts: SpanParts) -> Bool {
        scope = Array(parts.scope)
        for field in ProtobufReader(parts.resource) {
            guard field.number == 1, field.type == .bytes else {
                resourceRest.append(field)
                continue
            }
            for inner in ProtobufReader(field.bytes) {
                if inner.number == 1, inner.type == .bytes, let pair = Self.pair(inner.bytes) {
                    resource.append(pair)
                } else {
                    resourceFieldRest.append(inner)
                }
            }
        }
        for field in ProtobufReader(parts.span) {
            switch (field.number, field.type) {
            case (3, .bytes): traceState = Array(field.bytes)
            case (5, .bytes): name = Array(field.bytes)
            case (9, .bytes): if let pair = Self.pair(field.bytes) { attributes.append(pair) }
            case (11, .bytes): events.append(Array(field.bytes))
            case (15, .bytes):
                for inner in ProtobufReader(field.bytes) {
                    switch (inner.number, inner.type) {
                    case (2, .bytes): statusMessage = Array(inner.bytes)
                    case (3, .varint): status = UInt8(exactly: inner.scalar).flatMap(StatusCode.init) ?? .unset
                    default: continue
                    }
                }
            default: rest.append(field)
            }
        }
        return true
    }

    private static func pair(_ message: UnsafeRawBufferPointer) -> Attribute? {
        var attribute = Attribute(key: [], value: [])
        for field in ProtobufReader(message) where field.type == .bytes {
            if field.number == 1 { attribute.key = Array(field.bytes) }
            if field.number == 2 { attribute.value = Array(field.bytes) }
        }
        return attribute
    }

    // MARK: Attributes

    /// Sets an attribute where it stands, or at the end; nil takes it out. Of a repeated key one is left.
    mutating func set(_ key: [UInt8], _ value: [UInt8]?) { Self.set(key, value, in: &attributes) }

    /// As `set`, of the resource.
    mutating func setResource(_ key: [UInt8], _ value: [UInt8]?) { Self.set(key, value, in: &resource) }

    private static func set(_ key: [UInt8], _ value: [UInt8]?, in attributes: inout [Attribute]) {
        guard let value else { return attributes.removeAll { $0.key == key } }
        guard let first = attributes.firstIndex(where: { $0.key == key }) else {
            return attributes.append(Attribute(key: key, value: value))
        }
        attributes[first].value = value
        var index = attributes.count - 1
        while index > first {
            if attributes[index].key == key { attributes.remove(at: index) }
            index -= 1
        }
    }

    /// Changes the attributes from a view over the span as it is now.
    mutating func rewrite(_ change: (inout SpanEdit, LLMFields) -> Void) {
        var rewriter = SpanRewriter()
        // What the draft wrote itself is well formed.
        guard (try? rewriter.rewriteLLM(view(), change)) != nil, let new = rewriter.finish().first.flatMap({ SpanDraft($0) }) else {
            return
        }
        attributes = new.attributes
    }

    // MARK: Out

    /// The changed span, with the id that it had.
    func view() -> SpanView {
        var batch = SpanBatch()
        append(to: &batch)
        return SpanView(segment: Segment(firstID: id, payload: batch.payload, entries: batch.entries), index: 0)
    }

    /// Adds the changed span to a batch.
    func append(to batch: inout SpanBatch) {
        var span = rest
        span.appendMessage(3, traceState)
        span.appendMessage(5, name)
        for attribute in attributes { span.appendPair(9, attribute) }
        for event in events {
            span.appendField(11, size: event.count)
            span += event
        }
        var end: [UInt8] = []
        end.appendMessage(2, statusMessage)
        if status != .unset { end += [3 << 3, status.rawValue] }
        span.appendMessage(15, end)

        var inner = resourceFieldRest
        for attribute in resource { inner.appendPair(1, attribute) }
        var around: [UInt8] = []
        around.appendMessage(1, inner)
        around += resourceRest

        let start = batch.payload.count
        batch.payload += around
        batch.payload.appendField(2, size: scope.count + fieldSize(span.count))
        batch.payload += scope
        batch.payload.appendField(2, size: span.count)
        batch.payload += span
        var entry = entry
        (entry.offset, entry.length) = (UInt32(start), UInt32(batch.payload.count - start))
        (entry.resourceLength, entry.scopeLength) = (UInt32(around.count), UInt32(scope.count))
        batch.entries.append(entry)
    }
}

extension [UInt8] {
    /// Appends a length-delimited field; nothing where it is empty, as proto3 has it.
    fileprivate mutating func appendMessage(_ number: UInt8, _ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        appendField(number, size: bytes.count)
        append(contentsOf: bytes)
    }

    fileprivate mutating func appendPair(_ number: UInt8, _ attribute: SpanDraft.Attribute) {
        let size = fieldSize(attribute.key.count) + fieldSize(attribute.value.count)
        appendField(number, size: size)
        appendField(1, size: attribute.key.count)
        append(contentsOf: attribute.key)
        appendField(2, size: attribute.value.count)
        append(contentsOf: attribute.value)
    }
}
