import Foundation
import SpanModel
import Testing

@testable import Pipeline

@Suite("what a route does with a span")
struct TransformationTests {
    private let full = #"""
        {"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_span_id":"00f067aa0ba902b6","trace_state":"a=1",
        "flags":1,"name":"chat joe@example.com","kind":"client","start_time":1700000000000000000,"end_time":1700000001000000000,"model":"gpt-4o",
        "input":"write to joe@example.com","output":"done","usage":{"input_tokens":10,"output_tokens":5},"service":"shop","environment":"prod",
        "status":{"code":"error","message":"no joe@example.com"},"attributes":{"http.url":"u","n":3,"list":["joe@example.com",1],"json":"{\"to\":\"joe@example.com\",\"n\":1}"},
        "events":[{"name":"seen joe@example.com","time":1700000000500000000,"attributes":{"who":"joe@example.com"}}],
        "links":[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4737","span_id":"00f067aa0ba902b8"}],"scope":{"name":"s","version":"1"}}
        """#.replacingOccurrences(of: "\n", with: "")

    private func sent(_ route: String, _ json: String? = nil) throws -> [String: Any] {
        let rules = try rules("routes: [{name: p, to: [a], \(route)}]")
        let router = Router(rules)
        let view = try span(json ?? full)
        let routed = router.route(view.segment)
        let decision = routed.decision(0, for: 0)
        try #require(decision.delivers)
        let new = router.form(SpanView(segment: routed.segment, index: 0), by: decision)
        #expect(new.id == view.id)
        return try native(new)
    }

    private func attributes(_ route: String, _ json: String? = nil) throws -> [String: Any] {
        try #require(try sent(route, json)["attributes"] as? [String: Any])
    }

    @Test("a draft that nobody changes is the same span")
    func unchanged() throws {
        let view = try span(full)
        let draft = try #require(SpanDraft(view))
        #expect(try NSDictionary(dictionary: native(draft.view())) == NSDictionary(dictionary: native(view)))
    }

    @Test(
        "set: any type of value, computed on the span as it was accepted",
        arguments: [
            ("'\"x\"'", "x" as any Sendable & Equatable), ("'1 + 2'", 3), ("'1.5'", 1.5), ("'true'", true), ("'model'", "gpt-4o"),
            ("'duration'", "1s"), ("'start_time'", "2023-11-14T22:13:20Z"),
        ] as [(String, any Sendable & Equatable)])
    func set(value: String, result: any Sendable & Equatable) throws {
        let found = try attributes("transform: [{set: {x: \(value)}}]")["x"]
        #expect("\(found ?? "none")" == "\(result)" || (found as? Bool) == (result as? Bool))
    }

    @Test("set: the name, the status, the resource; null removes; a map and a list keep their shape")
    func setElsewhere() throws {
        let sent = try sent(
            "transform: [{set: {name: '\"other\"', status: '\"ok\"', resource.region: '\"eu\"', n: 'null', m: '{\"k\": [1, \"b\"]}'}}]")
        let attributes = try #require(sent["attributes"] as? [String: Any])
        #expect(sent["name"] as? String == "other")
        #expect((sent["status"] as? [String: Any])?["code"] as? String == "ok")
        #expect((sent["resource"] as? [String: Any])?["region"] as? String == "eu")
        #expect((sent["resource"] as? [String: Any])?["service.name"] as? String == "shop")
        #expect(attributes["n"] == nil)
        #expect(NSDictionary(dictionary: attributes["m"] as? [String: Any] ?? [:]) == ["k": [1, "b"]])
    }

    @Test("rename and remove by name and glob, only as an allow-list; a later step sees what an earlier one did")
    func names() throws {
        let renamed = try attributes("transform: [{rename: {'http.*': 'web.*', n: count}}, {remove: ['gen_ai.*', list]}]")
        #expect(renamed["web.url"] as? String == "u")
        #expect(renamed["count"] as? Int == 3)
        #expect(Set(renamed.keys) == ["web.url", "count", "json", "tracefwd.cost_usd"])
        #expect(Set(try attributes("transform: [{only: ['n', 'http.*']}]").keys) == ["n", "http.url"])
    }

    @Test("truncate says how much is gone, at a character's boundary")
    func truncate() throws {
        let json =
            #"{"name":"x","attributes":{"a":"\#(String(repeating: "é", count: 100))","b":"short","c":["\#(String(repeating: "y", count: 60))"]}}"#
        let cut = try attributes("transform: [{truncate: {max: 33}}]", json)
        #expect(cut["a"] as? String == String(repeating: "é", count: 16) + " [+168 bytes]")
        #expect(cut["b"] as? String == "short")
        #expect((cut["c"] as? [String])?.first == String(repeating: "y", count: 33) + " [+27 bytes]")
        #expect(try attributes("transform: [{truncate: {max: 33, at: [b]}}]", json)["a"] as? String == String(repeating: "é", count: 100))
    }

    @Test("truncate: JSON in a text stays JSON, keys of maps stay, and what only looks like JSON is a text")
    func truncateJSON() throws {
        let key = String(repeating: "k", count: 40)
        let words = String(repeating: "word ", count: 40)
        let attributes: [String: Any] = [
            "chat": #"[{"role":"user","content":[{"type":"text","text":"\#(words)"}]}]"#,
            "broken": #"[{"role":"user","content":"\#(words)"#,
            "map": [key: words],
        ]
        let json = String(decoding: try JSONSerialization.data(withJSONObject: ["name": "x", "attributes": attributes]), as: UTF8.self)
        let cut = try self.attributes("transform: [{truncate: {max: 100}}]", json)
        let chat = try #require(cut["chat"] as? String)
        #expect(chat.utf8.count <= 100)
        let messages = try #require(try JSONSerialization.jsonObject(with: Data(chat.utf8)) as? [[String: Any]])
        let parts = try #require(messages[0]["content"] as? [[String: String]])
        #expect(messages[0]["role"] as? String == "user" && parts[0]["text"]?.hasSuffix(" bytes]") == true)
        #expect(cut["broken"] as? String == #"[{"role":"user","content":"\#(words)"#.prefix(100) + " [+127 bytes]")
        #expect((cut["map"] as? [String: String]) == [key: words.prefix(100) + " [+100 bytes]"])
        let keys = try self.attributes("transform: [{truncate: {max: 16}}]", json)
        #expect((keys["map"] as? [String: String]).map { Array($0.keys) } == [key])
    }

    @Test("drop_content takes messages and payloads, and leaves counts, models and times")
    func dropContent() throws {
        let kept = try attributes("transform: [{drop_content: true}]")
        #expect(kept["gen_ai.input.messages"] == nil && kept["gen_ai.output.messages"] == nil)
        #expect(kept["gen_ai.request.model"] as? String == "gpt-4o")
        #expect(kept["gen_ai.usage.input_tokens"] as? Int == 10)
        #expect(try attributes("transform: [{drop_content: 'environment == \"dev\"'}]")["gen_ai.input.messages"] != nil)
    }

    @Test("enrich: the host, and fixed attributes")
    func enrich() throws {
        let sent = try sent("transform: [{enrich: {host: true, static: {region: eu}}}]")
        #expect((sent["resource"] as? [String: Any])?["host.name"] as? String == "box")
        #expect((sent["attributes"] as? [String: Any])?["region"] as? String == "eu")
    }

    @Test("redaction reaches every text of a span, JSON in texts stays JSON, and it is the last")
    func redact() throws {
        let sent = try sent("transform: [{set: {late: '\"to joe@example.com\"'}}], redact: [email]")
        let text = try String(decoding: JSONSerialization.data(withJSONObject: sent), as: UTF8.self)
        #expect(!text.contains("joe@example.com"))
        let attributes = try #require(sent["attributes"] as? [String: Any])
        #expect(attributes["json"] as? String == #"{"to":"[email]","n":1}"#)
        #expect(attributes["late"] as? String == "to [email]")
        #expect(sent["name"] as? String == "chat [email]")
        #expect((sent["status"] as? [String: Any])?["message"] as? String == "no [email]")
        let event = try #require((sent["events"] as? [[String: Any]])?.first)
        #expect(event["name"] as? String == "seen [email]")
        #expect((event["attributes"] as? [String: Any])?["who"] as? String == "[email]")
    }

    @Test("a rule with `in` looks at those attributes alone; a pattern and its replacement; counts by route and entity")
    func redactIn() throws {
        let rules = try rules(
            "routes: [{name: p, to: [a], redact: [{entity: email, in: ['gen_ai.*']}, {pattern: 'u$', as: '<u>', in: ['http.*']}]}]")
        let router = Router(rules)
        let view = try span(full)
        let sent = try native(router.form(view, by: router.route(view.segment).decision(0, for: 0)))
        let attributes = try #require(sent["attributes"] as? [String: Any])
        #expect("\(attributes["gen_ai.input.messages"] ?? "")".contains("[email]"))
        #expect((attributes["list"] as? [Any])?.first as? String == "joe@example.com")
        #expect(attributes["http.url"] as? String == "<u>")
        #expect(sent["name"] as? String == "chat joe@example.com")
        #expect(router.counters.redactions == [.init(route: "p", entity: "email"): 1, .init(route: "p", entity: "pattern"): 1])
    }

    @Test("a damaged span goes out as it is, and nothing traps", arguments: 0..<200)
    func damaged(seed: Int) throws {
        let view = try span(full)
        var payload = view.segment.payload
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
        for _ in 0..<3 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            payload[Int(state >> 33) % payload.count] = UInt8(truncatingIfNeeded: state >> 20)
        }
        let rules = try rules(
            "routes: [{name: p, when: 'attributes.exists(k, k == \"n\") || input != \"\" || size(tags) > 0 || \"x\" in metadata', to: [a], transform: [{set: {x: 'input_tokens'}}, {truncate: {max: 20}}, {drop_content: true}], redact: [email, secret]}, {name: q, to: [a], sample: 0.5}]"
        )
        let router = Router(rules)
        let routed = router.route(Segment(firstID: 7, payload: payload, entries: view.segment.entries))
        _ = router.form(SpanView(segment: routed.segment, index: 0), by: RouteDecision(.deliver, by: 0))
        _ = router.form(SpanView(segment: routed.segment, index: 0), by: RouteDecision(.deliver, by: 1))
    }
}
