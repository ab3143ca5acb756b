import SpanModel

// A span in the names that Keywords AI reads: OpenLLMetry's of 2024 and its own (contract keywordsai, section 2). The platform makes columns
// of few names; what it does not know stays as it came, and becomes metadata there.

/// What the platform is told of one span.
struct KeywordsAISpan {
    let llm: LLMFields
    let logType: LogType
    /// Names of these attributes that the sender wrote: what was meant for the platform stands.
    private let sent: Set<String>

    init(_ llm: LLMFields) {
        self.llm = llm
        logType = LogType(llm)
        var sent: Set<String> = []
        for (key, _) in llm.span.attributes where Self.ownNames.contains(key) { sent.insert(String(decoding: key, as: UTF8.self)) }
        self.sent = sent
    }

    private static let ownNames = AttributeNames(
        [
            "llm.request.type", "traceloop.span.kind", "gen_ai.system", "gen_ai.request.model", "gen_ai.response.model",
            "gen_ai.request.temperature", "gen_ai.request.max_tokens",
        ], prefixes: ["respan."])
    /// It says that another row owns the usage, which a sender must not.
    private static let forbidden = AttributeNames(["respan.gateway.log_id"])

    /// What the sender itself wrote for the platform under this name.
    func own(_ name: StaticString) -> SpanText? {
        guard case .string(let text)? = llm.span.attributes.first(of: [name]), !text.isEmpty else { return nil }
        return .utf8(text)
    }

    /// Adds what the platform reads, and takes out what would stand beside it or must not reach it.
    func write(to edit: inout SpanEdit) {
        edit.drop(Self.forbidden)
        writeKind(to: &edit.attributes)
        writeUsage(to: &edit.attributes)
        if logType.isModelCall {
            writeRequest(to: &edit.attributes)
            writeConversation(to: &edit)
        } else {
            writeWork(to: &edit.attributes)
        }
        writeLabels(to: &edit.attributes)
        if llm.isError { writeError(to: &edit) }
    }

    /// Sets an attribute, unless the sender has.
    private func add(_ key: String, _ text: SpanText?, to attributes: inout AttributeWriter) {
        if !sent.contains(key) { attributes.set(key, text: text) }
    }

    private func add(_ key: String, _ string: String?, to attributes: inout AttributeWriter) {
        if !sent.contains(key) { attributes.set(key, string: string) }
    }

    // MARK: What it was

    private func writeKind(to attributes: inout AttributeWriter) {
        add("respan.entity.log_type", logType.rawValue, to: &attributes)
        // Without it model, messages and tokens do not become columns.
        if logType.isModelCall {
            add("llm.request.type", logType.rawValue, to: &attributes)
        } else {
            add("traceloop.span.kind", logType.traceloopKind, to: &attributes)
        }
        add("gen_ai.system", llm.provider, to: &attributes)
        add("gen_ai.request.model", llm.requestModel, to: &attributes)
        add("gen_ai.response.model", llm.responseModel, to: &attributes)
    }

    private func writeUsage(to attributes: inout AttributeWriter) {
        attributes.set("gen_ai.usage.prompt_tokens", int: llm.inputTokens)
        attributes.set("gen_ai.usage.completion_tokens", int: outputTokens)
        attributes.set("llm.usage.total_tokens", int: llm.totalTokens)
        attributes.set("llm.usage.reasoning_tokens", int: llm.reasoningTokens)
        attributes.set("prompt_cache_hit_tokens", int: llm.cacheReadTokens)
        attributes.set("prompt_cache_creation_tokens", int: llm.cacheWriteTokens)
        attributes.set("cost", double: llm.cost?.usd)
    }

    /// An embedding writes no tokens. Usage that is missing is estimated by the platform, with a warning on the span, so a zero is said.
    var outputTokens: Int64? { llm.outputTokens ?? (logType == .embedding && llm.inputTokens != nil ? 0 : nil) }

    // MARK: A call of a model

