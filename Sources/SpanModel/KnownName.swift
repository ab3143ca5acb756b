import Glibc

/// The attributes that the view looks for, in all dialects (contract `otlp`, part B). Which of them wins is said where a member is read:
/// `LLMFields`. Each case's number is its place in the notes of one pass over a span.
enum KnownName: String, CaseIterable {
    // MARK: What was done, by whom
    case genAIOperationName = "gen_ai.operation.name"
    case genAIProviderName = "gen_ai.provider.name"
    case genAISystem = "gen_ai.system"
    case openInferenceSpanKind = "openinference.span.kind"
    case llmProvider = "llm.provider"
    case llmSystem = "llm.system"
    case llmRequestType = "llm.request.type"
    case traceloopSpanKind = "traceloop.span.kind"

    // MARK: Models
    case genAIRequestModel = "gen_ai.request.model"
    case genAIResponseModel = "gen_ai.response.model"
    case llmRequestModelName = "llm.request.model_name"
    case llmResponseModelName = "llm.response.model_name"
    case llmModelName = "llm.model_name"
    case embeddingModelName = "embedding.model_name"
    case rerankerModelName = "reranker.model_name"

    // MARK: Tokens
    case genAIUsageInputTokens = "gen_ai.usage.input_tokens"
    case genAIUsagePromptTokens = "gen_ai.usage.prompt_tokens"
    case llmTokenCountPrompt = "llm.token_count.prompt"
    case genAIUsageOutputTokens = "gen_ai.usage.output_tokens"
    case genAIUsageCompletionTokens = "gen_ai.usage.completion_tokens"
    case llmTokenCountCompletion = "llm.token_count.completion"
    case llmTokenCountTotal = "llm.token_count.total"
    case genAIUsageTotalTokens = "gen_ai.usage.total_tokens"
    case llmUsageTotalTokens = "llm.usage.total_tokens"
    case genAIUsageCacheReadInputTokens = "gen_ai.usage.cache_read.input_tokens"
    case genAIUsageCacheReadInputTokensFlat = "gen_ai.usage.cache_read_input_tokens"
    case llmTokenCountPromptDetailsCacheRead = "llm.token_count.prompt_details.cache_read"
    case genAIUsageCacheWriteInputTokens = "gen_ai.usage.cache_write.input_tokens"
    case genAIUsageCacheCreationInputTokens = "gen_ai.usage.cache_creation.input_tokens"
    case genAIUsageCacheCreationInputTokensFlat = "gen_ai.usage.cache_creation_input_tokens"
    case llmTokenCountPromptDetailsCacheWrite = "llm.token_count.prompt_details.cache_write"
    case genAIUsageReasoningOutputTokens = "gen_ai.usage.reasoning.output_tokens"
    case llmTokenCountCompletionDetailsReasoning = "llm.token_count.completion_details.reasoning"
    case genAIUsageReasoningTokens = "gen_ai.usage.reasoning_tokens"
    case llmUsageReasoningTokens = "llm.usage.reasoning_tokens"
    case genAIUsageTextInputTokens = "gen_ai.usage.text.input_tokens"
    case genAIUsageTextOutputTokens = "gen_ai.usage.text.output_tokens"
    case genAIUsageTextCacheReadInputTokens = "gen_ai.usage.text.cache_read.input_tokens"
    case genAIUsageImageInputTokens = "gen_ai.usage.image.input_tokens"
    case genAIUsageImageOutputTokens = "gen_ai.usage.image.output_tokens"
    case genAIUsageImageCacheReadInputTokens = "gen_ai.usage.image.cache_read.input_tokens"
    case genAIUsageAudioInputTokens = "gen_ai.usage.audio.input_tokens"
    case genAIUsageAudioOutputTokens = "gen_ai.usage.audio.output_tokens"
    case genAIUsageAudioCacheReadInputTokens = "gen_ai.usage.audio.cache_read.input_tokens"
    case llmTokenCountPromptDetailsAudio = "llm.token_count.prompt_details.audio"
    case llmTokenCountCompletionDetailsAudio = "llm.token_count.completion_details.audio"

