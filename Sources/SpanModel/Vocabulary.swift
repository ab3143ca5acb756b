// One or two members of an LLM span, for those who want no more of it; whoever wants several takes `withLLM`.

extension SpanView {
    /// The model that answered, else the one that was asked for.
    public var model: String? { withLLM { $0.model?.string } }
    /// What was done: `chat`, `embeddings`, `execute_tool`, ...
    public var operation: String? { withLLM { $0.operation?.string } }
    /// Tokens read, cached ones included.
    public var inputTokens: Int64? { withLLM { $0.inputTokens } }
    /// Tokens written, reasoning included.
    public var outputTokens: Int64? { withLLM { $0.outputTokens } }
}
