import Redaction

/// What the rules find in a text, as it stands there.
func find(_ rules: [RedactionRule], in text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    let redactor = try Redactor(rules) { _ in 0 }
    return bytes.withUnsafeBytes { redactor.findings(in: $0, with: RedactionWorkspace()) }
        .map { String(decoding: bytes[$0.range], as: UTF8.self) }
}

/// The text after redaction.
func redact(_ text: String, _ rules: [RedactionRule], hash: Redactor.Hash? = nil) throws -> String {
    let redactor = try Redactor(rules, hash: hash)
    return redactor.redact(Array(text.utf8)).map { String(decoding: $0.bytes, as: UTF8.self) } ?? text
}