    // MARK: Cost
    case tracefwdCostUSD = "tracefwd.cost_usd"
    case genAIUsageCost = "gen_ai.usage.cost"
    case llmCostTotal = "llm.cost.total"
    case llmCostPrompt = "llm.cost.prompt"
    case llmCostCompletion = "llm.cost.completion"

    // MARK: Who asked, and where
    case sessionID = "session.id"
    case genAIConversationID = "gen_ai.conversation.id"
    case traceloopAssociationPropertiesSessionID = "traceloop.association.properties.session_id"
    case userID = "user.id"
    case enduserID = "enduser.id"
    case llmUser = "llm.user"
    case genAIUser = "gen_ai.user"
    case traceloopAssociationPropertiesUserID = "traceloop.association.properties.user_id"
    case deploymentEnvironmentName = "deployment.environment.name"
    case deploymentEnvironment = "deployment.environment"
    case serviceName = "service.name"
    case tracefwdTags = "tracefwd.tags"
    case tagTags = "tag.tags"
    case metadata

    // MARK: The request
    case genAIRequestStream = "gen_ai.request.stream"
    case llmIsStreaming = "llm.is_streaming"
    case genAIIsStreaming = "gen_ai.is_streaming"
    case llmInvocationParameters = "llm.invocation_parameters"
    case llmFrequencyPenalty = "llm.frequency_penalty"
    case llmPresencePenalty = "llm.presence_penalty"
    case llmTopK = "llm.top_k"
    case llmChatStopSequences = "llm.chat.stop_sequences"
    case genAIOpenaiRequestSeed = "gen_ai.openai.request.seed"

    // MARK: The answer
    case genAIResponseID = "gen_ai.response.id"
    case genAIResponseTimeToFirstChunk = "gen_ai.response.time_to_first_chunk"
    case genAIResponseFinishReasons = "gen_ai.response.finish_reasons"
    case llmFinishReason = "llm.finish_reason"
    case llmResponseFinishReason = "llm.response.finish_reason"
    case llmResponseStopReason = "llm.response.stop_reason"
    case errorType = "error.type"

    // MARK: Content
    case genAISystemInstructions = "gen_ai.system_instructions"
    case genAIInputMessages = "gen_ai.input.messages"
    case genAIOutputMessages = "gen_ai.output.messages"
    case genAIPrompt = "gen_ai.prompt"
    case genAICompletion = "gen_ai.completion"
    case inputValue = "input.value"
    case outputValue = "output.value"
    case inputMimeType = "input.mime_type"
    case outputMimeType = "output.mime_type"
    case traceloopEntityInput = "traceloop.entity.input"
    case traceloopEntityOutput = "traceloop.entity.output"

    // MARK: Tools
    case genAIToolDefinitions = "gen_ai.tool.definitions"
    case llmRequestFunctions = "llm.request.functions"
    case genAIToolName = "gen_ai.tool.name"
    case genAIToolType = "gen_ai.tool.type"
    case genAIToolDescription = "gen_ai.tool.description"
    case genAIToolCallID = "gen_ai.tool.call.id"
    case genAIToolCallArguments = "gen_ai.tool.call.arguments"
    case genAIToolCallResult = "gen_ai.tool.call.result"
    case toolName = "tool.name"
    case toolDescription = "tool.description"
    case toolParameters = "tool.parameters"
    case toolID = "tool.id"
    case traceloopEntityName = "traceloop.entity.name"
    case traceloopEntityPath = "traceloop.entity.path"

    // MARK: Agents, workflows, prompts
    case genAIAgentID = "gen_ai.agent.id"
    case genAIAgentName = "gen_ai.agent.name"
    case genAIAgentDescription = "gen_ai.agent.description"
    case genAIAgentVersion = "gen_ai.agent.version"
    case agentName = "agent.name"
    case genAIWorkflowName = "gen_ai.workflow.name"
    case traceloopWorkflowName = "traceloop.workflow.name"
    case genAIPromptName = "gen_ai.prompt.name"
    case genAIPromptVersion = "gen_ai.prompt.version"
    case llmPromptTemplateTemplate = "llm.prompt_template.template"
    case llmPromptTemplateVariables = "llm.prompt_template.variables"
    case llmPromptTemplateVersion = "llm.prompt_template.version"

