import CEL
import SpanModel

/// Shows one span after the other to programs. For one thread; what it gives out lies in the span's own bytes or in its own memory, and
/// holds until the next span. A variable is read once a span, where an expression asks for it, however many ask.
final class SpanActivation: Activation {
    private let host: RuleHost
    /// The span that is shown; set inside of `with` only, as long as its bytes are there.
    private var current: LLMFields?
    private var entry = SpanEntry.none
    /// The cost that the span gets on its way out, where its sender names none.
    private var addedCost: Double?
    /// The variables that have been read, a bit each, and by slot their values.
    private var known: UInt64 = 0
    private let values: UnsafeMutablePointer<Value>
    /// What values point to, where it is not the span's bytes.
    private var texts: [UnsafeMutableRawBufferPointer] = []
    private let tags = TextList(), finishReasons = TextList(), tools = TextList()
    private let attributes = AttributeMap(), resource = AttributeMap()
    private var metadata: NamedMap?
    private var userNames: [UInt32: [UInt8]] = [:]

    init(_ host: RuleHost) {
        self.host = host
        precondition(SpanVariable.allCases.count <= 64, "a bit for each variable")
        values = .allocate(capacity: SpanVariable.allCases.count)
        values.initialize(repeating: .null, count: SpanVariable.allCases.count)
    }

    deinit {
        values.deallocate()
        for text in texts { text.deallocate() }
    }

    /// Points at a span while `body` runs.
    func withSpan<Result>(_ view: SpanView, _ body: (LLMFields) throws -> Result) rethrows -> Result {
        try view.withLLM { llm in try with(llm, view.entry, addedCost: nil) { try body(llm) } }
    }

    /// As `withSpan`, for those who have read the span, with the cost that it will have.
    @inline(__always)
    func with<Result>(_ llm: LLMFields, _ entry: SpanEntry, addedCost: Double?, _ body: () throws -> Result) rethrows -> Result {
        (current, self.entry, self.addedCost) = (llm, entry, addedCost)
        defer { forget() }
        return try body()
    }

    private func forget() {
        current = nil
        guard known != 0 else { return }
        if known & SpanVariable.attributes.bit != 0 { attributes.forget() }
        if known & SpanVariable.resource.bit != 0 { resource.forget() }
        if known & SpanVariable.metadata.bit != 0 { metadata = nil }
        known = 0
        guard !texts.isEmpty else { return }
        for text in texts { text.deallocate() }
        texts.removeAll(keepingCapacity: true)
    }

    func value(of slot: Int, in arena: inout Arena) -> Value {
        known & 1 << UInt64(truncatingIfNeeded: slot) != 0 ? values[slot] : read(slot)
    }

    @inline(never)
    private func read(_ slot: Int) -> Value {
        guard let variable = SpanVariable(rawValue: slot), let current else { return .failure(.unknownVariable) }
        let value = read(variable, current)
        values[slot] = value
        known |= variable.bit
        return value
    }

