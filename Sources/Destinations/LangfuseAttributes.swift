import SpanModel

extension SpanEdit {
    /// The attributes that Langfuse's server reads first, from whichever dialect the span speaks (contract `langfuse`, 1.2). Those that the
    /// sender wrote itself stay as they are.
    mutating func langfuse(_ llm: LLMFields, _ marks: LangfuseMarks) {
        var writer = StoredFirst(stored: LangfuseOwn(llm))
        swap(&writer.attributes, &attributes)
        writer.observation(LangfuseObservation(llm), llm, marks)
        writer.trace(llm, marks)
        swap(&writer.attributes, &attributes)
    }
}

/// Writes what the sender has not written.
private struct StoredFirst {
    let stored: LangfuseOwn
    var attributes = AttributeWriter(field: 9)

    mutating func set(_ key: String, _ text: SpanText?) { if !stored.contains(key) { attributes.set(key, text: text) } }
    mutating func set(_ key: String, string: String?) { if !stored.contains(key) { attributes.set(key, string: string) } }
    mutating func set(_ key: String, json write: (inout JSONBytes) -> Void) {
        if !stored.contains(key) { attributes.set(key, json: write) }
    }

    mutating func observation(_ kind: LangfuseObservation, _ llm: LLMFields, _ marks: LangfuseMarks) {
        set("langfuse.observation.type", string: kind.rawValue)
        set("langfuse.observation.input") { $0.langfuseInput(llm, kind) }
        set("langfuse.observation.output") { $0.langfuseOutput(llm, kind) }
        set("langfuse.observation.model.name", llm.model)
        set("langfuse.observation.model.parameters") { json in
            let parameters = llm.parameters
            if !parameters.isEmpty { json.object(of: parameters) }
        }
        set("langfuse.observation.usage_details") { $0.langfuseUsage(llm) }
        set("langfuse.observation.cost_details") { $0.langfuseCost(llm) }
        // A JSON string, as the SDKs write it: old servers read nothing else.
        set("langfuse.observation.completion_start_time") { json in
            if let first = llm.firstTokenTime { json.string(langfuseTime(first)) }
        }
        if llm.isError {
            set("langfuse.observation.level", string: "ERROR")
            set("langfuse.observation.status_message", llm.errorMessage ?? llm.errorType)
        }
        if marks.linksPrompts, kind == .generation, let name = llm.promptName, let version = llm.promptVersion.flatMap({ Int64($0.string) })
        {
            set("langfuse.observation.prompt.name", name)
            if !stored.contains("langfuse.observation.prompt.version") {
                attributes.set("langfuse.observation.prompt.version", int: version)
            }
        }
        for (name, value) in llm.metadata { metadata("langfuse.observation.metadata.\(name.string)", value) }
    }

    /// A text as it is, anything else as its JSON: so the SDKs write them.
    private mutating func metadata(_ key: String, _ value: ContentValue) {
        if let text = value.text { set(key, text) } else { set(key) { $0.value(value) } }
    }

    /// On every span, since the server keeps them per observation.
    mutating func trace(_ llm: LLMFields, _ marks: LangfuseMarks) {
        set("langfuse.session.id", llm.session)
        set("langfuse.user.id", llm.user)
        if !stored.contains("langfuse.trace.tags") { attributes.set("langfuse.trace.tags", texts: llm.tags) }
        set("langfuse.environment", string: llm.environment.flatMap { langfuseEnvironment($0.string) })
        set("langfuse.release", string: marks.release)
        set("langfuse.version", llm.serviceVersion)
        set("langfuse.trace.name", string: marks.traceName)
        if marks.isPublic, !stored.contains("langfuse.trace.public") { attributes.set("langfuse.trace.public", bool: true) }
    }
}

/// What Langfuse calls the kind of a span.
enum LangfuseObservation: String {
    case span, generation, embedding, tool, retriever, agent, chain, evaluator, guardrail
    /// A moment without an end. Applications say it; no span is taken for one.
    case event