    // MARK: Retrieval and embeddings
    case genAIRetrievalQueryText = "gen_ai.retrieval.query.text"
    case genAIRetrievalDocuments = "gen_ai.retrieval.documents"
    case genAIRetrievalTopK = "gen_ai.retrieval.top_k"
    case genAIDataSourceID = "gen_ai.data_source.id"
    case genAIEmbeddingsDimensionCount = "gen_ai.embeddings.dimension.count"

    /// How many there are.
    static let count = allCases.count

    /// The place in declaration order: how the compiler numbers an enum without payloads. `KnownNameTable` checks it when it is made.
    @inline(__always)
    var ordinal: Int { Int(unsafeBitCast(self, to: UInt8.self)) }
}

/// Finds a known name by its bytes: one hash, mostly one comparison.
struct KnownNameTable: Sendable {
    /// The only one.
    static let shared = KnownNameTable()

    private static let slotCount = 512
    private static let vacant = UInt8.max

    /// A name: where it lies in `letters`, and its ordinal; `vacant` where the slot holds none.
    private struct Slot: Sendable {
        var offset: UInt16 = 0
        var count: UInt8 = 0
        var ordinal = KnownNameTable.vacant
    }

    /// By hash; a slot that is taken sends its name to the next one.
    private let slots: [Slot]
    private let letters: [UInt8]

    private init() {
        var (slots, letters) = ([Slot](repeating: Slot(), count: Self.slotCount), [UInt8]())
        precondition(KnownName.count < Self.vacant)
        for (index, name) in KnownName.allCases.enumerated() {
            precondition(name.ordinal == index, "an enum's cases are not numbered in their order")
            let text = [UInt8](name.rawValue.utf8)
            var slot = text.withUnsafeBytes(Self.hash)
            while slots[slot].ordinal != Self.vacant { slot = (slot + 1) & (Self.slotCount - 1) }
            slots[slot] = Slot(offset: UInt16(letters.count), count: UInt8(text.count), ordinal: UInt8(index))
            letters += text
        }
        (self.slots, self.letters) = (slots, letters)
    }

    /// The ordinal of the name that `key` is, if it is one.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer) -> Int? {
        guard let base = key.baseAddress, key.count >= Self.shortest else { return nil }
        return slots.withUnsafeBufferPointer { slots in
            var place = Self.hash(key)
            while true {
                let slot = slots[place]
                guard slot.ordinal != Self.vacant else { return nil }
                if Int(slot.count) == key.count,
                    letters.withUnsafeBytes({ memcmp($0.baseAddress.unsafelyUnwrapped + Int(slot.offset), base, key.count) == 0 })
                {
                    return Int(slot.ordinal)
                }
                place = (place + 1) & (Self.slotCount - 1)
            }
        }
    }

    private static let shortest = 4

    /// Names share their beginnings, so their ends, their middles and their lengths tell them apart.
    @inline(__always)
    private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
        var (middle, last): (UInt64, UInt64)
        if key.count >= 8 {
            last = key.loadUnaligned(fromByteOffset: key.count - 8, as: UInt64.self)
            middle = key.loadUnaligned(fromByteOffset: key.count / 2 - 4, as: UInt64.self)
        } else {
            last = UInt64(key.loadUnaligned(fromByteOffset: key.count - 4, as: UInt32.self))
            middle = UInt64(key.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        }
        last = (last ^ UInt64(truncatingIfNeeded: key.count)) &* 0x9e37_79b9_7f4a_7c15
        middle = middle &* 0xc2b2_ae3d_27d4_eb4f
        return Int((last ^ middle >> 7 ^ middle << 13) >> 32) & (slotCount - 1)
    }
}
