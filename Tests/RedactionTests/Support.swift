import Foundation

@testable import Redaction

/// The seeds of this run: the ones that are kept, or the one that is asked for (`TRACEFWD_SEED=7 make test`).
enum Seeds {
    static let thisRun: [UInt64] =
        ProcessInfo.processInfo.environment["TRACEFWD_SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(1...20)
}

/// Repeatable chance (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014: SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &self) == 0 }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int.random(in: 0..<elements.count, using: &self)] }
}

/// Rules for all that redaction knows, with their own replacements.
let everything: [RedactionRule] = [.email, .phone, .creditCard, .iban, .usSSN, .ipAddress, .macAddress, .secret].map { .entity($0) }

/// What the rules find in a text, as it stands there.
func find(_ rules: [RedactionRule], in text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    let redactor = try Redactor(rules) { _ in 0 }
    return bytes.withUnsafeBytes { redactor.findings(in: $0, with: RedactionWorkspace()) }
        .map { String(decoding: bytes[$0.range], as: UTF8.self) }
}

/// The text after redaction.
func redact(_ text: String, _ rules: [RedactionRule] = everything, hash: Redactor.Hash? = nil) throws -> String {
    let redactor = try Redactor(rules, hash: hash)
    return redactor.redact(Array(text.utf8)).map { String(decoding: $0.bytes, as: UTF8.self) } ?? text
}

/// Pieces that texts are made of: values that are found, near misses, and what stands between.
enum Pieces {
    static let values = [
        "jane@example.com", "o'brien@example.ie", "user@münchen.de", "+14155550132", "+44 20 7946 0958", "(415) 555-0132", "415-555-0132",
        "212 555 0187", "4111111111111111", "4111 1111 1111 1111", "378282246310005", "3782 822463 10005", "30569309025904",
        "GB82WEST12345698765432", "DE89 3704 0044 0532 0130 00", "123-45-6789", "ssn 123456789", "192.0.2.1", "2001:db8::1",
        "::ffff:192.0.2.128", "fe80::1%eth0", "fe80::", "1:2:3:4:5:6:7:8", "00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e",
        "sk-proj-LXv0QEdBw8g0V1I9VcLmSLYBPGaMdEjVmsuyVFlK7WuZ5x1t", "AKIA" + "LQ4SSS5N5XNCBDRL",
        "AIza" + "SvuOhKVFax59RyKRVqaHK2nO3NN2mgZ2Ye5",
        "ghp_" + "E10Je4Fw2UVhx8U0sDGx0eLABq86IBWNmi8N", "xoxb-719741905937-557844110838-bLSlUSgCG0oiGr0U42o5xdEz",
        "915351258:gRaB7BEXocxZGHd8QWmWHQKIIo3Z4zi4Qc3", "https://user:hunter2@db.example.com/x", "redis://:s3cret@cache:6379",
        "Authorization: Bearer GFl414aeReMr3vo6Sw3R7r9W", "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.abc_-",
        "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----",
        "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", "dapi5328058927a6100bd14aec97ba15617f",
    ]
    static let nearMisses = [
        "user@localhost", "react@18.2.0", "git@github.com:org/repo.git", "+999 123 456 789", "4111111111111112", "1234567812345670",
        "DE89370400440532013001", "000-12-3456", "127.0.0.1", "v1.2.3.4", "Chrome/120.0.0.0", "std::vector", "12:34:56", "sk-...", "AKIA",
        "eyJ.eyJ.abc", "https://example.com:8080/@x", "2026-11-24", "550e8400-e29b-41d4-a716-446655440000", "ssn", "version ",
        "0.411111111",
        "xoxb-", "-----END PRIVATE KEY-----", "::", "@", "://", "[email]", "[credit_card]", "1111", "1",
    ]
    static let glue = [
        "", "", " ", " ", "\n", ",", ", ", ".", ". ", "-", "/", ":", "=", "_", "'", "\"", "\\", "\\n", "(", ")", "x", "é", "中", "😀",
        "\u{0}",
        "{", "}", "[", "]", " is ", "+", "%",
    ]

    static func text(_ count: Int, using rng: inout SeededRandom) -> String {
        (0..<count).map { _ in
            switch Int.random(in: 0..<4, using: &rng) {
            case 0: rng.pick(values)
            case 1: rng.pick(nearMisses)
            default: rng.pick(glue)
            }
        }.joined()
    }
}
