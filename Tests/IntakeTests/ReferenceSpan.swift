// The contract once more (ingest, section 1), as plainly as it can be written: a line is read whole, turned into dictionaries, and each
// rule applied in turn. What the parser makes of a line is held against this.

struct Refused: Error { var code: String }

/// What a line ought to become.
enum Expectation {
    case rejected(String)
    /// `traceID` and `spanID` are empty where they are to be generated.
    case span(DecodedSpan)
}

func expectation(_ line: [UInt8]) -> Expectation {
    do {
        guard case .object(let members) = try ReferenceJSON.read(line) else { return .rejected("not_an_object") }
        return .span(try ReferenceSpan().read(members))
    } catch let error as NotJSON {
        return .rejected(error.code)
    } catch {
        return .rejected((error as? Refused)?.code ?? "\(error)")
    }
}

/// Of equal keys the last, where it stands.
func lastOfEach(_ members: [(key: Name, value: JSON)]) -> [(key: Name, value: JSON)] {
    members.enumerated().filter { index, member in !members[(index + 1)...].contains { $0.key == member.key } }.map(\.element)
}

func referenceValue(_ json: JSON) -> Value {
    switch json {
    case .null: .null
    case .bool(let value): .bool(value)
    case .string(let value): .string(value)
    case .array(let values): .array(values.map(referenceValue))
    case .object(let members): .map(Dictionary(members.map { ($0.key, referenceValue($0.value)) }) { $1 })
    case .number(let text):
        if text == "-0" {
            .double((-0.0).bitPattern)
        } else if text.contains(where: { ".eE".contains($0) }) {
            Double(text).flatMap { $0.isFinite ? .double($0.bitPattern) : nil } ?? .string(Name(text))
        } else {
            Int64(text).map { .int($0) } ?? .string(Name(text))
        }
    }
}

final class ReferenceSpan {
    private var span = DecodedSpan()
    private var attributes: [Name: (rank: Int, value: Value)] = [:]
    private var start: UInt64?
    private var end: UInt64?
    private var startNano: UInt64?
    private var endNano: UInt64?
    private var duration: (given: Bool, nanoseconds: UInt64?) = (false, nil)
    private var durationIsNegative = false
    private var status: (code: UInt64, message: Name)?
    private var error: (code: UInt64, message: Name)?
    private var resource: [Name: Value] = [:]
    private var shortResource: [Name: Value] = [:]
    private var hasModel = false
    private var untimed: [Int] = []

    func read(_ members: [(key: Name, value: JSON)]) throws -> DecodedSpan {
        span.kind = 1
        for (key, value) in lastOfEach(members) { try member(key, value) }
        if hasModel { set("gen_ai.operation.name", .text("chat"), rank: 0) }
        try check(attributes.count <= 1_000, "too_large")
        if span.name.bytes.isEmpty { span.name = try derivedName() }
        try times()
        for index in untimed { span.events[index].time = span.end }
        span.attributes = attributes.mapValues(\.value)
        span.resource = shortResource.merging(resource) { $1 }
        (span.statusCode, span.statusMessage) = status ?? error ?? (0, "")
        return span
    }

    private func check(_ condition: Bool, _ code: String) throws { if !condition { throw Refused(code: code) } }

    private func set(_ key: Name, _ value: Value, rank: Int) {
        if let old = attributes[key], old.rank > rank { return }
        attributes[key] = (rank, value)
    }

    private func short(_ key: Name, _ value: JSON) { set(key, referenceValue(value), rank: 1) }

    private func attributeName(_ name: Name) -> Name { name.bytes.contains(UInt8(ascii: ".")) ? name : "tracefwd.extra." + name }

    // MARK: Members

