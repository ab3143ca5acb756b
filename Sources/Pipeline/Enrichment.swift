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

    /// The attribute that a cost is written to.
    static let attribute: StaticString = "tracefwd.cost_usd"

    /// What the call cost, where the sender does not say and a price is known.
    mutating func cost(of llm: LLMFields) -> Double? {
        guard !llm.hasCost else { return nil }
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
