/// A convention of attribute names (contract `otlp`, part B).
public enum Dialect: Sendable, Equatable, CaseIterable {
    /// OpenTelemetry's GenAI, its newest names.
    case genAI
    /// OpenInference.
    case openInference
    /// OpenLLMetry, its names of before it took GenAI's.
    case openLLMetry
}

extension SpanEdit {
    /// Gives what the view reads the names of one dialect, and takes out the other dialects' names for it: what is read from the result is what
    /// was read before. What that dialect has no name for stays as it is.
    public mutating func normalize(_ llm: LLMFields, to dialect: Dialect) {
        var names = DialectWriter(llm, dialect)
        names.writeScalars()
        names.writeTokens()
        names.writeLabels()
        names.writeContent()
        names.writeTools()
        let (known, prefixes) = (names.replaced, names.prefixes)
        attributes = names.attributes
        drop { key in
            if let ordinal = KnownNameTable.shared.find(key) { return known.contains(ordinal) }
            return prefixes.contains { $0.matches(key) }
        }
    }
}

extension NameFamilies.Prefix {
    func matches(_ key: UnsafeRawBufferPointer) -> Bool { key.starts(with: text) && (!isIndexed || beginsIndex(key)) }
}

/// Writes what a view reads under the names of one dialect, and gathers the names that it takes the place of.
struct DialectWriter {
    let llm: LLMFields
    let dialect: Dialect
    var attributes = AttributeWriter(field: 9)
    /// Ordinals of known names.
    private(set) var replaced: Set<Int> = []
    private(set) var prefixes: [NameFamilies.Prefix] = []

    init(_ llm: LLMFields, _ dialect: Dialect) { (self.llm, self.dialect) = (llm, dialect) }

    mutating func replace(_ names: [KnownName]) { for name in names { replaced.insert(name.ordinal) } }
    mutating func replace(_ families: [NameFamilies.Prefix]) { prefixes += families }

    /// The name that the dialect has, of those of GenAI, OpenInference and OpenLLMetry.
    func name(_ genAI: String?, _ openInference: String?, _ openLLMetry: String?) -> String? {
        switch dialect {
        case .genAI: genAI
        case .openInference: openInference
        case .openLLMetry: openLLMetry
        }
    }

    private mutating func text(
        _ value: SpanText?, _ genAI: String?, _ openInference: String?, _ openLLMetry: String?, for names: [KnownName]
    ) {
        guard let value, let name = self.name(genAI, openInference, openLLMetry) else { return }
        attributes.set(name, text: value)
        replace(names)
    }

    private mutating func count(
        _ value: Int64?, _ genAI: String?, _ openInference: String?, _ openLLMetry: String?, for names: [KnownName]
    ) {
        guard let value, let name = self.name(genAI, openInference, openLLMetry) else { return }
        attributes.set(name, int: value)
        replace(names)
    }

    // MARK: Scalars

