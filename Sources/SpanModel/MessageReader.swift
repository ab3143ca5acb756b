/// Reads messages from values in the shapes that are met: GenAI's (`parts`), OpenAI's chat and responses, Anthropic's.
struct MessageReader {
    /// Whose message it is where it does not say.
    let role: StaticString

    /// The messages that `value` holds; nil where it is something else. A text that is JSON is read as that.
    func messages(_ value: ContentValue) -> [LLMMessage]? {
        let value = value.parsed
        if let text = value.text { return text.isEmpty ? [] : [message([.text(text)])] }
        if value.isArray { return list(value) }
        guard value.isObject else { return nil }
        return envelope(value) ?? message(value).map { [$0] }
    }

    /// As `messages`, where a text alone is no message.
    func content(_ value: ContentValue) -> LLMContent? {
        if value.isNull { return nil }
        if let text = value.text { return text.isEmpty ? nil : .value(value) }
        return messages(value).map { .messages($0) } ?? .value(value)
    }

    private func message(_ parts: [MessagePart]) -> LLMMessage {
        var message = LLMMessage(role: SpanText(role))
        message.parts = parts
        return message
    }

    /// A list of messages. Parts that stand among them without one, as in OpenAI's responses and in system instructions, make one together
    /// with their neighbours of the same role.
    private func list(_ value: ContentValue) -> [LLMMessage]? {
        var (messages, isList) = ([LLMMessage](), true)
        var open: StaticString?  // the role of the last message, where parts may still join it
        value.forEachElement { element in
            if let text = element.text {
                messages.append(message([.text(text)]))
                open = nil
            } else if let read = self.message(element) {
                let joins = element.member("type")?.text.map { $0 == "message" } == true
                if joins, let role = open, read.role == role {
                    messages[messages.count - 1].parts += read.parts
                } else {
                    messages.append(read)
                    open = joins && read.role == "assistant" ? "assistant" : nil
                }
            } else if let part = part(element) {
                let role = part.ownRole ?? self.role
                if let last = open, last.description == role.description {
                    messages[messages.count - 1].parts.append(part)
                } else {
                    messages.append(message([part]))
                    messages[messages.count - 1].role = SpanText(role)
                    open = role
                }
            } else {
                isList = false
            }
        }
        return isList ? messages : nil
    }

    /// The list within a whole request or answer.
    private func envelope(_ value: ContentValue) -> [LLMMessage]? {
        if let messages = value.member("messages"), messages.isArray {
            let system = value.member("system").flatMap { MessageReader(role: "system").messages($0) }
            return list(messages).map { (system ?? []) + $0 }
        }
        if let choices = value.member("choices"), choices.isArray { return list(choices) }
        return nil
    }

    /// One message; nil where the object is none. It is one by its members, or because it stands where only messages do.
    func message(_ value: ContentValue, isCertain: Bool = false) -> LLMMessage? {
        guard value.isObject else { return nil }
        var (message, callID, isMessage) = (LLMMessage(role: SpanText(role)), SpanText?.none, isCertain)
        var (content, parts, calls, call, inner, refusal):
            (ContentValue?, ContentValue?, ContentValue?, ContentValue?, ContentValue?, SpanText?)
        var (reasoning, id): (SpanText?, SpanText?)
        value.forEachMember { key, value in
            guard !value.isNull else { return }
            if key == "role", let role = value.label {
                message.role = role
                isMessage = true
            }
            if key == "name" { message.name = value.label }
            if key == "finish_reason" { message.finishReason = value.label }
            if key == "content" { content = value }
            if key == "parts" { parts = value }
            if key == "tool_calls" { calls = value.parsed }
            if key == "function_call" { call = value.parsed }
            if key == "tool_call_id" { callID = value.label }
            if key == "id" { id = value.label }
            if key == "refusal" { refusal = value.label }
            if key == "reasoning_content" { reasoning = value.label }
            if key == "message", value.parsed.isObject { inner = value.parsed }
        }
        if let inner, content == nil, parts == nil, var read = self.message(inner, isCertain: isCertain) {
            read.finishReason = read.finishReason ?? message.finishReason
            return read
        }
        if parts?.isArray == true || calls?.isArray == true { isMessage = true }
        guard isMessage else { return nil }
        if let reasoning { message.parts.append(.reasoning(reasoning)) }
        parts?.forEachElement { append($0, to: &message) }
        // The tool's event of 1.28 to 1.36 names the call `id`.
        if let content { append(content: content, callID: callID ?? (message.role == "tool" ? id : nil), to: &message) }
        if let refusal { message.parts.append(.text(refusal)) }
        calls?.forEachElement { if let call = toolCall($0) { message.parts.append(call) } }
        if let call, call.isObject {
            message.parts.append(.toolCall(id: nil, name: call.member("name")?.label, arguments: call.member("arguments")))
        }
        return message
    }

