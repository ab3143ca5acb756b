/// The tokens of one call. Counts that are absent are nil; a negative one counts as absent.
///
/// `input` includes what was read from and written to a cache, and `output` includes reasoning (contract `otlp`, "Totals"). A part that is
/// larger than its whole shows a sender who counts it beside the whole; it is then added, so that it is neither lost nor counted twice.
public struct TokenUsage: Sendable, Equatable {
    /// Tokens read, those of the caches, of sound and of pictures included.
    public var input: Int64?
    /// Tokens made, reasoning, sound and pictures included.
    public var output: Int64?
    /// Of `input`: read from a cache.
    public var cacheRead: Int64?
    /// Of `input`: written to a cache, for however long.
    public var cacheWrite: Int64?
    /// Of `cacheWrite`: written for an hour.
    public var cacheWrite1h: Int64?
    /// Of `output`: reasoning.
    public var reasoning: Int64?
    /// Of `input`: sound, cached or not.
    public var inputAudio: Int64?
    /// Of `cacheRead` and `inputAudio`: cached sound.
    public var cacheReadAudio: Int64?
    /// Of `input`: pictures.
    public var inputImage: Int64?
    /// Of `output`: sound.
    public var outputAudio: Int64?
    /// Of `output`: pictures.
    public var outputImage: Int64?

    /// Nothing counted yet.
    public init() {}

    /// The counts that most calls have.
    public init(input: Int64?, output: Int64?, cacheRead: Int64? = nil, cacheWrite: Int64? = nil, reasoning: Int64? = nil) {
        self.input = input
        self.output = output
        self.cacheRead = cacheRead
        self.cacheWrite = cacheWrite
        self.reasoning = reasoning
    }

    /// Nothing was counted, which is not a count of zero.
    public var isEmpty: Bool {
        func isAbsent(_ count: Int64?) -> Bool { count ?? -1 < 0 }
        return isAbsent(input) && isAbsent(output) && isAbsent(cacheRead) && isAbsent(cacheWrite) && isAbsent(cacheWrite1h)
            && isAbsent(reasoning) && isAbsent(inputAudio) && isAbsent(cacheReadAudio) && isAbsent(inputImage) && isAbsent(outputAudio)
            && isAbsent(outputImage)
    }
}

extension TokenUsage {
    /// What was read and made, where nothing else was counted: then no part is to be taken out of either, which is so for most calls.
    var plain: (input: Int64, output: Int64)? {
        let isPlain =
            cacheRead == nil && cacheWrite == nil && cacheWrite1h == nil && reasoning == nil && inputAudio == nil && cacheReadAudio == nil
            && inputImage == nil && outputAudio == nil && outputImage == nil
        return isPlain ? (max(0, input ?? 0), max(0, output ?? 0)) : nil
    }
}

/// A usage taken apart: each token stands in exactly one member. 128 bits hold any sum of counts.
struct TokenParts {
    let text: Int128
    let audio: Int128
    let image: Int128
    let cacheRead: Int128
    let cacheReadAudio: Int128
    let cacheWrite: Int128
    let cacheWrite1h: Int128
    let outputText: Int128
    let reasoning: Int128
    let outputAudio: Int128
    let outputImage: Int128

    init(_ usage: TokenUsage) {
        func count(_ value: Int64?) -> Int128 { Int128(max(0, value ?? 0)) }
        func whole(_ whole: Int128, holding part: Int128) -> Int128 { part > whole ? whole + part : whole }

        cacheWrite1h = count(usage.cacheWrite1h)
        let writes = whole(count(usage.cacheWrite), holding: cacheWrite1h)
        cacheWrite = writes - cacheWrite1h
        let reads = count(usage.cacheRead)
        let input = whole(count(usage.input), holding: reads + writes)
        cacheReadAudio = min(count(usage.cacheReadAudio), reads)
        cacheRead = reads - cacheReadAudio
        let fresh = input - reads - writes
        audio = min(max(0, count(usage.inputAudio) - cacheReadAudio), fresh)
        image = min(count(usage.inputImage), fresh - audio)
        text = fresh - audio - image

        reasoning = count(usage.reasoning)
        let output = whole(count(usage.output), holding: reasoning)
        outputAudio = min(count(usage.outputAudio), output - reasoning)
        outputImage = min(count(usage.outputImage), output - reasoning - outputAudio)
        outputText = output - reasoning - outputAudio - outputImage
    }

    var input: Int128 { text + audio + image + cacheRead + cacheReadAudio + cacheWrite + cacheWrite1h }
}
