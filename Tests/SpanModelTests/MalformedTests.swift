import Testing

@testable import SpanModel

@Suite("Stored bytes that are damaged")
struct MalformedTests {
    /// Reads all that can be read.
    private func readAll(_ span: SpanView) throws {
        _ = (
            span.traceID, span.spanID, span.parentSpanID, span.name, span.kind, span.startTime, span.endTime, span.status,
            span.statusMessage
        )
        _ = (span.model, span.operation, span.inputTokens, span.outputTokens, span.attribute("k"), span.resourceAttribute("service.name"))
        span.withFields { for pair in $0.attributes { _ = AttributeValue(pair.value) } }
        var body: [UInt8] = []
        appendNativeJSON(span, to: &body)
        _ = try JSON(body)
        body = []
        guard (try? appendOTLPRequest([span], to: &body)) != nil else { return }
        body = []
        try appendOTLPJSON([span], to: &body)
        _ = try JSON(body)
    }

    @Test("never crash a reader, and what is written of them is JSON", arguments: Seeds.thisRun)
    func mutations(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let stored = TestSpan.random(using: &rng).stored
            var bytes = stored.bytes
            var entry = entry(length: bytes.count, resource: stored.resourceLength, scope: stored.scopeLength)
            for _ in 0...Int.random(in: 0...3, using: &rng) {
                switch Int.random(in: 0..<6, using: &rng) {
                case 0, 1, 2: bytes[Int.random(in: 0..<bytes.count, using: &rng)] = UInt8.random(in: 0...255, using: &rng)
                case 3: entry.resourceLength = UInt32.random(in: 0...200, using: &rng)
                case 4: entry.scopeLength = UInt32.random(in: 0...200, using: &rng)
                default: entry.length = UInt32.random(in: 0...entry.length, using: &rng)
                }
            }
            let span = SpanView(segment: Segment(firstID: 1, payload: bytes, entries: [entry]), index: 0)
            #expect(throws: Never.self, "again: TRACEFWD_SEED=\(seed) make test") { try readAll(span) }
        }
    }

    @Test(
        "and a directory that points anywhere, are absent members",
        arguments: [
            (0, 1 << 20, 26, 12), (1 << 31, 10, 0, 0), (0, 0, 0, 0), (0, 243, 1 << 31, 12), (0, 243, 26, 1 << 31), (100, 143, 26, 12),
            (0, 243, 25, 12),
        ])
    func directory(offset: Int, length: Int, resource: Int, scope: Int) throws {
        let entry = entry(offset: offset, length: length, resource: resource, scope: scope)
        let span = SpanView(segment: Segment(firstID: 1, payload: TestSpan.vector.stored.bytes, entries: [entry]), index: 0)
        try readAll(span)
        #expect(span.traceID == nil)
        #expect(span.name.isEmpty)
        #expect(native(span) == "{}")
    }

    @Test("values nested without end do not exhaust the stack", arguments: [100, 511, 512, 513, 100_000])
    func depth(levels: Int) throws {
        // From the inside out, each level's bytes before those of the last: built backwards, so that it takes no quadratic time.
        var backwards: [UInt8] = []
        func wrap(_ field: UInt8) {
            var length: [UInt8] = []
            length.appendVarint(UInt64(backwards.count))
            backwards += (([field << 3 | 2] as [UInt8]) + length).reversed()
        }
        for _ in 0..<levels {
            wrap(1)
            wrap(5)
        }
        let attribute = Protobuf.message { out in
            out.text(1, "k")
            out.bytes(2, backwards.reversed())
        }
        let span = Protobuf.message { $0.bytes(9, attribute) }
        let scopeSpans = Protobuf.message { $0.bytes(2, span) }
        let stored = Protobuf.message { $0.bytes(2, scopeSpans) }
        let entry = entry(length: stored.count, resource: 0, scope: 0)
        let view = SpanView(segment: Segment(firstID: 1, payload: stored, entries: [entry]), index: 0)
        try readAll(view)
        let depth = native(view).filter { $0 == "[" }.count
        #expect(depth == min(levels, RawValue.depthMax))
    }
}
