import Intake
import Testing

private let second: UInt64 = 1_000_000_000

@Suite("Times")
struct TimeTests {
    private func start(_ json: String) throws -> UInt64 { try span("{\"name\":\"n\",\"start_time\":\(json)}").start }

    @Test(
        "RFC 3339, with offsets, any fraction and either case",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2023-11-14T22:13:20Z", 1_700_000_000 * second), ("2023-11-14t22:13:20z", 1_700_000_000 * second),
            ("2023-11-14 22:13:20Z", 1_700_000_000 * second), ("2023-11-15T03:43:20+05:30", 1_700_000_000 * second),
            ("2023-11-14T14:13:20-08:00", 1_700_000_000 * second), ("2023-11-14T22:13:20-00:00", 1_700_000_000 * second),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000 * second + 500_000_000), ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
            ("2023-11-14T22:13:20.1234567899999Z", 1_700_000_000_123_456_789), ("2024-02-29T00:00:00Z", 1_709_164_800 * second),
            ("2000-02-29T00:00:00Z", 951_782_400 * second), ("2016-12-31T23:59:60Z", 1_483_228_800 * second),
            ("2016-12-31T23:59:60.25Z", 1_483_228_800 * second + 250_000_000), ("1969-12-31T23:30:00-01:00", 1_800 * second),
            ("2554-07-21T23:34:33.709551615Z", UInt64.max),
        ] as [(String, UInt64)])
    func rfc3339(text: String, expected: UInt64) throws { #expect(try start("\"\(text)\"") == expected) }

    @Test(
        "epochs of every unit, told by the magnitude, exact to the nanosecond",
        arguments: [
            ("0", 0), ("-0", 0), ("0.0", 0), ("1", second), ("1.5", 1_500_000_000), ("1700000000", 1_700_000_000 * second),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("1700000000.1234567899", 1_700_000_000_123_456_789), ("100000000000", 100_000_000 * second),
            ("1700000000123", 1_700_000_000_123_000_000),
            ("1700000000123.456789", 1_700_000_000_123_456_789), ("100000000000000", 100_000_000 * second),
            ("1700000000123456", 1_700_000_000_123_456_000),
            ("1700000000123456.789", 1_700_000_000_123_456_789), ("100000000000000000", 100_000_000_000_000_000),
            ("1700000000123456789", 1_700_000_000_123_456_789),
            ("1700000000123456789.9", 1_700_000_000_123_456_789), ("18446744073709551615", UInt64.max), ("1.7e9", 1_700_000_000 * second),
            ("1.700000000123456789e18", 1_700_000_000_123_456_789), ("17000000001234567890000e-4", 1_700_000_000_123_456_789),
            ("0.0000000001e19", 1_000_000_000 * second), ("1e-9", 1), ("1e-10", 0), ("1e-99999999999", 0),
            (#""1700000000""#, 1_700_000_000 * second),
            (#""1700000000123456789""#, 1_700_000_000_123_456_789), (#""000""#, 0), (#""\u0031""#, second),
        ] as [(String, UInt64)])
    func epochs(json: String, expected: UInt64) throws {
        #expect(try start(json) == expected)
    }

    @Test(
        "what is no time from 1970 to 2554 is bad_timestamp",
        arguments: [
            "-1", "-0.5", "18446744074", "99999999999", "18446744073709551616", "1e30", "1e99999999999", #""""#, #""now""#,
            #""2023-11-14""#, #""2023-11-14T22:13:20""#,
            #""2023-11-14T22:13Z""#, #""2023-13-14T22:13:20Z""#, #""2023-00-14T22:13:20Z""#, #""2023-02-29T22:13:20Z""#,
            #""1900-02-29T00:00:00Z""#,
            #""2023-04-31T22:13:20Z""#, #""2023-11-00T22:13:20Z""#, #""2023-11-14T24:00:00Z""#, #""2023-11-14T22:60:20Z""#,
            #""2023-11-14T22:13:61Z""#,
            #""2023-11-14T22:13:20.Z""#, #""2023-11-14T22:13:20,5Z""#, #""2023-11-14T22:13:20+0530""#, #""2023-11-14T22:13:20+24:00""#,
            #""2023-11-14T22:13:20+05:60""#, #""2023-11-14T22:13:20Zx""#, #""2023-11-14T22:13:20 Z""#, #""2023-11-14X22:13:20Z""#,
            #"" 2023-11-14T22:13:20Z""#,
            #""1969-12-31T23:59:59Z""#, #""1970-01-01T00:30:00+01:00""#, #""2554-07-21T23:34:33.709551616Z""#, #""2555-01-01T00:00:00Z""#,
            #""9999-12-31T23:59:59Z""#,
            #""0000-01-01T00:00:00Z""#, #""1700000000.5""#, #""1e9""#, #""-1""#, #""2023-11-14T22:13:2éZ""#,
        ])
    func bad(json: String) {
        #expect(code("{\"name\":\"n\",\"start_time\":\(json)}") == "bad_timestamp")
        #expect(code("{\"name\":\"n\",\"end_time\":\(json)}") == "bad_timestamp")
    }

    @Test(
        "the times that are given make the two of the span",
        arguments: [
            (#""start_time":1,"end_time":3"#, second, 3 * second), (#""start_time":1,"end_time":3,"duration_ms":9"#, second, 3 * second),
            (#""start_time":3,"end_time":1,"duration_ms":-2000"#, 3 * second, second),
            (#""start_time":1,"end_time":3,"duration_ms":1e300"#, second, 3 * second),
            (#""start_time":1,"duration_ms":1500.25"#, second, 2_500_250_000),
            (#""end_time":3,"duration_ms":0.0000019"#, 3 * second - 1, 3 * second), (#""end_time":3"#, 3 * second, 3 * second),
            (#""start_time":1"#, second, receivedAt), (#""start_time":1900000000"#, 1_900_000_000 * second, 1_900_000_000 * second),
            ("", receivedAt, receivedAt),
            (#""duration_ms":1e3"#, receivedAt - second, receivedAt), (#""duration_ms":0.3"#, receivedAt - 300_000, receivedAt),
            (#""start_time":null,"end_time":null,"duration_ms":null"#, receivedAt, receivedAt),
            (#""start_time_unix_nano":1,"end_time_unix_nano":"2""#, 1, 2),
            (#""start_time_unix_nano":5,"start_time":1,"end_time":2"#, second, 2 * second),
            (#""start_time":3,"end_time":1"#, 3 * second, second),
        ] as [(String, UInt64, UInt64)])
    func pairs(members: String, start: UInt64, end: UInt64) throws {
        let span = try span("{\"name\":\"n\"\(members.isEmpty ? "" : ",")\(members)}")
        #expect(span.start == start && span.end == end)
    }

    @Test(
        "a duration that leads out of the range is bad_timestamp",
        arguments: [#""end_time":1,"duration_ms":1001"#, #""start_time":18446744073,"duration_ms":1e9"#, #""duration_ms":1e300"#])
    func outOfRange(members: String) { #expect(code("{\"name\":\"n\",\(members)}") == "bad_timestamp") }

    @Test("a span that ends before it begins is kept and counted")
    func endBeforeStart() {
        let parser = LineParser()
        for line in [#"{"name":"n","start_time":2,"end_time":1}"#, #"{"name":"n","start_time":1,"end_time":1}"#, #"{"name":"n"}"#] {
            #expect(parse(Array(line.utf8), with: parser).result == .span)
        }
        #expect(parser.endBeforeStart == 1)
    }
}
