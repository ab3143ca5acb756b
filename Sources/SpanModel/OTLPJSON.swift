/// Appends an `ExportTraceServiceRequest` as OTLP JSON (contract `otlp`, A.2), merged as `appendOTLPRequest` merges. Members that hold
/// their default are left out, the others stand in the order of their field numbers.
public func appendOTLPJSON(_ spans: [SpanView], to body: inout [UInt8]) throws(MalformedSpan) {
    let groups = try OTLPGroups(spans)
    body.reserveCapacity(body.count + groups.requestSize * 3 / 2)
    JSONBytes.append(to: &body) { json in
        json.object { json in
            guard !spans.isEmpty else { return }
            json.key("resourceSpans")
            json.array(of: groups.resources) { json, resource in
                json.object { json in
                    spans[resource.first].withParts { parts in
                        guard let parts else { return }
                        json.otlpResource(SpanParts.message(1, of: parts.resource))
                        json.key("scopeSpans")
                        json.array(of: groups.scopes[resource.scopes]) { $0.otlpScopeSpans(spans[$1.spans]) }
                        json.member("schemaUrl", utf8: SpanParts.message(3, of: parts.resource))
                    }
                }
            }
        }
    }
}

extension JSONBytes {
    fileprivate mutating func otlpResource(_ message: UnsafeRawBufferPointer) {
        guard !message.isEmpty else { return }
        key("resource")
        object { json in
            json.otlpAttributes(of: message, field: 1)
            json.member("droppedAttributesCount", count: droppedCount(2, of: message))
            var entities = Messages(of: message, field: 3)
            guard let first = entities.next() else { return }
            json.key("entityRefs")
            json.array { json in
                json.otlpEntity(first)
                for entity in entities { json.otlpEntity(entity) }
            }
        }
    }

    private mutating func otlpEntity(_ message: UnsafeRawBufferPointer) {
        object { json in
            json.member("schemaUrl", utf8: SpanParts.message(1, of: message))
            json.member("type", utf8: SpanParts.message(2, of: message))
            json.otlpStrings("idKeys", of: message, field: 3)
            json.otlpStrings("descriptionKeys", of: message, field: 4)
        }
    }

    private mutating func otlpStrings(_ name: StaticString, of message: UnsafeRawBufferPointer, field: UInt32) {
        var strings = Messages(of: message, field: field)
        guard let first = strings.next() else { return }
        key(name)
        array { json in
            json.string(utf8: first)
            for text in strings { json.string(utf8: text) }
        }
    }

    fileprivate mutating func otlpScopeSpans(_ spans: ArraySlice<SpanView>) {
        object { json in
            spans.first?.withParts { parts in
                guard let parts else { return }
                let scope = SpanParts.message(1, of: parts.scope)
                if !scope.isEmpty {
                    json.key("scope")
                    json.object { json in
                        json.member("name", utf8: SpanParts.message(1, of: scope))
                        json.member("version", utf8: SpanParts.message(2, of: scope))
                        json.otlpAttributes(of: scope, field: 3)
                        json.member("droppedAttributesCount", count: droppedCount(4, of: scope))
                    }
                }
                json.key("spans")
                json.array(of: spans) { json, span in span.withFields { json.otlpSpan($0) } }
                json.member("schemaUrl", utf8: SpanParts.message(3, of: parts.scope))
            }
        }
    }

