import SpanModel
import Testing

@testable import Pipeline

@Suite("sampling")
struct SamplerTests {
    @Test(
        "thresholds of probabilities (OpenTelemetry, TraceState: Probability sampling)",
        arguments: [(1.0, 0x0), (0.5, 0x80_0000_0000_0000), (0.25, 0xc0_0000_0000_0000), (0.1, 0xe6_6666_6666_6666), (0.0, 1 << 56)])
    func thresholds(probability: Double, threshold: UInt64) {
        // A double has 53 bits: the last digit may differ from the exact one.
        #expect(Sampler.threshold(of: probability).distance(to: threshold).magnitude <= 8)
        #expect(abs(Sampler.probability(of: Sampler.threshold(of: probability)) - probability) < 1e-12)
    }

    @Test(
        "the trace's own number decides, wherever the span is",
        arguments: [
            (#""trace_id":"4bf92f3577b34da680000000000000ff""#, false), (#""trace_id":"4bf92f3577b34da6a380000000000000""#, true),
            (#""trace_id":"4bf92f3577b34da6a37fffffffffffff""#, false),
            // `rv` in the tracestate wins over the id.
            (#""trace_id":"4bf92f3577b34da680000000000000ff","trace_state":"vendor=1,ot=rv:f0000000000000""#, true),
            (#""trace_id":"4bf92f3577b34da6a3ffffffffffffff","trace_state":"ot=rv:00000000000000""#, false),
        ])
    func consistent(members: String, isKept: Bool) throws {
        let rules = try rules("routes: [{name: p, sample: 0.5, to: [a]}]")
        #expect(try rules.fates(of: span(#"{"name":"x",\#(members)}"#))[0] == (isKept ? "p" : "(sampled)"))
    }

    @Test("a rate keeps its share of random traces, hashed or not", arguments: ["random", "hash"])
    func share(method: String) throws {
        let sample = method == "hash" ? "{rate: 0.3, method: hash}" : "0.3"
        let rules = try rules("routes: [{name: p, sample: \(sample), to: [a]}]")
        var kept = 0
        for number in 1...2_000 {
            // Ids that count are not random: only `hash` is fair to them.
            let id = method == "hash" ? String(number, radix: 16) : String(UInt64(number) &* 0x9e37_79b9_7f4a_7c15, radix: 16)
            let trace = String(repeating: "0", count: 31 - id.count) + id
            if try rules.fates(of: span(#"{"name":"x","trace_id":"1\#(trace)"}"#))[0] == "p" { kept += 1 }
        }
        #expect(abs(kept - 600) < 80, "\(kept) of 2,000")
    }

    @Test(
        "what is kept says at which rate",
        arguments: [
            ("0.5", #""trace_id":"4bf92f3577b34da6a3ffffffffffffff""#, "ot=th:8", 0.5, nil),
            // The rate as it is configured, not what the rounded threshold stands for.
            ("0.1", #""trace_id":"4bf92f3577b34da6a3ffffffffffffff""#, "ot=th:e6666666666668", 0.1, nil),
            (
                "{rate: 0.25}", #""trace_id":"4bf92f3577b34da6a3ffffffffffffff","trace_state":"a=1,ot=rv:ffffffffffffff;th:4,b=2""#,
                "ot=th:c;rv:ffffffffffffff,a=1,b=2", 0.25, nil
            ),
            // A threshold that is higher already is never lowered.
            ("0.5", #""trace_id":"4bf92f3577b34da6a3ffffffffffffff","trace_state":"ot=th:e""#, "ot=th:e", 0.125, nil),
            (
                "{rate: 0, keep: ['false', 'status == \"error\"']}", #""trace_id":"4bf92f3577b34da6a300000000000000","error":"x""#,
                "ot=th:0", 1, "keep[1]"
            ),
            ("{rate: 'cost_usd > 0.1 ? 1.0 : 0.0'}", #""cost_usd":0.2"#, "ot=th:0", 1, nil),
        ] as [(String, String, String, Double, String?)])
    func mark(sample: String, members: String, state: String, rate: Double, reason: String?) throws {
        let rules = try rules("routes: [{name: p, sample: \(sample), to: [a]}]")
        let router = Router(rules)
        let view = try span(#"{"name":"x",\#(members)}"#)
        let routed = router.route(view.segment)
        let decision = routed.decision(0, for: 0)
        try #require(decision.delivers)
        let sent = try native(router.form(SpanView(segment: routed.segment, index: 0), by: decision))
        let attributes = try #require(sent["attributes"] as? [String: Any])
        #expect(sent["trace_state"] as? String == state)
        #expect(attributes["tracefwd.sampling.rate"] as? Double == rate)
        #expect(attributes["tracefwd.sampling.reason"] as? String == reason)
    }

    @Test(
        "a broken tracestate is none", arguments: ["", "ot", "ot=", "ot=rv:zz", "ot=rv:123", "ot=th:", "x=ot=rv:00000000000000", ",,;;="])
    func broken(state: String) {
        Array(state.utf8).withUnsafeBytes { bytes in
            #expect(TraceState.random(in: bytes) == nil)
            #expect(TraceState.threshold(in: bytes) == nil)
            _ = TraceState.setting(threshold: 1, in: bytes)
        }
    }
}
