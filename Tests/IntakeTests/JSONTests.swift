import Testing

@Suite("RFC 8259, exactly")
struct JSONTests {
    /// What stands in the line `{"name":"n","x":` ... `}`, or the whole line where it says so.
    @Test(
        "values of the grammar are taken",
        arguments: [
            "0", "-0", "1", "-1", "10", "1.5", "-0.1", "1e1", "1E1", "1e+1", "1e-1", "0e1", "0.0e0", "123456789012345678901234567890",
            "1.7976931348623157e308", "5e-324", "1e400", "-1e400", "true", "false", "null", "[]", "{}", "[ ]", "{ }", "[1,2]", "[1 , 2 ]",
            "[[]]",
            "[null]", #"[""]"#, #"{"":0}"#, #"{"a":1,"a":2}"#, #"{"a":{"a":{}}}"#, #""""#, #""a""#, #"" ""#, #""\"""#, #""\\""#, #""\/""#,
            #""\b\f\n\r\t""#, #""\u0041\u00e9\u20ac""#, #""\u0000""#, #""\uD834\uDD1E""#, #""\ud834\udd1e""#, #""\uFFFF""#, #""\ufdd0""#,
            "\"\u{7f}\"",
            "\"é\"", "\"\u{2028}\"", "\"\u{10ffff}\"", "\"\u{10000}\"", "\"\u{ffff}\"", "\"\u{800}\"", "\"\u{7ff}\"", "\"\u{80}\"", "\t1\t",
            "\r1\r",
            "\n1\n", "  1  ", #""//""#, #""/* */""#, "[1,\n2]",
        ])
    func taken(value: String) throws {
        #expect(code("{\"name\":\"n\",\"x\":\(value)}") == nil)
        #expect(code(" \t\r\n{ \"name\" : \"n\" , \"x\" : \(value) } \t\r\n") == nil)
    }

    @Test(
        "what is not of the grammar is invalid_json",
        arguments: [
            "", "-", "+1", "01", "-01", "00", "1.", ".1", "1.e1", "1e", "1e+", "1E-", "1.2.3", "0x1", "1_000", "1 2", "--1", "- 1", "NaN",
            "Infinity",
            "-Infinity", "inf", "tru", "truee", "True", "nul", "nulll", "None", "undefined", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]",
            "[1,,2]",
            "[1 2]", "[1:2]", "{", "}", #"{"a""#, #"{"a":"#, #"{"a":1"#, #"{"a":1,"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a" 1}"#, #"{"a",1}"#,
            "{1:1}", "{a:1}",
            "{'a':1}", #"{"a":1 "b":2}"#, #"{"a":1,,"b":2}"#, #"{"a"::1}"#, #"{null:1}"#, #"{[]:1}"#, "'a'", #"""#, #""a"#, #""\"#, #""\""#,
            #""\x41""#,
            #""\a""#, #""\'""#, #""\0""#, #""\U0041""#, #""\u""#, #""\u1""#, #""\u12""#, #""\u123""#, #""\u123g""#, #""\u 123""#,
            #""\u+123""#, #""\ud800""#,
            #""\ud800x""#, #""\ud800\n""#, #""\ud800\u0041""#, #""\ud800\ud800""#, #""\udc00""#, #""\udfff\ud800""#, #""\ud800\udc0""#,
            "\"\t\"", "\"\n\"",
            "\"\u{0}\"", "\"\u{1f}\"", "\"plain text that goes on for a while\u{1}\"", "\u{0}", "1\u{0}", "\u{c}1", "\u{a0}1", "\u{feff}1",
            "1//", "/**/1", "#",
            "1;", "(1)", "<null>", "é",
        ])
    func notTaken(value: String) {
        #expect(code("{\"name\":\"n\",\"x\":\(value)}") == "invalid_json")
    }

    @Test(
        "a line is one value and nothing else",
        arguments: [
            "", " ", "{\"name\":\"n\"}{\"name\":\"n\"}", "{\"name\":\"n\"},", "{\"name\":\"n\"}]", "{\"name\":\"n\"} x",
            "{\"name\":\"n\"}\u{0}", "\u{feff}{\"name\":\"n\"}",
            "{\"name\":\"n\"", "\u{1f}{\"name\":\"n\"}", "[1", "\"a", "nul", "-", "{\"name\":\"n\"}\u{feff}",
        ])
    func wholeLine(line: String) { #expect(code(line) == "invalid_json") }

    @Test("JSON that is no object is not_an_object", arguments: ["1", "\"a\"", "null", "true", "[]", "[{\"name\":\"n\"}]", " 0 ", "1e5"])
    func notAnObject(line: String) { #expect(code(line) == "not_an_object") }

    @Test(
        "what is no UTF-8 is invalid_utf8, wherever it stands",
        arguments: [
            [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xe2, 0x82],
            [0xe2, 0x82, 0x41],
            [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80],
            [0xf5, 0x80, 0x80, 0x80],
            [0xf0, 0x9f, 0x98], [0xfe], [0xff], [0xc3, 0xa9, 0xff],
        ] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        let places = [
            ("{\"name\":\"", "\"}"), ("{\"name\":\"\\n", "\"}"), ("{\"name\":\"n\",\"", "\":1}"),
            ("{\"name\":\"a text of more than sixteen bytes", "\"}"),
            ("{\"name\":\"é", "\"}"),
        ]
        for (before, after) in places {
            #expect(code(Array(before.utf8) + bytes + Array(after.utf8)) == "invalid_utf8")
        }
    }

    @Test("bytes that are no text at all are invalid_utf8, in front, between and behind")
    func garbage() {
        #expect(code([0xff, 0xfe, 0x00]) == "invalid_utf8")
        #expect(code(Array("{\"name\":".utf8) + [0xff]) == "invalid_utf8")
        #expect(code(Array("{\"name\":\"n\"}".utf8) + [0xff]) == "invalid_utf8")
    }

    @Test("a string cut anywhere, with escapes and characters of every length, is invalid and never read beyond its end")
    func cutAnywhere() {
        let line = Array(#"{"name":"a\u00e9\ud83d\ude00é€😀\n plain text for a while","x":[1.5e3,true,null,{"k":"\\"}]}"#.utf8)
        #expect(code(line) == nil)
        for length in 0..<line.count { #expect(code(Array(line[..<length])) != nil) }
    }

    @Test("escapes stand for what they say")
    func escapes() throws {
        let name = try span(#"{"name":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000z"}"#).name
        #expect(name == Name("\"\\/\u{8}\u{c}\n\r\tAé€😀\u{0}z"))
    }

    @Test("a number of a million digits costs a line's time and is kept as text")
    func millionDigits() throws {
        let digits = String(repeating: "7", count: 1_000_000)
        #expect(try span("{\"name\":\"n\",\"a.b\":\(digits)}").attributes["a.b"] == .text(digits))
        #expect(try span("{\"name\":\"n\",\"a.b\":0.\(digits)}").attributes["a.b"] == .real(7.0 / 9))
        #expect(code("{\"name\":\"n\",\"start_time\":\(digits)}") == "bad_timestamp")
        #expect(try span("{\"name\":\"n\",\"start_time\":0.\(digits)}").start == 777_777_777)
    }
}
