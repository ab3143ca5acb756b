import Testing

@testable import SpanModel

@Suite("Attributes by their keys")
struct AttributeLookupTests {
    @Test("any attribute is found in the notes of the pass as in the span itself, known or not, repeated or null", arguments: Seeds.thisRun)
    func lookUp(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let keys = ["gen_ai.system", "session.id", "a", "", "shop.tier", "shop.tiers", "user.id"] + (0..<40).map { "other.\($0)" }
        let values: [TestSpan.Value] = [.string("x"), .string(""), .int(7), .null, .absent, .array([.int(1)]), .bool(false)]
        for count in [0, 1, 5, 12, 31, 32, 33, 34, 60] {
            var span = TestSpan()
            span.attributes = (0..<count).compactMap { _ in
                keys.randomElement(using: &rng).flatMap { key in values.randomElement(using: &rng).map { TestSpan.Pair(key, $0) } }
            }
            view(span).withLLM { llm in
                for key in keys {
                    let noted = Array(key.utf8).withUnsafeBytes { llm.attribute($0) }.map { AttributeValue($0) }
                    #expect(noted == AttributeValue(of: key, in: llm.span.attributes), "\(key): TRACEFWD_SEED=\(seed) make test")
                }
            }
        }
    }
}
