import SpanModel

/// What a span is called in LangSmith (contract `langsmith`, 2.3).
private enum RunKind: String {
    case llm, embedding, tool, retriever, chain

    init(_ llm: LLMFields) {
        guard let operation = llm.operation else {
            self = .chain
            return
        }
        self =
            if operation == "chat" || operation == "generate_content" || operation == "text_completion" {
                .llm
            } else if operation == "embeddings" {
                .embedding
            } else if operation == "execute_tool" {
                .tool
            } else if operation == "retrieval" {
                .retriever
            } else {
                .chain
            }
    }
}

extension SpanEdit {
    /// Makes the span what LangSmith's own exporter writes for the same call. Of names that compete there only one is left; all else stays, and
    /// so does what the application itself wrote for LangSmith.
    mutating func writeLangSmithRun(_ llm: LLMFields, attachments: Bool) {
        let kind = RunKind(llm)
        drop(Names.competing)
        drop(where: Names.isIndexed)
        if kind != .tool { drop(Names.ofTools) }
        attributes.copy(Names.own, of: llm.span)  // of one name what is set first stays

        attributes.set("langsmith.span.kind", string: kind.rawValue)
        attributes.set("langsmith.trace.name", text: llm.span.name.isEmpty ? nil : .utf8(llm.span.name))
        attributes.writeContent(llm, kind)
        attributes.writeModel(llm)
        attributes.writeUsage(llm)
        if kind == .tool {
            attributes.set("gen_ai.tool.name", text: llm.toolName)
            attributes.set("gen_ai.tool.call.id", text: llm.toolCallID)
        }
        attributes.writeLabels(llm)
        if attachments { attributes.writeAttachments(llm) }
        writeException(llm)
    }

    /// The only documented way to an error.
    private mutating func writeException(_ llm: LLMFields) {
        guard llm.isError, llm.exception == nil else { return }
        appendEvent("exception", time: llm.span.endTime ?? llm.span.startTime ?? 0) { attributes in
            attributes.set("exception.type", text: llm.errorType)
            attributes.set("exception.message", text: llm.errorMessage ?? llm.errorType)
        }
    }
}

private enum Names {
    /// Where LangSmith would find what is written elsewhere.
    static let competing = AttributeNames(
        [
            "gen_ai.prompt", "gen_ai.input.messages", "gen_ai.system_instructions", "input.value", "traceloop.entity.input",
            "gen_ai.completion", "gen_ai.output.messages", "output.value", "traceloop.entity.output",
        ],
        prefixes: ["llm.input_messages.", "llm.output_messages."])
    /// On a span that ran no tool they would make it one.
    static let ofTools = AttributeNames(["gen_ai.tool.name", "gen_ai.tool.call.id"])
    /// What the application wrote for LangSmith, and the request's parameters, which are right as they are.
    static let own = AttributeNames(prefixes: ["langsmith.", "gen_ai.request."])
    private static let indexed = AttributeNames(prefixes: ["gen_ai.prompt.", "gen_ai.completion."])

    /// OpenLLMetry's `gen_ai.prompt.0.role` and its like, but not GenAI's `gen_ai.prompt.name`.
    static func isIndexed(_ key: UnsafeRawBufferPointer) -> Bool {
        guard indexed.contains(key), let dot = key.dropFirst("gen_ai.".utf8.count).firstIndex(of: UInt8(ascii: ".")) else { return false }
        return dot + 1 < key.count && UInt8(ascii: "0")...UInt8(ascii: "9") ~= key[dot + 1]
    }
}

extension AttributeWriter {
    fileprivate mutating func writeContent(_ llm: LLMFields, _ kind: RunKind) {
        set("gen_ai.prompt") { json in
            switch kind {
            case .llm: json.conversation(llm.input, llm.inputMessages)
            case .tool where llm.toolArguments != nil: json.object(of: llm.toolArguments, orUnder: "input")
            case .retriever: json.query(llm)
            case .embedding: json.embedded(llm)
            case .tool, .chain: json.content(llm.input, under: "input")
            }
        }
        set("gen_ai.completion") { json in
            switch kind {
            case .llm: json.conversation(llm.output, llm.outputMessages)
            case .tool where llm.toolResult != nil: json.object(of: llm.toolResult, orUnder: "output")
            case .retriever where !llm.documents.isEmpty: json.documents(llm.documents)
            case .tool, .retriever, .embedding, .chain: json.content(llm.output, under: "output")
            }
        }
    }

    fileprivate mutating func writeModel(_ llm: LLMFields) {
        let model = llm.requestModel ?? llm.responseModel
        set("gen_ai.operation.name", text: llm.operation)
        set("gen_ai.request.model", text: model)
        set("langsmith.metadata.ls_model_name", text: model)
        for name in ["gen_ai.system", "gen_ai.provider.name", "langsmith.metadata.ls_provider"] { set(name, text: llm.provider) }
        for (name, value) in llm.parameters { set("gen_ai.request." + name.string, scalarOrJSON: value) }
        let tools = llm.toolDefinitions
        if !tools.isEmpty { set("gen_ai.tool.definitions") { $0.tools(tools) } }
    }

