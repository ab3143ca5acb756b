import Testing

@testable import SpanModel

@Suite("A segment with an attribute more")
struct SegmentAdditionTests {
    /// Each span by itself, with the attribute written by the tests' own writer.
    private func expected(_ span: TestSpan, _ value: Double?) -> [UInt8] {
        guard let value else { return span.stored.bytes }
        // Attributes stand before other fields; the addition stands at the end.
        let addition = Protobuf.message { $0.bytes(9, TestSpan.Pair("tracefwd.cost_usd", .double(value)).bytes) }
        let message = span.spanBytes + addition
        let (bytes, resource, scope) = span.stored
        let scopePart = values(of: 2, in: Array(bytes[resource...]))[0].prefix(scope)
        let scopeSpans = scopePart + Protobuf.message { $0.bytes(2, message) }
        return Array(bytes[..<resource]) + Protobuf.message { $0.bytes(2, Array(scopeSpans)) }
    }

    private func bytes(_ segment: Segment) -> [[UInt8]] {
        segment.entries.indices.map { SpanView(segment: segment, index: $0).withBytes { [UInt8]($0) } }
    }

    @Test("has it at the end of the spans that get it, and all others as they were", arguments: Seeds.thisRun)
    func chance(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<40 {
            var spans = (0..<Int.random(in: 0...12, using: &rng)).map { _ in TestSpan.random(using: &rng) }
            // Lengths around those at which their varint grows.
            for index in spans.indices where Bool.random(using: &rng) {
                spans[index].name = String(repeating: "n", count: Int.random(in: 0...200, using: &rng))
            }
            let costs = spans.map { _ in Bool.random(using: &rng) ? Double.random(in: 0...1, using: &rng) : nil }
            let segment = views(spans).first?.segment ?? Segment(firstID: 1, payload: [], entries: [])
            var asked: [Int] = []
            let added = segment.adding("tracefwd.cost_usd") { index, entry, llm in
                #expect(entry == segment.entries[index] && llm.parts.span.count > 0)
                asked.append(index)
                return costs[index]
            }
            let wanted = zip(spans, costs).map { expected($0, $1) }
            #expect(asked == Array(spans.indices) && bytes(added) == wanted, "again: TRACEFWD_SEED=\(seed) make test")
            #expect(added.payload == wanted.flatMap(\.self), "again: TRACEFWD_SEED=\(seed) make test")
            #expect(costs.contains { $0 != nil } || added === segment)
        }
    }

    @Test("each length around the span grows as it must", arguments: [60, 90, 127, 128, 16_300, 16_350, 16_384])
    func borders(length: Int) {
        for shift in 0..<40 {
            var span = TestSpan.vector
            span.name = String(repeating: "n", count: max(0, length - span.spanBytes.count + shift))
            let segment = view(span).segment
            let added = segment.adding("tracefwd.cost_usd") { _, _, _ in 0.5 }
            #expect(bytes(added) == [expected(span, 0.5)])
        }
    }

    @Test("leaves alone what is malformed, or lies outside of the payload")
    func malformed() {
        let stored = TestSpan.vector.stored
        let good = entry(length: stored.bytes.count, resource: stored.resourceLength, scope: stored.scopeLength)
        let torn = entry(length: stored.bytes.count - 1, resource: stored.resourceLength, scope: stored.scopeLength)
        let outside = entry(offset: 1 << 20, length: 100, resource: 0, scope: 0)
        let segment = Segment(firstID: 1, payload: stored.bytes, entries: [torn, good, outside, good])
        let added = segment.adding("tracefwd.cost_usd") { _, _, _ in 0.5 }
        #expect(bytes(added) == [stored.bytes.dropLast(), expected(.vector, 0.5), [], expected(.vector, 0.5)])
    }

    @Test("what adjacent spans' resources say is each span's own", arguments: Seeds.thisRun)
    func resources(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let names = ["service.name", "deployment.environment", "deployment.environment.name", "other"]
        let texts: [TestSpan.Value] = [.string(""), .string("a"), .string("b"), .int(1), .null]
        let spans = (0..<200).map { _ in
            var span = TestSpan.vector
            span.resource = (0..<Int.random(in: 0...3, using: &rng)).compactMap { _ in
                names.randomElement(using: &rng).flatMap { name in texts.randomElement(using: &rng).map { TestSpan.Pair(name, $0) } }
            }
            return span
        }
        let all = views(spans)
        all[0].segment.forEachLLM { index, _, llm in
            // Not every span is asked for both.
            if index % 3 != 0 { #expect(llm.environment?.string == all[index].withLLM { $0.environment?.string }, "TRACEFWD_SEED=\(seed)") }
            if index % 2 == 0 { #expect(llm.service?.string == all[index].withLLM { $0.service?.string }, "TRACEFWD_SEED=\(seed)") }
        }
    }
}
