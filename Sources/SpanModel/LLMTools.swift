// Lists and maps of the view: tags, metadata, parameters, tools, documents.

/// A tool that the model was offered.
public enum ToolDefinition {
    /// As the sender wrote it, mostly in OpenAI's or GenAI's shape.
    case whole(ContentValue)
    /// Put together from attributes of its parts; `parameters` is JSON Schema.
    case function(name: SpanText?, description: SpanText?, parameters: ContentValue?)
}

/// A document that a search found.
public struct RetrievedDocument {
    /// Its id.
    public var id: SpanText?
    /// Its text.
    public var content: SpanText?
    /// How well it matches; the scale is the sender's.
    public var score: Double?
    /// What else is known of it.
    public var metadata: ContentValue?
}

/// A name and a value.
public typealias NamedValue = (name: SpanText, value: ContentValue)

extension LLMFields {
    // MARK: Labels

    /// The span's tags.
    public var tags: [SpanText] {
        var tags: [SpanText] = []
        forEachTag { tags.append($0) }
        return tags
    }

    /// Gives the span's tags in turn: `tags` without an array.
    public func forEachTag(_ body: (SpanText) -> Void) {
        if !forEachText(.tracefwdTags, body) { _ = forEachText(.tagTags, body) }
    }

    /// Why the model stopped, one reason a choice.
    public var finishReasons: [SpanText] {
        if let reasons = texts(.genAIResponseFinishReasons) { return reasons }
        let ofMessages = outputMessages.compactMap(\.finishReason)
        if !ofMessages.isEmpty { return ofMessages }
        return (text(.llmFinishReason) ?? text(.llmResponseFinishReason) ?? text(.llmResponseStopReason)).map { [$0] } ?? []
    }

    /// The sender's own names and values: `tracefwd.metadata.*`, OpenInference's `metadata`, OpenLLMetry's association properties; of equal
    /// names the first.
    public var metadata: [NamedValue] {
        var found = NamedValues()
        if families.contains(.metadata) { found.add(NameFamilies.metadataPrefix.text, in: span.attributes) }
        if let value = value(.metadata) { ContentValue.raw(value).parsed.forEachMember { found.add($0, $1) } }
        if families.contains(.associationProperties) {
            found.add(NameFamilies.associationPrefix.text, in: span.attributes, except: ["session_id", "user_id"])
        }
        return found.list
    }

    // MARK: Request

    /// The request's parameters by their flat names (`temperature`, `max_tokens`), without the model; of equal names the first.
    public var parameters: [NamedValue] {
        var found = NamedValues()
        if families.contains(.requestParameters) || value(.genAIRequestStream) != nil {
            found.add(NameFamilies.requestPrefix.text, in: span.attributes, except: ["model"])
        }
        if let value = value(.llmInvocationParameters) {
            ContentValue.raw(value).parsed.forEachMember { if !($0 == "model") { found.add($0, $1) } }
        }
        found.add(SpanText("frequency_penalty"), value(.llmFrequencyPenalty))
        found.add(SpanText("presence_penalty"), value(.llmPresencePenalty))
        found.add(SpanText("top_k"), value(.llmTopK))
        found.add(SpanText("stop_sequences"), value(.llmChatStopSequences))
        found.add(SpanText("seed"), value(.genAIOpenaiRequestSeed))
        return found.list
    }

    /// The variables that a managed prompt was filled with.
    public var promptVariables: [NamedValue] {
        var found = NamedValues()
        if families.contains(.genAIPromptVariable) { found.add(NameFamilies.promptVariablePrefix.text, in: span.attributes) }
        if let value = value(.llmPromptTemplateVariables) { ContentValue.raw(value).parsed.forEachMember { found.add($0, $1) } }
        return found.list
    }

    // MARK: Tools

    /// The tools that the model was offered.
    public var toolDefinitions: [ToolDefinition] {
        if let value = value(.genAIToolDefinitions) { return wholeDefinitions(value) }
        if families.contains(.llmTools) {
            return IndexedNames(NameFamilies.toolsPrefix.text, in: span.attributes).groups.compactMap {
                IndexedNames.value("tool.json_schema", in: $0).map { .whole($0.parsed) }
            }
        }
        if families.contains(.llmRequestFunctions) {
            return IndexedNames(NameFamilies.functionsPrefix.text, in: span.attributes).groups.map {
                .function(
                    name: IndexedNames.value("name", in: $0)?.label, description: IndexedNames.value("description", in: $0)?.label,
                    parameters: IndexedNames.value("parameters", in: $0)?.parsed)
            }
        }
        return value(.llmRequestFunctions).map(wholeDefinitions) ?? []
    }

