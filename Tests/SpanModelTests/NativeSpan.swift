import SpanModel

// Test spans from the native form (contract `ingest`, section 1), as far as fixtures use it: its full form, so that every attribute of every
// dialect stands there under its own name.

extension TestSpan {
    /// Reads the members that fixtures have; ids are the same for all.
    init(native json: JSON) {
        self.init()
        name = json["name"]?.text ?? "span"
        parent = hexBytes(json["parent_span_id"]?.text ?? "")
        resource = pairs(json["resource"])
        attributes = pairs(json["attributes"])
        status = ["unset": 0, "ok": 1, "error": 2][json["status"]?["code"]?.text ?? "unset"] ?? 0
        statusMessage = json["status"]?["message"]?.text ?? ""
        if case .array(let list) = json["events"] {
            events = list.map { Event(time: start, name: $0["name"]?.text ?? "", attributes: pairs($0["attributes"])) }
        }
    }
}

private func pairs(_ json: JSON?) -> [TestSpan.Pair] {
    guard case .object(let members) = json else { return [] }
    return members.map { TestSpan.Pair($0.key, value($0.value)) }
}

private func value(_ json: JSON) -> TestSpan.Value {
    switch json {
    case .null: .null
    case .bool(let value): .bool(value)
    case .number(let digits): Int64(digits).map { .int($0) } ?? .double(Double(digits) ?? .nan)
    case .string(let text): .string(text)
    case .array(let elements): .array(elements.map(value))
    case .object: .map(pairs(json))
    }
}

extension JSON {
    var text: String? { if case .string(let text) = self { text } else { nil } }
}
