import Foundation
import Redaction
import Testing

/// `../shared/data/pii-vectors.json`: what each entity is.
struct Vectors: Decodable {
    struct Case: Decodable {
        let entity: String
        let text: String
        let find: [String]
    }
    struct Mixed: Decodable {
        let text: String
        let kinds: [String]
        let redacted: String
    }
    let cases: [Case]
    let mixed: [Mixed]

    /// Nil, and told, in a clone without shared/.
    static let shared: Vectors? = {
        let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = checkout.deletingLastPathComponent().appending(path: "shared/data/pii-vectors.json")
        guard let data = try? Data(contentsOf: file) else {
            print("RedactionTests: ../shared/data/pii-vectors.json is absent, its vectors are left out")
            return nil
        }
        return try? JSONDecoder().decode(Vectors.self, from: data)
    }()
}

@Suite("The shared vectors", .enabled(if: Vectors.shared != nil))
struct VectorTests {
    @Test("each entity finds exactly its spans of text, in order")
    func cases() throws {
        for vector in try #require(Vectors.shared).cases {
            let entity = try #require(Entity(rawValue: vector.entity))
            let found = try find([.entity(entity)], in: vector.text)
            #expect(found == vector.find, "\(vector.entity) in \(vector.text.debugDescription)")
        }
    }

    @Test("several entities at once")
    func mixed() throws {
        for vector in try #require(Vectors.shared).mixed {
            let rules = try vector.kinds.map { RedactionRule.entity(try #require(Entity(rawValue: $0))) }
            #expect(try redact(vector.text, rules) == vector.redacted, "\(vector.text.prefix(80).debugDescription)")
        }
    }

    @Test("what is no secret is nothing else either")
    func nothing() throws {
        for vector in try #require(Vectors.shared).cases where vector.find.isEmpty && vector.entity == "secret" {
            #expect(try find(everything, in: vector.text) == [], "\(vector.text.debugDescription)")
        }
    }
}
