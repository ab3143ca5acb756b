// The content of a span under the names of another dialect.
extension DialectWriter {
    private static let inputNames: [KnownName] = [
        .genAIInputMessages, .genAISystemInstructions, .genAIPrompt, .inputValue, .inputMimeType, .traceloopEntityInput,
    ]
    private static let outputNames: [KnownName] = [
        .genAIOutputMessages, .genAICompletion, .outputValue, .outputMimeType, .traceloopEntityOutput,
    ]

    mutating func writeContent() {
        // What a tool was called with, and answered, has names of its own.
        guard !llm.isToolSpan else { return }
        if let input = llm.input {
            write(
                input, isInput: true, names: Self.inputNames,
                families: [NameFamilies.inputMessagesPrefix, NameFamilies.promptsPrefix, NameFamilies.promptPrefix])
        }
        if let output = llm.output {
            write(
                output, isInput: false, names: Self.outputNames,
                families: [NameFamilies.outputMessagesPrefix, NameFamilies.choicesPrefix, NameFamilies.completionPrefix])
        }
    }

    private mutating func write(_ content: LLMContent, isInput: Bool, names: [KnownName], families: [NameFamilies.Prefix]) {
        switch (content.unwrapped, dialect) {
        case (_, .genAI):
            let messages = content.messages(role: isInput ? "user" : "assistant")
            attributes.set(isInput ? "gen_ai.input.messages" : "gen_ai.output.messages") { $0.genAI(messages) }
        case (.messages(let messages), .openInference):
            for (index, message) in messages.enumerated() {
                openInference(message, isInput ? "llm.input_messages" : "llm.output_messages", index)
            }
        case (.messages(let messages), .openLLMetry):
            for (index, message) in messages.enumerated() { openLLMetry(message, isInput ? "gen_ai.prompt" : "gen_ai.completion", index) }
        case (.value(let value), .openInference): writeValue(value, to: isInput ? "input" : "output")
        case (.value(let value), .openLLMetry):
            attributes.set(isInput ? "traceloop.entity.input" : "traceloop.entity.output") { $0.value(value) }
        }
        replace(names)
        replace(families)
    }

    /// OpenInference's pair of a value and its type.
    private mutating func writeValue(_ value: ContentValue, to side: String) {
        if let text = value.text {
            attributes.set("\(side).value", text: text)
            attributes.set("\(side).mime_type", string: "text/plain")
        } else {
            attributes.set("\(side).value") { $0.value(value) }
            attributes.set("\(side).mime_type", string: "application/json")
        }
    }

    private mutating func openInference(_ message: LLMMessage, _ list: String, _ index: Int) {
        let base = "\(list).\(index).message."
        attributes.set(base + "role", text: message.role)
        attributes.set(base + "name", text: message.name)
        var (contents, calls) = (0, 0)
        let isPlain = message.isPlainText
        for part in message.parts {
            switch part {
            case .text(let text) where isPlain: attributes.set(base + "content", text: text)
            case .toolCall(let id, let name, let arguments):
                let call = "\(base)tool_calls.\(calls).tool_call."
                attributes.set(call + "id", text: id)
                attributes.set(call + "function.name", text: name)
                attributes.set(call + "function.arguments", jsonText: arguments)
                calls += 1
            case .toolCallResponse(let id, let response):
                attributes.set(base + "tool_call_id", text: id)
                attributes.set(base + "content", jsonText: response)
            default:
                let item = "\(base)contents.\(contents).message_content."
                contents += 1
                openInference(part, item)
            }
        }
    }

