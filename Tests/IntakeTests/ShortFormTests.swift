import Testing

@Suite("Short forms")
struct ShortFormTests {
    @Test(
        "each becomes the attribute it stands for",
        arguments: [
            (#""model":"gpt-4o""#, ["gen_ai.request.model": .text("gpt-4o"), "gen_ai.operation.name": .text("chat")]),
            (
                #""model":"m","attributes":{"gen_ai.operation.name":"plan"}"#,
                ["gen_ai.request.model": .text("m"), "gen_ai.operation.name": .text("plan")]
            ),
            (#""response_model":"r""#, ["gen_ai.response.model": .text("r")]),
            (#""provider":"openai""#, ["gen_ai.provider.name": .text("openai")]),
            (#""operation":"embeddings""#, ["gen_ai.operation.name": .text("embeddings")]),
            (#""cost_usd":0.25"#, ["tracefwd.cost_usd": .real(0.25)]),
            (#""cost_usd":1"#, ["tracefwd.cost_usd": .int(1)]), (#""session_id":"s""#, ["session.id": .text("s")]),
            (#""session_id":1.50"#, ["session.id": .text("1.50")]),
            (#""user_id":12345678901234567890123"#, ["user.id": .text("12345678901234567890123")]),
            (#""tags":["a","b"]"#, ["tracefwd.tags": .array([.text("a"), .text("b")])]), (#""tags":[]"#, ["tracefwd.tags": .array([])]),
            (#""metadata":{"a":1,"b.c":{"d":null}}"#, ["tracefwd.metadata.a": .int(1), "tracefwd.metadata.b.c": .map(["d": .null])]),
            (#""error":"timeout""#, ["error.type": .text("timeout")]), (#""error":{"message":"m"}"#, [:]),
            (#""error":{"type":"T","code":5}"#, ["error.type": .text("T"), "tracefwd.extra.error.code": .int(5)]),
            (#""input":[1]"#, ["gen_ai.input.messages": .array([.int(1)])]),
            (#""output":{"a":1}"#, ["gen_ai.output.messages": .map(["a": .int(1)])]),
        ] as [(String, [Name: Value])])
    func attributes(members: String, expected: [Name: Value]) throws {
        #expect(try span("{\"name\":\"n\",\(members)}").attributes == expected)
    }

    @Test("plain text as input or output is one message of one text part")
    func messages() throws {
        let span = try span(#"{"name":"n","input":"hi \"you\"","output":""}"#)
        func message(_ role: String, _ content: String) -> Value {
            .array([.map(["role": .text(role), "parts": .array([.map(["type": .text("text"), "content": .text(content)])])])])
        }
        #expect(
            span.attributes == ["gen_ai.input.messages": message("user", "hi \"you\""), "gen_ai.output.messages": message("assistant", "")])
    }

    @Test("service and environment are resource attributes, and lose to the resource's own")
    func resource() throws {
        #expect(
            try span(#"{"name":"n","environment":"prod","service":"shop"}"#).resource == [
                "service.name": .text("shop"), "deployment.environment.name": .text("prod"),
            ])
        for line in [
            #"{"name":"n","service":"a","environment":"e","resource":{"service.name":"b","x":1}}"#,
            #"{"name":"n","resource":{"service.name":"b","x":1},"service":"a","environment":"e"}"#,
        ] {
            #expect(try span(line).resource == ["service.name": .text("b"), "x": .int(1), "deployment.environment.name": .text("e")])
        }
        let swapped = [#"{"name":"n","environment":"prod","service":"shop"}"#, #"{"name":"n","service":"shop","environment":"prod"}"#].map {
            line in
            let batch = parse(line).batch
            return Array(batch.payload[..<Int(batch.entries[0].resourceLength)])
        }
        #expect(swapped[0] == swapped[1], "equal resources are equal bytes, so that spans of theirs can be merged")
    }

    @Test(
        "error sets the status, unless status stands beside it",
        arguments: [
            (#""error":"boom""#, 2, "boom", "boom"), (#""error":{"type":"T","message":"m"}"#, 2, "m", "T"),
            (#""error":{"type":"T"}"#, 2, "", "T"),
            (#""error":"boom","status":"ok""#, 1, "", "boom"), (#""status":{},"error":"boom""#, 0, "", "boom"),
            (#""status":null,"error":"boom""#, 2, "boom", "boom"),
            (#""error":"boom","attributes":{"error.type":"own"}"#, 2, "boom", "own"),
        ])
    func errors(members: String, status: UInt64, message: String, type: String) throws {
        let span = try span("{\"name\":\"n\",\(members)}")
        #expect(span.statusCode == status && span.statusMessage == Name(message))
        #expect(span.attributes == ["error.type": .text(type)])
    }

    @Test(
        "usage of the contract, OpenAI (chat and responses) and Anthropic; unknown members are kept",
        arguments: [
            (
                #"{"input_tokens":1,"output_tokens":2,"cache_read_tokens":3,"cache_write_tokens":4,"reasoning_tokens":5}"#,
                [
                    "input_tokens": 1, "output_tokens": 2, "cache_read.input_tokens": 3, "cache_write.input_tokens": 4,
                    "reasoning.output_tokens": 5,
                ]
            ),
            (
                #"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":1}}"#,
                [
                    "input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "cache_read.input_tokens": 4,
                    "prompt_tokens_details.audio_tokens": 0,
                    "reasoning.output_tokens": 7, "completion_tokens_details.audio_tokens": 1,
                ]
            ),
            (
                #"{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":15}"#,
                ["input_tokens": 10, "cache_read.input_tokens": 4, "output_tokens": 5, "reasoning.output_tokens": 3, "total_tokens": 15]
            ),
            (
                #"{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":100}}"#,
                [
                    "input_tokens": 1_110, "cache_write.input_tokens": 100, "cache_read.input_tokens": 1_000, "output_tokens": 5,
                    "cache_creation.ephemeral_5m_input_tokens": 100,
                ]
            ),
            (#"{"cache_read_input_tokens":7,"input_tokens":1}"#, ["input_tokens": 8, "cache_read.input_tokens": 7]),
            (#"{"input_tokens":1,"cache_read_input_tokens":null,"cached_tokens":9}"#, ["input_tokens": 1, "cached_tokens": 9]),
            (#"{"input_tokens":1,"prompt_tokens":2}"#, ["input_tokens": 1]),
            (#"{"prompt_tokens":2,"input_tokens":1}"#, ["input_tokens": 1]),
            (#"{"x":{"a":1},"x":{"b":2}}"#, ["x.b": 2]), (#"{"input_tokens":1,"input_tokens":2}"#, ["input_tokens": 2]), ("{}", [:]),
        ] as [(String, [String: Int64])])
    func usage(json: String, expected: [String: Int64]) throws {
        let attributes = Dictionary(uniqueKeysWithValues: expected.map { (Name("gen_ai.usage." + $0.key), Value.int($0.value)) })
        #expect(try span("{\"name\":\"n\",\"usage\":\(json)}").attributes == attributes)
    }

    @Test("what is no count in usage is kept as it is, and an attribute beats each count for itself")
    func oddUsage() throws {
        #expect(
            try span(
                #"{"name":"n","attributes":{"gen_ai.usage.input_tokens":9},"usage":{"input_tokens":1,"output_tokens":"2","reasoning_tokens":3.5,"service_tier":"flex"}}"#
            ).attributes == [
                "gen_ai.usage.input_tokens": .int(9), "gen_ai.usage.output_tokens": .text("2"),
                "gen_ai.usage.reasoning.output_tokens": .real(3.5),
                "gen_ai.usage.service_tier": .text("flex"),
            ])
    }
}