    mutating func writeScalars() {
        writeOperation()
        if let provider = llm.provider {
            let other = dialect == .openInference ? DialectWords.openInference(provider: provider).map { SpanText($0) } : nil
            text(
                other ?? provider, "gen_ai.provider.name", "llm.provider", "gen_ai.system",
                for: [.genAIProviderName, .genAISystem, .llmProvider, .llmSystem])
        }
        let isEmbedding = llm.operation.map { $0 == "embeddings" } ?? false
        text(
            llm.requestModel ?? (dialect == .openInference ? llm.responseModel : nil), "gen_ai.request.model",
            isEmbedding ? "embedding.model_name" : "llm.model_name", "gen_ai.request.model",
            for: [.genAIRequestModel, .llmRequestModelName, .llmModelName, .embeddingModelName, .rerankerModelName])
        text(
            llm.responseModel, "gen_ai.response.model", "llm.response.model_name", "gen_ai.response.model",
            for: [.genAIResponseModel, .llmResponseModelName])
        text(
            llm.session, "session.id", "session.id", "traceloop.association.properties.session_id",
            for: [.sessionID, .traceloopAssociationPropertiesSessionID])
        text(
            llm.user, "user.id", "user.id", "traceloop.association.properties.user_id",
            for: [.userID, .enduserID, .llmUser, .genAIUser, .traceloopAssociationPropertiesUserID])
        if dialect != .openInference, let streams = llm.isStreaming, let name = self.name("gen_ai.request.stream", nil, "llm.is_streaming")
        {
            attributes.set(name, bool: streams)
            replace([.genAIRequestStream, .llmIsStreaming, .genAIIsStreaming])
        }
        text(llm.agentName, "gen_ai.agent.name", "agent.name", nil, for: [.genAIAgentName, .agentName])
        text(llm.workflowName, "gen_ai.workflow.name", nil, "traceloop.workflow.name", for: [.genAIWorkflowName, .traceloopWorkflowName])
        text(
            llm.promptVersion, "gen_ai.prompt.version", "llm.prompt_template.version", nil,
            for: [.genAIPromptVersion, .llmPromptTemplateVersion])
    }

    private mutating func writeOperation() {
        let names: [KnownName] = [.genAIOperationName, .openInferenceSpanKind, .llmRequestType, .traceloopSpanKind]
        switch dialect {
        case .genAI: text(llm.operation, "gen_ai.operation.name", nil, nil, for: names)
        case .openInference:
            // A kind that GenAI has no word for stays.
            guard llm.openInferenceKind == nil, let operation = llm.operation else { return }
            text(SpanText(DialectWords.openInferenceKind(operation)), nil, "openinference.span.kind", nil, for: names)
        case .openLLMetry:
            guard let operation = llm.operation else { return }
            if let kind = DialectWords.traceloopKind(operation) {
                text(SpanText(kind), nil, nil, "traceloop.span.kind", for: names)
            } else {
                let type = DialectWords.requestType(operation).map { SpanText($0) } ?? operation
                text(type, nil, nil, "llm.request.type", for: names)
            }
        }
    }

    // MARK: Tokens and cost

    mutating func writeTokens() {
        count(
            llm.inputTokens, "gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens",
            for: [.genAIUsageInputTokens, .genAIUsagePromptTokens, .llmTokenCountPrompt])
        count(
            llm.outputTokens, "gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens",
            for: [.genAIUsageOutputTokens, .genAIUsageCompletionTokens, .llmTokenCountCompletion])
        let totals: [KnownName] = [.llmTokenCountTotal, .genAIUsageTotalTokens, .llmUsageTotalTokens]
        if dialect == .genAI {
            // GenAI's total is the sum; where that cannot be told, what was sent stays.
            if llm.inputTokens != nil, llm.outputTokens != nil { replace(totals) }
        } else {
            count(llm.totalTokens, nil, "llm.token_count.total", "llm.usage.total_tokens", for: totals)
        }
        count(
            llm.cacheReadTokens, "gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
            for: [.genAIUsageCacheReadInputTokens, .genAIUsageCacheReadInputTokensFlat, .llmTokenCountPromptDetailsCacheRead])
        count(
            llm.cacheWriteTokens, "gen_ai.usage.cache_write.input_tokens", "llm.token_count.prompt_details.cache_write",
            "gen_ai.usage.cache_creation_input_tokens",
            for: [
                .genAIUsageCacheWriteInputTokens, .genAIUsageCacheCreationInputTokens, .genAIUsageCacheCreationInputTokensFlat,
                .llmTokenCountPromptDetailsCacheWrite,
            ])
        count(
            llm.reasoningTokens, "gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning",
            "llm.usage.reasoning_tokens",
            for: [
                .genAIUsageReasoningOutputTokens, .llmTokenCountCompletionDetailsReasoning, .genAIUsageReasoningTokens,
                .llmUsageReasoningTokens,
            ])
        count(
            llm.audioTokens.input, "gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio", nil,
            for: [.genAIUsageAudioInputTokens, .llmTokenCountPromptDetailsAudio])
        count(
            llm.audioTokens.output, "gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio", nil,
            for: [.genAIUsageAudioOutputTokens, .llmTokenCountCompletionDetailsAudio])
        guard let cost = llm.cost else { return }
        // No convention but OpenInference has a name for it: ours.
        let name = dialect == .openInference ? "llm.cost.total" : "tracefwd.cost_usd"
        switch cost.amount {
        case .text(let digits): attributes.set(name, string: digits)
        case .number(let usd): attributes.set(name, double: usd)
        }
        replace([.tracefwdCostUSD, .genAIUsageCost, .llmCostTotal])
    }