    private func member(_ key: Name, _ value: JSON) throws {
        let member = key.description
        let known: Set = [
            "trace_id", "trace_state", "flags", "span_id", "parent_span_id", "name", "kind", "start_time", "end_time",
            "start_time_unix_nano",
            "end_time_unix_nano", "duration_ms", "status", "attributes", "events", "links", "resource", "scope", "schema_url",
            "dropped_attributes_count", "dropped_events_count", "dropped_links_count", "model", "response_model", "provider", "operation",
            "input", "output", "usage", "cost_usd", "session_id", "user_id", "environment", "service", "tags", "metadata", "error",
        ]
        guard known.contains(member) else { return set(attributeName(key), referenceValue(value), rank: 2) }
        if case .null = value { return }
        let bad = "bad_type:\(member)"
        switch member {
        case "trace_id": span.traceID = try traceID(try text(value, bad))
        case "trace_state": span.traceState = try text(value, bad)
        case "flags": span.flags = try count(value, bad)
        case "span_id": span.spanID = try hex(try text(value, bad), 16, "bad_span_id")
        case "parent_span_id":
            let id = try text(value, bad)
            let isRoot = id.bytes.isEmpty || id == "0000000000000000"
            span.parentSpanID = isRoot ? [] : try hex(id, 16, "bad_span_id")
        case "name": span.name = try text(value, bad)
        case "kind":
            span.kind = try oneOf(["unspecified", "internal", "server", "client", "producer", "consumer"], "span_kind_", value, bad)
        case "start_time": start = try time(value, bad)
        case "end_time": end = try time(value, bad)
        case "start_time_unix_nano": startNano = try unixNano(value, bad)
        case "end_time_unix_nano": endNano = try unixNano(value, bad)
        case "duration_ms":
            guard case .number(let text) = value, let decimal = ReferenceDecimal(text) else { throw Refused(code: bad) }
            durationIsNegative = decimal.isNegative
            duration = (true, decimal.isNegative ? nil : decimal.nanoseconds(unit: 6))
        case "status": status = try readStatus(value, bad)
        case "attributes": for (key, value) in try object(value, bad) { set(key, referenceValue(value), rank: 3) }
        case "events": for event in try array(value, bad) { try readEvent(event, bad) }
        case "links": for link in try array(value, bad) { try readLink(link, bad) }
        case "resource": resource = try map(value, bad)
        case "scope": try readScope(value, bad)
        case "schema_url": span.schemaURL = try text(value, bad)
        case "dropped_attributes_count": span.droppedAttributes = try count(value, bad)
        case "dropped_events_count": span.droppedEvents = try count(value, bad)
        case "dropped_links_count": span.droppedLinks = try count(value, bad)
        default: try shortForm(member, value, bad)
        }
    }

    private func shortForm(_ member: String, _ value: JSON, _ bad: String) throws {
        switch member {
        case "model":
            short("gen_ai.request.model", .string(try text(value, bad)))
            hasModel = true
        case "response_model": short("gen_ai.response.model", .string(try text(value, bad)))
        case "provider": short("gen_ai.provider.name", .string(try text(value, bad)))
        case "operation": short("gen_ai.operation.name", .string(try text(value, bad)))
        case "input": short("gen_ai.input.messages", messages(value, "user"))
        case "output": short("gen_ai.output.messages", messages(value, "assistant"))
        case "usage": try usage(try object(value, bad))
        case "cost_usd":
            guard case .number = value else { throw Refused(code: bad) }
            short("tracefwd.cost_usd", value)
        case "session_id", "user_id":
            let key: Name = member == "user_id" ? "user.id" : "session.id"
            if case .number(let digits) = value { return short(key, .string(Name(digits))) }
            short(key, .string(try text(value, bad)))
        case "environment": shortResource["deployment.environment.name"] = .string(try text(value, bad))
        case "service": shortResource["service.name"] = .string(try text(value, bad))
        case "tags":
            for tag in try array(value, bad) { _ = try text(tag, bad) }
            short("tracefwd.tags", value)
        case "metadata": for (key, value) in try object(value, bad) { short("tracefwd.metadata." + key, value) }
        case "error":
            if case .string(let text) = value {
                error = (2, text)
                return short("error.type", value)
            }
            error = (2, "")
            for (key, value) in try object(value, bad) {
                switch (key, value) {
                case ("type", .null), ("message", .null): continue
                case ("type", _): short("error.type", .string(try text(value, bad)))
                case ("message", _): error = (2, try text(value, bad))
                default: short("tracefwd.extra.error." + key, value)
                }
            }
        default: throw Unexpected(description: member)
        }
    }

    private func messages(_ value: JSON, _ role: Name) -> JSON {
        guard case .string = value else { return value }
        let part = JSON.object([(key: "type", value: .string("text")), (key: "content", value: value)])
        return .array([.object([(key: "role", value: .string(role)), (key: "parts", value: .array([part]))])])
    }

