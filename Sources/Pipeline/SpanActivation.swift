import CEL
import SpanModel

/// Shows one span after the other to programs. For one thread; what it gives out lies in the span's own bytes or in its own memory, and
/// holds until the next span. What is dear to make (texts of messages, lists) is made once a span, where an expression asks for it.
final class SpanActivation: Activation {
    private let host: RuleHost
    /// The span that is shown; set inside of `withSpan` only, as long as its bytes are there.
    private var current: (llm: LLMFields, entry: SpanEntry)?
    /// The cost that the span gets on its way out, where its sender names none.
    var addedCost: Double?
    private var made: [SpanVariable: Value] = [:]
    /// What `made` points to.
    private var texts: [UnsafeMutableRawBufferPointer] = []
    private var lists: [TextList] = []
    private let attributes = AttributeMap()
    private let resource = AttributeMap()
    private var metadata: NamedMap?
    private var userNames: [UInt32: [UInt8]] = [:]

    init(_ host: RuleHost) { self.host = host }

    deinit { for text in texts { text.deallocate() } }

    /// Points at a span while `body` runs.
    func withSpan<Result>(_ view: SpanView, _ body: (LLMFields) throws -> Result) rethrows -> Result {
        try view.withLLM { llm in
            current = (llm, view.entry)
            defer { forget() }
            return try body(llm)
        }
    }

    private func forget() {
        current = nil
        addedCost = nil
        attributes.pairs = nil
        resource.pairs = nil
        metadata = nil
        guard !made.isEmpty else { return }
        made.removeAll(keepingCapacity: true)
        for text in texts { text.deallocate() }
        texts.removeAll(keepingCapacity: true)
        lists.removeAll(keepingCapacity: true)
    }

    func value(of slot: Int, in arena: inout Arena) -> Value {
        guard let variable = SpanVariable(rawValue: slot), let (llm, entry) = current else { return .failure(.unknownVariable) }
        let span = llm.span
        switch variable {
        case .name: return .string(span.name)
        case .kind: return .string(span.kind.name)
        case .model: return text(llm.model, variable)
        case .requestModel: return text(llm.requestModel, variable)
        case .responseModel: return text(llm.responseModel, variable)
        case .provider: return text(llm.provider, variable)
        case .operation: return text(llm.operation, variable)
        case .environment: return text(llm.environment, variable)
        case .service: return text(llm.service, variable)
        case .sessionID: return text(llm.session, variable)
        case .userID: return text(llm.user, variable)
        case .status: return .string(span.status.name)
        case .statusMessage: return .string(span.statusMessage)
        case .errorType: return text(llm.errorType, variable)
        case .traceID: return hex(span.traceID, variable)
        case .spanID: return hex(span.spanID, variable)
        case .parentSpanID: return hex(span.parentSpanID, variable)
        case .source: return source(entry.source, variable)
        case .key: return .string("")
        case .sender: return sender(entry.sender, variable)
        case .input: return once(variable) { keep(Array(llm.inputText.utf8)) }
        case .output: return once(variable) { keep(Array(llm.outputText.utf8)) }
        case .inputTokens: return .int(llm.inputTokens ?? 0)
        case .outputTokens: return .int(llm.outputTokens ?? 0)
        case .totalTokens: return .int(llm.totalTokens ?? 0)
        case .cacheReadTokens: return .int(llm.cacheReadTokens ?? 0)
        case .cacheWriteTokens: return .int(llm.cacheWriteTokens ?? 0)
        case .reasoningTokens: return .int(llm.reasoningTokens ?? 0)
        case .inputBytes: return once(variable) { .int(Int64(llm.inputText.utf8.count)) }
        case .outputBytes: return once(variable) { .int(Int64(llm.outputText.utf8.count)) }
        case .cost: return .double(addedCost ?? llm.cost?.usd ?? 0)
        case .hasCost: return .bool(addedCost != nil || llm.cost != nil)
        case .root: return .bool(span.parentSpanID.isEmpty)
        case .streaming: return .bool(llm.isStreaming ?? false)
        case .duration: return .duration(nanoseconds: Self.distance(span.startTime, span.endTime))
        case .timeToFirstToken: return .duration(nanoseconds: Self.nanoseconds(llm.timeToFirstToken))
        case .startTime: return .timestamp(Timestamp(unixNanoseconds: span.startTime ?? 0))
        case .endTime: return .timestamp(Timestamp(unixNanoseconds: span.endTime ?? 0))
        case .receivedAt: return .timestamp(Timestamp(unixNanoseconds: entry.receivedAt))
        case .tags: return list(variable) { llm.tags }
        case .finishReasons: return list(variable) { llm.finishReasons }
        case .tools: return list(variable) { llm.toolsCalled }
        case .attributes:
            attributes.pairs = span.attributes
            return attributes.view
        case .resource:
            resource.pairs = llm.parts.resourceAttributes
            return resource.view
        case .metadata:
            let map = metadata ?? NamedMap(llm.metadata)
            metadata = map
            return map.view
        }
    }

    // MARK: What lives as long as the span

    private func once(_ variable: SpanVariable, _ make: () -> Value) -> Value {
        if let value = made[variable] { return value }
        let value = make()
        made[variable] = value
        return value
    }

    private func keep(_ bytes: [UInt8]) -> Value {
        guard !bytes.isEmpty else { return .string("") }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyBytes(from: bytes)
        texts.append(copy)
        return .string(UnsafeRawBufferPointer(copy))
    }

    private func text(_ text: SpanText?, _ variable: SpanVariable) -> Value {
        guard let text else { return .string("") }
        if case .utf8(let bytes) = text { return .string(bytes) }
        return once(variable) {
            var bytes: [UInt8] = []
            text.append(to: &bytes)
            return keep(bytes)
        }
    }

