import Redaction
import SpanModel

/// Redaction of a whole span: every text of it goes through the rules, those of a rule with `in` only where an attribute's name matches.
final class SpanRedaction: Sendable {
    private let redactor: Redactor
    /// The globs of each rule; empty is every text.
    private let globs: [[[UInt8]]]
    /// For what is no attribute: names, messages, events.
    private let elsewhere: Redactor
    private let hasGlobs: Bool

    init(_ redactor: Redactor, globs: [[[UInt8]]]) {
        self.redactor = redactor
        self.globs = globs
        hasGlobs = globs.contains { !$0.isEmpty }
        elsewhere = hasGlobs ? redactor.limited { globs[$0].isEmpty } : redactor
    }

    /// How many rules there are.
    var count: Int { redactor.rules.count }
    /// What a rule looks for, for the counters.
    func name(of rule: Int) -> String {
        if case .entity(let entity) = redactor.rules[rule].target { entity.rawValue } else { "pattern" }
    }

    /// Replaces what the rules find; `counts` has a place for each rule.
    func apply(to draft: inout SpanDraft, workspace: RedactionWorkspace, counts: inout [Int]) {
        for index in draft.attributes.indices {
            redact(&draft.attributes[index], redactor(for: draft.attributes[index].key), workspace, &counts)
        }
        for index in draft.resource.indices {
            redact(&draft.resource[index], redactor(for: draft.resource[index].key), workspace, &counts)
        }
        redact(&draft.name, workspace, &counts)
        redact(&draft.statusMessage, workspace, &counts)
        for index in draft.events.indices { redact(event: &draft.events[index], workspace, &counts) }
    }

    private func redactor(for key: [UInt8]) -> Redactor {
        guard hasGlobs else { return redactor }
        let matches = globs.map { globs in globs.isEmpty || globs.contains { Glob.matches(key, $0) } }
        return matches.contains(false) ? redactor.limited { matches[$0] } : redactor
    }

    private func redact(
        _ attribute: inout SpanDraft.Attribute, _ redactor: Redactor, _ workspace: RedactionWorkspace, _ counts: inout [Int]
    ) {
        if let new = mapped(attribute.value, redactor, workspace, &counts) { attribute.value = new }
    }

    private func mapped(_ value: [UInt8], _ redactor: Redactor, _ workspace: RedactionWorkspace, _ counts: inout [Int]) -> [UInt8]? {
        value.withUnsafeBytes { bytes in
            AnyValueBytes.mapTexts(bytes, keys: true) { text in
                guard let redacted = redactor.redact(text, with: workspace) else { return nil }
                for (rule, count) in redacted.counts.enumerated() { counts[rule] += count }
                return redacted.bytes
            }
        }
    }

    private func redact(_ text: inout [UInt8], _ workspace: RedactionWorkspace, _ counts: inout [Int]) {
        guard let redacted = elsewhere.redact(text, with: workspace) else { return }
        for (rule, count) in redacted.counts.enumerated() { counts[rule] += count }
        text = redacted.bytes
    }

    /// The name of an event, and its attributes.
    private func redact(event: inout [UInt8], _ workspace: RedactionWorkspace, _ counts: inout [Int]) {
        var new: [UInt8] = []
        event.withUnsafeBytes { bytes in
            for field in ProtobufReader(bytes) {
                switch (field.number, field.type) {
                case (2, .bytes):
                    var name = Array(field.bytes)
                    redact(&name, workspace, &counts)
                    new += AnyValueBytes.lengthDelimited(2, name)
                case (3, .bytes):
                    var pair: [UInt8] = []
                    for inner in ProtobufReader(field.bytes) {
                        if inner.number == 2, inner.type == .bytes {
                            let value = Array(inner.bytes)
                            pair += AnyValueBytes.lengthDelimited(2, mapped(value, elsewhere, workspace, &counts) ?? value)
                        } else {
                            pair.append(inner)
                        }
                    }
                    new += AnyValueBytes.lengthDelimited(3, pair)
                default: new.append(field)
                }
            }
        }
        event = new
    }
}
