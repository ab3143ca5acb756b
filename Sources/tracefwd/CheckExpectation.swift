import Intake
import Settings

/// What a test says of a span that arrives, held against the span in the native form.
///
/// A member is one of the native span's, in its full form or its short one; `resource.NAME` is the resource's attribute, any other name is an
/// attribute. `null` is one that is absent, and of an object only the members that are named count.
struct ExpectedMembers {
    let members: [(name: String, value: JSONValue)]

    init(_ value: SettingsValue) {
        guard case .map(let entries) = value.content else { preconditionFailure("Settings takes a section alone") }
        // What Settings makes of a value is JSON.
        members = entries.map { ($0.name, (try? JSONValue($0.value.json.utf8)) ?? .null) }
    }

    /// What is not as it should be: before is what was expected.
    func differences(from span: JSONValue) -> [JSONDifference] {
        members.flatMap { name, value in
            if Self.composed.contains(name), value != .null, let full = Self.fullForm(of: name, value) {
                return ["attributes", "status"].flatMap { key in full[key].map { Self.differences($0, span[key], key) } ?? [] }
            }
            let (path, found) = Self.find(name, in: span)
            return Self.differences(value, found, path)
        }
    }

    /// Short forms that become several members, or a form of their own.
    private static let composed: Set<String> = ["input", "output", "usage", "error", "metadata"]

    /// What the intake makes of one.
    private static func fullForm(of name: String, _ value: JSONValue) -> JSONValue? {
        let span = try? TrialSpan.native(Array(#"{"name":"probe","\#(name)":\#(value)}"#.utf8), limits: IntakeLimits())
        return span.map { JSONValue($0.view) }
    }

    private static func differences(_ expected: JSONValue, _ found: JSONValue?, _ path: String) -> [JSONDifference] {
        switch (expected, found) {
        case (.null, nil), (.null, .null): return []
        case (.null, _): return [JSONDifference(path: path, before: nil, after: found)]
        case (.object(let members), .object(let others)):
            return members.sorted { $0.key < $1.key }.flatMap { differences($0.value, others[$0.key], "\(path).\($0.key)") }
        default: return expected == found ? [] : [JSONDifference(path: path, before: expected, after: found)]
        }
    }

    /// The short forms that stand for one attribute or member (contract `ingest`, section 1).
    private static let shortForms: [String: [String]] = [
        "model": ["attributes", "gen_ai.request.model"], "response_model": ["attributes", "gen_ai.response.model"],
        "provider": ["attributes", "gen_ai.provider.name"], "operation": ["attributes", "gen_ai.operation.name"],
        "input": ["attributes", "gen_ai.input.messages"], "output": ["attributes", "gen_ai.output.messages"],
        "cost_usd": ["attributes", "tracefwd.cost_usd"], "session_id": ["attributes", "session.id"], "user_id": ["attributes", "user.id"],
        "environment": ["resource", "deployment.environment.name"], "service": ["resource", "service.name"],
        "tags": ["attributes", "tracefwd.tags"], "error": ["attributes", "error.type"],
    ]

    private static let fullForms: Set<String> = [
        "trace_id", "trace_state", "flags", "span_id", "parent_span_id", "name", "kind", "start_time", "end_time", "duration_ms", "status",
        "attributes", "events", "links", "resource", "scope", "schema_url", "dropped_attributes_count", "dropped_events_count",
        "dropped_links_count",
    ]

    /// Where a member stands in the full form, and what stands there.
    private static func find(_ name: String, in span: JSONValue) -> (path: String, value: JSONValue?) {
        func at(_ keys: [String]) -> (String, JSONValue?) {
            (keys.joined(separator: "."), keys.reduce(span) { value, key in value?[key] })
        }
        if fullForms.contains(name) { return at([name]) }
        if let keys = shortForms[name] { return at(keys) }
        if name.hasPrefix("resource.") { return at(["resource", String(name.dropFirst("resource.".count))]) }
        if name == "usage" || name == "metadata" { return gathered(name, span) }
        let own = at(["attributes", name])
        let extra = at(["attributes", "tracefwd.extra.\(name)"])
        return own.1 == nil && extra.1 != nil ? extra : own
    }

    /// The attributes below `tracefwd.metadata.` or `gen_ai.usage.` as one object; nil where there are none.
    private static func gathered(_ name: String, _ span: JSONValue) -> (String, JSONValue?) {
        let prefix = name == "usage" ? "gen_ai.usage." : "tracefwd.metadata."
        guard case .object(let attributes) = span["attributes"] else { return (name, nil) }
        let members = attributes.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) }
        return (name, members.isEmpty ? nil : .object(Dictionary(members, uniquingKeysWith: { first, _ in first })))
    }
}
