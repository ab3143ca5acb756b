/// What a call cost, by side.
public struct Cost: Sendable, Equatable {
    /// For what was read, caches included.
    public let input: Dollars
    /// For what was made.
    public let output: Dollars

    /// Both.
    public var total: Dollars { input + output }
}

/// A price as attodollars a token, which is 10^-12 dollars a million tokens. At most a dollar a token, so no call overflows `Dollars`.
typealias TokenPrice = UInt64

/// One row of prices, with what is absent filled in as the data's rules say.
struct Prices: Equatable {
    let input: TokenPrice
    let inputAudio: TokenPrice
    let inputImage: TokenPrice
    let cacheRead: TokenPrice
    let cacheReadAudio: TokenPrice
    let cacheWrite: TokenPrice
    let cacheWrite1h: TokenPrice
    let output: TokenPrice
    let reasoning: TokenPrice
    let outputAudio: TokenPrice
    let outputImage: TokenPrice

    /// The price of a key; nil where the row has none.
    init(input: TokenPrice, _ price: (PriceKey) -> TokenPrice?) {
        self.input = input
        inputAudio = price(.inputAudio) ?? input
        inputImage = price(.inputImage) ?? input
        cacheRead = price(.cacheRead) ?? input
        cacheReadAudio = price(.cacheReadAudio) ?? price(.cacheRead) ?? inputAudio
        cacheWrite = price(.cacheWrite) ?? input
        cacheWrite1h = price(.cacheWrite1h) ?? cacheWrite
        // Models that make no tokens (embeddings) have no such price.
        output = price(.output) ?? 0
        reasoning = price(.reasoning) ?? output
        outputAudio = price(.outputAudio) ?? output
        outputImage = price(.outputImage) ?? output
    }

    func cost(of parts: TokenParts) -> Cost {
        var read = parts.text * Int128(input) + parts.cacheRead * Int128(cacheRead)
        read += parts.cacheWrite * Int128(cacheWrite) + parts.cacheWrite1h * Int128(cacheWrite1h)
        read += parts.audio * Int128(inputAudio) + parts.cacheReadAudio * Int128(cacheReadAudio) + parts.image * Int128(inputImage)
        var made = parts.outputText * Int128(output) + parts.reasoning * Int128(reasoning)
        made += parts.outputAudio * Int128(outputAudio) + parts.outputImage * Int128(outputImage)
        return Cost(input: Dollars(attodollars: read), output: Dollars(attodollars: made))
    }
}

/// The prices of a row, by the names that the data gives them.
enum PriceKey: String, CaseIterable {
    case input
    case output
    case cacheRead = "cache_read"
    case cacheWrite = "cache_write"
    case cacheWrite1h = "cache_write_1h"
    case reasoning
    case inputAudio = "input_audio"
    case cacheReadAudio = "cache_read_audio"
    case outputAudio = "output_audio"
    case inputImage = "input_image"
    case outputImage = "output_image"
}

/// Prices, and those that take their place once a request is long.
struct PriceRow: Equatable {
    struct Tier: Equatable {
        /// Holds where the request's input is more than this.
        let above: Int64
        let prices: Prices
    }

    let prices: Prices
    /// From the highest down.
    let tiers: [Tier]

    func cost(of parts: TokenParts) -> Cost {
        if !tiers.isEmpty {
            let input = parts.input
            for tier in tiers where input > Int128(tier.above) { return tier.prices.cost(of: parts) }
        }
        return prices.cost(of: parts)
    }
}