    private func append(content: ContentValue, callID: SpanText?, to message: inout LLMMessage) {
        if callID != nil || message.role == "tool" || message.role == "function" {
            guard !content.isArray || callID != nil else { return content.forEachElement { append($0, to: &message) } }
            message.parts.append(.toolCallResponse(id: callID, response: content))
        } else if let text = content.text {
            if !text.isEmpty { message.parts.append(.text(text)) }
        } else if content.isArray {
            content.forEachElement { append($0, to: &message) }
        } else {
            message.parts.append(.other(content))
        }
    }

    private func append(_ element: ContentValue, to message: inout LLMMessage) {
        if let text = element.text { message.parts.append(.text(text)) } else { message.parts.append(part(element) ?? .other(element)) }
    }

    /// A call of OpenAI's list, or of LangChain's.
    private func toolCall(_ value: ContentValue) -> MessagePart? {
        guard value.isObject else { return nil }
        let function = value.member("function")?.parsed
        return .toolCall(
            id: value.member("id")?.label, name: (function?.member("name") ?? value.member("name"))?.label,
            arguments: function?.member("arguments") ?? value.member("arguments") ?? value.member("args"))
    }

    /// A part by its `type`; nil where the object has none.
    func part(_ value: ContentValue) -> MessagePart? {
        guard value.isObject, let type = value.member("type")?.text else { return nil }
        if type == "text" || type == "input_text" || type == "output_text" {
            return (value.member("content") ?? value.member("text"))?.text.map { .text($0) } ?? .other(value)
        }
        if type == "reasoning" || type == "thinking" { return reasoning(value) ?? .other(value) }
        if type == "tool_call" || type == "function" || type == "function_call" || type == "tool_use" { return call(value) }
        if type == "tool_call_response" {
            return .toolCallResponse(id: value.member("id")?.label, response: value.member("response") ?? value.member("result"))
        }
        if type == "tool_result" {
            return .toolCallResponse(id: value.member("tool_use_id")?.label, response: value.member("content"))
        }
        if type == "function_call_output" {
            return .toolCallResponse(id: value.member("call_id")?.label, response: value.member("output"))
        }
        if type == "refusal" { return value.member("refusal")?.text.map { .text($0) } ?? .other(value) }
        return media(value, type) ?? .other(value)
    }

    private func reasoning(_ value: ContentValue) -> MessagePart? {
        if let text = (value.member("content") ?? value.member("thinking") ?? value.member("text"))?.text { return .reasoning(text) }
        var summary: SpanText?
        value.member("summary")?.forEachElement { summary = summary ?? $0.member("text")?.text }
        return summary.map { .reasoning($0) }
    }

    private func call(_ value: ContentValue) -> MessagePart? {
        guard value.member("function") == nil else { return toolCall(value) }
        return .toolCall(
            id: (value.member("call_id") ?? value.member("id"))?.label, name: value.member("name")?.label,
            arguments: value.member("arguments") ?? value.member("input"))
    }

    private func media(_ value: ContentValue, _ type: SpanText) -> MessagePart? {
        let (modality, mimeType) = (value.member("modality")?.label, value.member("mime_type")?.label)
        if type == "blob", let content = value.member("content") {
            return .blob(modality: modality, mimeType: mimeType, content: content)
        }
        if type == "uri", let uri = value.member("uri")?.label { return .uri(modality: modality, mimeType: mimeType, uri: uri) }
        if type == "file", let fileID = value.member("file_id")?.label {
            return .file(modality: modality, mimeType: mimeType, fileID: fileID)
        }
        if type == "image_url" || type == "input_image", let image = value.member("image_url"),
            let url = (image.isObject ? image.member("url") : image)?.label
        {
            return .uri(modality: SpanText("image"), mimeType: nil, uri: url)
        }
        guard type == "image", let source = value.member("source") else { return nil }
        if let url = source.member("url")?.label { return .uri(modality: SpanText("image"), mimeType: nil, uri: url) }
        return source.member("data").map {
            .blob(modality: SpanText("image"), mimeType: source.member("media_type")?.label, content: $0)
        }
    }
}

extension MessagePart {
    /// Whose the part is where it stands alone; nil where that depends on the list that it is in.
    fileprivate var ownRole: StaticString? {
        switch self {
        case .toolCall, .reasoning: "assistant"
        case .toolCallResponse: "tool"
        default: nil
        }
    }
}