    private func writeRequest(to attributes: inout AttributeWriter) {
        for (name, value) in llm.parameters {
            if name == "temperature", !sent.contains("gen_ai.request.temperature") {
                attributes.set("gen_ai.request.temperature", double: value.number)
            } else if name == "max_tokens", !sent.contains("gen_ai.request.max_tokens") {
                attributes.set("gen_ai.request.max_tokens", int: value.number.flatMap { Int64(exactly: $0) })
            }
        }
        attributes.set("llm.is_streaming", bool: llm.isStreaming)
        attributes.set("llm.openai.chat_completions.streaming_time_to_first_token", double: llm.timeToFirstToken)
        let tools = llm.toolDefinitions
        if !tools.isEmpty { attributes.set("llm.request.functions") { $0.tools(tools) } }
    }

    private func writeConversation(to edit: inout SpanEdit) {
        let (input, output) = (llm.inputMessages, llm.outputMessages)
        let texts = input.isEmpty ? llm.embeddedTexts : []
        if !input.isEmpty { _ = write(input, under: "gen_ai.prompt.", to: &edit) }
        for (index, text) in texts.enumerated() {
            edit.attributes.set("gen_ai.prompt.\(index).role", string: "user")
            edit.attributes.set("gen_ai.prompt.\(index).content", text: text)
        }
        if !output.isEmpty {
            let count = write(output, under: "gen_ai.completion.", to: &edit)
            for (index, reason) in llm.finishReasons.prefix(count).enumerated() {
                edit.attributes.set("gen_ai.completion.\(index).finish_reason", text: reason)
            }
        }
        if !input.isEmpty { edit.attributes.set("traceloop.entity.input") { $0.chat(input) } }
        if !texts.isEmpty { edit.attributes.set("traceloop.entity.input") { $0.array(of: texts) { $0.string($1) } } }
        if !output.isEmpty { edit.attributes.set("traceloop.entity.output") { $0.chatAnswer(output) } }
    }

    /// Writes messages under names with their numbers, in place of those that the sender wrote: lists are never mixed. What comes back is
    /// their number as the chat API counts them, where what a tool answered is a message of its own.
    private func write(_ messages: [LLMMessage], under prefix: StaticString, to edit: inout SpanEdit) -> Int {
        edit.drop { isNumbered($0, behind: prefix) }
        var list = JSONBytes()
        list.chat(messages)
        var count = 0
        list.bytes.withUnsafeBytes { list in
            ContentValue.json(list).forEachElement { message in
                let key = "\(prefix)\(count)."
                message.forEachMember { name, value in
                    if name == "role" || name == "tool_call_id" {
                        edit.attributes.set(key + name.string, text: value.text)
                    } else if name == "content", let text = value.text {
                        edit.attributes.set(key + "content", text: text)
                    } else if name == "content" || name == "tool_calls", !value.isNull {
                        edit.attributes.set(key + name.string) { $0.value(value) }
                    }
                }
                count += 1
            }
        }
        return count
    }

    // MARK: Anything else

    private func writeWork(to attributes: inout AttributeWriter) {
        if hasInput { attributes.set("traceloop.entity.input") { writeInput(to: &$0) } }
        if hasOutput { attributes.set("traceloop.entity.output") { writeOutput(to: &$0) } }
        switch logType {
        case .tool: attributes.set("traceloop.entity.name", text: llm.toolName)
        case .agent: attributes.set("traceloop.entity.name", text: llm.agentName)
        case .workflow: attributes.set("traceloop.entity.name", text: llm.workflowName)
        default: break
        }
    }

    var hasInput: Bool { llm.toolArguments != nil || llm.retrievalQuery != nil || llm.input != nil }
    var hasOutput: Bool { llm.toolResult != nil || !llm.documents.isEmpty || llm.output != nil }

    /// What went in, as JSON; of a tool its arguments, of a search what was looked for.
    func writeInput(to json: inout JSONBytes) {
        if let arguments = llm.toolArguments {
            json.value(arguments)
        } else if let query = llm.retrievalQuery {
            json.string(query)
        } else if let input = llm.input {
            json.content(input)
        }
    }

