// Content as destinations write it: messages in the shape of OpenAI's chat API, which every platform reads.
extension JSONBytes {
    /// Messages as an array, in OpenAI's shape: texts joined by newlines into `content`, an array of typed items where there is more than
    /// text; `tool_calls` with their arguments as a string; what tools answered as messages of their own with the role `tool`.
    public mutating func chat(_ messages: [LLMMessage]) {
        array { json in
            for message in messages { json.chatMessages(message) }
        }
    }

    /// The one message of a list as an object; an array where there are several.
    public mutating func chatAnswer(_ messages: [LLMMessage]) {
        guard messages.count == 1, !messages[0].hasToolResponses else { return chat(messages) }
        chatMessages(messages[0])
    }

    /// What went in or came out: messages in OpenAI's shape, any other value as it is.
    public mutating func content(_ content: LLMContent) {
        switch content {
        case .messages(let messages): chat(messages)
        case .value(let value): self.value(value)
        }
    }

    private mutating func chatMessages(_ message: LLMMessage) {
        for case .toolCallResponse(let id, let response) in message.parts {
            object { json in
                json.member("role", "tool")
                json.member("tool_call_id", id)
                json.key("content")
                if let response { json.stringified(response) } else { json.string("") }
            }
        }
        guard !message.hasToolResponses || message.parts.contains(where: \.isSpoken) else { return }
        object { json in
            json.key("role")
            // What stands beside a tool's answer in one message is not the tool's own.
            if message.hasToolResponses, message.role == "tool" { json.string("user") } else { json.string(message.role) }
            json.chatContent(message)
            json.member("name", message.name)
            json.chatToolCalls(message)
            if message.parts.contains(where: \.isReasoning) {
                json.key("reasoning_content")
                json.string(joining: message.parts.lazy.compactMap(\.reasoningText), separator: "\n")
            }
        }
    }

    private mutating func chatContent(_ message: LLMMessage) {
        key("content")
        if message.parts.contains(where: \.isItem) {
            array { json in
                for part in message.parts { json.chatItem(part) }
            }
        } else if message.parts.contains(where: \.isText) || !message.parts.contains(where: \.isToolCall) {
            string(joining: message.parts.lazy.compactMap(\.plainText), separator: "\n")
        } else {
            null()
        }
    }

    private mutating func chatToolCalls(_ message: LLMMessage) {
        guard message.parts.contains(where: \.isToolCall) else { return }
        key("tool_calls")
        array { json in
            for case .toolCall(let id, let name, let arguments) in message.parts { json.chatToolCall(id, name, arguments) }
        }
    }

    private mutating func chatToolCall(_ id: SpanText?, _ name: SpanText?, _ arguments: ContentValue?) {
        object { json in
            json.member("id", id)
            json.member("type", "function")
            json.key("function")
            json.object { json in
                json.key("name")
                json.string(name ?? SpanText(""))
                json.key("arguments")
                if let arguments { json.stringified(arguments) } else { json.string("{}") }
            }
        }
    }

    /// A part as an item of a content array; nothing for those that have their place elsewhere in a message.
    private mutating func chatItem(_ part: MessagePart) {
        switch part {
        case .text(let text):
            object { json in
                json.member("type", "text")
                json.member("text", text)
            }
        case .uri(let modality, _, let uri) where modality.map { $0 == "image" } ?? true:
            imageItem { $0.string(uri) }
        case .uri(let modality, let mimeType, let uri): mediaItem("uri", modality, mimeType, "uri") { $0.string(uri) }
        case .blob(let modality, let mimeType, let content) where modality.map { $0 == "image" } ?? true:
            imageItem { $0.dataURI(mimeType ?? SpanText("image/png"), content) }
        case .blob(let modality, let mimeType, let content): mediaItem("blob", modality, mimeType, "content") { $0.value(content) }
        case .file(_, _, let fileID):
            object { json in
                json.member("type", "file")
                json.key("file")
                json.object { $0.member("file_id", fileID) }
            }
        case .other(let value): self.value(value)
        case .reasoning, .toolCall, .toolCallResponse: return
        }
    }

    private mutating func imageItem(_ url: (inout JSONBytes) -> Void) {
        object { json in
            json.member("type", "image_url")
            json.key("image_url")
            json.object { json in
                json.key("url")
                url(&json)
            }
        }
    }

    /// Media that OpenAI's shape has no item for, in GenAI's.
    private mutating func mediaItem(
        _ type: StaticString, _ modality: SpanText?, _ mimeType: SpanText?, _ key: StaticString, _ write: (inout JSONBytes) -> Void
    ) {
        object { json in
            json.key("type")
            json.string(type)
            json.member("modality", modality)
            json.member("mime_type", mimeType)
            json.key(key)
            write(&json)
        }
    }

    private mutating func dataURI(_ mimeType: SpanText, _ content: ContentValue) {
        if let text = content.text {
            string(joining: [SpanText("data:"), mimeType, SpanText(";base64,"), text])
        } else if case .raw(.bytes(let bytes)) = content {
            var base64: [UInt8] = []
            base64.appendBase64(bytes)
            base64.withUnsafeBytes { string(joining: [SpanText("data:"), mimeType, SpanText(";base64,"), .utf8($0)]) }
        } else {
            string("")
        }
    }

    /// Names and values as an object.
    public mutating func object(of values: [NamedValue]) {
        object { json in
            for (name, value) in values {
                json.key(name)
                json.value(value)
            }
        }
    }

    /// A key; its value is written next.
    public mutating func key(_ name: SpanText) {
        if case .utf8(let bytes) = name { return key(utf8: bytes) }
        var bytes: [UInt8] = []
        name.append(to: &bytes)
        bytes.withUnsafeBytes { key(utf8: $0) }
    }

    /// Tools as an array, in OpenAI's shape where they were sent in parts, else as they came.
    public mutating func tools(_ definitions: [ToolDefinition]) {
        array(of: definitions) { json, definition in
            switch definition {
            case .whole(let value): json.value(value)
            case .function(let name, let description, let parameters):
                json.object { json in
                    json.member("type", "function")
                    json.key("function")
                    json.object { json in
                        json.member("name", name)
                        json.member("description", description)
                        if let parameters {
                            json.key("parameters")
                            json.value(parameters)
                        }
                    }
                }
            }
        }
    }
}

extension LLMMessage {
    fileprivate var hasToolResponses: Bool {
        parts.contains { if case .toolCallResponse = $0 { true } else { false } }
    }
}

extension MessagePart {
    fileprivate var plainText: SpanText? { if case .text(let text) = self { text } else { nil } }
    fileprivate var reasoningText: SpanText? { if case .reasoning(let text) = self { text } else { nil } }
    fileprivate var isText: Bool { plainText != nil }
    fileprivate var isReasoning: Bool { reasoningText != nil }
    fileprivate var isToolCall: Bool { if case .toolCall = self { true } else { false } }

    /// Whether only an item of an array can hold it.
    fileprivate var isItem: Bool {
        switch self {
        case .text, .reasoning, .toolCall, .toolCallResponse: false
        case .blob, .uri, .file, .other: true
        }
    }

    /// Whether it belongs to the message's own role.
    fileprivate var isSpoken: Bool { if case .toolCallResponse = self { false } else { true } }
}
