// What went in and what came out. Of the dialects that a span speaks one is taken whole: lists are never merged by index.
extension LLMFields {
    /// What went in. Nil where the span does not say.
    public var input: LLMContent? { content(.input) }
    /// What came out.
    public var output: LLMContent? { content(.output) }
    /// What went in, as messages; a value that is no message is one text message of the user.
    public var inputMessages: [LLMMessage] { input?.messages(role: "user") ?? [] }
    /// What came out, as messages.
    public var outputMessages: [LLMMessage] { output?.messages(role: "assistant") ?? [] }
    /// The texts of the input's messages, with a newline between two; empty where there are none.
    public var inputText: String { text(of: input) }
    /// The texts of the output's messages.
    public var outputText: String { text(of: output) }

    private func text(of content: LLMContent?) -> String {
        var bytes: [UInt8] = []
        content?.appendText(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Which side, and what it is called in each dialect.
    private struct Side {
        let role: StaticString
        let messages: KnownName
        let messagesKey: StaticString
        let oldJSON: KnownName
        let oldJSONKey: StaticString
        let openInference: (list: NameFamilies.Prefix, texts: NameFamilies.Prefix, textKey: StaticString)
        let value: KnownName
        let openLLMetry: NameFamilies.Prefix
        let entity: KnownName

        static let input = Side(
            role: "user", messages: .genAIInputMessages, messagesKey: "gen_ai.input.messages", oldJSON: .genAIPrompt,
            oldJSONKey: "gen_ai.prompt",
            openInference: (NameFamilies.inputMessagesPrefix, NameFamilies.promptsPrefix, "prompt.text"), value: .inputValue,
            openLLMetry: NameFamilies.promptPrefix, entity: .traceloopEntityInput)
        static let output = Side(
            role: "assistant", messages: .genAIOutputMessages, messagesKey: "gen_ai.output.messages", oldJSON: .genAICompletion,
            oldJSONKey: "gen_ai.completion",
            openInference: (NameFamilies.outputMessagesPrefix, NameFamilies.choicesPrefix, "completion.text"), value: .outputValue,
            openLLMetry: NameFamilies.completionPrefix, entity: .traceloopEntityOutput)
        var isInput: Bool { messages == .genAIInputMessages }
    }

    private func content(_ side: Side) -> LLMContent? {
        let reader = MessageReader(role: side.role)
        let system = side.isInput ? value(.genAISystemInstructions).flatMap { MessageReader(role: "system").messages(.raw($0)) } : nil
        if let own = value(side.messages) {
            let own = ContentValue.raw(own)
            guard let messages = reader.messages(own) else { return .value(own.parsed) }
            return .messages((system ?? []) + messages)
        }
        if span.eventCount > 0, let found = eventContent(side, reader) { return found }
        if let old = value(side.oldJSON) { return reader.messages(.raw(old)).map { .messages($0) } ?? .value(ContentValue.raw(old).parsed) }
        if let found = openInferenceContent(side, reader) { return found }
        if families.contains(side.openLLMetry.family) { return .messages(openLLMetryMessages(side)) }
        if let found = value(side.entity).flatMap({ reader.content(ContentValue.raw($0).parsedText) }) { return found }
        return system.map { .messages($0) }
    }

    // MARK: Events

    private func eventContent(_ side: Side, _ reader: MessageReader) -> LLMContent? {
        var (whole, messages): (LLMContent?, [LLMMessage]) = (nil, [])
        for event in span.events {
            let name = EventFields(event).name
            guard name.starts(with: "gen_ai.") else { continue }
            let attributes = ContentValue.pairs(KeyValues(of: event, field: 3))
            if let value = attributes.member(side.messagesKey), let read = reader.messages(value) {
                let system = side.isInput ? attributes.member("gen_ai.system_instructions") : nil
                whole = .messages((system.flatMap { MessageReader(role: "system").messages($0) } ?? []) + read)
            } else if whole == nil, let value = attributes.member(side.oldJSONKey) {
                whole = reader.messages(value).map { .messages($0) } ?? .value(value.parsed)
            } else if let role = side.isInput ? Self.inputRole(ofEvent: name) : name.equals("gen_ai.choice") ? "assistant" : nil {
                let body = attributes.member("gen_ai.event.content")?.parsed ?? attributes
                if let message = MessageReader(role: role).message(body, isCertain: true) { messages.append(message) }
            }
        }
        return whole ?? (messages.isEmpty ? nil : .messages(messages))
    }

    /// The role of an event that is one message of the input.
    private static func inputRole(ofEvent name: UnsafeRawBufferPointer) -> StaticString? {
        if name.equals("gen_ai.user.message") { return "user" }
        if name.equals("gen_ai.system.message") { return "system" }
        if name.equals("gen_ai.assistant.message") { return "assistant" }
        return name.equals("gen_ai.tool.message") ? "tool" : nil
    }

    // MARK: OpenInference

    private func openInferenceContent(_ side: Side, _ reader: MessageReader) -> LLMContent? {
        let (list, texts, textKey) = side.openInference
        if families.contains(list.family) {
            let groups = IndexedNames(list.text, in: span.attributes).groups
            return .messages(groups.map { openInferenceMessage($0, role: side.role) })
        }
        if families.contains(texts.family) {
            let messages = IndexedNames(texts.text, in: span.attributes).groups.compactMap { members -> LLMMessage? in
                guard let text = IndexedNames.value(textKey, in: members)?.text else { return nil }
                var message = LLMMessage(role: SpanText(side.role))
                message.parts = [.text(text)]
                return message
            }
            if !messages.isEmpty { return .messages(messages) }
        }
        return value(side.value).flatMap { reader.content(ContentValue.raw($0).parsed) }
    }

    private func openInferenceMessage(_ members: [IndexedNames.Member], role: StaticString) -> LLMMessage {
        func label(_ name: StaticString) -> SpanText? { IndexedNames.value(name, in: members)?.label }
        var message = LLMMessage(role: label("message.role") ?? SpanText(role))
        message.name = label("message.name")
        let callID = label("message.tool_call_id")
        if let content = IndexedNames.value("message.content", in: members), content.text?.isEmpty != true {
            if callID != nil || message.role == "tool" {
                message.parts.append(.toolCallResponse(id: callID, response: content))
            } else {
                message.parts.append(content.text.map { .text($0) } ?? .other(content))
            }
        }
        for part in IndexedNames("message.contents.", in: members).groups {
            func value(_ name: StaticString) -> SpanText? { IndexedNames.value(name, in: part)?.label }
            if let text = value("message_content.text") {
                message.parts.append(.text(text))
            } else if let url = value("message_content.image.image.url") {
                message.parts.append(.uri(modality: SpanText("image"), mimeType: nil, uri: url))
            } else if let url = value("message_content.audio.audio.url") {
                message.parts.append(.uri(modality: SpanText("audio"), mimeType: value("message_content.audio.audio.mime_type"), uri: url))
            }
        }
        for call in IndexedNames("message.tool_calls.", in: members).groups {
            message.parts.append(
                .toolCall(
                    id: IndexedNames.value("tool_call.id", in: call)?.label,
                    name: IndexedNames.value("tool_call.function.name", in: call)?.label,
                    arguments: IndexedNames.value("tool_call.function.arguments", in: call)))
        }
        return message
    }

    // MARK: OpenLLMetry

    private func openLLMetryMessages(_ side: Side) -> [LLMMessage] {
        IndexedNames(side.openLLMetry.text, in: span.attributes).groups.map { members in
            func label(_ name: StaticString) -> SpanText? { IndexedNames.value(name, in: members)?.label }
            var message = LLMMessage(role: label("role") ?? SpanText(side.role))
            message.finishReason = label("finish_reason")
            let callID = label("tool_call_id")
            if let content = IndexedNames.value("content", in: members) {
                if callID != nil || message.role == "tool" {
                    message.parts.append(.toolCallResponse(id: callID, response: content))
                } else {
                    message.parts += openLLMetryParts(content)
                }
            }
            if let refusal = label("refusal") { message.parts.append(.text(refusal)) }
            for call in IndexedNames("tool_calls.", in: members).groups {
                message.parts.append(
                    .toolCall(
                        id: IndexedNames.value("id", in: call)?.label, name: IndexedNames.value("name", in: call)?.label,
                        arguments: IndexedNames.value("arguments", in: call)))
            }
            return message
        }
    }

    /// A content that is a text, or JSON of an array of typed parts. Any other JSON is a text that happens to be JSON.
    private func openLLMetryParts(_ content: ContentValue) -> [MessagePart] {
        let parsed = content.parsed
        var (parts, areTyped): ([MessagePart], Bool) = ([], parsed.isArray)
        parsed.forEachElement { element in
            guard let part = MessageReader(role: "user").part(element) else {
                areTyped = false
                return
            }
            parts.append(part)
        }
        if areTyped, !parts.isEmpty { return parts }
        return content.text.map { $0.isEmpty ? [] : [.text($0)] } ?? [.other(content)]
    }
}
