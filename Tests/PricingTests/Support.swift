import Foundation
import Pricing
import Testing

/// A call as a test writes it.
struct Asked {
    var provider = ""
    var response = ""
    var request = ""
    var server = ""
    var tier = ""
    var processing = ""
    var speed = ""
    var usage = TokenUsage(input: 1_000_000, output: 0)
    /// `2026-11-24T12:00:00Z`
    var at = "2026-11-24T12:00:00Z"

    func with<Result>(_ body: (PricedCall) throws -> Result) throws -> Result {
        let seconds = try #require(ISO8601DateFormatter().date(from: at)).timeIntervalSince1970
        var call = PricedCall(usage: usage, startTime: UInt64(seconds) * 1_000_000_000)
        let names = [provider, response, request, server, tier, processing, speed].map { Array($0.utf8) }
        return try names[0].withUnsafeBytes { provider in
            try names[1].withUnsafeBytes { response in
                try names[2].withUnsafeBytes { request in
                    try names[3].withUnsafeBytes { server in
                        try names[4].withUnsafeBytes { tier in
                            try names[5].withUnsafeBytes { processing in
                                try names[6].withUnsafeBytes { speed in
                                    call.provider = provider
                                    call.responseModel = response
                                    call.requestModel = request
                                    call.serverAddress = server
                                    call.serviceTier = tier
                                    call.processing = processing
                                    call.speed = speed
                                    return try body(call)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

extension PriceBook {
    func quote(_ asked: Asked) throws -> Quote { try asked.with { quote($0) } }

    /// `openai/gpt-4o`; nil where no price holds.
    func entry(_ asked: Asked) throws -> String? {
        try asked.with { match($0) }.map { ($0.isOwn ? "own:" : "") + ($0.provider.isEmpty ? "" : $0.provider + "/") + $0.model }
    }

    /// The cost in decimal; nil where there is none.
    func cost(_ asked: Asked) throws -> String? {
        guard case .cost(let cost) = try quote(asked) else { return nil }
        return cost.total.description
    }
}

/// A table of the form of the data, small enough to read in a test.
func smallBook(own: String = "{}") throws -> PriceBook {
    let json = #"""
        {"unit": "USD per 1,000,000 tokens", "as_of": "2026-10-29", "sources": [{"name": "facts", "version": "1", "license": "MIT"}],
         "providers": [
          {"id": "alpha", "names": ["alpha", "alpha.cloud"], "api": "https://api\\.alpha\\.example", "falls_back_to": []},
          {"id": "beta", "names": ["beta"], "api": "https://(.*\\.)?beta\\.example(/|$)", "falls_back_to": ["alpha", "elsewhere"]}],
         "models": [
          {"provider": "alpha", "model": "one", "match": {"any": [{"equals": "One"}, {"regex": "^one-\\d{8}$"}]},
           "input": 2, "cache_read": 0.5, "cache_write": 2.5, "cache_write_1h": 4, "output": 8,
           "above": [{"input_tokens": 100, "input": 4, "output": 16}, {"input_tokens": 200, "input": 6, "output": 24}]},
          {"provider": "alpha", "model": "talk", "match": {"all": [{"prefix": "talk"}, {"regex": "^(?!.*-[tT][tT][sS](?:$|-))"}]},
           "input": 1, "output": 2, "input_audio": 10, "output_audio": 20, "input_image": 3, "output_image": 30, "reasoning": 5},
          {"provider": "alpha", "model": "dated", "match": {"suffix": "dated"}, "from": "2026-03-13", "input": 3, "output": 0,
           "history": [{"input": 5, "output": 0}, {"from": "2026-01-01", "input": 4, "output": 0}],
           "scheduled": [{"from": "2027-01-01", "input": 2, "output": 0}],
           "windows": [{"daily_utc": ["22:00:00+00:00", "02:30:00+00:00"], "input": 9, "output": 0}]},
          {"provider": "alpha", "model": "served", "match": {"equals": "served"}, "input": 8, "output": 0, "variants": [
            {"when": {"processing": "batch"}, "from": "2026-06-01", "input": 4},
            {"when": {"processing": "batch"}, "from": "2026-09-01", "input": 3},
            {"when": {"service_tier": "priority"}, "input": 16}, {"when": {"speed": "fast"}, "input": 20}]},
          {"provider": "beta", "model": "two", "match": {"contains": "two"}, "input": 1.5, "output": 6}]}
        """#
    return PriceBook(try PriceTable(json: Array(json.utf8), file: "small.json"), own: try ownPrices(own))
}

func ownPrices(_ json: String) throws -> OwnPrices { try OwnPrices(PriceValue(json: Array(json.utf8), file: "tracefwd.yaml")) }

/// Repeatable chance (SplitMix64). Tests that use it print the seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