    init(_ llm: LLMFields) {
        switch llm.operation?.string {
        case "chat", "generate_content", "text_completion": self = .generation
        case "embeddings": self = .embedding
        case "execute_tool": self = .tool
        case "retrieval": self = .retriever
        case "invoke_agent", "create_agent": self = .agent
        case "invoke_workflow", "plan": self = .chain
        default:
            switch llm.openInferenceKind?.string {
            case "EVALUATOR": self = .evaluator
            case "GUARDRAIL": self = .guardrail
            // As the server has it: where there is a model, there was a generation.
            default: self = llm.operation == nil && llm.openInferenceKind == nil && llm.model != nil ? .generation : .span
            }
        }
    }
}

extension LLMFields {
    /// The version of the service, by its resource.
    var serviceVersion: SpanText? {
        guard case .string(let text)? = parts.resourceAttributes.first(of: ["service.version"]), !text.isEmpty else { return nil }
        return .utf8(text)
    }
}

/// A name that the server takes as it is: of any other it would make `default`.
func langfuseEnvironment(_ name: String) -> String? {
    var name = String(name.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") ? $0 : "-" })
    while name.hasPrefix("langfuse") { name.removeFirst("langfuse".count) }
    return name.isEmpty ? nil : String(name.prefix(40))
}

/// To the millisecond, which is what Langfuse keeps.
func langfuseTime(_ nanoseconds: UInt64) -> String {
    var text: [UInt8] = []
    text.appendRFC3339(nanoseconds: nanoseconds, fraction: 3)
    return String(decoding: text, as: UTF8.self)
}

extension JSONBytes {
    /// What went in; nothing where the span does not say.
    mutating func langfuseInput(_ llm: LLMFields, _ kind: LangfuseObservation) {
        if kind == .tool, let arguments = llm.toolArguments { return unwrapped(arguments) }
        if kind == .retriever, let query = llm.retrievalQuery { return string(query) }
        if let input = llm.input { return content(input) }
        let texts = kind == .embedding ? llm.embeddedTexts : []
        if !texts.isEmpty { array(of: texts) { $0.string($1) } }
    }

    /// What came out; nothing where the span does not say.
    mutating func langfuseOutput(_ llm: LLMFields, _ kind: LangfuseObservation) {
        if kind == .tool, let result = llm.toolResult { return unwrapped(result) }
        let documents = kind == .retriever ? llm.documents : []
        if !documents.isEmpty { return array(of: documents) { $0.langfuseDocument($1) } }
        switch llm.output {
        case .messages(let messages)?: chatAnswer(messages)
        case let other?: content(other)
        case nil: return
        }
    }

    private mutating func langfuseDocument(_ document: RetrievedDocument) {
        object { json in
            json.member("id", document.id)
            json.member("content", document.content)
            if let score = document.score {
                json.key("score")
                json.double(score)
            }
            if let metadata = document.metadata {
                json.key("metadata")
                json.unwrapped(metadata)
            }
        }
    }

    /// Tokens in buckets that do not overlap; nothing where none are known.
    mutating func langfuseUsage(_ llm: LLMFields) {
        let (input, output) = (llm.inputTokens, llm.outputTokens)
        guard input != nil || output != nil || llm.totalTokens != nil else { return }
        let (read, written, reasoning) = (llm.cacheReadTokens ?? 0, llm.cacheWriteTokens ?? 0, llm.reasoningTokens ?? 0)
        let buckets: [(name: StaticString, count: Int64)] = [
            ("input", max(0, (input ?? 0) &- read &- written)), ("input_cached_tokens", read), ("input_cache_creation", written),
            ("output", max(0, (output ?? 0) &- reasoning)), ("output_reasoning_tokens", reasoning),
        ]
        object { json in
            for (name, count) in buckets where count > 0 {
                json.key(name)
                json.integer(count)
            }
            let sum = buckets.reduce(Int64(0)) { $0.addingReportingOverflow($1.count).partialValue }
            json.key("total")
            json.integer(max(sum, input == nil || output == nil ? llm.totalTokens ?? 0 : 0))
        }
    }

    /// US dollars; nothing where the cost is not known.
    mutating func langfuseCost(_ llm: LLMFields) {
        guard let cost = llm.cost else { return }
        object { json in
            for (name, usd) in [("input" as StaticString, llm.inputCost), ("output", llm.outputCost)] where cost.source == .openInference {
                guard let usd else { continue }
                json.key(name)
                json.double(usd)
            }
            json.key("total")
            json.double(cost.usd)
        }
    }
}
