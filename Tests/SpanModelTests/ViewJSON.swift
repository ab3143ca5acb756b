import SpanModel

/// All that a view says, as JSON: a member a line, absent ones left out. What golden files hold.
func viewJSON(_ span: SpanView) -> String {
    span.withLLM { llm in
        var lines: [String] = []
        func add(_ name: String, _ isThere: Bool = true, _ write: (inout JSONBytes) -> Void) {
            guard isThere else { return }
            var json = JSONBytes()
            write(&json)
            lines.append("  \"\(name)\": " + String(decoding: json.bytes, as: UTF8.self))
        }
        func add(_ name: String, _ text: SpanText?) { if let text { add(name) { $0.string(text) } } }
        func add(_ name: String, _ count: Int64?) { if let count { add(name) { $0.integer(count) } } }
        func add(_ name: String, _ number: Double?) { if let number { add(name) { $0.double(number) } } }
        func add(_ name: String, _ texts: [SpanText]) {
            add(name, !texts.isEmpty) { $0.array(of: texts) { $0.string($1) } }
        }
        func add(_ name: String, _ values: [NamedValue]) { add(name, !values.isEmpty) { $0.object(of: values) } }
        func add(_ name: String, _ tokens: ModalityTokens) {
            add(name + "InputTokens", tokens.input)
            add(name + "OutputTokens", tokens.output)
            add(name + "CacheReadTokens", tokens.cacheRead)
        }

        add("operation", llm.operation)
        add("openInferenceKind", llm.openInferenceKind)
        add("traceloopKind", llm.traceloopKind)
        add("provider", llm.provider)
        add("model", llm.model)
        add("requestModel", llm.requestModel)
        add("responseModel", llm.responseModel)
        add("inputTokens", llm.inputTokens)
        add("outputTokens", llm.outputTokens)
        add("totalTokens", llm.totalTokens)
        add("cacheReadTokens", llm.cacheReadTokens)
        add("cacheWriteTokens", llm.cacheWriteTokens)
        add("reasoningTokens", llm.reasoningTokens)
        add("text", llm.textTokens)
        add("image", llm.imageTokens)
        add("audio", llm.audioTokens)
        if let cost = llm.cost {
            add("cost") { json in
                switch cost.amount {
                case .text(let digits): json.string(digits)
                case .number(let value): json.double(value)
                }
            }
            add("costSource") { $0.string("\(cost.source)") }
        }
        add("inputCost", llm.inputCost)
        add("outputCost", llm.outputCost)
        add("session", llm.session)
        add("user", llm.user)
        add("environment", llm.environment)
        add("service", llm.service)
        add("tags", llm.tags)
        add("metadata", llm.metadata)
        if let isStreaming = llm.isStreaming { add("isStreaming") { $0.bool(isStreaming) } }
        add("timeToFirstToken", llm.timeToFirstToken)
        if let time = llm.firstTokenTime { add("firstTokenTime") { $0.integer(time) } }
        add("responseID", llm.responseID)
        add("finishReasons", llm.finishReasons)
        add("parameters", llm.parameters)
        add("isError", llm.isError) { $0.bool(true) }
        add("errorType", llm.errorType)
        add("errorMessage", llm.errorMessage)
        add("stacktrace", llm.exception?.stacktrace)
        add("agentID", llm.agentID)
        add("agentName", llm.agentName)
        add("agentDescription", llm.agentDescription)
        add("agentVersion", llm.agentVersion)
        add("workflowName", llm.workflowName)
        add("promptName", llm.promptName)
        add("promptVersion", llm.promptVersion)
        add("promptVariables", llm.promptVariables)
        add("toolName", llm.toolName)
        add("toolType", llm.toolType)
        add("toolCallID", llm.toolCallID)
        add("toolDescription", llm.toolDescription)
        if let arguments = llm.toolArguments { add("toolArguments") { $0.value(arguments) } }
        if let result = llm.toolResult { add("toolResult") { $0.value(result) } }
        add("toolsCalled", llm.toolsCalled)
        add("toolDefinitions", !llm.toolDefinitions.isEmpty) { $0.tools(llm.toolDefinitions) }
        add("retrievalQuery", llm.retrievalQuery)
        add("retrievalTopK", llm.retrievalTopK)
        add("dataSourceID", llm.dataSourceID)
        add("documents", !llm.documents.isEmpty) { $0.array(of: llm.documents) { $0.document($1) } }
        add("embeddingDimensions", llm.embeddingDimensions)
        add("embeddedTexts", llm.embeddedTexts)
        if let input = llm.input {
            add("input") { $0.parts(input) }
            add("inputChat") { $0.content(input) }
            add("inputText") { $0.string(llm.inputText) }
        }
        if let output = llm.output {
            add("output") { $0.parts(output) }
            add("outputChat") { json in
                if case .messages(let messages) = output { json.chatAnswer(messages) } else { json.content(output) }
            }
            add("outputText") { $0.string(llm.outputText) }
        }
        return "{\n" + lines.joined(separator: ",\n") + "\n}\n"
    }
}

extension JSONBytes {
    fileprivate mutating func document(_ document: RetrievedDocument) {
        object { json in
            json.member("id", document.id)
            json.member("content", document.content)
            if let score = document.score {
                json.key("score")
                json.double(score)
            }
            if let metadata = document.metadata {
                json.key("metadata")
                json.value(metadata)
            }
        }
    }

    /// Messages part by part.
    fileprivate mutating func parts(_ content: LLMContent) {
        guard case .messages(let messages) = content else { return self.content(content) }
        array(of: messages) { json, message in
            json.object { json in
                json.member("role", message.role)
                json.member("name", message.name)
                json.member("finishReason", message.finishReason)
                json.key("parts")
                json.array(of: message.parts) { json, part in json.object { $0.part(part) } }
            }
        }
    }

    private mutating func part(_ part: MessagePart) {
        switch part {
        case .text(let text): member("text", text)
        case .reasoning(let text): member("reasoning", text)
        case .toolCall(let id, let name, let arguments):
            member("call", name ?? SpanText.utf8(UnsafeRawBufferPointer(start: nil, count: 0)))
            member("id", id)
            if let arguments {
                key("arguments")
                value(arguments)
            }
        case .toolCallResponse(let id, let response):
            member("responseTo", id ?? SpanText.utf8(UnsafeRawBufferPointer(start: nil, count: 0)))
            if let response {
                key("response")
                value(response)
            }
        case .blob(let modality, let mimeType, let content):
            key("blob")
            value(content)
            member("modality", modality)
            member("mimeType", mimeType)
        case .uri(let modality, let mimeType, let uri):
            member("uri", uri)
            member("modality", modality)
            member("mimeType", mimeType)
        case .file(let modality, let mimeType, let fileID):
            member("file", fileID)
            member("modality", modality)
            member("mimeType", mimeType)
        case .other(let other):
            key("other")
            value(other)
        }
    }
}
