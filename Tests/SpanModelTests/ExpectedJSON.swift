import Foundation

// What the two JSON forms must hold, told from the test's span: another way to the same text, member by member.

extension TestSpan {
    var native: JSON {
        var json = Members()
        json.add("trace_id", .string(hex(traceID)))
        json.add("span_id", .string(hex(spanID)))
        json.addText("parent_span_id", hex(parent))
        json.addText("trace_state", traceState)
        json.addNumber("flags", flags)
        json.addText("name", name)
        json.addText("kind", ["", "internal", "server", "client", "producer", "consumer"][Int(kind)])
        if let start { json.add("start_time", .string(rfc3339(start))) }
        if let end { json.add("end_time", .string(rfc3339(end))) }
        if let start, let end { json.add("duration_ms", .number(milliseconds(from: start, to: end))) }
        if status != 0 || !statusMessage.isEmpty {
            json.addObject("status") {
                $0.add("code", .string(["unset", "ok", "error"][Int(status)]))
                $0.addText("message", statusMessage)
            }
        }
        json.addNative("attributes", attributes)
        json.addArray("events", events) { event, json in
            json.addText("name", event.name)
            if let time = event.time { json.add("time", .string(rfc3339(time))) }
            json.addNative("attributes", event.attributes)
            json.addNumber("dropped_attributes_count", event.dropped)
        }
        json.addArray("links", links) { link, json in
            json.add("trace_id", .string(hex(link.traceID)))
            json.add("span_id", .string(hex(link.spanID)))
            json.addText("trace_state", link.traceState)
            json.addNative("attributes", link.attributes)
            json.addNumber("dropped_attributes_count", link.dropped)
            json.addNumber("flags", link.flags)
        }
        json.addNative("resource", resource)
        if !scopeName.isEmpty || !scopeVersion.isEmpty || !scopeAttributes.isEmpty {
            json.addObject("scope") {
                $0.addText("name", scopeName)
                $0.addText("version", scopeVersion)
                $0.addNative("attributes", scopeAttributes)
            }
        }
        json.addText("schema_url", scopeSchema.isEmpty ? resourceSchema : scopeSchema)
        json.addNumber("dropped_attributes_count", dropped.attributes)
        json.addNumber("dropped_events_count", dropped.events)
        json.addNumber("dropped_links_count", dropped.links)
        return .object(json.members)
    }

    /// The `ExportTraceServiceRequest` of this span alone.
    var otlp: JSON {
        var span = Members()
        span.add("traceId", .string(hex(traceID)))
        span.add("spanId", .string(hex(spanID)))
        span.addText("traceState", traceState)
        span.addText("parentSpanId", hex(parent))
        span.addText("name", name)
        span.addNumber("kind", UInt32(kind))
        span.addText("startTimeUnixNano", start.flatMap { $0 == 0 ? nil : String($0) } ?? "")
        span.addText("endTimeUnixNano", end.flatMap { $0 == 0 ? nil : String($0) } ?? "")
        span.addOTLP(attributes)
        span.addNumber("droppedAttributesCount", dropped.attributes)
        span.addArray("events", events) { event, json in
            json.addText("timeUnixNano", event.time.flatMap { $0 == 0 ? nil : String($0) } ?? "")
            json.addText("name", event.name)
            json.addOTLP(event.attributes)
            json.addNumber("droppedAttributesCount", event.dropped)
        }
        span.addNumber("droppedEventsCount", dropped.events)
        span.addArray("links", links) { link, json in
            json.add("traceId", .string(hex(link.traceID)))
            json.add("spanId", .string(hex(link.spanID)))
            json.addText("traceState", link.traceState)
            json.addOTLP(link.attributes)
            json.addNumber("droppedAttributesCount", link.dropped)
            json.addNumber("flags", link.flags)
        }
        span.addNumber("droppedLinksCount", dropped.links)
        if status != 0 || !statusMessage.isEmpty {
            span.addObject("status") {
                $0.addText("message", statusMessage)
                $0.addNumber("code", UInt32(status))
            }
        }
        span.addNumber("flags", flags)

        var scope = Members()
        if !scopeName.isEmpty || !scopeVersion.isEmpty || !scopeAttributes.isEmpty {
            scope.addObject("scope") {
                $0.addText("name", scopeName)
                $0.addText("version", scopeVersion)
                $0.addOTLP(scopeAttributes)
            }
        }
        scope.add("spans", .array([.object(span.members)]))
        scope.addText("schemaUrl", scopeSchema)

        var resources = Members()
        if !resource.isEmpty { resources.addObject("resource") { $0.addOTLP(resource) } }
        resources.add("scopeSpans", .array([.object(scope.members)]))
        resources.addText("schemaUrl", resourceSchema)
        return .object([JSON.Member("resourceSpans", .array([.object(resources.members)]))])
    }
}

