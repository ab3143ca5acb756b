import Pricing
import SpanModel

/// What every span gets on its way out, whoever it goes to: its cost, where the sender names none and a price is known (contract `rules`,
/// section 5). It is worked out when a segment is read, once for all destinations, and never stored: new prices hold for the backlog.
struct Enrichment {
    let prices: PriceBook
    /// Spans that name a model whose price nobody knows, and such models for the first time.
    private(set) var unknownModels: Int64 = 0
    private(set) var newModels: [String] = []

    init(_ prices: PriceBook) { self.prices = prices }

    /// Takes what was counted since the last call.
    mutating func takeNews() -> (unknownModels: Int64, newModels: [String]) {
        defer { (unknownModels, newModels) = (0, []) }
        return (unknownModels, newModels)
    }

    /// The segment with these costs, nil where a span gets none; the same one where none does.
    func enriched(_ segment: Segment, _ costs: [Double?]) -> Segment {
        guard costs.contains(where: { $0 != nil }) else { return segment }
        var batch = SpanBatch()
        batch.payload.reserveCapacity(segment.payload.count + segment.entries.count * 48)
        batch.entries.reserveCapacity(segment.entries.count)
        for index in segment.entries.indices {
            append(SpanView(segment: segment, index: index), cost: costs[index], to: &batch)
        }
        return Segment(firstID: segment.firstID, logOffset: segment.logOffset, payload: batch.payload, entries: batch.entries)
    }

    /// Appends the span, with its cost as one more attribute at its end.
    private func append(_ view: SpanView, cost: Double?, to batch: inout SpanBatch) {
        var entry = view.entry
        let start = batch.payload.count
        view.withParts { parts in
            guard let cost, let parts else { return view.withBytes { batch.payload.append(contentsOf: $0) } }
            let value = AnyValueBytes.double(cost)
            let pair = fieldSize(Self.costKey.count) + fieldSize(value.count)
            let span = parts.span.count + fieldSize(pair)
            batch.payload.append(contentsOf: parts.resource)
            batch.payload.appendField(2, size: parts.scope.count + fieldSize(span))
            batch.payload.append(contentsOf: parts.scope)
            batch.payload.appendField(2, size: span)
            batch.payload.append(contentsOf: parts.span)
            batch.payload.appendField(9, size: pair)
            batch.payload.appendField(1, size: Self.costKey.count)
            batch.payload.append(contentsOf: Self.costKey)
            batch.payload.appendField(2, size: value.count)
            batch.payload.append(contentsOf: value)
        }
        entry.offset = UInt32(start)
        entry.length = UInt32(batch.payload.count - start)
        batch.entries.append(entry)
    }

    private static let costKey = Array("tracefwd.cost_usd".utf8)

    /// What the call cost, where the sender does not say and a price is known.
    mutating func cost(of llm: LLMFields) -> Double? {
        guard llm.cost == nil else { return nil }
        let (image, audio) = (llm.imageTokens, llm.audioTokens)
        var usage = TokenUsage(
            input: llm.inputTokens, output: llm.outputTokens, cacheRead: llm.cacheReadTokens, cacheWrite: llm.cacheWriteTokens,
            reasoning: llm.reasoningTokens)
        guard !usage.isEmpty else { return nil }
        (usage.inputAudio, usage.outputAudio, usage.cacheReadAudio) = (audio.input, audio.output, audio.cacheRead)
        (usage.inputImage, usage.outputImage) = (image.input, image.output)
        var call = PricedCall(usage: usage, startTime: llm.span.startTime ?? 0)
        call.provider = bytes(llm.provider)
        call.responseModel = bytes(llm.responseModel)
        call.requestModel = bytes(llm.requestModel)
        switch prices.quote(call) {
        case .cost(let cost): return cost.total.double
        case .noUsage, .noModel: return nil
        case .unknownModel(let isNews):
            unknownModels += 1
            if isNews, let model = llm.model { newModels.append(model.string) }
            return nil
        }
    }

    /// Names with escapes or of digits are no model's.
    private func bytes(_ text: SpanText?) -> UnsafeRawBufferPointer {
        if case .utf8(let bytes)? = text { bytes } else { UnsafeRawBufferPointer(start: nil, count: 0) }
    }
}
