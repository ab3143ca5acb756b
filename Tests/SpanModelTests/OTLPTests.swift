import Testing

@testable import SpanModel

@Suite("OTLP requests")
struct OTLPTests {
    /// Contract `otlp`, A.5.
    static let vector = hexBytes(
        """
        0af3010a180a160a0c736572766963652e6e616d6512060a0473686f7012d6010a0a0a08747261636566776412c7010a104bf92f3577b34da6a3ce929d0e0e4736120800f067aa0ba902b7
        2a0b63686174206770742d346f30033900002a36fe9c97174100cac471fe9c97174a1f0a1567656e5f61692e6f7065726174696f6e2e6e616d6512060a04636861744a200a1467656e5f61
        692e726571756573742e6d6f64656c12080a066770742d346f4a1f0a1967656e5f61692e75736167652e696e7075745f746f6b656e73120218784a200a1a67656e5f61692e75736167652e
        6f75747075745f746f6b656e731202181e7a021801
        """)
    static let vectorJSON = """
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"tracefwd"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"chat gpt-4o","kind":3,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.request.model","value":{"stringValue":"gpt-4o"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"120"}},{"key":"gen_ai.usage.output_tokens","value":{"intValue":"30"}}],"status":{"code":1}}]}]}]}
        """

    @Test("the contract's vector comes out byte for byte, in protobuf and in JSON")
    func golden() throws {
        let stored = Array(Self.vector.dropFirst(3))
        let segment = Segment(firstID: 1, payload: stored, entries: [entry(length: stored.count, resource: 26, scope: 12)])
        let spans = [SpanView(segment: segment, index: 0)]
        #expect(try request(spans) == Self.vector)
        #expect(try json(spans) == Self.vectorJSON)
        #expect(try request(views([.vector])) == Self.vector)
    }

    @Test("no span is an empty request")
    func empty() throws {
        #expect(try request([]) == [])
        #expect(try json([]) == "{}")
    }

    @Test("what stands in the buffer stays")
    func appends() throws {
        var body: [UInt8] = [1, 2, 3]
        try appendOTLPRequest(views([.vector]), to: &body)
        #expect(body == [1, 2, 3] + Self.vector)
        body = [0x20]
        try appendOTLPJSON(views([.vector]), to: &body)
        #expect(body == [0x20] + Array(Self.vectorJSON.utf8))
    }

    @Test(
        "adjacent spans of equal resource share one ResourceSpans, of equal resource and scope one ScopeSpans",
        arguments: [
            ("a1", [[1]]), ("a1 a1 a1", [[3]]), ("a1 a2", [[1, 1]]), ("a1 b1", [[1], [1]]), ("a1 b1 a1", [[1], [1], [1]]),
            ("a1 a1 a2 a2 a1 b1 b1", [[2, 2, 1], [2]]), ("a1 b2 b2 b1 a1 a1", [[1], [2, 1], [2]]),
        ])
    func merging(plan: String, groups: [[Int]]) throws {
        var spans: [TestSpan] = []
        for (index, word) in plan.split(separator: " ").enumerated() {
            var span = TestSpan()
            span.resource = [TestSpan.Pair("service.name", .string(String(word.prefix(1))))]
            span.scopeName = String(word.suffix(1))
            span.name = "span \(index)"
            spans.append(span)
        }
        let resources = SpanModelTests.values(of: 1, in: try request(views(spans)))
        let scopes = resources.map { SpanModelTests.values(of: 2, in: $0) }
        #expect(scopes.map { $0.map { SpanModelTests.values(of: 2, in: $0).count } } == groups)
        #expect(scopes.flatMap { $0.flatMap { SpanModelTests.values(of: 2, in: $0) } } == spans.map(\.spanBytes))

        guard case .array(let objects)? = try JSON(Array(json(views(spans)).utf8))["resourceSpans"] else {
            Issue.record("no resourceSpans")
            return
        }
        let counts = objects.map { resource -> [Int] in
            guard case .array(let scopes)? = resource["scopeSpans"] else { return [] }
            return scopes.map { if case .array(let spans)? = $0["spans"] { spans.count } else { 0 } }
        }
        #expect(counts == groups)
    }

    @Test("spans of several segments, of large and of no resource, are one request")
    func sizes() throws {
        var (large, bare) = (TestSpan.vector, TestSpan.vector)
        large.resource = [TestSpan.Pair("blob", .string(String(repeating: "x", count: 70_000)))]
        bare.resource = []
        bare.scopeName = ""
        let spans = [large, large, bare, .vector, bare, bare]
        let message = try request(spans.map(view))
        let resources = SpanModelTests.values(of: 1, in: message)
        #expect(resources.count == 4)
        let back = resources.flatMap { SpanModelTests.values(of: 2, in: $0).flatMap { SpanModelTests.values(of: 2, in: $0) } }
        #expect(back == spans.map(\.spanBytes))
        #expect(try request([view(bare)]) == Protobuf.message { $0.bytes(1, bare.stored.bytes) })
    }

