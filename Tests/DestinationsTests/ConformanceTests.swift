import Delivery
import Settings
import SpanModel
import Testing

@testable import Destinations

/// What every destination keeps, whatever platform it speaks to: its requests and its verdicts. What becomes of spans on their way is in
/// ConformanceJourneyTests.swift. A new type gets a line in `Subject.all`.
@Suite("Every destination")
struct ConformanceTests {
    private func destination(_ subject: Subject) throws -> any Destination { makeDestination(try settings(subject.yaml)) }

    @Test("stands in the suite")
    func complete() throws {
        let tested = Set(try Subject.all.map { try settings($0.yaml).type })
        #expect(tested == Set(registry.flatMap { [$0.type] + $0.aliases }))
        #expect(registry.map { $0.type } == registry.map { $0.type }.sorted())
    }

    @Test("documents its keys in whole sentences", arguments: destinationTypes.map(\.name))
    func documented(type: String) throws {
        let type = try #require(destinationTypes.first { $0.name == type })
        func check(_ keys: [Key]) {
            for key in keys {
                #expect(key.doc.hasSuffix(".") && key.doc.count > 10, "\(type.name): \(key.name)")
                #expect(key.name.wholeMatch(of: /[a-z_]+/) != nil)
                if case .section(let inner) = key.type { check(inner) }
            }
        }
        #expect(type.doc.hasSuffix("."))
        check(type.keys)
    }

    private static let batches: [[TestSpan]] = [
        [TestSpan()], TestSpan.many(2), TestSpan.many(100),
        [TestSpan(name: "", kind: 0, service: "", end: nil, texts: [], counts: [], status: 0)],
        [TestSpan(name: "中文 😀 \u{0} \" \\ \u{2028}", texts: [("ключ", "значение")])],
        [TestSpan(), TestSpan(texts: [("gen_ai.input.messages", String(repeating: "é\"", count: 1 << 17))]), TestSpan()],
    ]

    @Test("carries each span exactly once and in order, in requests that can be sent", arguments: Subject.all)
    func covers(subject: Subject) throws {
        let destination = try destination(subject)
        for batch in Self.batches {
            let requests = try destination.encode(views(batch), context)
            #expect(requests.flatMap { Array($0.spans) } == Array(batch.indices))
            for request in requests {
                #expect(!request.body.isEmpty)
                if case .http = destination.outlet {
                    #expect(request.url.hasPrefix("http"))
                    #expect(request["Content-Type"] != nil)
                    #expect(request["User-Agent"]?.hasPrefix("tracefwd/") == true)
                    #expect(request["Host"] == nil && request["Content-Length"] == nil)
                    #expect(Set(request.headers.map { $0.name.lowercased() }).count == request.headers.count)
                } else {
                    #expect(request.url.isEmpty)
                    #expect(request.body.last == UInt8(ascii: "\n"))
                }
            }
        }
    }

    @Test("writes the same for the same spans, whichever segments they lie in", arguments: Subject.all)
    func pure(subject: Subject) throws {
        let destination = try destination(subject)
        for batch in Self.batches {
            let spans = views(batch, firstID: 10)
            let once = try destination.encode(spans, context)
            let again = try self.destination(subject).encode(spans, context)
            let apart = try destination.encode(batch.enumerated().map { views([$1], firstID: 10 + Int64($0))[0] }, context)
            for other in [again, apart] {
                #expect(once.map(\.body) == other.map(\.body))
                #expect(once.map(\.headers) == other.map(\.headers))
                #expect(once.map(\.spans) == other.map(\.spans))
            }
        }
    }

    @Test("throws for a damaged span alone, or writes it as far as it can be read; it never traps", arguments: Subject.all)
    func damaged(subject: Subject) throws {
        let destination = try destination(subject)
        do throws(EncodeError) {
            let requests = try destination.encode(views([TestSpan()]) + [damagedView()], context)
            #expect(requests.flatMap { Array($0.spans) } == [0, 1])
        } catch {
            #expect(error.span == 1)
            #expect(error.reason == "malformed_span")
        }
    }

    private static let statuses =
        [0, 100, 200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 425, 429]
        + [500, 501, 502, 503, 504, 511, 599, 600, -1]
    private static let bodies: [(type: String?, body: [UInt8])] = [
        (nil, []), ("text/html", Array("<html><body>502 Bad Gateway</body></html>".utf8)), ("application/json", Array("{".utf8)),
        ("application/json", Array("null".utf8)), ("application/json", Array("[[[[".utf8)),
        ("application/json", Array(#"{"error":{"message":7}}"#.utf8)),
        ("application/x-protobuf", [0xff, 0xff, 0xff, 0xff, 0xff]), ("application/x-protobuf", []), (";;;", [0, 1, 2, 255]),
        (nil, (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37) }),
    ]

    @Test("judges any answer, and by its status unless its contract says otherwise", arguments: Subject.all)
    func judges(subject: Subject) throws {
        let destination = try destination(subject)
        for status in Self.statuses {
            for (type, body) in Self.bodies {
                for spans in [1, 500] {
                    var headers = ["retry-after": "7"]
                    headers["content-type"] = type
                    let response = Response(status: status, headers: headers, body: body, bodyCut: spans == 1)
                    let verdict = destination.judge(response, to: request(spans: spans))
                    let general = byStatus(response, to: request(spans: spans))
                    guard !subject.exceptions.contains(status), verdict != general else { continue }
                    // A note beside a delivery is none of its fate.
                    if case (.delivered, .delivered) = (verdict, general) { continue }
                    Issue.record("\(status) \(type ?? "-") for \(spans) spans: \(verdict)")
                }
            }
        }
    }

    private static let contractAnswers = Subject.http.flatMap { subject in subject.answers.map { (subject, $0) } }

    @Test("judges each row of its contract's table", arguments: contractAnswers)
    func contract(subject: Subject, answer: ContractAnswer) throws {
        let destination = try destination(subject)
        let batch = views(TestSpan.many(answer.spans))
        let request = try #require(try destination.encode(batch, context).first)
        #expect(destination.judge(answer.response, to: request).kind == answer.verdict)
    }

    @Test("tells where it sends to, and no secret", arguments: Subject.all)
    func target(subject: Subject) throws {
        let destination = try destination(subject)
        #expect(!destination.target.isEmpty)
        #expect(destination.declaration.limits.spans > 0 && destination.declaration.limits.bytes >= 64 << 10)
        var dumped = ""
        dump(destination, to: &dumped)
        #expect(!dumped.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    }
}
