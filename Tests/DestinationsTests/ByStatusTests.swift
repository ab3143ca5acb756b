import Delivery
import Testing

@testable import Destinations

@Suite("What an answer means in general")
struct ByStatusTests {
    @Test(
        "each status has its verdict",
        arguments: [
            (200, Verdict.delivered()), (202, .delivered()), (204, .delivered()),
            (301, .pause(reason: "redirect", detail: "answered 301; redirects are not followed, configure the new address")),
            (400, .refused(reason: "http_400", detail: "answered 400")), (401, .pause(reason: "unauthorized", detail: "answered 401")),
            (403, .pause(reason: "forbidden", detail: "answered 403")), (404, .pause(reason: "not_found", detail: "answered 404")),
            (408, .retry(detail: "answered 408")), (413, .tooLarge), (422, .refused(reason: "http_422", detail: "answered 422")),
            (425, .retry(detail: "answered 425")), (429, .retry(detail: "answered 429", throttle: true)),
            (500, .retry(detail: "answered 500")),
            (501, .retry(detail: "answered 501")), (502, .retry(detail: "answered 502", throttle: true)),
            (503, .retry(detail: "answered 503", throttle: true)), (504, .retry(detail: "answered 504", throttle: true)),
            (0, .retry(detail: "answered 0, which is no status of HTTP")),
            (999, .retry(detail: "answered 999, which is no status of HTTP")),
        ])
    func status(status: Int, verdict: Verdict) {
        #expect(byStatus(Response(status: status), to: request()) == verdict)
    }

    @Test("a redirect is not followed, and is told without what its address may hide")
    func redirect() {
        let response = Response(status: 302, headers: ["location": "https://user:secret@example.com/login?token=secret"])
        let detail =
            "answered 302 with a redirect to https://example.com/login; redirects are not followed, configure the new address"
        #expect(byStatus(response, to: request()) == .pause(reason: "redirect", detail: detail))
    }

    @Test("a single span that is too large is refused")
    func single() {
        #expect(byStatus(Response(status: 413), to: request(spans: 1)) == .refused(reason: "too_large", detail: "answered 413"))
    }

    @Test(
        "Retry-After is honoured in seconds and as a date, and ignored where it is neither",
        arguments: [
            ("120", nil, .seconds(120)), (" 0 ", nil, .zero), ("99999999999999999999", nil, .seconds(366 * 86_400)), ("-1", nil, nil),
            ("1.5", nil, nil),
            ("", nil, nil), ("soon", nil, nil), ("Sun, 06 Nov 1994 08:49:37 GMT", nil, nil),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", .seconds(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:00:00 GMT", .zero),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", .seconds(30)),
            ("Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:07 GMT", .seconds(30)),
            ("Fri, 31 Feb 2023 99:00:00 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", nil), ("Sun, 06 Nov", "Sun, 06 Nov 1994 08:49:07 GMT", nil),
        ] as [(String, String?, Duration?)])
    func retryAfterHeader(value: String, date: String?, wait: Duration?) {
        var headers = ["retry-after": value]
        headers["date"] = date
        #expect(retryAfter(Response(status: 503, headers: headers)) == wait)
        #expect(
            byStatus(Response(status: 503, headers: headers), to: request()) == .retry(after: wait, detail: "answered 503", throttle: true))
    }

    @Test(
        "dates are seconds of the Unix epoch",
        arguments: [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Sat, 30 Dec 2099 12:00:00 GMT", 4_102_315_200), ("Tuesday, 01-Mar-05 00:00:00 GMT", 1_109_635_200),
            ("Thu Nov 26 09:30:00 2026", 1_795_685_400),
        ])
    func dates(text: String, seconds: Int) {
        #expect(httpDate(text) == seconds)
    }

    @Test(
        "the server's sentence is told, its body is not",
        arguments: [
            ("application/json", #"{"message":"quota used up"}"#, "answered 400: quota used up"),
            ("application/json", #"{"error":"bad key"}"#, "answered 400: bad key"),
            ("application/problem+json", #"{"title":"no","detail":"name is missing"}"#, "answered 400: name is missing"),
            ("application/json; charset=utf-8", #"{"error":{"message":"bad key","input":"a prompt"}}"#, "answered 400: bad key"),
            ("application/json", #"{"detail":[{"msg":"wrong","input":"a prompt"}]}"#, "answered 400"),
            ("application/json", "[1", "answered 400"),
            ("application/json", #""a prompt""#, "answered 400"), ("text/html", "<html>a prompt</html>", "answered 400"),
            ("text/plain", "\n no\u{1b}[31m route\r\nsecond", "answered 400: no[31m route"), ("", "a prompt", "answered 400"),
            ("application/x-protobuf", "\u{8}\u{3}\u{12}\u{6}bad id", "answered 400: bad id"),
            ("application/x-protobuf", "\u{12}\u{7f}", "answered 400"),
        ])
    func explanations(type: String, body: String, detail: String) {
        let response = Response(status: 400, headers: ["content-type": type], body: Array(body.utf8))
        #expect(byStatus(response, to: request()) == .refused(reason: "http_400", detail: detail))
    }

    @Test("a sentence is short")
    func long() {
        let body = Array(#"{"message":"\#(String(repeating: "é", count: 5000))"}"#.utf8)
        #expect(explanation(of: Response(status: 400, headers: ["content-type": "application/json"], body: body)).count < 220)
    }

    @Test(
        "a URL is shown without what may be secret",
        arguments: [
            ("https://user:secret@example.com:8443/a/b?key=secret#x", "https://example.com:8443/a/b"),
            ("https://example.com", "https://example.com"),
            ("https://example.com/a@b", "https://example.com/a@b"), ("https://a@b@example.com/", "https://example.com/"),
        ])
    func shown(url: String, shown: String) {
        #expect(shownURL(url) == shown)
    }
}