    @Test("adjacent spans are merged and nothing else is, however they lie in segments", arguments: Seeds.thisRun)
    func randomRequests(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<20 {
            let origins = (0..<3).map { _ in TestSpan.random(using: &rng) }
            var spans: [TestSpan] = []
            for _ in 0...Int.random(in: 0...20, using: &rng) {
                var span = TestSpan.random(using: &rng)
                let (resource, scope) = (origins.randomElement(using: &rng) ?? span, origins.randomElement(using: &rng) ?? span)
                (span.resource, span.resourceSchema) = (resource.resource, resource.resourceSchema)
                (span.scopeName, span.scopeVersion) = (scope.scopeName, scope.scopeVersion)
                (span.scopeAttributes, span.scopeSchema) = (scope.scopeAttributes, scope.scopeSchema)
                spans.append(span)
            }
            var stored: [SpanView] = []
            while stored.count < spans.count {
                stored += views(Array(spans[stored.count...].prefix(Int.random(in: 1...6, using: &rng))))
            }
            let isAsMerged = try request(stored) == Self.merged(spans)
            #expect(isAsMerged, "again: TRACEFWD_SEED=\(seed) make test")
        }
    }

    /// The request that these spans are, by the rules of protobuf alone.
    private static func merged(_ spans: [TestSpan]) -> [UInt8] {
        var resources: [(head: [UInt8], scopes: [(head: [UInt8], spans: [UInt8])])] = []
        for one in spans.map(\.stored) {
            let resource = Array(one.bytes[..<one.resourceLength])
            let scopeSpans = SpanModelTests.values(of: 2, in: Array(one.bytes[one.resourceLength...]))[0]
            let (scope, span) = (Array(scopeSpans[..<one.scopeLength]), Array(scopeSpans[one.scopeLength...]))
            if resources.last?.head != resource { resources.append((resource, [])) }
            let last = resources.count - 1
            if resources[last].scopes.last?.head != scope { resources[last].scopes.append((scope, [])) }
            resources[last].scopes[resources[last].scopes.count - 1].spans += span
        }
        return Protobuf.message { out in
            for resource in resources {
                let scopes = Protobuf.message { out in
                    for scope in resource.scopes { out.bytes(2, scope.head + scope.spans) }
                }
                out.bytes(1, resource.head + scopes)
            }
        }
    }

    @Test("OTLP JSON holds exactly what the span holds, whatever it is", arguments: Seeds.thisRun)
    func randomJSON(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<50 {
            let span = TestSpan.random(using: &rng)
            #expect(try JSON(Array(json([view(span)]).utf8)) == span.otlp, "again: TRACEFWD_SEED=\(seed) make test")
        }
    }

    @Test("OTLP JSON keeps the counts and entities of resource and scope")
    func entities() throws {
        let entity = Protobuf.message { out in
            out.text(2, "service")
            out.text(3, "service.name")
            out.text(3, "id")
            out.text(4, "v")
        }
        let resource = Protobuf.message { out in
            out.varint(2, 5)
            out.bytes(3, entity)
        }
        let head = Protobuf.message { $0.bytes(1, resource) }
        let scopeHead = Protobuf.message { $0.bytes(1, Protobuf.message { $0.varint(4, 6) }) }
        let stored = Protobuf.message { out in
            out.bytes = head
            out.bytes(2, scopeHead + Protobuf.message { $0.bytes(2, []) })
        }
        let entry = entry(length: stored.count, resource: head.count, scope: scopeHead.count)
        let span = SpanView(segment: Segment(firstID: 1, payload: stored, entries: [entry]), index: 0)
        #expect(
            try json([span]) == """
                {"resourceSpans":[{"resource":{"droppedAttributesCount":5,"entityRefs":[{"type":"service","idKeys":["service.name","id"],"descriptionKeys":["v"]}]},"scopeSpans":[{"scope":{"droppedAttributesCount":6},"spans":[{}]}]}]}
                """)
    }

    @Test("a span whose stored bytes are laid out wrongly is named, not sent")
    func malformed() {
        let good = TestSpan.vector.stored
        let entries = [
            entry(length: good.bytes.count, resource: good.resourceLength, scope: good.scopeLength),
            entry(length: good.bytes.count - 1, resource: good.resourceLength, scope: good.scopeLength),
        ]
        let segment = Segment(firstID: 1, payload: good.bytes, entries: entries)
        let spans = [SpanView(segment: segment, index: 0), SpanView(segment: segment, index: 1)]
        #expect(throws: MalformedSpan(index: 1)) { try request(spans) }
        #expect(throws: MalformedSpan(index: 1)) { try json(spans) }
    }
}

private func request(_ spans: [SpanView]) throws(MalformedSpan) -> [UInt8] {
    var body: [UInt8] = []
    try appendOTLPRequest(spans, to: &body)
    return body
}

private func json(_ spans: [SpanView]) throws(MalformedSpan) -> String {
    var body: [UInt8] = []
    try appendOTLPJSON(spans, to: &body)
    return String(decoding: body, as: UTF8.self)
}
