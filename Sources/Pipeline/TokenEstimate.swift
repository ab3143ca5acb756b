import SpanModel

/// Tokens where nobody counted: bytes of the messages' UTF-8 over four, rounded up. That is near what the common tokenizers make of English
/// prose; other languages and code are further off, so a span says that its counts are estimates.
enum TokenEstimate {
    /// Adds counts that the span lacks, where it has the text. Cost is worked out before, so it never comes from an estimate.
    static func add(to edit: inout SpanEdit, _ llm: LLMFields) {
        let input = llm.inputTokens == nil ? tokens(llm.inputText) : nil
        let output = llm.outputTokens == nil ? tokens(llm.outputText) : nil
        guard input != nil || output != nil else { return }
        edit.attributes.set("gen_ai.usage.input_tokens", int: input)
        edit.attributes.set("gen_ai.usage.output_tokens", int: output)
        edit.attributes.set("tracefwd.tokens.estimated", bool: true)
    }

    private static func tokens(_ text: String) -> Int64? { text.isEmpty ? nil : Int64((text.utf8.count + 3) / 4) }
}
