import Testing

@testable import CEL

@Suite("What expressions give") struct EvaluationTests {
    @Test(
        "conditions of ordinary rules",
        arguments: [
            (#"environment == "prod" && model.startsWith("gpt-4")"#, true), (#"status == "error" || duration > duration("5s")"#, true),
            (#"service in ["shop", "search"]"#, true), (#"service in ["search"]"#, false), ("cost_usd > 0.25", true),
            ("cost_usd > 1", false),
            ("input_tokens > 1000", true), (#""vip" in tags"#, true), (#""beta" in tags"#, false), (#"!(model == "gpt-4o")"#, false),
            (#"attributes["shop.tier"] == "gold""#, true), ("attributes.depth == 3", true), ("attributes.depth == 3.0", true),
            ("has(attributes.depth)", true), ("has(attributes.absent)", false), (#""depth" in attributes"#, true),
            ("attributes.nested.a[0] == 1", true), (#"model.matches("^gpt-[0-9]o$")"#, true), (#"model.contains("t-4")"#, true),
            (#"model.endsWith("4o")"#, true), (#"tags.exists(t, t.startsWith("v"))"#, true), ("tags.all(t, t.size() == 2)", false),
            ("root ? input_tokens > 10 : false", true), (#"start > timestamp("2023-11-14T22:13:20Z")"#, true), ("count == 7u", true),
            (#""x" in ["a","b","c","d","e","f","g","h","i","x"]"#, true), (#"model in ["a","b","c","d","e","f","g","h","i","x"]"#, false),
            (#"text.size() == 5"#, true), (#"maybe.orValue(0) == 3"#, true), ("nothing.hasValue()", false), (#"model != 'gpt-4o'"#, false),
        ])
    func conditions(source: String, expected: Bool) throws {
        #expect(try Shop.environment.compile(source, returning: .bool).test(Shop.activation) == expected)
    }

    @Test(
        "values of every kind",
        arguments: [
            ("1 + 2 * 3 - 4 / 2 % 3", "5"), ("-(7) / 2", "-3"), ("7u * 2u", "14u"), ("1.5 + 1.5", "3.0"), ("'a' + \"b\"", #""ab""#),
            (#"r'\d' + "\n\u00e9""#, #""\\d\né""#), ("b'a' + b'\\xff'", #"b"a\xff""#), ("[1] + [2, 3]", "[1, 2, 3]"), ("{'a': 1}.a", "1"),
            ("{1: 'x'}[dyn(1u)]", #""x""#), ("[1, 2, 3].map(x, x * x).filter(x, x > 1)", "[4, 9]"), ("[3, 1].map(i, v, i)", "error"),
            ("{'b': 1, 'a': 2}.map(k, k).size()", "2"), ("[4, 5].transformList(i, v, i * v)", "[0, 5]"),
            ("{'a': 1}.transformMap(k, v, v + 1)", #"{"a": 2}"#), ("{'a': 1}.transformMapEntry(k, v, {v: k})", #"{1: "a"}"#),
            ("int('42') + int(3.9) + int(2u)", "47"), ("string(1.0) + string(2) + string(3u)", #""123""#), ("double('1e3')", "1000.0"),
            ("duration('1h30m') - duration('90s')", #"duration("5310s")"#), ("string(duration('-1.5s'))", #""-1.5s""#),
            ("timestamp('2024-02-29T12:00:00+02:00') + duration('24h')", #"timestamp("2024-03-01T10:00:00Z")"#),
            ("timestamp('2024-02-29T12:00:00.25Z').getMilliseconds()", "250"), ("type(1) == int ? type([]) : type('')", "list"),
            ("cel.bind(x, 'ab', x + x)", #""abab""#), ("optional.of(1).optMap(x, x + 1)", "optional.of(2)"), ("[?nothing, ?maybe]", "[3]"),
            ("{'a': 1}[?'b'].orValue(9)", "9"), ("tags[?5]", "optional.none()"), ("'%s=%d'.format(['a', 1])", #""a=1""#),
            ("'a,b,c'.split(',', 2)", #"["a", "b,c"]"#), ("'abc'.split('')", #"["a", "b", "c"]"#), ("''.split('')", "[]"),
            ("'héllo'.replace('', '-')", #""-h-é-l-l-o-""#), ("'aaa'.replace('a', 'b', 2)", #""bba""#), ("['a', 'b'].join('-')", #""a-b""#),
            ("text.reverse()", #""c🐱bña""#), ("text.substring(1, 4)", #""ñb🐱""#), ("text.indexOf('c')", "4"), ("text.charAt(3)", #""🐱""#),
            ("math.greatest(1, 2.5, 2u)", "2.5"), ("math.least([3, 1, 2])", "1"), ("base64.encode(data)", #""AP8=""#), ("null", "null"),
            ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"), ("string(ip('2001:db8:0:0:0:0:0:1'))", #""2001:db8::1""#),
            (".model", #""gpt-4o""#), ("1 /* no */", "error"), ("2 // to the end\n + 3", "5"), ("attributes.`shop.tier`", #""gold""#),
        ])
    func values(source: String, expected: String) throws {
        guard expected != "error" else {
            #expect(throws: CompileErrors.self) { try Shop.environment.compile(source) }
            return
        }
        #expect(try Shop.environment.compile(source).result(Shop.activation).description == expected)
    }

    @Test(
        "a run that fails says why and where",
        arguments: [
            ("input_tokens / (input_tokens - 1200)", EvaluationError.Kind.divisionByZero, 13), ("input_tokens % 0", .modulusByZero, 13),
            ("input_tokens + 9223372036854775807", .overflow, 13), ("-(input_tokens - 1200 - 9223372036854775807 - 1)", .overflow, 0),
            ("count - 8u", .overflow, 6), ("input_tokens * 9223372036854775807", .overflow, 13), ("attributes.absent", .noSuchKey, 11),
            (#"attributes["absent"] == 1"#, .noSuchKey, 10), ("attributes.depth.x", .noSuchField, 17), ("tags[2]", .indexOutOfRange, 4),
            ("tags[-1]", .indexOutOfRange, 4), ("int(model)", .invalidText, 0), ("uint(-input_tokens)", .outOfRange, 0),
            ("int(1e99 * cost_usd)", .outOfRange, 0),
            ("nothing.value()", .noValue, 8), ("string(data)", .invalidUTF8, 0), ("attributes.depth + 'x'", .noSuchOverload, 17),
            ("attributes.depth && root", .noSuchOverload, 11), ("model.matches('(' + model)", .invalidPattern, 6),
            ("{model: 1, 'gpt-4o': 2}", .duplicateKey, 0),
            ("timestamp('9999-12-31T23:59:59Z') + duration", .outOfRange, 34), ("start.getHours(model)", .invalidTimeZone, 6),
            ("text.substring(3, 1)", .indexOutOfRange, 5),
            ("'%d'.format([model])", .invalidFormat, 5), ("bool(model)", .invalidText, 0), ("tags.map(t, int(t))", .invalidText, 12),
        ])
    func failures(source: String, kind: EvaluationError.Kind, offset: Int32) throws {
        let program = try Shop.environment.compile(source)
        let error = try #require(throws: EvaluationError.self) { try program.result(Shop.activation) }
        #expect(error == EvaluationError(kind, offset: offset))
        #expect(!error.description.isEmpty)
    }

    @Test(
        "an error on one side does not matter where the other decides",
        arguments: [
            ("false && attributes.x == 1", "false"), ("attributes.x == 1 && false", "false"), ("true || attributes.x == 1", "true"),
            ("attributes.x == 1 || true", "true"), ("true && attributes.x == 1", "no such key"),
            ("attributes.x == 1 || false", "no such key"),
            ("attributes.x == 1 || attributes.y == 1 || root", "true"), ("tags.exists(t, attributes.x == 1 || t == 'eu')", "true"),
            ("tags.all(t, attributes.x == 1 && t == 'vip')", "false"), ("root ? true : attributes.x", "true"),
            ("tags.exists_one(t, t == 'vip' || attributes.x == 1)", "no such key"), ("!(attributes.x == 1)", "no such key"),
            ("cel.bind(x, attributes.x, root)", "true"), ("cel.bind(x, attributes.x, x == 1)", "no such key"),
        ])
    func shortCircuit(source: String, expected: String) throws {
        let program = try Shop.environment.compile(source)
        do {
            #expect(try program.result(Shop.activation).description == expected)
        } catch {
            #expect(error.description == expected)
        }
    }

    @Test("names of macros shadow variables, and do not leak")
    func scopes() throws {
        #expect(try Shop.environment.compile("tags.exists(model, model == 'vip') && model == 'gpt-4o'").test(Shop.activation))
        #expect(try Shop.environment.compile("[1, 2].all(x, [3].all(y, [x, y].map(x, x + 1) == [x + 1, y + 1]))").test(Shop.activation))
        #expect(try Shop.environment.compile("tags.exists(model, .model == 'gpt-4o')").test(Shop.activation))
        #expect(throws: CompileErrors.self) { try Shop.environment.compile("tags.exists(t, true) && t == 'a'") }
    }
}