    /// What came out, as JSON; of a tool its result, of a search what was found.
    func writeOutput(to json: inout JSONBytes) {
        if let result = llm.toolResult { return json.value(result) }
        let documents = llm.documents
        guard documents.isEmpty else { return json.array(of: documents) { $0.document($1) } }
        switch llm.output {
        case .messages(let messages): json.chatAnswer(messages)
        case .value(let value): json.value(value)
        case nil: return
        }
    }

    // MARK: Who, where, with what end

    private func writeLabels(to attributes: inout AttributeWriter) {
        add("respan.customer_params.customer_identifier", customer, to: &attributes)
        // Two columns, which the platform is about to make one.
        add("respan.threads.thread_identifier", llm.session, to: &attributes)
        add("respan.sessions.session_identifier", llm.session, to: &attributes)
        attributes.set("traceloop.workflow.name", text: llm.workflowName)
        if hasMetadata, !sent.contains("respan.metadata") { attributes.set("respan.metadata") { writeMetadata(to: &$0) } }
    }

    /// The user, as long as the platform's column.
    var customer: String? {
        (own("respan.customer_params.customer_identifier") ?? llm.user).map { String($0.string.unicodeScalars.prefix(254)) }
    }

    var hasMetadata: Bool { !llm.metadata.isEmpty || !llm.tags.isEmpty }

    /// Metadata and tags as one object. Its values are texts, as the platform would make them.
    func writeMetadata(to json: inout JSONBytes) {
        let (metadata, tags) = (llm.metadata, llm.tags)
        json.object { json in
            for (name, value) in metadata {
                json.key(name)
                json.stringified(value)
            }
            guard !tags.isEmpty, !metadata.contains(where: { $0.name == "tags" }) else { return }
            var list = JSONBytes()
            list.array(of: tags) { $0.string($1) }
            json.key("tags")
            list.bytes.withUnsafeBytes { json.string(utf8: $0) }
        }
    }

    /// What was said of the error, else its kind.
    var errorText: SpanText? { llm.errorMessage ?? llm.errorType }

    private func writeError(to edit: inout SpanEdit) {
        guard let errorText else { return }
        edit.attributes.set("error.message", text: errorText)
        guard llm.exception == nil else { return }
        edit.appendEvent("exception", time: llm.span.endTime ?? llm.span.startTime ?? 0) {
            $0.set("exception.type", text: llm.errorType)
            $0.set("exception.message", text: errorText)
        }
    }
}

/// `log_type`: how the platform shows a span.
enum LogType: String, Sendable {
    case chat, completion, embedding, tool, agent, workflow, guardrail, task

    init(_ llm: LLMFields) {
        if let kind = llm.openInferenceKind, kind == "GUARDRAIL" {
            self = .guardrail
        } else if let operation = llm.operation {
            self = Self.ofOperations.first { operation == $0.operation }?.type ?? .task
        } else if llm.model != nil {
            self = .chat
        } else {
            self = llm.span.parentSpanID.isEmpty ? .workflow : .task
        }
    }

    /// By how often they are met. Any other operation is a task.
    private static let ofOperations: [(operation: StaticString, type: LogType)] = [
        ("chat", .chat), ("execute_tool", .tool), ("embeddings", .embedding), ("invoke_agent", .agent), ("generate_content", .chat),
        ("text_completion", .completion), ("invoke_workflow", .workflow), ("create_agent", .agent), ("guardrail", .guardrail),
    ]

    var isModelCall: Bool { self == .chat || self == .completion || self == .embedding }

    /// OpenLLMetry's word for what is no call of a model.
    var traceloopKind: String { self == .tool || self == .agent || self == .workflow ? rawValue : "task" }
}

/// Whether `key` is `prefix` with a number behind it (`gen_ai.prompt.0.role`, but not `gen_ai.prompt.name`).
private func isNumbered(_ key: UnsafeRawBufferPointer, behind prefix: StaticString) -> Bool {
    let length = prefix.utf8CodeUnitCount
    guard key.count > length, key[length] &- UInt8(ascii: "0") < 10 else { return false }
    return prefix.withUTF8Buffer { key.prefix(length).elementsEqual($0) }
}
