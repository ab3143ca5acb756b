/// Makes other spans of stored ones, for destinations that speak OTLP with names of their own, and for rules: attributes go, others come,
/// a name or a parent changes. What is not touched is copied as it is, unknown fields too; nothing is decoded. What comes out is stored
/// like what went in (`SpanEntry`), so equal resources and scopes still merge into one request.
///
///     var rewriter = SpanRewriter()
///     for span in batch {
///         try rewriter.rewriteLLM(span) { edit, llm in
///             edit.drop(competingNames)
///             edit.attributes.set("langfuse.user.id", text: llm.user)
///         }
///     }
///     try appendOTLPRequest(rewriter.finish(), to: &body)
public struct SpanRewriter {
    private var batch = SpanBatch()
    private var edit = SpanEdit()
    private var (message, resource): ([UInt8], [UInt8]) = ([], [])

    /// Holds no span yet.
    public init() {}

    /// Bytes of the spans so far.
    public var size: Int { batch.payload.count }

    /// Adds `span` as `change` has it. What `change` throws leaves the rewriter as it was.
    public mutating func rewrite(_ span: SpanView, _ change: (inout SpanEdit) throws -> Void) throws {
        let index = batch.count
        try span.withParts { parts in
            guard let parts else { throw MalformedSpan(index: index) }
            edit.removeAll()
            try change(&edit)
            try append(parts, span.entry)
        }
    }

    /// As `rewrite`, with the view that most changes are made from.
    public mutating func rewriteLLM(_ span: SpanView, _ change: (inout SpanEdit, LLMFields) throws -> Void) throws {
        let index = batch.count
        try span.withParts { parts in
            guard let parts else { throw MalformedSpan(index: index) }
            edit.removeAll()
            try parts.withLLM { try change(&edit, $0) }
            try append(parts, span.entry)
        }
    }

    /// The spans, in the order in which they were added. Their `id` is their place here, not the spool's.
    public consuming func finish() -> [SpanView] {
        let segment = Segment(firstID: 0, payload: batch.payload, entries: batch.entries)
        return segment.entries.indices.map { SpanView(segment: segment, index: $0) }
    }

    private mutating func append(_ parts: SpanParts, _ entry: SpanEntry) throws(MalformedSpan) {
        message.removeAll(keepingCapacity: true)
        resource.removeAll(keepingCapacity: true)
        guard edit.write(parts.span, to: &message), edit.writeResource(parts.resource, to: &resource) else {
            throw MalformedSpan(index: batch.count)
        }
        let scopeSpans = parts.scope.count + fieldSize(message.count)
        let length = resource.count + fieldSize(scopeSpans)
        precondition(batch.payload.count + length <= UInt32.max, "spans of 4 GiB in one rewriter")
        var new = entry
        new.offset = UInt32(batch.payload.count)
        new.length = UInt32(length)
        new.resourceLength = UInt32(resource.count)
        batch.payload.append(contentsOf: resource)
        batch.payload.appendField(2, size: scopeSpans)
        batch.payload.append(contentsOf: parts.scope)
        batch.payload.appendField(2, size: message.count)
        batch.payload.append(contentsOf: message)
        batch.entries.append(new)
    }
}

/// What is to change in one span.
public struct SpanEdit {
    /// The attributes that are added. One of a key that the span has already takes its place.
    public var attributes = AttributeWriter(field: 9)
    /// The attributes that are added to the resource, with the same rule.
    public var resourceAttributes = AttributeWriter(field: 1)
    private var dropped: [AttributeNames] = []
    private var isDropped: [(UnsafeRawBufferPointer) -> Bool] = []
    private var isDroppedOfResource: [(UnsafeRawBufferPointer) -> Bool] = []
    /// Numbers of the fields of `Span` that are replaced, a bit each, and the new ones.
    private var (replaced, fields): (UInt32, [UInt8]) = (0, [])

    /// Takes out the attributes of these names.
    public mutating func drop(_ names: AttributeNames) { dropped.append(names) }
    /// Takes out the attributes whose key `matches`. The key is good inside of it only.
    public mutating func drop(where matches: @escaping (UnsafeRawBufferPointer) -> Bool) { isDropped.append(matches) }
    /// Takes out attributes of the resource.
    public mutating func dropOfResource(where matches: @escaping (UnsafeRawBufferPointer) -> Bool) { isDroppedOfResource.append(matches) }

