/// What a call cost, as the span says.
public struct LLMCost: Sendable, Equatable {
    /// US dollars, in the form in which they came.
    public enum Amount: Sendable, Equatable {
        /// The digits that were sent, exact.
        case text(String)
        /// A number.
        case number(Double)
    }

    /// Whose name it came under.
    public enum Source: Sendable, Equatable {
        /// `tracefwd.cost_usd`: the native form.
        case tracefwd
        /// `gen_ai.usage.cost`.
        case genAI
        /// `llm.cost.total`, or `llm.cost.prompt` and `llm.cost.completion` together.
        case openInference
    }

    /// The sum.
    public var amount: Amount
    /// Whose name it came under.
    public var source: Source

    /// The sum as a double.
    public var usd: Double {
        switch amount {
        case .text(let digits): Double(digits) ?? 0
        case .number(let value): value
        }
    }
}

extension LLMFields {
    /// What the sender says that the call cost; never computed here.
    public var cost: LLMCost? {
        if let amount = amount(.tracefwdCostUSD) { return LLMCost(amount: amount, source: .tracefwd) }
        if let amount = amount(.genAIUsageCost) { return LLMCost(amount: amount, source: .genAI) }
        if let amount = amount(.llmCostTotal) { return LLMCost(amount: amount, source: .openInference) }
        let (prompt, completion) = (inputCost, outputCost)
        guard prompt != nil || completion != nil else { return nil }
        return LLMCost(amount: .number((prompt ?? 0) + (completion ?? 0)), source: .openInference)
    }

    /// Whether the sender says what the call cost, without making its digits a text.
    public var hasCost: Bool {
        hasAmount(.tracefwdCostUSD) || hasAmount(.genAIUsageCost) || hasAmount(.llmCostTotal) || hasAmount(.llmCostPrompt)
            || hasAmount(.llmCostCompletion)
    }

    /// The part of the cost that is the input's, US dollars.
    public var inputCost: Double? { number(.llmCostPrompt).flatMap { $0 < 0 ? nil : $0 } }
    /// The part of the cost that is the output's, US dollars.
    public var outputCost: Double? { number(.llmCostCompletion).flatMap { $0 < 0 ? nil : $0 } }

    private func hasAmount(_ name: KnownName) -> Bool { number(name).map { $0 >= 0 } ?? false }

    private func amount(_ name: KnownName) -> LLMCost.Amount? {
        guard let value = value(name), let number = value.number, number >= 0 else { return nil }
        if case .string(let text) = value { return .text(String(decoding: text, as: UTF8.self)) }
        return .number(number)
    }
}
