import Foundation
import Intake
import Settings
import SpanModel
import Testing

@testable import Pipeline

/// A stored span of a native one.
func span(_ json: String, receivedAt: UInt64 = 1_700_000_000_000_000_000, _ place: SourceLocation = #_sourceLocation) throws -> SpanView {
    var batch = SpanBatch()
    let parsed = Array(json.utf8).withUnsafeBytes {
        LineParser().parse($0, stamp: Stamp(receivedAt: receivedAt, sender: 1000, source: .unix), acceptsAck: false, into: &batch)
    }
    if case .rejected(let reason) = parsed { Issue.record("rejected: \(reason)", sourceLocation: place) }
    try #require(batch.count == 1, sourceLocation: place)
    return SpanView(segment: Segment(firstID: 7, payload: batch.payload, entries: batch.entries), index: 0)
}

/// The native form, as a dictionary.
func native(_ view: SpanView) throws -> [String: Any] {
    var bytes: [UInt8] = []
    appendNativeJSON(view, to: &bytes)
    return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

/// The rules of a configuration whose destinations are `a`, `b` and `c`; its mistakes are failures of the test.
func rules(
    _ yaml: String, host: RuleHost = RuleHost(userName: { "user\($0)" }, hostName: "box"), _ place: SourceLocation = #_sourceLocation
)
    throws -> Rules
{
    let (rules, mistakes) = try compiled(yaml, host: host)
    for mistake in mistakes { Issue.record("\(mistake)", sourceLocation: place) }
    return rules
}

func compiled(_ yaml: String, host: RuleHost = RuleHost()) throws -> (rules: Rules, mistakes: [Mistake]) {
    let text = yaml + "\ndestinations: { a: { type: none }, b: { type: none }, c: { type: none } }\n"
    let surroundings = Surroundings(environment: [:]) { _ throws(ReadError) in Array(text.utf8) }
    let settings = try load(
        file: "t.yaml", destinationTypes: [DestinationType("none", http: false, "Nothing.", keys: [])], surroundings: surroundings)
    return Rules.compile(settings.rules, host: host)
}

extension Rules {
    /// What becomes of a span at `a`, `b` and `c`: the route's name, or the kind in brackets.
    func fates(of view: SpanView) -> [String] {
        let routed = Router(self).route(view.segment)
        return ["a", "b", "c"].map { name in
            guard let place = place(of: name) else { return "?" }
            let decision = routed.decision(view.index, for: place)
            return decision.delivers ? self.name(of: decision.route) : "(\(decision.kind))"
        }
    }
}
