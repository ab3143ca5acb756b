// The scalars of the view. Each row of contract `otlp`, B.4, is one member, its names from left to right.
extension LLMFields {
    // MARK: What, by whom, with which model

    /// What was done, in GenAI's words: `chat`, `text_completion`, `embeddings`, `execute_tool`, `invoke_agent`, `retrieval`, ...
    public var operation: SpanText? {
        if let name = text(.genAIOperationName) { return name }
        if let kind = openInferenceKind, let name = DialectWords.operation(openInference: kind) { return SpanText(name) }
        if let type = text(.llmRequestType) { return DialectWords.operation(requestType: type).map { SpanText($0) } ?? type }
        return traceloopKind.flatMap { DialectWords.operation(traceloop: $0) }.map { SpanText($0) }
    }

    /// OpenInference's kind of span (`LLM`, `GUARDRAIL`, ...), as it came.
    public var openInferenceKind: SpanText? { text(.openInferenceSpanKind) }
    /// OpenLLMetry's kind of span (`workflow`, `task`, `agent`, `tool`), as it came.
    public var traceloopKind: SpanText? { text(.traceloopSpanKind) }

    /// Who served the model, in GenAI's words (`openai`, `aws.bedrock`, ...) where it is one of the known; else as it came.
    public var provider: SpanText? {
        guard let name = text(.genAIProviderName) ?? text(.genAISystem) ?? text(.llmProvider) ?? text(.llmSystem) else { return nil }
        return DialectWords.provider(name).map { SpanText($0) } ?? name
    }

    /// The model that answered, else the one that was asked for.
    public var model: SpanText? { responseModel ?? requestModel }
    /// The model that was asked for.
    public var requestModel: SpanText? {
        text(.genAIRequestModel) ?? text(.llmRequestModelName) ?? text(.llmModelName) ?? text(.embeddingModelName)
            ?? text(.rerankerModelName)
    }
    /// The model that answered.
    public var responseModel: SpanText? { text(.genAIResponseModel) ?? text(.llmResponseModelName) }

    // MARK: Tokens

    /// Tokens read, cached ones included.
    public var inputTokens: Int64? { count(.genAIUsageInputTokens) ?? count(.genAIUsagePromptTokens) ?? count(.llmTokenCountPrompt) }
    /// Tokens written, reasoning included.
    public var outputTokens: Int64? {
        count(.genAIUsageOutputTokens) ?? count(.genAIUsageCompletionTokens) ?? count(.llmTokenCountCompletion)
    }
    /// The sum of both; where one of them is not known, the total that was sent, else the other one.
    public var totalTokens: Int64? {
        let (input, output) = (inputTokens, outputTokens)
        if let input, let output {
            let (sum, isOver) = input.addingReportingOverflow(output)
            if !isOver { return sum }
        }
        return count(.llmTokenCountTotal) ?? count(.genAIUsageTotalTokens) ?? count(.llmUsageTotalTokens) ?? input ?? output
    }
    /// Tokens of the input that came from the provider's cache.
    public var cacheReadTokens: Int64? {
        count(.genAIUsageCacheReadInputTokens) ?? count(.genAIUsageCacheReadInputTokensFlat)
            ?? count(.llmTokenCountPromptDetailsCacheRead)
    }
    /// Tokens of the input that were written to the provider's cache.
    public var cacheWriteTokens: Int64? {
        count(.genAIUsageCacheWriteInputTokens) ?? count(.genAIUsageCacheCreationInputTokens)
            ?? count(.genAIUsageCacheCreationInputTokensFlat) ?? count(.llmTokenCountPromptDetailsCacheWrite)
    }
    /// Tokens of the output that are reasoning.
    public var reasoningTokens: Int64? {
        count(.genAIUsageReasoningOutputTokens) ?? count(.llmTokenCountCompletionDetailsReasoning) ?? count(.genAIUsageReasoningTokens)
            ?? count(.llmUsageReasoningTokens)
    }
    /// Tokens of the input, the output and the cached input that are text.
    public var textTokens: ModalityTokens {
        ModalityTokens(
            input: count(.genAIUsageTextInputTokens), output: count(.genAIUsageTextOutputTokens),
            cacheRead: count(.genAIUsageTextCacheReadInputTokens))
    }
    /// As `textTokens`, of images.
    public var imageTokens: ModalityTokens {
        ModalityTokens(
            input: count(.genAIUsageImageInputTokens), output: count(.genAIUsageImageOutputTokens),
            cacheRead: count(.genAIUsageImageCacheReadInputTokens))
    }
    /// As `textTokens`, of sound.
    public var audioTokens: ModalityTokens {
        ModalityTokens(
            input: count(.genAIUsageAudioInputTokens) ?? count(.llmTokenCountPromptDetailsAudio),
            output: count(.genAIUsageAudioOutputTokens) ?? count(.llmTokenCountCompletionDetailsAudio),
            cacheRead: count(.genAIUsageAudioCacheReadInputTokens))
    }

    // MARK: Who asked, and where

    /// The conversation that the span belongs to.
    public var session: SpanText? { text(.sessionID) ?? text(.genAIConversationID) ?? text(.traceloopAssociationPropertiesSessionID) }
    /// The user on whose behalf it was done.
    public var user: SpanText? {
        text(.userID) ?? text(.enduserID) ?? text(.llmUser) ?? text(.genAIUser) ?? text(.traceloopAssociationPropertiesUserID)
    }
    /// Where it ran: the span's own attribute, else the resource's.
    public var environment: SpanText? {
        text(.deploymentEnvironmentName) ?? text(.deploymentEnvironment) ?? resource.pointee.environmentText()
    }
    /// The service that did it: the span's own attribute, else the resource's.
    public var service: SpanText? { text(.serviceName) ?? resource.pointee.serviceText() }

