import SpanModel

extension JSONBytes {
    /// A span as a row of the bulk door (contract keywordsai, section 3). The row has no id that a child could name as its parent, so none is
    /// named: what tells a trace's rows is `trace_unique_id`, what tells a row that came twice `custom_identifier`.
    mutating func keywordsAILog(_ llm: LLMFields) {
        let span = KeywordsAISpan(llm)
        object { json in
            json.key("model")  // required, of whatever it is
            json.string(llm.model ?? .utf8(llm.span.name))
            json.member("log_type", span.own("respan.entity.log_type")?.string ?? span.logType.rawValue)
            json.logContent(span)
            json.logUsage(span)
            json.logTimes(llm)
            json.logLabels(span)
            json.logStatus(span)
        }
    }

    /// Messages of a call of a model as they are, anything else as a text of JSON.
    private mutating func logContent(_ span: KeywordsAISpan) {
        guard span.logType.isModelCall else {
            if span.hasInput { jsonText("input") { span.writeInput(to: &$0) } }
            if span.hasOutput { jsonText("output") { span.writeOutput(to: &$0) } }
            return
        }
        let (input, output) = (span.llm.inputMessages, span.llm.outputMessages)
        let texts = input.isEmpty ? span.llm.embeddedTexts : []
        if !input.isEmpty {
            key("input")
            chat(input)
        } else if !texts.isEmpty {
            jsonText("input") { $0.array(of: texts) { $0.string($1) } }
        }
        if !output.isEmpty {
            key("output")
            chatAnswer(output)
        }
    }

    private mutating func logUsage(_ span: KeywordsAISpan) {
        if span.llm.inputTokens != nil || span.outputTokens != nil {
            key("usage")
            object { json in
                json.member("prompt_tokens", span.llm.inputTokens)
                json.member("completion_tokens", span.outputTokens)
                json.member("total_tokens", span.llm.totalTokens)
            }
        }
        if let cost = span.llm.cost {
            key("cost")
            double(cost.usd)
        }
    }

    /// `timestamp` is the end; lengths are seconds.
    private mutating func logTimes(_ llm: LLMFields) {
        if let start = llm.span.startTime { logTime("start_time", start) }
        if let end = llm.span.endTime { logTime("timestamp", end) }
        if let start = llm.span.startTime, let end = llm.span.endTime, end >= start {
            key("latency")
            double(Double(end - start) / 1e9)
        }
        if let wait = llm.timeToFirstToken {
            key("time_to_first_token")
            double(wait)
        }
    }

    private mutating func logLabels(_ span: KeywordsAISpan) {
        let llm = span.llm
        let (trace, id) = (TraceID(llm.span.traceID), SpanID(llm.span.spanID))
        if let trace { member("trace_unique_id", trace.description) }
        let name = String(decoding: llm.span.name, as: UTF8.self)
        if !name.isEmpty { member("span_name", String(name.unicodeScalars.prefix(255))) }
        member("span_workflow_name", llm.workflowName)
        if let customer = span.customer { member("customer_identifier", customer) }
        member("thread_identifier", span.own("respan.threads.thread_identifier") ?? llm.session)
        if let trace, let id { member("custom_identifier", "\(trace):\(id)") }
        if span.hasMetadata {
            key("metadata")
            span.writeMetadata(to: &self)
        }
    }

    private mutating func logStatus(_ span: KeywordsAISpan) {
        guard span.llm.isError else {
            key("status_code")
            return integer(200)
        }
        member("status", "error")
        key("status_code")
        integer(span.httpStatus ?? 500)
        member("error_message", span.errorText)
    }

    // MARK: Members

    private mutating func member(_ name: StaticString, _ count: Int64?) {
        guard let count else { return }
        key(name)
        integer(count)
    }

    private mutating func logTime(_ name: StaticString, _ nanoseconds: UInt64) {
        var text: [UInt8] = []
        text.appendRFC3339(nanoseconds: nanoseconds, fraction: nanoseconds % 1_000_000_000 == 0 ? 0 : 6)
        member(name, String(decoding: text, as: UTF8.self))
    }

    private mutating func jsonText(_ name: StaticString, _ write: (inout JSONBytes) -> Void) {
        var inner = JSONBytes()
        write(&inner)
        key(name)
        inner.bytes.withUnsafeBytes { string(utf8: $0) }
    }
}

extension KeywordsAISpan {
    /// The status of HTTP that the call failed with, where the span says so.
    fileprivate var httpStatus: Int64? {
        for (key, value) in llm.span.attributes {
            guard case .int(let status) = value, 400..<600 ~= status else { continue }
            if Self.httpStatusNames.contains(key) { return status }
        }
        return nil
    }

    private static let httpStatusNames = AttributeNames(["http.response.status_code", "http.status_code"])
}
