import Testing

@Suite("JSON values become OTLP values")
struct ValueTests {
    private func value(_ json: String) throws -> Value? { try span("{\"name\":\"n\",\"attributes\":{\"k\":\(json)}}").attributes["k"] }

    @Test(
        "numbers keep their kind: integers to int64, fractions and exponents to the nearest double, what fits neither to its text",
        arguments: [
            ("0", .int(0)), ("-1", .int(-1)), ("127", .int(127)), ("128", .int(128)), ("9223372036854775807", .int(.max)),
            ("-9223372036854775808", .int(.min)), ("9223372036854775808", .text("9223372036854775808")),
            ("-9223372036854775809", .text("-9223372036854775809")), ("18446744073709551616", .text("18446744073709551616")),
            ("99999999999999999999", .text("99999999999999999999")), ("-0", .real(-0.0)), ("-0.0", .real(-0.0)), ("0.0", .real(0)),
            ("1.0", .real(1)),
            ("1e3", .real(1000)), ("0.1", .real(0.1)), ("-2.5E-3", .real(-0.0025)), ("9007199254740993.0", .real(9007199254740992)),
            ("9007199254740993e0", .real(9007199254740992)), ("1e22", .real(1e22)), ("1e23", .real(1e23)),
            ("0.30000000000000004", .real(0.1 + 0.2)),
            ("2.2250738585072011e-308", .real(.leastNormalMagnitude.nextDown)), ("5e-324", .real(.leastNonzeroMagnitude)),
            ("1e-400", .real(0)), ("-1e-400", .real(-0.0)),
            ("1.7976931348623157e308", .real(.greatestFiniteMagnitude)), ("1e309", .text("1e309")), ("-1E+400", .text("-1E+400")),
            ("100000000000000000000000.0", .real(1e23)), ("0e999999999999999999999", .real(0)), ("1e-999999999999999999999", .real(0)),
            ("1e999999999999999999999", .text("1e999999999999999999999")),
        ] as [(String, Value)])
    func numbers(json: String, expected: Value) throws { #expect(try value(json) == expected) }

    @Test(
        "everything else is what it is, to any depth; of equal keys the last wins",
        arguments: [
            ("null", .null), ("true", .bool(true)), ("false", .bool(false)), (#""""#, .text("")), ("[]", .array([])), ("{}", .map([:])),
            ("[null,[],{}]", .array([.null, .array([]), .map([:])])),
            (#"{"":{"a":[1,"x"]}}"#, .map(["": .map(["a": .array([.int(1), .text("x")])])])),
            (#"{"a":1,"b":2,"a":3}"#, .map(["a": .int(3), "b": .int(2)])), (#"{"a":{"b":1,"b":[2]},"a":null}"#, .map(["a": .null])),
            (#"{"a":1,"\u0061":{"c":1,"c":2}}"#, .map(["a": .map(["c": .int(2)])])),
        ] as [(String, Value)])
    func others(json: String, expected: Value) throws { #expect(try value(json) == expected) }

    @Test("lengths on either side of each varint size come out right, at any depth, whatever came before")
    func lengths() throws {
        var random = SeededRandom(seed: runSeed)
        for size in [
            0, 1, 100, 110, 115, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 16_370, 16_376, 16_380, 16_384, 2_097_150,
        ] {
            let text = String(repeating: "x", count: size)
            let nested =
                random.one(in: 2) ? "[{\"parts\":[{\"content\":\"\(text)\"}]},1]" : "[{\"parts\":[{\"content\":\"\\n\(text)\"}]},1]"
            let content = nested.contains("\\n") ? "\n" + text : text
            let expected = Value.array([.map(["parts": .array([.map(["content": .text(content)])])]), .int(1)])
            #expect(try value(nested) == expected, "size \(size)")
        }
    }

    @Test("an object of many keys, each many times, keeps the last of each")
    func manyKeys() throws {
        var members: [String] = []
        for round in 0..<20 {
            for key in 0..<200 { members.append("\"key-\(key)-with-the-same-ends-and-length-of-all\":\(round * 1_000 + key)") }
        }
        guard case .map(let map)? = try value("{\(members.joined(separator: ","))}") else { throw Unexpected(description: "no map") }
        #expect(map.count == 200)
        #expect(map["key-7-with-the-same-ends-and-length-of-all"] == .int(19_007))
    }

    @Test("keys made to collide cost no more than others")
    func collidingKeys() throws {
        // Equal in their first, middle and last eight bytes and in length: equal in all that the parser hashes.
        let members = (100_000..<140_000).map { "\"aaaaaaaa\($0)bbbbbbbbb\($0)cccccccc\":1" }.joined(separator: ",")
        let time = try ContinuousClock().measure { _ = try value("{\(members)}") }
        #expect(time < .seconds(20))  // seconds in a debug build; comparing each with each would take hours
    }
}