    private func usage(_ members: [(key: Name, value: JSON)]) throws {
        var counts: [Name: (isOwn: Bool, value: Int64)] = [:]
        var isAnthropic = false
        func take(_ attribute: Name, _ value: JSON, isOwn: Bool) {
            if case .null = value { return }
            guard case .number = value, case .int(let number) = referenceValue(value) else {
                return short("gen_ai.usage." + attribute, value)
            }
            if let old = counts[attribute], old.isOwn, !isOwn { return }
            counts[attribute] = (isOwn, number)
        }
        let own: [Name: Name] = [
            "input_tokens": "input_tokens", "output_tokens": "output_tokens", "cache_read_tokens": "cache_read.input_tokens",
            "cache_write_tokens": "cache_write.input_tokens", "reasoning_tokens": "reasoning.output_tokens",
        ]
        let foreign: [Name: Name] = [
            "prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "cache_read_input_tokens": "cache_read.input_tokens",
            "cache_creation_input_tokens": "cache_write.input_tokens",
        ]
        let details: [Name: (member: Name, attribute: Name)] = [
            "input_tokens_details": ("cached_tokens", "cache_read.input_tokens"),
            "prompt_tokens_details": ("cached_tokens", "cache_read.input_tokens"),
            "output_tokens_details": ("reasoning_tokens", "reasoning.output_tokens"),
            "completion_tokens_details": ("reasoning_tokens", "reasoning.output_tokens"),
        ]
        for (key, value) in members {
            if let attribute = own[key] {
                take(attribute, value, isOwn: true)
            } else if let attribute = foreign[key] {
                take(attribute, value, isOwn: false)
                if case .null = value { continue }
                if key.bytes.starts(with: "cache_".utf8) { isAnthropic = true }
            } else if case .object(let inner) = value, key.bytes.count <= 128 {
                // An object under a longer name stays one: each of its members would bear that name.
                for (name, value) in lastOfEach(inner) {
                    if let detail = details[key], detail.member == name {
                        take(detail.attribute, value, isOwn: false)
                    } else {
                        short("gen_ai.usage." + key + "." + name, value)
                    }
                }
            } else if case .null = value, details[key] != nil {
                continue
            } else {
                short("gen_ai.usage." + key, value)
            }
        }
        if isAnthropic, let input = counts["input_tokens"] {
            let read = counts["cache_read.input_tokens"]?.value ?? 0
            let write = counts["cache_write.input_tokens"]?.value ?? 0
            let (sum, over) = input.value.addingReportingOverflow(read)
            let (total, carried) = sum.addingReportingOverflow(write)
            if !over, !carried { counts["input_tokens"] = (true, total) }
        }
        for (attribute, count) in counts { set("gen_ai.usage." + attribute, .int(count.value), rank: 1) }
    }

    // MARK: Parts

    private func readStatus(_ value: JSON, _ bad: String) throws -> (UInt64, Name) {
        func code(_ value: JSON) throws -> UInt64 { try oneOf(["unset", "ok", "error"], "status_code_", value, bad) }
        guard case .object(let members) = value else { return (try code(value), "") }
        var result: (code: UInt64, message: Name) = (0, "")
        for (key, value) in lastOfEach(members) {
            switch (key, value) {
            case ("code", .null), ("message", .null): continue
            case ("code", _): result.code = try code(value)
            case ("message", _): result.message = try text(value, bad)
            default: short("tracefwd.extra.status." + key, value)
            }
        }
        return result
    }

    private func readEvent(_ json: JSON, _ bad: String) throws {
        var event = DecodedEvent()
        var extra: [Name: Value] = [:]
        var hasTime = false
        for (key, value) in try object(json, bad) {
            switch (key, value) {
            case ("name", .null), ("time", .null), ("attributes", .null), ("dropped_attributes_count", .null): continue
            case ("name", _): event.name = try text(value, bad)
            case ("time", _): (event.time, hasTime) = (try time(value, bad), true)
            case ("attributes", _): event.attributes = try map(value, bad)
            case ("dropped_attributes_count", _): event.dropped = try count(value, bad)
            default: extra[attributeName(key)] = referenceValue(value)
            }
        }
        event.attributes.merge(extra) { attribute, _ in attribute }
        if !hasTime { untimed.append(span.events.count) }
        span.events.append(event)
    }

    private func readLink(_ json: JSON, _ bad: String) throws {
        var link = DecodedLink()
        var extra: [Name: Value] = [:]
        for (key, value) in try object(json, bad) {
            switch (key, value) {
            case ("trace_id", .null), ("span_id", .null), ("trace_state", .null), ("flags", .null), ("attributes", .null),
                ("dropped_attributes_count", .null):
                continue
            case ("trace_id", _): link.traceID = try traceID(try text(value, "bad_trace_id"))
            case ("span_id", _): link.spanID = try hex(try text(value, "bad_span_id"), 16, "bad_span_id")
            case ("trace_state", _): link.traceState = try text(value, bad)
            case ("flags", _): link.flags = try count(value, bad)
            case ("attributes", _): link.attributes = try map(value, bad)
            case ("dropped_attributes_count", _): link.dropped = try count(value, bad)
            default: extra[attributeName(key)] = referenceValue(value)
            }
        }
        try check(!link.traceID.isEmpty, "bad_trace_id")
        try check(!link.spanID.isEmpty, "bad_span_id")
        link.attributes.merge(extra) { attribute, _ in attribute }
        span.links.append(link)
    }

