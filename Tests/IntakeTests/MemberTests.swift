import Testing

private let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

/// The bytes of hex digits.
func bytes(_ hex: String) -> [UInt8] {
    stride(from: 0, to: hex.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
}

@Suite("The members of a native span")
struct MemberTests {
    @Test(
        "ids: hex of either case, a UUID as trace id; root is null, empty or all zero",
        arguments: [
            (#""trace_id":"4BF92F3577B34DA6A3CE929D0E0E4736""#, \DecodedSpan.traceID, trace),
            (#""trace_id":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736""#, \.traceID, trace),
            (#""span_id":"00F067AA0ba902b7""#, \.spanID, "00f067aa0ba902b7"),
            (#""parent_span_id":"00f067aa0ba902b7""#, \.parentSpanID, "00f067aa0ba902b7"),
            (#""parent_span_id":"""#, \.parentSpanID, ""), (#""parent_span_id":null"#, \.parentSpanID, ""),
            (#""parent_span_id":"0000000000000000""#, \.parentSpanID, ""),
        ] as [(String, KeyPath<DecodedSpan, [UInt8]> & Sendable, String)])
    func ids(member: String, path: KeyPath<DecodedSpan, [UInt8]> & Sendable, hex: String) throws {
        #expect(try span("{\"name\":\"n\",\(member)}")[keyPath: path] == bytes(hex))
    }

    @Test(
        "ids that are none are rejected",
        arguments: [
            (
                "trace_id",
                [
                    "", "0", "4bf92f3577b34da6a3ce929d0e0e473", "4bf92f3577b34da6a3ce929d0e0e47366", "4bf92f3577b34da6a3ce929d0e0e473g",
                    "00000000000000000000000000000000", "00000000-0000-0000-0000-000000000000", "4bf92f3577-b34d-a6a3-ce92-9d0e0e4736aa",
                    "4bf92f35_77b3_4da6_a3ce_929d0e0e4736", " bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e473\\u0016",
                ], "bad_trace_id"
            ),
            ("span_id", ["", "0000000000000000", "00f067aa0ba902b", "00f067aa0ba902b77", "00f067aa0ba902bx"], "bad_span_id"),
            ("parent_span_id", ["0", "00f067aa0ba902b", "00f067aa0ba902bx"], "bad_span_id"),
        ])
    func badIDs(member: String, ids: [String], expected: String) {
        for id in ids { #expect(code("{\"name\":\"n\",\"\(member)\":\"\(id)\"}") == expected, "\(id)") }
    }

    @Test("ids that were left out are drawn, differ, and are never zero")
    func generatedIDs() throws {
        let first = try span(#"{"name":"n"}"#)
        #expect(first.traceID.count == 16 && first.spanID.count == 8)
        #expect(Array(first.traceID[8...]) != first.spanID)
    }

    @Test(
        "kind by name of either case, OTLP's name or number; internal by default",
        arguments: [
            ("\"client\"", 3), ("\"CLIENT\"", 3), ("\"SPAN_KIND_CLIENT\"", 3), ("\"Server\"", 2), ("\"internal\"", 1), ("\"producer\"", 4),
            ("\"span_kind_consumer\"", 5), ("3", 3), ("0", 0), ("\"unspecified\"", 0), ("null", 1),
        ])
    func kinds(json: String, expected: UInt64) throws {
        #expect(try span("{\"name\":\"n\",\"kind\":\(json)}").kind == expected)
        #expect(try span("{\"name\":\"n\"}").kind == 1)
    }

    @Test(
        "status as an object, a code, OTLP's name or number",
        arguments: [
            ("\"ok\"", 1, ""), ("\"ERROR\"", 2, ""), ("\"STATUS_CODE_OK\"", 1, ""), ("2", 2, ""), ("\"unset\"", 0, ""), ("null", 0, ""),
            ("{}", 0, ""),
            (#"{"code":"error","message":"boom"}"#, 2, "boom"), (#"{"message":"m"}"#, 0, "m"), (#"{"code":null,"message":null}"#, 0, ""),
            (#"{"code":"ok","code":"error"}"#, 2, ""), (#"{"code":5,"code":1}"#, 1, ""),
        ])
    func statuses(json: String, code: UInt64, message: String) throws {
        let span = try span("{\"name\":\"n\",\"status\":\(json)}")
        #expect(span.statusCode == code && span.statusMessage == Name(message))
    }

    @Test(
        "a member of a wrong type is rejected by its name",
        arguments: [
            ("trace_id", ["1", "{}"]), ("trace_state", ["1"]), ("flags", ["\"1\"", "-1", "4294967296", "1.5", "1e2"]), ("span_id", ["1"]),
            ("parent_span_id", ["0"]), ("name", ["1", "[]", "true"]), ("kind", ["\"other\"", "6", "true", "-1", "3.0"]),
            ("start_time", ["true", "{}"]),
            ("end_time", ["[]"]), ("start_time_unix_nano", ["false"]), ("end_time_unix_nano", ["{}"]),
            ("duration_ms", ["\"5\"", "-1", "-0.001", "[]"]),
            ("status", ["3", "true", "\"fine\"", #"{"code":"fine"}"#, #"{"message":1}"#]), ("attributes", ["[]", "\"a\"", "1"]),
            (
                "events",
                [
                    "{}", "[1]", "[null]", #"[{"name":1}]"#, #"[{"time":true}]"#, #"[{"attributes":[]}]"#,
                    #"[{"dropped_attributes_count":-1}]"#,
                ]
            ),
            ("links", ["{}", "[1]", #"[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","flags":"x"}]"#]),
            ("resource", ["[]", "1"]), ("scope", ["\"s\"", #"{"name":1}"#, #"{"attributes":1}"#]), ("schema_url", ["1"]),
            ("dropped_attributes_count", ["-1", "\"1\""]), ("dropped_events_count", ["1.5"]), ("dropped_links_count", ["true"]),
            ("model", ["1", "{}"]),
            ("response_model", ["1"]), ("provider", ["1"]), ("operation", ["1"]), ("usage", ["1", "[]", "\"u\""]),
            ("cost_usd", ["\"1\"", "true"]),
            ("session_id", ["true", "{}"]), ("user_id", ["[]"]), ("environment", ["1"]), ("service", ["1"]),
            ("tags", ["\"a\"", "{}", "[1]", "[null]"]),
            ("metadata", ["1", "[]"]), ("error", ["1", "true", "[]", #"{"type":1}"#, #"{"message":{}}"#]),
        ])
    func wrongTypes(member: String, values: [String]) {
        for value in values { #expect(code("{\"name\":\"n\",\"\(member)\":\(value)}") == "bad_type:\(member)", "\(value)") }
        #expect(code("{\"model\":\"m\",\"name\":\"n\",\"\(member)\":null}") == nil)
    }

    @Test("events: unknown members become attributes, a missing time is the span's end, a missing name is empty")
    func events() throws {
        let span = try span(
            #"{"name":"n","events":[{"name":"e","time":1700000000,"attributes":{"a":1},"dropped_attributes_count":2,"b.c":3,"d":4},{}],"end_time":1700000001}"#
        )
        #expect(
            span.events == [
                DecodedEvent(
                    time: 1_700_000_000_000_000_000, name: "e", attributes: ["a": .int(1), "b.c": .int(3), "tracefwd.extra.d": .int(4)],
                    dropped: 2),
                DecodedEvent(time: 1_700_000_001_000_000_000),
            ])
        #expect(code(#"{"name":"n","events":[{"time":"soon"}]}"#) == "bad_timestamp")
        #expect(
            try spanWith("events", #"[{"name":1,"name":"b","attributes":{"a":1},"attributes":{"c":2}}]"#).events.first?.attributes == [
                "c": .int(2)
            ])
    }

    private func spanWith(_ member: String, _ value: String) throws -> DecodedSpan { try span("{\"name\":\"n\",\"\(member)\":\(value)}") }

    @Test("links need both ids; unknown members become attributes")
    func links() throws {
        let ids = "\"trace_id\":\"\(trace)\",\"span_id\":\"00f067aa0ba902b7\""
        let link = try spanWith(
            "links", "[{\(ids),\"trace_state\":\"a=b\",\"flags\":257,\"attributes\":{\"x\":true},\"y.z\":null,\"w\":1}]"
        ).links
        #expect(
            link == [
                DecodedLink(
                    traceID: bytes(trace), spanID: bytes("00f067aa0ba902b7"), traceState: "a=b",
                    attributes: ["x": .bool(true), "y.z": .null, "tracefwd.extra.w": .int(1)], flags: 257)
            ])
        for (bad, reason) in [
            ("{}", "bad_trace_id"), ("{\"trace_id\":\"\(trace)\"}", "bad_span_id"), ("{\(ids),\"trace_id\":5}", "bad_trace_id"),
            ("{\(ids),\"span_id\":\"0000000000000000\"}", "bad_span_id"), ("{\(ids),\"trace_id\":null}", "bad_trace_id"),
        ] {
            #expect(code("{\"name\":\"n\",\"links\":[\(bad)]}") == reason, "\(bad)")
        }
    }

    @Test("resource and scope, and nothing of them where they are empty")
    func resourceAndScope() throws {
        let span = try span(
            #"{"name":"n","resource":{"service.name":"shop","x":1,"x":2},"scope":{"name":"s","version":"1","attributes":{"a":1},"b":2},"schema_url":"u"}"#
        )
        #expect(span.resource == ["service.name": .text("shop"), "x": .int(2)])
        #expect(span.scope == DecodedScope(name: "s", version: "1", attributes: ["a": .int(1), "tracefwd.extra.b": .int(2)]))
        #expect(span.schemaURL == "u")
        for line in [#"{"name":"n"}"#, #"{"name":"n","resource":{},"scope":{},"schema_url":""}"#] {
            let entry = parse(line).batch.entries[0]
            #expect(entry.resourceLength == 0 && entry.scopeLength == 0)
        }
    }

    @Test("of equal members the last wins, whatever was wrong with the first")
    func duplicates() throws {
        let span = try span(
            #"{"name":1,"model":5,"attributes":{"a":1},"events":[{"name":"gone"}],"start_time":"never","resource":{"x":1},"name":"n","model":"m","attributes":{"b":2},"events":[],"start_time":1,"resource":null}"#
        )
        #expect(span.name == "n" && span.start == 1_000_000_000 && span.events.isEmpty && span.resource.isEmpty)
        #expect(span.attributes == ["b": .int(2), "gen_ai.request.model": .text("m"), "gen_ai.operation.name": .text("chat")])
        #expect(code(#"{"name":"n","name":1}"#) == "bad_type:name")
    }

    @Test("a line of nothing but duplicates is read in a time that grows with its length")
    func manyDuplicates() throws {
        let events = (0..<20_000).map { _ in #"{"name":1,"name":"e"}"# }.joined(separator: ",")
        let names = String(repeating: #""name":1,"#, count: 50_000)
        var count = 0
        let time = try ContinuousClock().measure { count = try span("{\(names)\"events\":[\(events)],\"name\":\"n\"}").events.count }
        #expect(count == 20_000)
        #expect(time < .seconds(30))
    }

    @Test("unknown members are kept: dotted ones under their name, others below tracefwd.extra")
    func unknown() throws {
        let span = try span(#"{"name":"n","a.b":1,"c":null,"":[],"a.b":2,"ack":1}"#)
        #expect(
            span.attributes == ["a.b": .int(2), "tracefwd.extra.c": .null, "tracefwd.extra.": .array([]), "tracefwd.extra.ack": .int(1)])
    }

    @Test("an attribute beats a dotted member, which beats a short form, in any order")
    func priorities() throws {
        let attribute = #""attributes":{"session.id":"attribute"}"#
        let dotted = #""session.id":"dotted""#
        let short = #""session_id":"short""#
        for order in [[attribute, dotted, short], [short, dotted, attribute], [dotted, attribute, short], [short, attribute, dotted]] {
            #expect(try span("{\"name\":\"n\",\(order.joined(separator: ","))}").attributes == ["session.id": .text("attribute")])
        }
        for order in [[dotted, short], [short, dotted]] {
            #expect(try span("{\"name\":\"n\",\(order.joined(separator: ","))}").attributes == ["session.id": .text("dotted")])
        }
    }

    @Test(
        "a name that is missing or empty is derived where it can be",
        arguments: [
            (#""model":"gpt-4o""#, "chat gpt-4o"), (#""model":"gpt-4o","operation":"text_completion""#, "text_completion gpt-4o"),
            (#""operation":"retrieval""#, "retrieval"), (#""attributes":{"gen_ai.operation.name":"embeddings"}"#, "embeddings"),
            (#""attributes":{"gen_ai.operation.name":"embeddings","gen_ai.request.model":"e3"}"#, "embeddings e3"),
            (#""attributes":{"gen_ai.request.model":"e3"}"#, "chat e3"), (#""gen_ai.operation.name":"plan""#, "plan"),
            (#""operation":"invoke_agent","model":"m","gen_ai.agent.name":"Ada""#, "invoke_agent Ada"),
            (#""operation":"invoke_agent","model":"m""#, "invoke_agent"),
            (#""operation":"execute_tool","attributes":{"gen_ai.tool.name":"search"}"#, "execute_tool search"),
            (#""name":"","model":"m""#, "chat m"),
            (#""name":null,"model":"m""#, "chat m"), (#""name":"given","model":"m""#, "given"),
        ])
    func derivedNames(members: String, expected: String) throws { #expect(try span("{\(members)}").name == Name(expected)) }

    @Test(
        "without any of that it is missing_name",
        arguments: ["{}", #"{"name":""}"#, #"{"name":null,"provider":"openai"}"#, #"{"gen_ai.operation.name":5}"#])
    func missingName(line: String) { #expect(code(line) == "missing_name") }
}
