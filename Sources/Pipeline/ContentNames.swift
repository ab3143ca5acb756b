import SpanModel

/// What is content of a span: messages, instructions, tool arguments and results, documents, embedded texts, in every dialect (contract
/// `otlp`, part B). Counts, models, times and names stay.
enum ContentNames {
    /// Takes the content out of a span.
    static func drop(from draft: inout SpanDraft) {
        draft.attributes.removeAll { isContent($0.key) }
        draft.events = draft.events.compactMap(withoutContent)
    }

    static func isContent(_ key: [UInt8]) -> Bool { key.withUnsafeBytes { names.contains($0) } || isIndexedContent(key) }

    private static let names = AttributeNames(
        [
            "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
            "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents",
            "gen_ai.prompt", "gen_ai.completion", "input.value", "output.value", "traceloop.entity.input", "traceloop.entity.output",
            "llm.prompt_template.template", "llm.prompt_template.variables", "tool.parameters",
        ],
        prefixes: [
            "gen_ai.prompt.variable.", "gen_ai.memory.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.", "llm.choices.",
            "llm.request.functions.", "llm.tools.", "retrieval.documents.", "reranker.", "embedding.embeddings.",
        ])

    /// OpenLLMetry's `gen_ai.prompt.0.content`, but not `gen_ai.prompt.name`.
    private static func isIndexedContent(_ key: [UInt8]) -> Bool {
        for prefix in ["gen_ai.prompt.", "gen_ai.completion."] where key.starts(with: prefix.utf8) {
            return key.count > prefix.utf8.count && 0x30...0x39 ~= key[prefix.utf8.count]
        }
        return false
    }

    /// The event without content; nil where it is nothing but content.
    private static func withoutContent(_ event: [UInt8]) -> [UInt8]? {
        event.withUnsafeBytes { bytes in
            var kept: [UInt8] = []
            for field in ProtobufReader(bytes) {
                if field.number == 2, field.type == .bytes, isContentEvent(field.bytes) { return nil }
                if field.number == 3, field.type == .bytes {
                    var key: [UInt8] = []
                    for inner in ProtobufReader(field.bytes) where inner.number == 1 && inner.type == .bytes { key = Array(inner.bytes) }
                    if isContent(key) { continue }
                }
                kept.append(field)
            }
            return kept
        }
    }

    /// `gen_ai.user.message` and its kin, `gen_ai.choice`, `gen_ai.client.inference.operation.details`.
    private static func isContentEvent(_ name: UnsafeRawBufferPointer) -> Bool {
        let text = String(decoding: name, as: UTF8.self)
        return text == "gen_ai.choice" || text == "gen_ai.client.inference.operation.details" || text == "gen_ai.content.prompt"
            || text == "gen_ai.content.completion" || (text.hasPrefix("gen_ai.") && text.hasSuffix(".message"))
    }
}