    private func hex(_ bytes: UnsafeRawBufferPointer, _ variable: SpanVariable) -> Value {
        bytes.isEmpty ? .string("") : once(variable) { keep(bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 15)] }) }
    }

    private func source(_ number: UInt8, _ variable: SpanVariable) -> Value {
        once(variable) { keep(Array((SourceID(rawValue: number)?.description ?? "").utf8)) }
    }

    private func sender(_ number: UInt32, _ variable: SpanVariable) -> Value {
        guard number != SpanEntry.unknownSender else { return .string("") }
        return once(variable) {
            if let known = userNames[number] { return keep(known) }
            let name = Array((host.userName(number) ?? "\(number)").utf8)
            userNames[number] = name
            return keep(name)
        }
    }

    private func list(_ variable: SpanVariable, _ texts: () -> [SpanText]) -> Value {
        once(variable) {
            let list = TextList(
                texts().map { text in
                    var bytes: [UInt8] = []
                    text.append(to: &bytes)
                    return keep(bytes)
                })
            lists.append(list)
            return list.view
        }
    }

    private static func distance(_ from: UInt64?, _ to: UInt64?) -> Int64 {
        guard let from, let to else { return 0 }
        return to >= from ? Int64(clamping: to - from) : -Int64(clamping: from - to)
    }

    private static func nanoseconds(_ seconds: Double?) -> Int64 {
        seconds.map { Int64(exactly: ($0 * 1e9).rounded()) ?? .max } ?? 0
    }
}

/// Texts as a list of CEL's.
private final class TextList: ListValue {
    private let texts: [Value]
    init(_ texts: [Value]) { self.texts = texts }

    override var count: Int { texts.count }
    override func element(at index: Int, in arena: inout Arena) -> Value { texts[index] }
}

/// The sender's own names and values.
private final class NamedMap: MapValue {
    private let names: [[UInt8]]
    private let values: [ContentValue]

    init(_ named: [NamedValue]) {
        names = named.map { pair in
            var name: [UInt8] = []
            pair.name.append(to: &name)
            return name
        }
        values = named.map(\.value)
    }

    override var count: Int { names.count }

    override func value(for key: Value, in arena: inout Arena) -> Value? {
        guard case .string(let name) = key, let place = names.firstIndex(where: { $0.elementsEqual(name) }) else { return nil }
        return value(at: place, in: &arena)
    }

    override func key(at index: Int, in arena: inout Arena) -> Value { arena.string(String(decoding: names[index], as: UTF8.self)) }

    override func value(at index: Int, in arena: inout Arena) -> Value {
        switch values[index] {
        case .raw(let raw): return Value(raw, in: &arena)
        case let value:
            if let text = value.text { return arena.string(text.string) }
            if let number = value.number { return .double(number) }
            if value.isNull { return .null }
            // Of what has a shape of its own conditions see the JSON.
            var json: [UInt8] = []
            JSONBytes.append(to: &json) { $0.value(value) }
            return json == Array("true".utf8)
                ? .bool(true) : json == Array("false".utf8) ? .bool(false) : arena.string(String(decoding: json, as: UTF8.self))
        }
    }
}

/// Attributes where they lie; of a repeated key the last counts. Looking one up passes over them all: expressions name a few.
private final class AttributeMap: MapValue {
    private var keys: [UnsafeRawBufferPointer]?
    var pairs: KeyValues? { didSet { keys = nil } }

    override var count: Int { allKeys.count }

    override func value(for key: Value, in arena: inout Arena) -> Value? {
        guard case .string(let name) = key, let pairs else { return nil }
        var found: RawValue?
        for pair in pairs where pair.key.count == name.count && pair.key.elementsEqual(name) { found = pair.value }
        return found.map { Value($0, in: &arena) }
    }

    override func key(at index: Int, in arena: inout Arena) -> Value { .string(allKeys[index]) }
    override func value(at index: Int, in arena: inout Arena) -> Value { value(for: .string(allKeys[index]), in: &arena) ?? .null }

    /// In the order of their first appearance.
    private var allKeys: [UnsafeRawBufferPointer] {
        if let keys { return keys }
        var seen: Set<[UInt8]> = []
        var all: [UnsafeRawBufferPointer] = []
        if let pairs {
            for pair in pairs where seen.insert(Array(pair.key)).inserted { all.append(pair.key) }
        }
        keys = all
        return all
    }
}

extension Value {
    /// An attribute's value. Lists and maps are made in the arena.
    init(_ raw: RawValue, in arena: inout Arena) {
        switch raw {
        case .null: self = .null
        case .string(let text): self = .string(text)
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .bytes(let bytes): self = .bytes(bytes)
        case .array(let message):
            var elements: [Value] = []
            for element in RawValue.elements(of: message) {
                guard arena.spend(1) else { break }
                elements.append(Value(RawValue(anyValue: element), in: &arena))
            }
            self = arena.list(elements)
        case .map(let message):
            var (keys, values): ([Value], [Value]) = ([], [])
            // CEL's maps have no key twice; the last one counts.
            var places: [[UInt8]: Int] = [:]
            for pair in RawValue.pairs(of: message) {
                guard arena.spend(2) else { break }
                let value = Value(pair.value, in: &arena)
                if let place = places[Array(pair.key)] {
                    values[place] = value
                } else {
                    places[Array(pair.key)] = keys.count
                    keys.append(.string(pair.key))
                    values.append(value)
                }
            }
            self = arena.map(keys: keys, values: values)
        }
    }
}