    private func read(_ variable: SpanVariable, _ llm: LLMFields) -> Value {
        switch variable {
        case .name: return .string(llm.span.name)
        case .kind: return .string(llm.span.kind.name)
        case .model: return text(llm.model)
        case .requestModel: return text(llm.requestModel)
        case .responseModel: return text(llm.responseModel)
        case .provider: return text(llm.provider)
        case .operation: return text(llm.operation)
        case .environment: return text(llm.environment)
        case .service: return text(llm.service)
        case .sessionID: return text(llm.session)
        case .userID: return text(llm.user)
        case .status: return .string(llm.span.status.name)
        case .statusMessage: return .string(llm.span.statusMessage)
        case .errorType: return text(llm.errorType)
        case .traceID: return hex(llm.span.traceID)
        case .spanID: return hex(llm.span.spanID)
        case .parentSpanID: return hex(llm.span.parentSpanID)
        case .source: return source(entry.source)
        case .key: return .string("")
        case .sender: return sender(entry.sender)
        case .input: return keep(Array(llm.inputText.utf8))
        case .output: return keep(Array(llm.outputText.utf8))
        case .inputTokens: return .int(llm.inputTokens ?? 0)
        case .outputTokens: return .int(llm.outputTokens ?? 0)
        case .totalTokens: return .int(llm.totalTokens ?? 0)
        case .cacheReadTokens: return .int(llm.cacheReadTokens ?? 0)
        case .cacheWriteTokens: return .int(llm.cacheWriteTokens ?? 0)
        case .reasoningTokens: return .int(llm.reasoningTokens ?? 0)
        case .inputBytes: return .int(Int64(llm.inputText.utf8.count))
        case .outputBytes: return .int(Int64(llm.outputText.utf8.count))
        case .cost: return .double(addedCost ?? llm.cost?.usd ?? 0)
        case .hasCost: return .bool(addedCost != nil || llm.hasCost)
        case .root: return .bool(llm.span.parentSpanID.isEmpty)
        case .streaming: return .bool(llm.isStreaming ?? false)
        case .duration: return .duration(nanoseconds: Self.distance(llm.span.startTime, llm.span.endTime))
        case .timeToFirstToken: return .duration(nanoseconds: Self.nanoseconds(llm.timeToFirstToken))
        case .startTime: return .timestamp(Timestamp(unixNanoseconds: llm.span.startTime ?? 0))
        case .endTime: return .timestamp(Timestamp(unixNanoseconds: llm.span.endTime ?? 0))
        case .receivedAt: return .timestamp(Timestamp(unixNanoseconds: entry.receivedAt))
        case .tags: return tags.refill { add in llm.forEachTag { add(text($0)) } }
        case .finishReasons: return finishReasons.refill { add in for reason in llm.finishReasons { add(text(reason)) } }
        case .tools: return tools.refill { add in for name in llm.toolsCalled { add(text(name)) } }
        case .attributes:
            attributes.show(llm)
            return attributes.view
        case .resource:
            resource.show(llm.parts.resourceAttributes)
            return resource.view
        case .metadata:
            let map = NamedMap(llm.metadata)
            metadata = map
            return map.view
        }
    }

    // MARK: What lives as long as the span

    private func keep(_ bytes: [UInt8]) -> Value {
        guard !bytes.isEmpty else { return .string("") }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyBytes(from: bytes)
        texts.append(copy)
        return .string(UnsafeRawBufferPointer(copy))
    }

    private func text(_ text: SpanText?) -> Value {
        guard let text else { return .string("") }
        if case .utf8(let bytes) = text { return .string(bytes) }
        var bytes: [UInt8] = []
        text.append(to: &bytes)
        return keep(bytes)
    }

    private func hex(_ bytes: UnsafeRawBufferPointer) -> Value {
        keep(bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 15)] })
    }

    private func source(_ number: UInt8) -> Value { keep(Array((SourceID(rawValue: number)?.description ?? "").utf8)) }

    private func sender(_ number: UInt32) -> Value {
        guard number != SpanEntry.unknownSender else { return .string("") }
        if let known = userNames[number] { return keep(known) }
        let name = Array((host.userName(number) ?? "\(number)").utf8)
        userNames[number] = name
        return keep(name)
    }

    private static func distance(_ from: UInt64?, _ to: UInt64?) -> Int64 {
        guard let from, let to else { return 0 }
        return to >= from ? Int64(clamping: to - from) : -Int64(clamping: from - to)
    }

    private static func nanoseconds(_ seconds: Double?) -> Int64 {
        seconds.map { Int64(exactly: ($0 * 1e9).rounded()) ?? .max } ?? 0
    }
}

/// Texts as a list of CEL's; refilled for each span that is asked for them.
private final class TextList: ListValue {
    private var texts: [Value] = []

    override var count: Int { texts.count }
    override func element(at index: Int, in arena: inout Arena) -> Value { texts[index] }

    func refill(_ give: ((Value) -> Void) -> Void) -> Value {
        var new = texts
        texts = []
        new.removeAll(keepingCapacity: true)
        give { new.append($0) }
        texts = new
        return view
    }
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

/// Attributes where they lie; of a repeated key the last counts. A span's are looked up in what the pass over it has noted, a resource's by
/// a pass over them: expressions name a few.
private final class AttributeMap: MapValue {
    private var keys: [UnsafeRawBufferPointer]?
    private var pairs: KeyValues?
    private var llm: LLMFields?

    func show(_ llm: LLMFields) { (self.llm, pairs) = (llm, llm.span.attributes) }
    func show(_ pairs: KeyValues) { self.pairs = pairs }
    func forget() { (keys, pairs, llm) = (nil, nil, nil) }

    override var count: Int { allKeys.count }

    override func value(for key: Value, in arena: inout Arena) -> Value? {
        guard case .string(let name) = key else { return nil }
        let found = if let llm { llm.attribute(name) } else { pairs?.last(name) }
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
