/// Appends a span in the native form (contracts `ingest`, section 1, and `objectstore`, section 1), in one line without its newline.
/// Parsing it gives the same span again. Absent and empty members are left out.
public func appendNativeJSON(_ span: SpanView, to bytes: inout [UInt8]) {
    JSONBytes.append(to: &bytes) { $0.nativeSpan(span) }
}

extension JSONBytes {
    /// A span in the native form, as an object.
    public mutating func nativeSpan(_ span: SpanView) {
        object { json in
            span.withParts { parts in
                guard let parts else { return }
                json.nativeMembers(SpanFields(parts.span), parts)
            }
        }
    }

    private mutating func nativeMembers(_ span: SpanFields, _ parts: SpanParts) {
        nativeID("trace_id", span.traceID)
        nativeID("span_id", span.spanID)
        nativeID("parent_span_id", span.parentSpanID)
        member("trace_state", utf8: span.traceState)
        member("flags", count: span.flags)
        member("name", utf8: span.name)
        if span.kind != .unspecified {
            key("kind")
            string(span.kind.name)
        }
        nativeTimes(span)
        if span.status != .unset || !span.statusMessage.isEmpty {
            key("status")
            object { json in
                json.key("code")
                json.string(span.status.name)
                json.member("message", utf8: span.statusMessage)
            }
        }
        nativeAttributes("attributes", span.attributes, isEmpty: span.attributeCount == 0)
        if span.eventCount > 0 {
            key("events")
            array(of: span.events) { $0.nativeEvent($1) }
        }
        if span.linkCount > 0 {
            key("links")
            array(of: span.links) { $0.nativeLink($1) }
        }
        nativeAttributes("resource", parts.resourceAttributes)
        nativeScope(SpanParts.message(1, of: parts.scope))
        let schema = SpanParts.message(3, of: parts.scope)
        member("schema_url", utf8: schema.isEmpty ? SpanParts.message(3, of: parts.resource) : schema)
        member("dropped_attributes_count", count: span.droppedAttributes)
        member("dropped_events_count", count: span.droppedEvents)
        member("dropped_links_count", count: span.droppedLinks)
    }

    private mutating func nativeTimes(_ span: SpanFields) {
        if let start = span.startTime {
            key("start_time")
            time(nanoseconds: start)
        }
        guard let end = span.endTime else { return }
        key("end_time")
        time(nanoseconds: end)
        guard let start = span.startTime else { return }
        key("duration_ms")
        milliseconds(nanoseconds: end < start ? start - end : end - start, negative: end < start)
    }

    private mutating func nativeEvent(_ message: UnsafeRawBufferPointer) {
        let event = EventFields(message)
        object { json in
            json.member("name", utf8: event.name)
            if let time = event.time {
                json.key("time")
                json.time(nanoseconds: time)
            }
            json.nativeAttributes("attributes", KeyValues(of: message, field: 3))
            json.member("dropped_attributes_count", count: event.droppedAttributes)
        }
    }

    private mutating func nativeLink(_ message: UnsafeRawBufferPointer) {
        let link = LinkFields(message)
        object { json in
            json.nativeID("trace_id", link.traceID)
            json.nativeID("span_id", link.spanID)
            json.member("trace_state", utf8: link.traceState)
            json.nativeAttributes("attributes", KeyValues(of: message, field: 4))
            json.member("dropped_attributes_count", count: link.droppedAttributes)
            json.member("flags", count: link.flags)
        }
    }

    private mutating func nativeScope(_ message: UnsafeRawBufferPointer) {
        guard !message.isEmpty else { return }
        key("scope")
        object { json in
            json.member("name", utf8: SpanParts.message(1, of: message))
            json.member("version", utf8: SpanParts.message(2, of: message))
            json.nativeAttributes("attributes", KeyValues(of: message, field: 3))
        }
    }

    private mutating func nativeID(_ name: StaticString, _ id: UnsafeRawBufferPointer) {
        guard !id.isEmpty else { return }
        key(name)
        hex(id)
    }

    /// Any value of an attribute: bytes as base64, what JSON has no number for as a string.
    public mutating func value(_ value: RawValue) { nativeValue(value, depth: 0) }

    /// Pairs as an object.
    public mutating func object(of pairs: KeyValues) { nativeMap(pairs, depth: 0) }

    private mutating func nativeAttributes(_ name: StaticString, _ pairs: KeyValues) {
        var look = pairs
        nativeAttributes(name, pairs, isEmpty: look.next() == nil)
    }

    private mutating func nativeAttributes(_ name: StaticString, _ pairs: KeyValues, isEmpty: Bool) {
        guard !isEmpty else { return }
        key(name)
        nativeMap(pairs, depth: 0)
    }

    private mutating func nativeMap(_ pairs: KeyValues, depth: Int) {
        object { json in
            for (key, value) in pairs {
                json.key(utf8: key)
                json.nativeValue(value, depth: depth + 1)
            }
        }
    }

    private mutating func nativeValue(_ value: RawValue, depth: Int) {
        switch value {
        case _ where depth > RawValue.depthMax: null()
        case .null: null()
        case .string(let text): string(utf8: text)
        case .bool(let value): bool(value)
        case .int(let value): integer(value)
        case .double(let value): double(value)
        case .bytes(let value): base64(value)
        case .array(let message):
            array(of: RawValue.elements(of: message)) { $0.nativeValue(RawValue(anyValue: $1), depth: depth + 1) }
        case .map(let message): nativeMap(RawValue.pairs(of: message), depth: depth)
        }
    }
}
