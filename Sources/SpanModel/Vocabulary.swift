// What tracefwd itself asks of an LLM span, whichever dialect wrote it (contract `otlp`, B.4): the newest name first, then the older and
// the foreign ones. Names are resolved here, when a span is read; what is stored stays as it came.

extension SpanView {
    /// The model asked for, or, where only that is known, the model that answered.
    public var model: String? { firstText(of: SpanVocabulary.model) }

    /// What was done: `chat`, `embeddings`, `execute_tool`, ...
    public var operation: String? {
        if let name = firstText(of: ["gen_ai.operation.name"]) { return name }
        if let kind = firstText(of: ["openinference.span.kind"]), let name = SpanVocabulary.openInferenceOperations[kind] { return name }
        if let type = firstText(of: ["llm.request.type"]) { return type }
        return firstText(of: ["traceloop.span.kind"]).flatMap { SpanVocabulary.traceloopOperations[$0] }
    }

    /// Tokens read, cached ones included.
    public var inputTokens: Int64? { firstCount(of: SpanVocabulary.inputTokens) }
    /// Tokens written, reasoning included.
    public var outputTokens: Int64? { firstCount(of: SpanVocabulary.outputTokens) }

    private func firstText(of keys: [StaticString]) -> String? {
        withFields { span in
            guard case .string(let text)? = span.attributes.first(of: keys), !text.isEmpty else { return nil }
            return String(decoding: text, as: UTF8.self)
        }
    }

    /// A count; numbers may come as strings and integers as doubles, negative ones count as absent.
    private func firstCount(of keys: [StaticString]) -> Int64? {
        let count: Int64? = withFields { span in
            switch span.attributes.first(of: keys) {
            case .int(let value): value
            case .double(let value): Int64(exactly: value.rounded())
            case .string(let text): Int64(String(decoding: text, as: UTF8.self))
            default: nil
            }
        }
        return count.flatMap { $0 < 0 ? nil : $0 }
    }
}

/// The names, first present wins.
private enum SpanVocabulary {
    static let model: [StaticString] = [
        "gen_ai.request.model", "llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name",
        "gen_ai.response.model", "llm.response.model_name",
    ]
    static let inputTokens: [StaticString] = ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"]
    static let outputTokens: [StaticString] = [
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    ]
    static let openInferenceOperations = [
        "LLM": "chat", "EMBEDDING": "embeddings", "TOOL": "execute_tool", "AGENT": "invoke_agent", "RETRIEVER": "retrieval",
        "CHAIN": "invoke_workflow",
    ]
    static let traceloopOperations = ["workflow": "invoke_workflow", "agent": "invoke_agent", "tool": "execute_tool"]
}