    // MARK: Request and answer

    /// Whether the answer was streamed.
    public var isStreaming: Bool? { bool(.genAIRequestStream) ?? bool(.llmIsStreaming) ?? bool(.genAIIsStreaming) }
    /// Seconds from the start to the first piece of the answer.
    public var timeToFirstToken: Double? { number(.genAIResponseTimeToFirstChunk).flatMap { $0 < 0 ? nil : $0 } }
    /// When the first piece of the answer came, nanoseconds of the Unix epoch.
    public var firstTokenTime: UInt64? {
        guard let start = span.startTime, let wait = timeToFirstToken, let wait = UInt64(exactly: (wait * 1e9).rounded()) else {
            return nil
        }
        let (time, isOver) = start.addingReportingOverflow(wait)
        return isOver ? nil : time
    }
    /// The provider's id of the answer.
    public var responseID: SpanText? { text(.genAIResponseID) }

    // MARK: Tools, agents, prompts

    /// The tool that a tool span ran; the tool's kind of span must say so, as `name` may be there on others too.
    public var toolName: SpanText? {
        text(.genAIToolName) ?? text(.toolName) ?? (traceloopKind.map { $0 == "tool" } == true ? text(.traceloopEntityName) : nil)
    }
    /// The id of the call that the tool answered.
    public var toolCallID: SpanText? { text(.genAIToolCallID) ?? text(.toolID) }
    /// `function`, `extension` or `datastore`.
    public var toolType: SpanText? { text(.genAIToolType) }
    /// What the tool is for.
    public var toolDescription: SpanText? { text(.genAIToolDescription) ?? text(.toolDescription) }

    /// The agent's id.
    public var agentID: SpanText? { text(.genAIAgentID) }
    /// The agent's name.
    public var agentName: SpanText? {
        text(.genAIAgentName) ?? text(.agentName) ?? (traceloopKind.map { $0 == "agent" } == true ? text(.traceloopEntityName) : nil)
    }
    /// What the agent is for.
    public var agentDescription: SpanText? { text(.genAIAgentDescription) }
    /// The agent's version.
    public var agentVersion: SpanText? { text(.genAIAgentVersion) }
    /// The workflow that the span is of.
    public var workflowName: SpanText? { text(.genAIWorkflowName) ?? text(.traceloopWorkflowName) }
    /// OpenLLMetry's name of what the span wraps.
    public var traceloopEntityName: SpanText? { text(.traceloopEntityName) }

    /// The managed prompt that was used.
    public var promptName: SpanText? { text(.genAIPromptName) }
    /// Its version.
    public var promptVersion: SpanText? { text(.genAIPromptVersion) ?? text(.llmPromptTemplateVersion) }

    /// What was searched for.
    public var retrievalQuery: SpanText? {
        text(.genAIRetrievalQueryText) ?? (openInferenceKind.map { $0 == "RETRIEVER" } == true ? text(.inputValue) : nil)
    }
    /// How many documents were asked for.
    public var retrievalTopK: Int64? { count(.genAIRetrievalTopK) }
    /// Where documents came from.
    public var dataSourceID: SpanText? { text(.genAIDataSourceID) }
    /// The length of an embedding.
    public var embeddingDimensions: Int64? { count(.genAIEmbeddingsDimensionCount) }
}

/// Tokens of one modality; nil where the span does not say.
public struct ModalityTokens: Sendable, Equatable {
    /// In the input.
    public var input: Int64?
    /// In the output.
    public var output: Int64?
    /// In the input, from the provider's cache.
    public var cacheRead: Int64?
}

// MARK: Error

extension LLMFields {
    /// Whether the span says that it failed: its status alone does, an exception may have been dealt with.
    public var isError: Bool { span.status == .error }
    /// What kind of error it was; nil where the span did not fail.
    public var errorType: SpanText? { isError ? text(.errorType) ?? exception?.type : nil }
    /// What was said of it: the status, else the exception; nil where the span did not fail.
    public var errorMessage: SpanText? {
        guard isError else { return nil }
        return span.statusMessage.isEmpty ? exception?.message : .utf8(span.statusMessage)
    }
    /// The last `exception` event, whatever the status.
    public var exception: SpanException? {
        guard span.eventCount > 0 else { return nil }
        var found: UnsafeRawBufferPointer?
        for event in span.events where EventFields(event).name.equals("exception") { found = event }
        return found.map(SpanException.init)
    }
}

/// An `exception` event. Good inside the scope of its view.
public struct SpanException {
    /// The exception's class.
    public private(set) var type: SpanText?
    /// What it says.
    public private(set) var message: SpanText?
    /// Where it was thrown.
    public private(set) var stacktrace: SpanText?

    init(_ event: UnsafeRawBufferPointer) {
        for (key, value) in KeyValues(of: event, field: 3) {
            guard case .string(let text) = value, !text.isEmpty else { continue }
            if key.equals("exception.type") { type = .utf8(text) }
            if key.equals("exception.message") { message = .utf8(text) }
            if key.equals("exception.stacktrace") { stacktrace = .utf8(text) }
        }
    }
}
