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

    /// As `cost(of:)`, where nothing but text was read and made.
    func cost(input text: Int64, output made: Int64) -> Cost {
        Cost(
            input: Dollars(attodollars: Int128(text) &* Int128(truncatingIfNeeded: input)),
            output: Dollars(attodollars: Int128(made) &* Int128(truncatingIfNeeded: output)))
    }

    func cost(of parts: TokenParts) -> Cost {
        // A price is at most 10^18, and all parts of a side together are below 2^66: no product or sum leaves 128 bits, so none is checked.
        func product(_ count: Int128, _ price: TokenPrice) -> Int128 { count == 0 ? 0 : count &* Int128(truncatingIfNeeded: price) }
        var read = product(parts.text, input) &+ product(parts.cacheRead, cacheRead)
        read &+= product(parts.cacheWrite, cacheWrite) &+ product(parts.cacheWrite1h, cacheWrite1h)
        read &+= product(parts.audio, inputAudio) &+ product(parts.cacheReadAudio, cacheReadAudio) &+ product(parts.image, inputImage)
        var made = product(parts.outputText, output) &+ product(parts.reasoning, reasoning)
        made &+= product(parts.outputAudio, outputAudio) &+ product(parts.outputImage, outputImage)
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

    /// The prices that hold for a request of that many input tokens.
    func prices(input: Int128) -> Prices {
        for index in tiers.indices where input > Int128(tiers[index].above) { return tiers[index].prices }
        return prices
    }
}