    private func readScope(_ json: JSON, _ bad: String) throws {
        var extra: [Name: Value] = [:]
        for (key, value) in try object(json, bad) {
            switch (key, value) {
            case ("name", .null), ("version", .null), ("attributes", .null), ("dropped_attributes_count", .null): continue
            case ("name", _): span.scope.name = try text(value, bad)
            case ("version", _): span.scope.version = try text(value, bad)
            case ("attributes", _): span.scope.attributes = try map(value, bad)
            case ("dropped_attributes_count", _): span.scope.dropped = try count(value, bad)
            default: extra[attributeName(key)] = referenceValue(value)
            }
        }
        span.scope.attributes.merge(extra) { attribute, _ in attribute }
    }

    // MARK: What is derived

    private func derivedName() throws -> Name {
        func string(_ key: Name) -> Name? {
            guard case .string(let text)? = attributes[key]?.value, !text.bytes.isEmpty else { return nil }
            return text
        }
        let model = string("gen_ai.request.model")
        guard let operation = string("gen_ai.operation.name") ?? (model == nil ? nil : "chat") else { throw Refused(code: "missing_name") }
        let subject =
            switch operation {
            case "invoke_agent": string("gen_ai.agent.name")
            case "execute_tool": string("gen_ai.tool.name")
            default: model
            }
        return subject.map { operation + " " + $0 } ?? operation
    }

    private func times() throws {
        let (givenStart, givenEnd) = (start ?? startNano, end ?? endNano)
        if let givenStart, let givenEnd {
            (span.start, span.end) = (givenStart, givenEnd)
        } else if !duration.given {
            span.end = givenEnd ?? max(givenStart ?? 0, receivedAt)
            span.start = givenStart ?? span.end
        } else {
            guard let length = duration.nanoseconds else {
                throw Refused(code: durationIsNegative ? "bad_type:duration_ms" : "bad_timestamp")
            }
            if let givenStart {
                try check(UInt64.max - length >= givenStart, "bad_timestamp")
                (span.start, span.end) = (givenStart, givenStart + length)
            } else {
                span.end = givenEnd ?? receivedAt
                try check(span.end >= length, "bad_timestamp")
                span.start = span.end - length
            }
        }
    }

    // MARK: Types

    private func text(_ value: JSON, _ bad: String) throws -> Name {
        guard case .string(let text) = value else { throw Refused(code: bad) }
        return text
    }

    private func array(_ value: JSON, _ bad: String) throws -> [JSON] {
        guard case .array(let elements) = value else { throw Refused(code: bad) }
        return elements
    }

    private func object(_ value: JSON, _ bad: String) throws -> [(key: Name, value: JSON)] {
        guard case .object(let members) = value else { throw Refused(code: bad) }
        return lastOfEach(members)
    }

    private func map(_ value: JSON, _ bad: String) throws -> [Name: Value] {
        Dictionary(try object(value, bad).map { ($0.key, referenceValue($0.value)) }) { $1 }
    }

    private func count(_ value: JSON, _ bad: String) throws -> UInt64 {
        guard case .number(let text) = value, text != "-0" else { throw Refused(code: bad) }
        guard let count = UInt32(text) else { throw Refused(code: bad) }
        return UInt64(count)
    }

    private func oneOf(_ names: [String], _ prefix: String, _ value: JSON, _ bad: String) throws -> UInt64 {
        if case .number = value {
            let number = try count(value, bad)
            try check(number < names.count, bad)
            return number
        }
        let name = try text(value, bad)
        try check(name.bytes.allSatisfy { $0 < 0x80 }, bad)
        let lower = name.description.lowercased()
        guard let index = names.firstIndex(of: lower.hasPrefix(prefix) ? String(lower.dropFirst(prefix.count)) : lower) else {
            throw Refused(code: bad)
        }
        return UInt64(index)
    }

    private func hex(_ text: Name, _ digits: Int, _ code: String) throws -> [UInt8] {
        let text = text.description
        try check(text.utf8.count == digits && text.allSatisfy { $0.isASCII && $0.isHexDigit }, code)
        let pairs = stride(from: 0, to: digits, by: 2).map { at in
            text[text.index(text.startIndex, offsetBy: at)..<text.index(text.startIndex, offsetBy: at + 2)]
        }
        let bytes = pairs.compactMap { UInt8($0, radix: 16) }
        try check(bytes.contains { $0 != 0 }, code)
        return bytes
    }

