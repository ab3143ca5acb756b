import SpanModel
import Testing

@testable import Pipeline

@Suite("tail sampling: conditions over traces")
struct TailSamplerTests {
    private let spans = [
        #"{"name":"root","trace_id":"4bf92f3577b34da680000000000000ff","start_time":"2026-01-01T00:00:00Z","duration_ms":9000,"environment":"prod","user_id":"u","session_id":"s","tags":["x"],"service":"shop"}"#,
        #"{"name":"call","trace_id":"4bf92f3577b34da680000000000000ff","parent_span_id":"00f067aa0ba902b7","start_time":"2026-01-01T00:00:01Z","duration_ms":1000,"model":"gpt-4o","usage":{"input_tokens":10,"output_tokens":5},"cost_usd":0.1,"error":"no"}"#,
        #"{"name":"call","trace_id":"4bf92f3577b34da680000000000000ff","parent_span_id":"00f067aa0ba902b7","start_time":"2026-01-01T00:00:02Z","duration_ms":1000,"model":"o3","usage":{"input_tokens":1,"output_tokens":1},"cost_usd":0.2,"user_id":"v"}"#,
    ]

    private func verdict(_ tail: String, _ lines: [String]) throws -> TraceVerdict {
        let rules = try rules(
            "define: { dear: cost_usd > 0.25, modern: 'model == \"o3\"' }\nroutes: [{name: p, to: [a], sample: {tail: \(tail)}}]")
        let router = Router(rules)
        var sums = TraceSums()
        for line in lines { router.add(try span(line), to: &sums, for: 0) }
        let verdict = router.judge(sums, by: 0)
        #expect(router.takeFailures() == [])
        return verdict
    }

    @Test(
        "conditions see the trace: sums over its spans, its root's members",
        arguments: [
            "errors == 1 && spans == 3", "cost_usd == 0.3", "total_tokens == 17", #"duration == duration("9s")"#,
            #"models == ["gpt-4o", "o3"] && services == ["shop"] && tags == ["x"]"#,
            #"name == "root" && environment == "prod" && user_id == "u" && session_id == "s""#, "dear", #"glob(name, "r*t")"#,
        ])
    func conditions(condition: String) throws {
        #expect(try verdict("{keep: ['\(condition)']}", spans) == .kept)
        #expect(try verdict("{keep: ['!(\(condition))']}", spans) == .dropped)
    }

    @Test("the rate keeps a share by the trace's number; a trace without a root has empty members of it")
    func rate() throws {
        #expect(try verdict("{rate: 0.5}", spans) == .dropped)
        #expect(try verdict("{rate: 1}", spans) == .keptByRate)
        #expect(try verdict(#"{keep: ['name == "" && duration == duration("2s")']}"#, Array(spans[1...])) == .kept)
    }

    @Test("what names members of a span alone is told as unknown, with its place")
    func mistakes() throws {
        let (_, mistakes) = try compiled(
            "define: { modern: 'model == \"o3\"' }\nroutes: [{name: p, to: [a], sample: {tail: {keep: ['model == 1', modern]}}}]")
        #expect(mistakes.count == 2)
        #expect(mistakes.allSatisfy { $0.text.contains("unknown variable") }, "\(mistakes)")
    }

    @Test("a span alone is a whole trace for who asks so")
    func alone() throws {
        let rules = try rules("routes: [{name: p, to: [a], sample: {tail: {keep: [errors > 0]}}}]")
        let router = Router(rules)
        let kinds = try spans.map { line in
            let view = try span(line)
            return router.judgeAlone(view, router.route(view.segment).decision(0, for: 0)).kind
        }
        #expect(kinds == [.tail, .deliver, .tail])
    }

    @Test("what is kept by the rate says so; what a condition keeps counts for itself")
    func marks() throws {
        let rules = try rules("routes: [{name: p, to: [a], sample: {tail: {rate: 0.25}}}]")
        let router = Router(rules)
        let view = try span(spans[1])
        let byRate = try native(router.form(view, by: RouteDecision(trace: .keptByRate, by: 0)))
        #expect(byRate["trace_state"] as? String == "ot=th:c")
        let attributes = byRate["attributes"] as? [String: Any]
        #expect(attributes?["tracefwd.sampling.rate"] as? Double == 0.25)
        let kept = try native(router.form(view, by: RouteDecision(trace: .kept, by: 0)))
        #expect(kept["trace_state"] as? String == "ot=th:0")
        #expect((kept["attributes"] as? [String: Any])?["tracefwd.sampling.reason"] as? String == "tail")
    }
}