    private mutating func otlpSpan(_ span: SpanFields) {
        object { json in
            json.otlpID("traceId", span.traceID)
            json.otlpID("spanId", span.spanID)
            json.member("traceState", utf8: span.traceState)
            json.otlpID("parentSpanId", span.parentSpanID)
            json.member("name", utf8: span.name)
            json.member("kind", count: UInt32(span.kind.rawValue))
            json.otlpTime("startTimeUnixNano", span.startTime)
            json.otlpTime("endTimeUnixNano", span.endTime)
            json.otlpAttributes(of: span.message, field: 9)
            json.member("droppedAttributesCount", count: span.droppedAttributes)
            if span.eventCount > 0 {
                json.key("events")
                json.array(of: span.events) { $0.otlpEvent($1) }
            }
            json.member("droppedEventsCount", count: span.droppedEvents)
            if span.linkCount > 0 {
                json.key("links")
                json.array(of: span.links) { $0.otlpLink($1) }
            }
            json.member("droppedLinksCount", count: span.droppedLinks)
            if span.status != .unset || !span.statusMessage.isEmpty {
                json.key("status")
                json.object { json in
                    json.member("message", utf8: span.statusMessage)
                    json.member("code", count: UInt32(span.status.rawValue))
                }
            }
            json.member("flags", count: span.flags)
        }
    }

    private mutating func otlpEvent(_ message: UnsafeRawBufferPointer) {
        let event = EventFields(message)
        object { json in
            json.otlpTime("timeUnixNano", event.time)
            json.member("name", utf8: event.name)
            json.otlpAttributes(of: message, field: 3)
            json.member("droppedAttributesCount", count: event.droppedAttributes)
        }
    }

    private mutating func otlpLink(_ message: UnsafeRawBufferPointer) {
        let link = LinkFields(message)
        object { json in
            json.otlpID("traceId", link.traceID)
            json.otlpID("spanId", link.spanID)
            json.member("traceState", utf8: link.traceState)
            json.otlpAttributes(of: message, field: 4)
            json.member("droppedAttributesCount", count: link.droppedAttributes)
            json.member("flags", count: link.flags)
        }
    }

    private mutating func otlpID(_ name: StaticString, _ id: UnsafeRawBufferPointer) {
        guard !id.isEmpty else { return }
        key(name)
        hex(id)
    }

    private mutating func otlpTime(_ name: StaticString, _ time: UInt64?) {
        guard let time, time != 0 else { return }
        key(name)
        quoted(time)
    }

    private mutating func otlpAttributes(of message: UnsafeRawBufferPointer, field: UInt32) {
        var pairs = Messages(of: message, field: field)
        guard let first = pairs.next() else { return }
        key("attributes")
        array { json in
            json.otlpPair(first, depth: 0)
            for pair in pairs { json.otlpPair(pair, depth: 0) }
        }
    }

    private mutating func otlpPair(_ message: UnsafeRawBufferPointer, depth: Int) {
        object { json in
            for field in ProtobufReader(message) where field.type == .bytes {
                switch field.number {
                case 1: json.member("key", utf8: field.bytes)
                case 2:
                    json.key("value")
                    json.otlpValue(RawValue(anyValue: field.bytes), depth: depth)
                default: continue
                }
            }
        }
    }

    private mutating func otlpValue(_ value: RawValue, depth: Int) {
        object { json in
            switch value {
            case _ where depth == RawValue.depthMax: return
            case .null: return
            case .string(let text):
                json.key("stringValue")
                json.string(utf8: text)
            case .bool(let value):
                json.key("boolValue")
                json.bool(value)
            case .int(let value):
                json.key("intValue")
                json.quoted(value)
            case .double(let value):
                json.key("doubleValue")
                json.double(value)
            case .bytes(let value):
                json.key("bytesValue")
                json.base64(value)
            case .array(let message):
                json.key("arrayValue")
                json.otlpValues(message) { $0.otlpValue(RawValue(anyValue: $1), depth: depth + 1) }
            case .map(let message):
                json.key("kvlistValue")
                json.otlpValues(message) { $0.otlpPair($1, depth: depth + 1) }
            }
        }
    }

    private mutating func otlpValues(_ message: UnsafeRawBufferPointer, _ write: (inout JSONBytes, UnsafeRawBufferPointer) -> Void) {
        object { json in
            guard !message.isEmpty else { return }
            json.key("values")
            json.array(of: Messages(of: message, field: 1), write)
        }
    }
}