    // MARK: Labels and parameters

    mutating func writeLabels() {
        let tags = llm.tags
        if !tags.isEmpty {
            attributes.set(dialect == .openInference ? "tag.tags" : "tracefwd.tags", texts: tags)
            replace([.tracefwdTags, .tagTags])
        }
        let reasons = llm.finishReasons
        if let first = reasons.first {
            switch dialect {
            case .genAI: attributes.set("gen_ai.response.finish_reasons", texts: reasons)
            case .openInference: attributes.set("llm.finish_reason", text: first)
            case .openLLMetry: attributes.set("llm.response.finish_reason", text: first)
            }
            // The first alone is not all of them.
            if dialect == .genAI || reasons.count == 1 { replace([.genAIResponseFinishReasons]) }
            replace([.llmFinishReason, .llmResponseFinishReason, .llmResponseStopReason])
        }
        named(
            llm.metadata, prefix: name("tracefwd.metadata.", nil, "traceloop.association.properties.") ?? "", json: "metadata",
            names: [.metadata], families: [NameFamilies.metadataPrefix, NameFamilies.associationPrefix])
        named(
            llm.promptVariables, prefix: "gen_ai.prompt.variable.", json: "llm.prompt_template.variables",
            names: [.llmPromptTemplateVariables], families: [NameFamilies.promptVariablePrefix])
        named(
            llm.parameters, prefix: "gen_ai.request.", json: "llm.invocation_parameters",
            names: [
                .llmInvocationParameters, .llmFrequencyPenalty, .llmPresencePenalty, .llmTopK, .llmChatStopSequences,
                .genAIOpenaiRequestSeed,
            ], families: [NameFamilies.requestPrefix])
    }

    /// Values by their names: one attribute each, or all as the JSON of one, which is OpenInference's way.
    private mutating func named(
        _ values: [NamedValue], prefix: String, json: String, names: [KnownName], families: [NameFamilies.Prefix]
    ) {
        guard !values.isEmpty else { return }
        if dialect == .openInference {
            attributes.set(json) { $0.object(of: values) }
        } else {
            for (name, value) in values { attributes.set(prefix + name.string, value: value) }
        }
        replace(names)
        replace(families)
    }
}

extension AttributeWriter {
    /// A value of any shape: texts, numbers and booleans as such, anything else as the text of its JSON.
    mutating func set(_ key: String, value: ContentValue?) {
        guard let value, !value.isNull else { return }
        if let text = value.text { return set(key, text: text) }
        switch value {
        case .raw(.bool(let flag)): set(key, bool: flag)
        case .raw(.int(let number)): set(key, int: number)
        case .raw(.double(let number)): set(key, double: number)
        case .json(let json) where json.first == UInt8(ascii: "t"): set(key, bool: true)
        case .json(let json) where json.first == UInt8(ascii: "f"): set(key, bool: false)
        case .json(let json) where decimalInteger(json) != nil: set(key, int: decimalInteger(json))
        default:
            if let number = value.number { return set(key, double: number) }
            set(key) { $0.value(value) }
        }
    }
}