    /// The names of the tools that were called: those that the model asked for, and the one that a tool span ran.
    public var toolsCalled: [SpanText] {
        var names: [SpanText] = []
        if isToolSpan, let toolName { names.append(toolName) }
        for case .toolCall(_, let name?, _) in outputMessages.lazy.flatMap(\.parts) { names.append(name) }
        return names
    }

    /// Whether the span ran a tool.
    public var isToolSpan: Bool { operation.map { $0 == "execute_tool" } ?? false }

    /// What the tool was called with, on a tool span.
    public var toolArguments: ContentValue? {
        if let value = value(.genAIToolCallArguments) { return ContentValue.raw(value).parsed }
        guard isToolSpan else { return nil }
        return value(.inputValue).map { ContentValue.raw($0).parsed }
            ?? value(.traceloopEntityInput).map { ContentValue.raw($0).parsedText }
    }

    /// What the tool answered, on a tool span.
    public var toolResult: ContentValue? {
        if let value = value(.genAIToolCallResult) { return ContentValue.raw(value).parsed }
        guard isToolSpan else { return nil }
        return value(.outputValue).map { ContentValue.raw($0).parsed }
            ?? value(.traceloopEntityOutput).map { ContentValue.raw($0).parsedText }
    }

    // MARK: Retrieval and embeddings

    /// The documents that a search found.
    public var documents: [RetrievedDocument] {
        var documents: [RetrievedDocument] = []
        if let value = value(.genAIRetrievalDocuments) {
            ContentValue.raw(value).parsed.forEachElement { element in
                guard element.isObject else { return }
                documents.append(
                    RetrievedDocument(
                        id: element.member("id")?.label,
                        content: (element.member("content") ?? element.member("text") ?? element.member("page_content"))?.text,
                        score: element.member("score")?.number, metadata: element.member("metadata")))
            }
        } else if families.contains(.retrievalDocuments) {
            documents = IndexedNames(NameFamilies.documentsPrefix.text, in: span.attributes).groups.map {
                RetrievedDocument(
                    id: IndexedNames.value("document.id", in: $0)?.label, content: IndexedNames.value("document.content", in: $0)?.text,
                    score: IndexedNames.value("document.score", in: $0)?.number,
                    metadata: IndexedNames.value("document.metadata", in: $0)?.parsed)
            }
        }
        return documents
    }

    /// The texts that were embedded.
    public var embeddedTexts: [SpanText] {
        guard families.contains(.embeddings) else { return [] }
        return IndexedNames(NameFamilies.embeddingsPrefix.text, in: span.attributes).groups.compactMap {
            IndexedNames.value("embedding.text", in: $0)?.text
        }
    }

    // MARK: Parts

    /// A list of texts, a JSON text of one, or one text alone; nil where there is none.
    private func texts(_ name: KnownName) -> [SpanText]? {
        var texts: [SpanText] = []
        return forEachText(name) { texts.append($0) } ? texts : nil
    }

    /// Gives the texts of a list, or the only one where the value is no list; false where there is none.
    private func forEachText(_ name: KnownName, _ body: (SpanText) -> Void) -> Bool {
        guard let value = value(name) else { return false }
        if case .array(let message) = value {
            var isEmpty = true
            for element in RawValue.elements(of: message) {
                guard let text = ContentValue.raw(RawValue(anyValue: element)).label else { continue }
                isEmpty = false
                body(text)
            }
            return !isEmpty
        }
        let list = ContentValue.raw(value).parsed
        var texts: [SpanText] = []
        list.forEachElement { if let text = $0.label { texts.append(text) } }
        if !list.isArray, let text = list.label { texts.append(text) }
        for text in texts { body(text) }
        return !texts.isEmpty
    }

    private func wholeDefinitions(_ value: RawValue) -> [ToolDefinition] {
        var definitions: [ToolDefinition] = []
        ContentValue.raw(value).parsed.forEachElement { definitions.append(.whole($0.parsed)) }
        return definitions
    }
}

/// Names and values in the order in which they were met, each name once.
private struct NamedValues {
    private(set) var list: [NamedValue] = []
    private var seen: Set<String> = []

    /// Adds a value, unless it is null or its name is there.
    mutating func add(_ name: SpanText, _ value: ContentValue) {
        guard !value.isNull, seen.insert(name.string).inserted else { return }
        list.append((name, value))
    }

    mutating func add(_ name: SpanText, _ value: RawValue?) {
        if let value { add(name, .raw(value)) }
    }

    /// Adds the attributes that begin with `prefix`, by the rest of their names.
    mutating func add(_ prefix: StaticString, in attributes: KeyValues, except: [StaticString] = []) {
        for (key, value) in attributes where key.starts(with: prefix) {
            let name = UnsafeRawBufferPointer(rebasing: key[prefix.utf8CodeUnitCount...])
            if !name.isEmpty, !except.contains(where: { name.equals($0) }) { add(.utf8(name), .raw(value)) }
        }
    }
}
