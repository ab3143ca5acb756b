import Crypto
import Delivery
import Foundation
import SpanModel

/// Langfuse's JSON door (contract `langfuse`, section 2): an event for each span, and one more for each root, which makes the trace. An
/// event's id is made of its type and the span's ids, so a resend overwrites itself.
struct LangfuseEvents {
    let marks: LangfuseMarks
    let bytesMax: Int
    let oversize: Oversize

    /// A request's body and what is in it.
    struct Body {
        var bytes: [UInt8]
        var spans: Range<Int>
        var spanOfEvent: [String: Int] = [:]
        var cutSpans = 0
    }

    private static let (head, tail) = (Array(#"{"batch":["#.utf8), Array("]}".utf8))

    /// As few bodies as hold the batch, each of `bytesMax` bytes at most.
    func bodies(_ batch: [SpanView]) throws(EncodeError) -> [Body] {
        var bodies: [Body] = []
        for (index, span) in batch.enumerated() {
            let frame = Self.head.count + Self.tail.count + 1
            let events = try oversize.fit(span, at: index, bytesMax: bytesMax - frame) { span throws(EncodeError) in
                try json(span, at: index)
            }
            if bodies.isEmpty || bodies[bodies.count - 1].bytes.count + events.body.count + frame > bytesMax {
                bodies.append(Body(bytes: Self.head, spans: index..<index))
            } else {
                bodies[bodies.count - 1].bytes.append(UInt8(ascii: ","))
            }
            let last = bodies.count - 1
            bodies[last].bytes += events.body
            bodies[last].spans = bodies[last].spans.lowerBound..<index + 1
            bodies[last].cutSpans += events.isCut ? 1 : 0
            for id in span.withLLM({ Self.events(of: $0).map(\.id) }) {
                bodies[last].spanOfEvent[id] = index - bodies[last].spans.lowerBound
            }
        }
        for index in bodies.indices { bodies[index].bytes += Self.tail }
        return bodies
    }

    /// The events of a span with a comma between them.
    private func json(_ span: SpanView, at index: Int) throws(EncodeError) -> [UInt8] {
        guard span.withParts({ $0 != nil }) else { throw EncodeError(span: index, reason: "malformed_span") }
        var bytes: [UInt8] = []
        span.withLLM { llm in
            let known = [llm.span.endTime, llm.span.startTime].compactMap(\.self).first { $0 > 0 } ?? span.entry.receivedAt
            JSONBytes.append(to: &bytes) { json in
                let own = LangfuseOwn(llm)
                for event in Self.events(of: llm) {
                    json.object { json in
                        json.member("id", event.id)
                        json.member("timestamp", langfuseTime(known))
                        json.member("type", event.type)
                        json.key("body")
                        json.object { json in
                            if event.type == "trace-create" {
                                json.trace(llm, own, marks, known)
                            } else {
                                json.observation(llm, own, marks, known, as: event.type)
                            }
                        }
                    }
                }
            }
        }
        return bytes
    }

    private static func events(of llm: LLMFields) -> [(id: String, type: String)] {
        // The servers that this door is for know these three kinds; of the others they refuse the event.
        let kinds = [LangfuseObservation(llm), LangfuseOwn(llm).kind]
        let isGeneration = kinds.contains(.generation) || kinds.contains(.embedding)
        let type = kinds.contains(.event) ? "event-create" : isGeneration ? "generation-create" : "span-create"
        let types = llm.span.parentSpanID.isEmpty ? ["trace-create", type] : [type]
        return types.map { (eventID(type: $0, llm.span), $0) }
    }

    /// A UUID of version 5 (RFC 9562, 5.5).
    private static func eventID(type: String, _ span: SpanFields) -> String {
        var hash = Insecure.SHA1()
        hash.update(data: namespace)
        hash.update(data: Data("\(type):\(hexText(span.traceID)):\(hexText(span.spanID))".utf8))
        var bytes = Array(hash.finalize().prefix(16))
        (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x50, bytes[8] & 0x3f | 0x80)
        let hex = hexText(bytes)
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { range in
            String(hex.dropFirst(range.lowerBound).prefix(range.count))
        }
        return parts.joined(separator: "-")
    }

    /// Drawn once, for ids of tracefwd's events alone.
    private static let namespace = Data([
        0x2b, 0x1c, 0x55, 0x0e, 0x8d, 0x6f, 0x4c, 0x21, 0x9f, 0x3a, 0x71, 0xd8, 0x0c, 0xe4, 0x5a, 0x96,
    ])

    // MARK: Answers

    private struct Answer: Decodable {
        struct Success: Decodable { let id: String }
        struct Failure: Decodable {
            let id: String
            let status: Int
            let message: String?
        }
        let successes: [Success]
        let errors: [Failure]
    }

    /// A 207, event by event. A span is delivered when each of its events is.
    static func judge(_ response: Response, to request: Request) -> Verdict {
        guard !response.bodyCut, let answer = try? JSONDecoder().decode(Answer.self, from: Data(response.body)) else {
            return .retry(detail: "answered 207 with a body that cannot be read")
        }
        if let failure = answer.errors.first(where: { $0.status == 401 }) {
            return .pause(reason: "unauthorized", detail: sentence(failure))
        }
        if !answer.errors.isEmpty, answer.successes.isEmpty, answer.errors.allSatisfy({ $0.message?.contains("events_only") ?? false }) {
            return .pause(reason: "wrong_mode", detail: "this server is of version 4 and refuses mode: ingestion; leave mode out")
        }
        var taken = Set(answer.successes.map(\.id))
        var verdicts = [SpanVerdict](repeating: .delivered, count: request.spans.count)
        for failure in answer.errors {
            guard let span = request.spanOfItem[failure.id] else { continue }
            taken.insert(failure.id)
            if failure.status == 429 || failure.status >= 500 {
                // An event that was refused for good stays refused, whatever becomes of the others.
                if verdicts[span] == .delivered { verdicts[span] = .retry }
            } else {
                verdicts[span] = .refused(reason: "http_\(failure.status)", detail: sentence(failure))
            }
        }
        for (id, span) in request.spanOfItem where !taken.contains(id) && verdicts[span] == .delivered { verdicts[span] = .retry }
        return verdicts.allSatisfy { $0 == .delivered } ? .delivered() : .perSpan(verdicts)
    }

    /// The message alone: what stands under `error` repeats what was sent.
    private static func sentence(_ failure: Answer.Failure) -> String {
        let line = (failure.message ?? "").split { $0.isNewline }.first ?? ""
        return "answered \(failure.status)" + (line.isEmpty ? "" : ": \(line.prefix(200))")
    }
}

extension JSONBytes {
    fileprivate mutating func trace(_ llm: LLMFields, _ own: LangfuseOwn, _ marks: LangfuseMarks, _ known: UInt64) {
        key("id")
        hex(llm.span.traceID)
        member("timestamp", langfuseTime(llm.span.startTime.flatMap { $0 > 0 ? $0 : nil } ?? known))
        if let name = own.text("langfuse.trace.name")?.string ?? marks.traceName {
            member("name", name)
        } else {
            member("name", utf8: llm.span.name)
        }
        member("userId", own.text("langfuse.user.id") ?? llm.user)
        member("sessionId", own.text("langfuse.session.id") ?? llm.session)
        let ownTags = own.texts("langfuse.trace.tags")
        let tags = ownTags.isEmpty ? llm.tags : ownTags
        if !tags.isEmpty {
            key("tags")
            array(of: tags) { $0.string($1) }
        }
        contents(llm, own, metadata: own.metadata("trace"))
        if let release = own.text("langfuse.release")?.string ?? marks.release { member("release", release) }
        member("version", own.text("langfuse.version") ?? llm.serviceVersion)
        environment(llm, own)
        if marks.isPublic {
            key("public")
            bool(true)
        }
    }

    fileprivate mutating func observation(
        _ llm: LLMFields, _ own: LangfuseOwn, _ marks: LangfuseMarks, _ known: UInt64, as type: String
    ) {
        let span = llm.span
        key("id")
        hex(span.spanID)
        key("traceId")
        hex(span.traceID)
        if !span.parentSpanID.isEmpty {
            key("parentObservationId")
            hex(span.parentSpanID)
        }
        member("name", utf8: span.name)
        member("startTime", langfuseTime(span.startTime.flatMap { $0 > 0 ? $0 : nil } ?? known))
        if type != "event-create" { member("endTime", langfuseTime(span.endTime.flatMap { $0 > 0 ? $0 : nil } ?? known)) }
        contents(llm, own, metadata: own.metadata("observation"))
        member("level", own.level ?? (llm.isError ? "ERROR" : "DEFAULT"))
        member("statusMessage", own.text("langfuse.observation.status_message") ?? (llm.isError ? llm.errorMessage ?? llm.errorType : nil))
        member("version", own.text("langfuse.version") ?? llm.serviceVersion)
        environment(llm, own)
        if type == "generation-create" { generation(llm, own, marks) }
    }

    private mutating func contents(_ llm: LLMFields, _ own: LangfuseOwn, metadata: [(name: String, value: ContentValue)]) {
        let kind = LangfuseObservation(llm)
        member("input") { json in
            if let input = own["langfuse.observation.input"] { json.value(input) } else { json.langfuseInput(llm, kind) }
        }
        member("output") { json in
            if let output = own["langfuse.observation.output"] { json.value(output) } else { json.langfuseOutput(llm, kind) }
        }
        member("metadata") { $0.langfuseMetadata(llm, own: metadata) }
    }

    private mutating func langfuseMetadata(_ llm: LLMFields, own: [(name: String, value: ContentValue)]) {
        let service = llm.service
        var names = Set(own.map(\.name))
        if service != nil { names.insert("service") }
        let others = llm.metadata.filter { !names.contains($0.name.string) }
        guard service != nil || !own.isEmpty || !others.isEmpty else { return }
        object { json in
            if !own.contains(where: { $0.name == "service" }) { json.member("service", service) }
            for (name, value) in own {
                Array(name.utf8).withUnsafeBytes { json.key(utf8: $0) }
                json.value(value)
            }
            for (name, value) in others {
                json.key(name)
                json.value(value)
            }
        }
    }

    private mutating func environment(_ llm: LLMFields, _ own: LangfuseOwn) {
        let name = own.text("langfuse.environment") ?? llm.environment
        if let name = name.flatMap({ langfuseEnvironment($0.string) }) { member("environment", name) }
    }

    private mutating func generation(_ llm: LLMFields, _ own: LangfuseOwn, _ marks: LangfuseMarks) {
        if let first = own.completionStart ?? llm.firstTokenTime.map(langfuseTime) { member("completionStartTime", first) }
        member("model", own.text("langfuse.observation.model.name") ?? llm.model)
        member("modelParameters") { json in
            if let parameters = own["langfuse.observation.model.parameters"], parameters.isObject {
                return json.object { json in parameters.forEachMember { json.parameter($0, $1) } }
            }
            let parameters = llm.parameters
            if !parameters.isEmpty { json.object { json in for (name, value) in parameters { json.parameter(name, value) } } }
        }
        member("usageDetails") { json in
            let usage = own.numbers("langfuse.observation.usage_details", integers: true)
            if let usage { json.value(usage) } else { json.langfuseUsage(llm) }
        }
        member("costDetails") { json in
            let cost = own.numbers("langfuse.observation.cost_details", integers: false)
            if let cost { json.value(cost) } else { json.langfuseCost(llm) }
        }
        prompt(llm, own, marks)
    }

    /// Numbers, words and lists of them; anything else is refused.
    private mutating func parameter(_ name: SpanText, _ value: ContentValue) {
        key(name)
        if value.isObject { stringified(value) } else { self.value(value) }
    }

    /// The name and the version, both or neither.
    private mutating func prompt(_ llm: LLMFields, _ own: LangfuseOwn, _ marks: LangfuseMarks) {
        var found = (name: own.text("langfuse.observation.prompt.name"), version: own.integer("langfuse.observation.prompt.version"))
        if found.name == nil || found.version == nil, marks.linksPrompts {
            found = (llm.promptName, llm.promptVersion.flatMap { Int64($0.string) })
        }
        guard let name = found.name, let version = found.version else { return }
        member("promptName", name)
        key("promptVersion")
        integer(version)
    }

    /// A key and what `write` writes; nothing where it writes nothing.
    private mutating func member(_ name: StaticString, _ write: (inout JSONBytes) -> Void) {
        var value = JSONBytes()
        write(&value)
        guard !value.bytes.isEmpty else { return }
        key(name)
        value.bytes.withUnsafeBytes { self.value(json: $0) }
    }
}
