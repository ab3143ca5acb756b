// Measures what rules cost a span, in nanoseconds of processor time: routes, prices, what a destination's form costs.
//     make bench-rules
// and for a profiler one case alone, few times: rules-bench ROUNDS cost|routes|forms
import Glibc
import Intake
import Pipeline
import Settings
import SpanModel

/// The conditions of Tests/bench/cel: ten routes of average complexity, four of which match this span.
let routes = """
    routes:
      - { name: r0, when: 'environment == "prod" && model.startsWith("gpt-4")', to: [a] }
      - { name: r1, when: 'status == "error" || duration > duration("5s")', to: [b] }
      - { name: r2, when: 'service in ["shop", "search"]', to: [c] }
      - { name: r3, when: 'cost_usd > 0.25', to: [d] }
      - { name: r4, when: 'input_tokens > 1000', to: [e] }
      - { name: r5, when: '"vip" in tags', to: [a, b] }
      - { name: r6, when: 'environment == "staging" && !(name == "healthcheck")', to: [c] }
      - { name: r7, when: 'attributes["shop.tier"] == "gold" && root', to: [d] }
      - { name: r8, when: 'model.contains("mini") || model.endsWith("-turbo")', to: [e] }
      - { name: r9, when: 'user_id != "" && input_tokens > 500 && cost_usd > 0.01', to: [a] }
    """
let transformed = """
    routes:
      - name: p
        to: [a]
        transform: [{ set: { team: '"search"', cents: 'cost_usd * 100.0' } }, { remove: ['http.*'] }]
        redact: [email, credit_card, secret]
    """

func rules(_ yaml: String) throws -> Rules {
    let text = yaml + "\ndestinations: { a: { type: none }, b: { type: none }, c: { type: none }, d: { type: none }, e: { type: none } }\n"
    let surroundings = Surroundings(environment: [:]) { _ throws(ReadError) in Array(text.utf8) }
    let settings = try load(
        file: "bench.yaml", destinationTypes: [DestinationType("none", http: false, "Nothing.", keys: [])], surroundings: surroundings)
    let (rules, mistakes) = Rules.compile(settings.rules, host: RuleHost())
    precondition(mistakes.isEmpty, "\(mistakes)")
    return rules
}

/// 256 spans of some 900 bytes, as they are stored.
func batch() -> SpanBatch {
    let filler = String(repeating: "Where is my order? It should have been here on Monday. ", count: 6)
    var batch = SpanBatch()
    for number in 0..<256 {
        let line = """
            {"name":"chat gpt-4o","model":"gpt-4o-2024-08-06","provider":"openai","environment":"prod","service":"checkout","user_id":"u-\(number)",\
            "input":"\(filler)","output":"\(filler)","usage":{"input_tokens":812,"output_tokens":120},"tags":["beta","eu"],\
            "attributes":{"shop.tier":"silver","http.url":"/chat"}}
            """
        let parsed = Array(line.utf8).withUnsafeBytes {
            LineParser().parse($0, stamp: Stamp(receivedAt: 1_700_000_000_000_000_000, source: .unix), acceptsAck: false, into: &batch)
        }
        if case .rejected = parsed { preconditionFailure("the bench's own span was rejected") }
    }
    return batch
}

/// Of this thread: other load on the machine does not count.
func processorNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

let spans = batch()
let rounds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 400 : 400

func measure(_ name: String, as word: String, _ work: (Int64) -> Void) {
    guard CommandLine.arguments.count < 3 || CommandLine.arguments[2] == word else { return }
    for round in 0..<20 { work(Int64(round) * 256 + 1) }
    var best = Double.infinity
    for pass in 0..<5 {
        let start = processorNanoseconds()
        for round in 0..<rounds { work(Int64((pass + 1) * 1_000_000 + round) * 256 + 1) }
        best = min(best, (processorNanoseconds() - start) / Double(rounds * spans.count))
    }
    print("\(Int(best.rounded())) ns  \(name)")
}

func segment(_ firstID: Int64) -> Segment { Segment(firstID: firstID, payload: spans.payload, entries: spans.entries) }

print("a span of \(spans.payload.count / spans.count) bytes; best of 5")
let priced = Router(try rules(""))
measure("its cost is told and written, no routes", as: "cost") { _ = priced.route(segment($0)) }
let routed = Router(try rules(routes))
measure("ten routes for five destinations, cost included", as: "routes") { first in
    let segment = routed.route(segment(first))
    for index in 0..<256 { for destination in 0..<5 { precondition(segment.decision(index, for: destination).kind != .dropped) } }
}
let forming = Router(try rules(transformed))
measure("one route: set, remove, and redaction of every text", as: "forms") { first in
    let segment = forming.route(segment(first))
    for index in 0..<256 { _ = forming.form(SpanView(segment: segment.segment, index: index), by: segment.decision(index, for: 0)) }
}