    fileprivate mutating func writeUsage(_ llm: LLMFields) {
        let (input, output, total, cost) = (llm.inputTokens, llm.outputTokens, llm.totalTokens, llm.cost)
        set("gen_ai.usage.input_tokens", int: input)
        set("gen_ai.usage.output_tokens", int: output)
        set("gen_ai.usage.total_tokens", int: total)
        guard total != nil || cost != nil else { return }
        set("langsmith.usage_metadata") { json in
            json.object { json in
                // The vendor's code reads either only beside the other. One that is not known is none of the total.
                json.member("input_tokens", input ?? output.map { _ in 0 })
                json.member("output_tokens", output ?? input.map { _ in 0 })
                json.member("total_tokens", total)
                json.details(
                    "input_token_details",
                    [("cache_read", llm.cacheReadTokens), ("cache_creation", llm.cacheWriteTokens), ("audio", llm.audioTokens.input)])
                json.details("output_token_details", [("reasoning", llm.reasoningTokens), ("audio", llm.audioTokens.output)])
                json.member("total_cost", cost?.usd)
                json.member("input_cost", llm.inputCost)
                json.member("output_cost", llm.outputCost)
            }
        }
    }

    fileprivate mutating func writeLabels(_ llm: LLMFields) {
        set("langsmith.metadata.thread_id", text: llm.session)
        set("langsmith.metadata.user_id", text: llm.user)
        for (name, value) in llm.metadata { set("langsmith.metadata." + name.string, scalarOrJSON: value) }
        let tags = llm.tags.map { $0.string.replacing(",", with: ";") }
        if !tags.isEmpty { set("langsmith.span.tags", string: tags.joined(separator: ", ")) }
    }

    fileprivate mutating func writeAttachments(_ llm: LLMFields) {
        let sides = [("input", llm.inputMessages), ("output", llm.outputMessages)]
        let media = sides.flatMap { side, messages in
            messages.flatMap(\.parts).compactMap(InlineMedia.init).enumerated().map { (name: "\(side)-\($0 + 1)", media: $1) }
        }
        guard !media.isEmpty else { return }
        set("langsmith.attachments") { json in
            json.array(of: media) { json, one in
                json.object { json in
                    json.member("name", one.name)
                    json.member("content", one.media.base64)
                    json.member("mime_type", one.media.mimeType)
                }
            }
        }
    }
}

/// Media that a message holds itself.
private struct InlineMedia {
    var base64: String
    var mimeType: String

    init?(_ part: MessagePart) {
        switch part {
        case .blob(_, let mimeType, let content):
            self.mimeType = mimeType?.string ?? "application/octet-stream"
            if let text = content.text {
                base64 = text.string
            } else if case .raw(.bytes(let bytes)) = content {
                var digits: [UInt8] = []
                digits.appendBase64(bytes)
                base64 = String(decoding: digits, as: UTF8.self)
            } else {
                return nil
            }
        case .uri(_, _, let uri):
            let text = uri.string
            guard text.hasPrefix("data:"), let mark = text.firstRange(of: ";base64,") else { return nil }
            mimeType = String(text[..<mark.lowerBound].dropFirst("data:".count))
            base64 = String(text[mark.upperBound...])
        default: return nil
        }
    }
}

extension JSONBytes {
    /// `{"messages": [...]}`; an object that is no list of messages as it is. Nothing where there is nothing.
    fileprivate mutating func conversation(_ content: LLMContent?, _ messages: [LLMMessage]) {
        if case .value(let value)? = content, value.isObject { return self.value(value) }
        guard !messages.isEmpty else { return }
        object { json in
            json.key("messages")
            json.chat(messages)
        }
    }

    /// What went in or came out of anything but a model, as an object.
    fileprivate mutating func content(_ content: LLMContent?, under name: StaticString) {
        switch content {
        case nil: return
        case .messages(let messages): conversation(content, messages)
        case .value(let value): object(of: value, orUnder: name)
        }
    }

    /// An object as it is, any other value as the member `name` of one.
    fileprivate mutating func object(of value: ContentValue?, orUnder name: StaticString) {
        guard let value else { return }
        if value.isObject { return self.value(value) }
        object { json in
            json.key(name)
            json.value(value)
        }
    }

    fileprivate mutating func query(_ llm: LLMFields) {
        let query = llm.retrievalQuery?.string ?? llm.inputText
        if !query.isEmpty { object { $0.member("query", query) } }
    }

    /// What was embedded, as the provider was given it: a text, or several.
    fileprivate mutating func embedded(_ llm: LLMFields) {
        let texts = llm.embeddedTexts
        if texts.isEmpty {
            guard case .messages? = llm.input else { return content(llm.input, under: "input") }
            object { $0.member("input", llm.inputText) }
        } else {
            object { json in
                json.key("input")
                json.array(of: texts) { $0.string($1) }
            }
        }
    }

    /// Documents in the shape of LangChain's, which the platform renders.
    fileprivate mutating func documents(_ documents: [RetrievedDocument]) {
        object { json in
            json.key("documents")
            json.array(of: documents) { json, document in
                json.object { json in
                    json.key("page_content")
                    if let content = document.content { json.string(content) } else { json.string("") }
                    json.key("metadata")
                    json.object { json in
                        json.member("id", document.id)
                        json.member("score", document.score)
                        document.metadata?.parsed.forEachMember { name, value in
                            json.key(name)
                            json.value(value)
                        }
                    }
                    json.member("type", "Document")
                }
            }
        }
    }

    /// An object of the counts that are known; nothing where none is.
    fileprivate mutating func details(_ name: StaticString, _ counts: [(name: StaticString, count: Int64?)]) {
        guard counts.contains(where: { $0.count != nil }) else { return }
        key(name)
        object { json in
            for (name, count) in counts { json.member(name, count) }
        }
    }

    fileprivate mutating func member(_ name: StaticString, _ count: Int64?) {
        guard let count else { return }
        key(name)
        integer(count)
    }

    fileprivate mutating func member(_ name: StaticString, _ number: Double?) {
        guard let number else { return }
        key(name)
        double(number)
    }
}