    private mutating func openInference(_ part: MessagePart, _ item: String) {
        switch part {
        case .text(let text), .reasoning(let text):
            attributes.set(item + "type", string: "text")
            attributes.set(item + "text", text: text)
        case .uri(let modality, let mimeType, let uri) where modality.map({ $0 == "audio" }) ?? false:
            attributes.set(item + "type", string: "audio")
            attributes.set(item + "audio.audio.url", text: uri)
            attributes.set(item + "audio.audio.mime_type", text: mimeType)
        case .uri(_, _, let uri):
            attributes.set(item + "type", string: "image")
            attributes.set(item + "image.image.url", text: uri)
        case .blob(_, let mimeType, let content):
            attributes.set(item + "type", string: "image")
            attributes.set(item + "image.image.url", string: "data:\(mimeType?.string ?? "image/png");base64,\(content.text?.string ?? "")")
        case .file(_, _, let fileID):
            attributes.set(item + "type", string: "file")
            attributes.set(item + "text", text: fileID)
        case .other(let value):
            attributes.set(item + "type", string: "text")
            attributes.set(item + "text", jsonText: value)
        case .toolCall, .toolCallResponse: return
        }
    }

    private mutating func openLLMetry(_ message: LLMMessage, _ list: String, _ index: Int) {
        let base = "\(list).\(index)."
        attributes.set(base + "role", text: message.role)
        attributes.set(base + "finish_reason", text: message.finishReason)
        var calls = 0
        for part in message.parts {
            switch part {
            case .toolCall(let id, let name, let arguments):
                let call = "\(base)tool_calls.\(calls)."
                attributes.set(call + "id", text: id)
                attributes.set(call + "name", text: name)
                attributes.set(call + "arguments", jsonText: arguments)
                calls += 1
            case .toolCallResponse(let id, let response):
                attributes.set(base + "tool_call_id", text: id)
                attributes.set(base + "content", jsonText: response)
            default: continue
            }
        }
        let spoken = message.parts.filter { part in
            switch part {
            case .toolCall, .toolCallResponse: false
            default: true
            }
        }
        guard let first = spoken.first else { return }
        if spoken.count == 1, case .text(let text) = first { return attributes.set(base + "content", text: text) }
        attributes.set(base + "content") { json in json.array(of: spoken) { $0.openLLMetry($1) } }
    }

    // MARK: Tools and retrieval

    mutating func writeTools() {
        writeDefinitions()
        if llm.isToolSpan { writeToolSpan() }
        let documents = llm.documents
        guard !documents.isEmpty else { return }
        switch dialect {
        case .openInference:
            for (index, document) in documents.enumerated() {
                let base = "retrieval.documents.\(index).document."
                attributes.set(base + "id", text: document.id)
                attributes.set(base + "content", text: document.content)
                attributes.set(base + "score", double: document.score)
                attributes.set(base + "metadata", jsonText: document.metadata)
            }
        case .genAI, .openLLMetry:
            attributes.set("gen_ai.retrieval.documents") { json in json.array(of: documents) { $0.document($1) } }
        }
        replace([.genAIRetrievalDocuments])
        replace([NameFamilies.documentsPrefix])
    }

    private mutating func writeDefinitions() {
        let definitions = llm.toolDefinitions
        guard !definitions.isEmpty else { return }
        switch dialect {
        case .genAI: attributes.set("gen_ai.tool.definitions") { $0.tools(definitions) }
        case .openInference:
            for (index, definition) in definitions.enumerated() {
                attributes.set("llm.tools.\(index).tool.json_schema") { $0.tool(definition) }
            }
        case .openLLMetry:
            for (index, definition) in definitions.enumerated() {
                let (base, function) = ("llm.request.functions.\(index).", definition.parts)
                attributes.set(base + "name", text: function.name)
                attributes.set(base + "description", text: function.description)
                attributes.set(base + "parameters", jsonText: function.parameters)
            }
        }
        replace([.genAIToolDefinitions, .llmRequestFunctions])
        replace([NameFamilies.toolsPrefix, NameFamilies.functionsPrefix])
    }