extension TestSpan.Value {
    fileprivate var native: JSON {
        switch self {
        case .absent, .null: .null
        case .string(let text): .string(text)
        case .bool(let value): .bool(value)
        case .int(let value): .number(String(value))
        case .double(let value): number(value)
        case .bytes(let bytes): .string(Data(bytes).base64EncodedString())
        case .array(let values): .array(values.map(\.native))
        case .map(let pairs): .object(pairs.map { JSON.Member($0.key, $0.value.native) })
        }
    }

    fileprivate var otlp: JSON {
        func one(_ name: String, _ value: JSON) -> JSON { .object([JSON.Member(name, value)]) }
        func list(_ values: [JSON]) -> JSON { .object(values.isEmpty ? [] : [JSON.Member("values", .array(values))]) }
        switch self {
        case .absent, .null: return .object([])
        case .string(let text): return one("stringValue", .string(text))
        case .bool(let value): return one("boolValue", .bool(value))
        case .int(let value): return one("intValue", .string(String(value)))
        case .double(let value): return one("doubleValue", number(value))
        case .bytes(let bytes): return one("bytesValue", .string(Data(bytes).base64EncodedString()))
        case .array(let values): return one("arrayValue", list(values.map(\.otlp)))
        case .map(let pairs): return one("kvlistValue", list(pairs.map(\.otlp)))
        }
    }
}

extension TestSpan.Pair {
    fileprivate var otlp: JSON {
        if case .absent = value { return .object([JSON.Member("key", .string(key))]) }
        return .object([JSON.Member("key", .string(key)), JSON.Member("value", value.otlp)])
    }
}

private struct Members {
    var members: [JSON.Member] = []

    mutating func add(_ key: String, _ value: JSON) { members.append(JSON.Member(key, value)) }
    mutating func addText(_ key: String, _ text: String) { if !text.isEmpty { add(key, .string(text)) } }
    mutating func addNumber(_ key: String, _ number: UInt32) { if number != 0 { add(key, .number(String(number))) } }
    mutating func addObject(_ key: String, _ fill: (inout Members) -> Void) {
        var object = Members()
        fill(&object)
        add(key, .object(object.members))
    }
    mutating func addArray<T>(_ key: String, _ values: [T], _ fill: (T, inout Members) -> Void) {
        guard !values.isEmpty else { return }
        let objects = values.map { value in
            var object = Members()
            fill(value, &object)
            return JSON.object(object.members)
        }
        add(key, .array(objects))
    }
    mutating func addNative(_ key: String, _ pairs: [TestSpan.Pair]) {
        if !pairs.isEmpty { add(key, .object(pairs.map { JSON.Member($0.key, $0.value.native) })) }
    }
    mutating func addOTLP(_ pairs: [TestSpan.Pair]) {
        if !pairs.isEmpty { add("attributes", .array(pairs.map(\.otlp))) }
    }
}

func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", Int($0)) }.joined() }

private func number(_ value: Double) -> JSON {
    if value.isNaN { return .string("NaN") }
    if value.isInfinite { return .string(value < 0 ? "-Infinity" : "Infinity") }
    return .number("\(value)")
}

/// By the C library's calendar.
func rfc3339(_ nanoseconds: UInt64) -> String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return String(
        format: "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday),
        Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec), Int(nanoseconds % 1_000_000_000))
}

/// By the digits: six places, trailing zeros cut.
private func milliseconds(from start: UInt64, to end: UInt64) -> String {
    let length = String(max(start, end) - min(start, end))
    let padded = String(repeating: "0", count: max(0, 7 - length.count)) + length
    let fraction = padded.suffix(6).reversed().drop { $0 == "0" }.reversed()
    return (end < start ? "-" : "") + padded.dropLast(6) + (fraction.isEmpty ? "" : "." + String(fraction))
}