    /// Gives the span another name.
    public mutating func setName(_ name: String) { replace(5, Array(name.utf8)) }
    /// Gives the span another parent; nil makes it a root.
    public mutating func setParent(_ parent: SpanID?) {
        replace(4, parent.map { withUnsafeBytes(of: $0.bits.bigEndian, Array.init) } ?? [])
    }
    /// Gives the span another W3C tracestate.
    public mutating func setTraceState(_ state: String) { replace(3, Array(state.utf8)) }
    /// Says how the span ended.
    public mutating func setStatus(_ code: StatusCode, message: String = "") {
        var status: [UInt8] = []
        if !message.isEmpty {
            status.appendField(2, size: message.utf8.count)
            status.append(contentsOf: message.utf8)
        }
        if code != .unset { status += [3 << 3, code.rawValue] }
        replace(15, status)
    }

    /// Gives the span other times, in nanoseconds of the Unix epoch.
    public mutating func setTimes(start: UInt64, end: UInt64) {
        for (number, time) in [(7 as UInt8, start), (8, end)] {
            precondition(replaced & 1 << UInt32(number) == 0, "field \(number) of a span is replaced twice")
            replaced |= 1 << UInt32(number)
            fields.append(number << 3 | WireType.fixed64.rawValue)
            withUnsafeBytes(of: time.littleEndian) { fields.append(contentsOf: $0) }
        }
    }

    /// Adds an event, behind those that are there. `time` in nanoseconds of the Unix epoch.
    public mutating func appendEvent(_ name: String, time: UInt64, _ write: (inout AttributeWriter) -> Void) {
        var attributes = AttributeWriter(field: 3)
        write(&attributes)
        fields.appendField(11, size: 9 + fieldSize(name.utf8.count) + attributes.bytes.count)
        fields.append(1 << 3 | WireType.fixed64.rawValue)
        withUnsafeBytes(of: time.littleEndian) { fields.append(contentsOf: $0) }
        fields.appendField(2, size: name.utf8.count)
        fields.append(contentsOf: name.utf8)
        fields.append(contentsOf: attributes.bytes)
    }

    private mutating func replace(_ number: UInt8, _ value: [UInt8]) {
        precondition(replaced & 1 << UInt32(number) == 0, "field \(number) of a span is replaced twice")
        replaced |= 1 << UInt32(number)
        guard !value.isEmpty else { return }  // absent, as proto3 has it
        fields.appendField(number, size: value.count)
        fields.append(contentsOf: value)
    }

    mutating func removeAll() {
        attributes.removeAll()
        resourceAttributes.removeAll()
        dropped.removeAll(keepingCapacity: true)
        isDropped.removeAll(keepingCapacity: true)
        isDroppedOfResource.removeAll(keepingCapacity: true)
        replaced = 0
        fields.removeAll(keepingCapacity: true)
    }

    /// Appends the changed `Span` message; false where `message` is none.
    func write(_ message: UnsafeRawBufferPointer, to out: inout [UInt8]) -> Bool {
        out.reserveCapacity(out.count + message.count + attributes.bytes.count + fields.count)
        let isCopied = copyFields(of: message, to: &out) { field in
            if field.number == 9, field.type == .bytes {
                let key = RawPair.read(field.bytes).key
                return !attributes.contains(key) && !dropped.contains { $0.contains(key) } && !isDropped.contains { $0(key) }
            }
            return field.number > 31 || replaced & 1 << field.number == 0
        }
        out.append(contentsOf: attributes.bytes)
        out.append(contentsOf: fields)
        return isCopied
    }

    /// Appends the changed fields of `ResourceSpans` but scope_spans; false where `fields` are none.
    func writeResource(_ fields: UnsafeRawBufferPointer, to out: inout [UInt8]) -> Bool {
        guard resourceAttributes.count > 0 || !isDroppedOfResource.isEmpty else {
            out.append(contentsOf: fields)
            return true
        }
        var resource: [UInt8] = []
        let isSound = copyFields(of: SpanParts.message(1, of: fields), to: &resource) { field in
            guard field.number == 1, field.type == .bytes else { return true }
            let key = RawPair.read(field.bytes).key
            return !isDroppedOfResource.contains { $0(key) } && !resourceAttributes.contains(key)
        }
        resource += resourceAttributes.bytes
        if !resource.isEmpty {
            out.appendField(1, size: resource.count)
            out.append(contentsOf: resource)
        }
        return isSound && copyFields(of: fields, to: &out) { $0.number != 1 }
    }
}

/// Appends the fields of `message` that `isKept`, in runs as long as they can be; false where the message is malformed.
func copyFields(of message: UnsafeRawBufferPointer, to out: inout [UInt8], where isKept: (ProtobufField) -> Bool) -> Bool {
    var reader = ProtobufReader(message)
    var (run, at) = (0, 0)  // what stands in run..<at is to be copied
    while let field = reader.next() {
        if !isKept(field) {
            out.append(contentsOf: message[run..<at])
            run = reader.position
        }
        at = reader.position
    }
    out.append(contentsOf: message[run..<at])
    return !reader.failed
}