    private mutating func writeToolSpan() {
        let arguments = llm.toolArguments
        let result = llm.toolResult
        if let name = self.name("gen_ai.tool.name", "tool.name", "traceloop.entity.name"), llm.toolName != nil {
            attributes.set(name, text: llm.toolName)
            replace([.genAIToolName, .toolName])
            if llm.traceloopKind.map({ $0 == "tool" }) ?? false { replace([.traceloopEntityName]) }
        }
        if dialect != .openLLMetry {
            attributes.set(dialect == .genAI ? "gen_ai.tool.description" : "tool.description", text: llm.toolDescription)
            attributes.set(dialect == .genAI ? "gen_ai.tool.call.id" : "tool.id", text: llm.toolCallID)
            replace([.genAIToolDescription, .toolDescription, .genAIToolCallID, .toolID])
        }
        if let arguments {
            switch dialect {
            case .genAI: attributes.set("gen_ai.tool.call.arguments", jsonText: arguments)
            case .openInference: writeValue(arguments, to: "input")
            case .openLLMetry: attributes.set("traceloop.entity.input") { $0.value(arguments) }
            }
            replace([.genAIToolCallArguments, .inputValue, .inputMimeType, .traceloopEntityInput])
        }
        if let result {
            switch dialect {
            case .genAI: attributes.set("gen_ai.tool.call.result", jsonText: result)
            case .openInference: writeValue(result, to: "output")
            case .openLLMetry: attributes.set("traceloop.entity.output") { $0.value(result) }
            }
            replace([.genAIToolCallResult, .outputValue, .outputMimeType, .traceloopEntityOutput])
        }
    }
}

extension LLMContent {
    /// The value, where a message is nothing but one that is none.
    fileprivate var unwrapped: LLMContent {
        if case .messages(let messages) = self, messages.count == 1, messages[0].parts.count == 1,
            case .other(let value) = messages[0].parts[0]
        {
            return .value(value)
        }
        return self
    }
}

extension LLMMessage {
    /// Whether one text is all that it says beside calls.
    fileprivate var isPlainText: Bool {
        let spoken = parts.filter { part in
            switch part {
            case .toolCall: false
            default: true
            }
        }
        guard spoken.count == 1, case .text? = spoken.first else { return false }
        return true
    }
}

extension ToolDefinition {
    /// What the function is called, is for and takes.
    fileprivate var parts: (name: SpanText?, description: SpanText?, parameters: ContentValue?) {
        switch self {
        case .function(let name, let description, let parameters): return (name, description, parameters)
        case .whole(let value):
            let function = value.member("function") ?? value
            return (
                function.member("name")?.label, function.member("description")?.label,
                function.member("parameters") ?? function.member("input_schema")
            )
        }
    }
}

extension JSONBytes {
    /// One tool, in OpenAI's shape where it was sent in parts.
    fileprivate mutating func tool(_ definition: ToolDefinition) {
        if case .whole(let value) = definition { return self.value(value) }
        let parts = definition.parts
        object { json in
            json.member("type", "function")
            json.key("function")
            json.object { json in
                json.member("name", parts.name)
                json.member("description", parts.description)
                if let parameters = parts.parameters {
                    json.key("parameters")
                    json.value(parameters)
                }
            }
        }
    }

    /// A document that a search found, as GenAI has it: `{"id", "content", "score", "metadata"}`, what is known of it.
    public mutating func document(_ document: RetrievedDocument) {
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

    /// A part as an item of a content array: OpenLLMetry writes what the provider's API took.
    fileprivate mutating func openLLMetry(_ part: MessagePart) {
        if case .other(let value) = part { return self.value(value) }
        object { json in
            switch part {
            case .text(let text):
                json.member("type", "text")
                json.member("text", text)
            case .reasoning(let text):
                json.member("type", "reasoning")
                json.member("content", text)
            case .uri(let modality, let mimeType, let uri):
                json.member("type", "uri")
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.member("uri", uri)
            case .blob(let modality, let mimeType, let content):
                json.member("type", "blob")
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.key("content")
                json.value(content)
            case .file(let modality, let mimeType, let fileID):
                json.member("type", "file")
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.member("file_id", fileID)
            case .other, .toolCall, .toolCallResponse: return
            }
        }
    }
}

extension AttributeWriter {
    /// A text as it is, any other value as its JSON.
    fileprivate mutating func set(_ key: String, jsonText value: ContentValue?) {
        guard let value else { return }
        if let text = value.text { set(key, text: text) } else { set(key) { $0.value(value) } }
    }
}