    private func traceID(_ text: Name) throws -> [UInt8] {
        let groups = text.bytes.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return try hex(groups.map(\.count) == [8, 4, 4, 4, 12] ? Name(groups.joined()) : text, 32, "bad_trace_id")
    }

    private func time(_ value: JSON, _ bad: String) throws -> UInt64 {
        let result: UInt64?
        switch value {
        case .number(let text): result = ReferenceDecimal(text)?.epoch
        case .string(let text):
            let isDigits = !text.bytes.isEmpty && text.bytes.allSatisfy { (0x30...0x39).contains($0) }
            result = isDigits ? ReferenceDecimal(text.description)?.epoch : referenceRFC3339(text.description)
        default: throw Refused(code: bad)
        }
        guard let result else { throw Refused(code: "bad_timestamp") }
        return result
    }

    private func unixNano(_ value: JSON, _ bad: String) throws -> UInt64 {
        let result: UInt64?
        switch value {
        case .number(let text): result = ReferenceDecimal(text).flatMap { $0.isNegative ? nil : $0.nanoseconds(unit: 0) }
        case .string(let text):
            let isDigits = !text.bytes.isEmpty && text.bytes.allSatisfy { (0x30...0x39).contains($0) }
            result = isDigits ? ReferenceDecimal(text.description)?.nanoseconds(unit: 0) : nil
        default: throw Refused(code: bad)
        }
        guard let result else { throw Refused(code: "bad_timestamp") }
        return result
    }
}

/// A decimal number written out without exponent: whole part and fraction as strings of digits. Exponents are cut at 400 either way.
struct ReferenceDecimal {
    var whole: String
    var fraction: String
    var isNegative: Bool

    init?(_ text: String) {
        let parts = text.lowercased().split(separator: "e", maxSplits: 1)
        let digits = parts[0].split(separator: "-").first.map(String.init) ?? ""
        let halves = digits.split(separator: ".")
        whole = String(halves.first ?? "")
        fraction = halves.count > 1 ? String(halves[1]) : ""
        let exponent = parts.count > 1 ? Int(parts[1]) ?? (parts[1].hasPrefix("-") ? -400 : 400) : 0
        for _ in 0..<min(abs(exponent), 400) {
            if exponent > 0 {
                whole.append(fraction.isEmpty ? "0" : fraction.removeFirst())
            } else {
                fraction.insert(whole.popLast() ?? "0", at: fraction.startIndex)
            }
        }
        whole = String(whole.drop { $0 == "0" })
        let isZero = whole.isEmpty && fraction.allSatisfy { $0 == "0" }
        isNegative = text.hasPrefix("-") && !isZero
    }

    func nanoseconds(unit: Int) -> UInt64? {
        let text = whole + (fraction + String(repeating: "0", count: unit)).prefix(unit)
        return text.isEmpty ? 0 : UInt64(text)
    }

    var epoch: UInt64? {
        if isNegative { return nil }
        return switch whole.count {
        case 18...: nanoseconds(unit: 0)
        case 15...: nanoseconds(unit: 3)
        case 12...: nanoseconds(unit: 6)
        default: nanoseconds(unit: 9)
        }
    }
}

/// RFC 3339 by a pattern, days counted year by year.
func referenceRFC3339(_ text: String) -> UInt64? {
    let pattern = /([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})/
    guard text.utf8.allSatisfy({ $0 < 0x80 }), let match = text.wholeMatch(of: pattern)?.output,
        let year = Int(match.1), let month = Int(match.2), let day = Int(match.3), let hour = Int(match.4), let minute = Int(match.5),
        let second = Int(match.6)
    else { return nil }
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    let months = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...12).contains(month), (1...months[month - 1]).contains(day), hour < 24, minute < 60, second < 61 else { return nil }
    var days = months[..<(month - 1)].reduce(day - 1, +)
    for passed in year >= 1970 ? 1970..<year : 1970..<1970 { days += isLeap(passed) ? 366 : 365 }
    for missing in year < 1970 ? year..<1970 : 1970..<1970 { days -= isLeap(missing) ? 366 : 365 }
    var seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    if match.8.count == 6, let hours = Int(match.8.dropFirst().prefix(2)), let minutes = Int(match.8.suffix(2)) {
        guard hours < 24, minutes < 60 else { return nil }
        seconds -= (match.8.hasPrefix("-") ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }
    guard seconds >= 0 else { return nil }
    return UInt64("\(seconds)" + ((match.7 ?? "") + "000000000").prefix(9))
}
