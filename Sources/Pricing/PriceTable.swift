import Patterns

/// What models cost, by provider: the table that tracefwd ships, or a file of the same form.
public struct PriceTable: Sendable {
    /// The day of the facts: `2026-10-29`; empty where the file says none.
    public let asOf: String
    /// Where the facts come from, each with its licence: `genai-prices 0.2.3 (MIT)`.
    public let sources: [String]

    let providers: [Provider]
    let models: [ModelPrices]
    private let providersByName: [[UInt8]: Int]

    struct Provider: Sendable {
        let id: String
        let names: [[UInt8]]
        let api: Pattern?
        /// Indices of the providers whose models it sells too.
        var fallsBackTo: [Int] = []
        /// Indices of its models, in the order of the data.
        var models: [Int] = []
    }

    init(asOf: String, sources: [String], providers: [Provider], models: [ModelPrices]) {
        self.asOf = asOf
        self.sources = sources
        self.providers = providers
        self.models = models
        let names = providers.enumerated().flatMap { index, provider in provider.names.map { ($0, index) } }
        providersByName = Dictionary(names, uniquingKeysWith: { first, _ in first })
    }

    /// How many models it prices.
    public var modelCount: Int { models.count }

    /// The provider that the call names, or that its server's address shows.
    func provider(of call: PricedCall) -> Int? {
        let name = call.provider
        if !name.isEmpty, name.count <= PricedCall.nameBytesMax, let named = providersByName[name.map(lowercase)] { return named }
        guard !call.serverAddress.isEmpty, call.serverAddress.count <= PricedCall.nameBytesMax else { return nil }
        // The patterns are of URLs, the attribute holds a host mostly.
        let isURL = String(decoding: call.serverAddress.prefix(64), as: UTF8.self).contains("://")
        let url = (isURL ? [] : Array("https://".utf8)) + call.serverAddress
        return url.withUnsafeBytes { bytes in providers.firstIndex { $0.api?.matches(bytes) ?? false } }
    }

    /// The model's index: of the provider's models, then of those it falls back to; of all providers' where it is not known.
    func firstMatch(for call: PricedCall, provider: Int?) -> Int? {
        let names = call.models
        if let provider {
            return firstMatch(for: names, of: provider)
                ?? firstMatch(for: names.flatMap { namesBehindPrefix(of: $0) { $0 == provider } }, of: provider)
        }
        // A proxy's name says who the provider is better than the first that matches does.
        for name in names {
            guard let head = name.behindSlashes?.head, let provider = providersByName[head] else { continue }
            if let found = firstMatch(for: [name] + namesBehindPrefix(of: name) { $0 == provider }, of: provider) { return found }
        }
        for name in names {
            for provider in providers.indices {
                if let found = firstModel(for: name, of: provider) { return found }
            }
        }
        return nil
    }

    private func firstMatch(for names: [ModelName], of provider: Int) -> Int? {
        for provider in [provider] + providers[provider].fallsBackTo {
            for name in names {
                if let found = firstModel(for: name, of: provider) { return found }
            }
        }
        return nil
    }

    private func firstModel(for name: ModelName, of provider: Int) -> Int? {
        providers[provider].models.first { models[$0].match.holds(for: name) }
    }

    /// `gpt-4o` of `openai/gpt-4o`, where the part before the slash names such a provider.
    private func namesBehindPrefix(of name: ModelName, where isWanted: (Int) -> Bool) -> [ModelName] {
        guard let parts = name.behindSlashes, let provider = providersByName[parts.head], isWanted(provider) else { return [] }
        return parts.names
    }

    /// The id of a provider that was found.
    func id(_ provider: Int?) -> String? { provider.map { providers[$0].id } }
}

/// The user's own prices, which come before the table's.
public struct OwnPrices: Sendable {
    let models: [ModelPrices]

    init(models: [ModelPrices]) { self.models = models }

    /// None.
    public init() { models = [] }

    /// The first whose condition holds for the response's model, then for the request's. One that names a provider wants that one.
    func firstMatch(for call: PricedCall, provider: String?) -> Int? {
        guard !models.isEmpty else { return nil }
        let said = call.provider.prefix(PricedCall.nameBytesMax).map(lowercase)
        for name in call.models {
            let found = models.firstIndex { model in
                let isItsProvider = model.provider.isEmpty || model.provider == provider || lowercase(model.provider) == said
                return isItsProvider && model.match.holds(for: name)
            }
            if let found { return found }
        }
        return nil
    }
}

extension PricedCall {
    /// No model, provider or server has a longer name; what is longer was made to cost time.
    static let nameBytesMax = 512

    /// The response's model, then the request's, where they are there and not the same.
    var models: [ModelName] {
        let names = responseModel.elementsEqual(requestModel) ? [responseModel] : [responseModel, requestModel]
        return names.filter { 1...Self.nameBytesMax ~= $0.count }.map { ModelName($0) }
    }
}
