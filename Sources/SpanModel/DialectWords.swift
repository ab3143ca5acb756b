/// Words of other dialects, and of older ones, in GenAI's (contract `otlp`, B.2 and B.4).
enum DialectWords {
    static func operation(openInference kind: SpanText) -> StaticString? {
        if kind == "LLM" { return "chat" }
        if kind == "CHAIN" { return "invoke_workflow" }
        if kind == "TOOL" { return "execute_tool" }
        if kind == "AGENT" { return "invoke_agent" }
        if kind == "RETRIEVER" { return "retrieval" }
        return kind == "EMBEDDING" ? "embeddings" : nil
    }

    /// `llm.request.type`, where GenAI has another word for it.
    static func operation(requestType type: SpanText) -> StaticString? {
        if type == "completion" { return "text_completion" }
        return type == "embedding" ? "embeddings" : nil
    }

    static func operation(traceloop kind: SpanText) -> StaticString? {
        if kind == "workflow" { return "invoke_workflow" }
        if kind == "agent" { return "invoke_agent" }
        return kind == "tool" ? "execute_tool" : nil
    }

    // MARK: The other way

    /// OpenInference's kind of an operation.
    static func openInferenceKind(_ operation: SpanText) -> StaticString {
        if operation == "chat" || operation == "text_completion" || operation == "generate_content" { return "LLM" }
        if operation == "embeddings" { return "EMBEDDING" }
        if operation == "execute_tool" { return "TOOL" }
        if operation == "invoke_agent" || operation == "create_agent" { return "AGENT" }
        if operation == "retrieval" { return "RETRIEVER" }
        if operation == "rerank" { return "RERANKER" }
        return operation == "invoke_workflow" ? "CHAIN" : "UNKNOWN"
    }

    /// OpenInference's name of a provider, where it has another one.
    static func openInference(provider: SpanText) -> StaticString? {
        if provider == "mistral_ai" { return "mistralai" }
        if provider == "gcp.gen_ai" || provider == "gcp.gemini" { return "google" }
        if provider == "gcp.vertex_ai" { return "vertexai" }
        if provider == "aws.bedrock" { return "aws" }
        if provider == "azure.ai.openai" { return "azure" }
        if provider == "x_ai" { return "xai" }
        return provider == "moonshot_ai" ? "moonshot" : nil
    }

    /// OpenLLMetry's kind of what wraps calls.
    static func traceloopKind(_ operation: SpanText) -> StaticString? {
        if operation == "invoke_workflow" { return "workflow" }
        if operation == "invoke_agent" { return "agent" }
        return operation == "execute_tool" ? "tool" : nil
    }

    /// OpenLLMetry's type of a call, where it has another word for it.
    static func requestType(_ operation: SpanText) -> StaticString? {
        if operation == "text_completion" || operation == "generate_content" { return "completion" }
        return operation == "embeddings" ? "embedding" : nil
    }

    /// GenAI's name of a provider, whoever named it and in whichever letters; nil for one that is not known.
    static func provider(_ name: SpanText) -> StaticString? {
        guard case .utf8(let bytes) = name else { return nil }
        return providers.first { bytes.equalsIgnoringCase($0.word) }?.name
    }

    /// By how often they are met.
    private static let providers: [(word: StaticString, name: StaticString)] = [
        ("openai", "openai"), ("anthropic", "anthropic"), ("aws.bedrock", "aws.bedrock"), ("azure.ai.openai", "azure.ai.openai"),
        ("gcp.gemini", "gcp.gemini"), ("gcp.gen_ai", "gcp.gen_ai"), ("gcp.vertex_ai", "gcp.vertex_ai"), ("mistral_ai", "mistral_ai"),
        ("azure.ai.inference", "azure.ai.inference"), ("cohere", "cohere"), ("deepseek", "deepseek"), ("groq", "groq"),
        ("ibm.watsonx.ai", "ibm.watsonx.ai"), ("moonshot_ai", "moonshot_ai"), ("perplexity", "perplexity"), ("x_ai", "x_ai"),
        ("az.ai.openai", "azure.ai.openai"), ("az.ai.inference", "azure.ai.inference"), ("xai", "x_ai"), ("gemini", "gcp.gemini"),
        ("vertex_ai", "gcp.vertex_ai"), ("vertexai", "gcp.vertex_ai"), ("mistralai", "mistral_ai"), ("google", "gcp.gen_ai"),
        ("aws", "aws.bedrock"), ("azure", "azure.ai.openai"), ("moonshot", "moonshot_ai"),
    ]
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are those of `word`, which is lower case, in either case of ASCII letters.
    fileprivate func equalsIgnoringCase(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            let byte = self[index]
            let lower = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
            if lower != word.utf8Start[index] { return false }
        }
        return true
    }
}
