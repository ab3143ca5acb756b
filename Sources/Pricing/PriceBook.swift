// What a call of a model cost: names, token counts and a time in, an exact decimal out, or why there is none.
// Promises: no double before a cost is written, so that sums do not drift; no cost is negative; a name seen before is found without
// allocating; what names can make this room remember is bounded; any number of threads may ask at once.
// Does not know: what a span is, where the names and counts stand in it, what the sender said the cost was.
// Start here, then PriceTable.swift (finding a model), ModelPrices.swift (which price holds when), Prices.swift (the sum).
import Synchronization

/// The price table with the user's own prices before it. One for a configuration; a reload makes a new one.
public final class PriceBook: Sendable {
    private let table: PriceTable
    private let own: OwnPrices
    private let names: Mutex<NameCache>

    /// A book of a table and the prices that come before it.
    public init(_ table: PriceTable, own: OwnPrices = OwnPrices()) {
        self.table = table
        self.own = own
        names = Mutex(NameCache(seed: .random(in: .min ... .max)))
    }

    /// What the call cost at the prices of its start (contract `rules`, section 5).
    public func quote(_ call: PricedCall) -> Quote {
        guard !call.usage.isEmpty else { return .noUsage }
        guard !call.responseModel.isEmpty || !call.requestModel.isEmpty else { return .noModel }
        let found = find(call)
        if let index = found.own, let cost = own.models[index].cost(of: call) { return .cost(cost) }
        if let index = found.table, let cost = table.models[index].cost(of: call) { return .cost(cost) }
        return .unknownModel(isNews: names.withLock { $0.isNews(call) })
    }

    /// Which entry's prices the call takes, for a person to see: nil where none holds.
    public func match(_ call: PricedCall) -> PriceMatch? {
        let found = find(call)
        if let index = found.own, own.models[index].holds(for: call) { return PriceMatch(own.models[index], isOwn: true) }
        if let index = found.table, table.models[index].holds(for: call) { return PriceMatch(table.models[index], isOwn: false) }
        return nil
    }

    private func find(_ call: PricedCall) -> FoundPrices {
        if let known = names.withLock({ $0.found(call) }) { return known }
        // Outside of the lock: patterns are matched here. Two threads may do it for one name; they find the same.
        let provider = table.provider(of: call)
        let found = FoundPrices(
            own: own.firstMatch(for: call, provider: table.id(provider)), table: table.firstMatch(for: call, provider: provider))
        names.withLock { $0.keep(found, for: call) }
        return found
    }
}

/// What a quote is asked for. The names are bytes as the span has them, empty where absent, and must stay valid for the question.
public struct PricedCall {
    /// `gen_ai.provider.name`, in any case.
    public var provider = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The model that answered; asked for first.
    public var responseModel = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The model that was asked for.
    public var requestModel = UnsafeRawBufferPointer(start: nil, count: 0)
    /// `server.address`; says who the provider is where no name does.
    public var serverAddress = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The response's service tier: `flex`, `priority`, `fast`.
    public var serviceTier = UnsafeRawBufferPointer(start: nil, count: 0)
    /// How it was processed: `batch`.
    public var processing = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The response's speed: `fast`.
    public var speed = UnsafeRawBufferPointer(start: nil, count: 0)
    /// What was counted.
    public var usage: TokenUsage
    /// When the call began, nanoseconds of the Unix epoch.
    public var startTime: UInt64

    /// A call with no names yet.
    public init(usage: TokenUsage, startTime: UInt64) {
        self.usage = usage
        self.startTime = startTime
    }
}

/// What a call cost, or why nobody can say.
public enum Quote: Sendable, Equatable {
    /// It is known. It may be zero.
    case cost(Cost)
    /// The span counts no tokens.
    case noUsage
    /// The span counts tokens and names no model.
    case noModel
    /// No price is known for the model, or none for that time. To be counted each time; `isNews` the first time for this name, to be told
    /// then. Past `NameCache.newsMax` names nothing is news.
    case unknownModel(isNews: Bool)
}

/// Which prices hold for a call.
public struct PriceMatch: Sendable, Equatable {
    /// The provider's id in the table: `aws`. Empty for own prices that name none.
    public let provider: String
    /// The model's name in the table, or the key of the user's own price.
    public let model: String
    /// The user's own price came first.
    public let isOwn: Bool

    init(_ prices: ModelPrices, isOwn: Bool) {
        provider = prices.provider
        model = prices.model
        self.isOwn = isOwn
    }
}
