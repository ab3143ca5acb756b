// Redaction: what must not leave, or not even touch the disk, is found in a text and replaced (rules contract, section 4).
// Promises: works on bytes of UTF-8 and never breaks a character; time is linear in the text, whatever is sent; a text in which nothing is
// found costs no memory; where matches overlap the longest wins, then the first rule; redacting a redacted text finds nothing new where the
// rules are entities with their own replacements; a text that is a JSON document stays one, and is searched in its strings as they read, keys
// and JSON within strings too (a bare number is a text, no document). Never keeps, logs or counts by value. Does not know: spans, attributes.
// Start here, then Redaction.swift (one text), JSONRedaction.swift (a document), Scan.swift (one pass for all entities).
import Patterns

/// A list of rules, ready to be used by any number of threads at once.
public struct Redactor: Sendable {
    /// Makes a number of a value, the same for the same value: the first four bytes of HMAC-SHA-256 under the host's key, big-endian.
    public typealias Hash = @Sendable (UnsafeRawBufferPointer) -> UInt32

    /// The rules in the order of the configuration.
    public let rules: [RedactionRule]
    let detectors: Detectors
    let replacements: [Replacement]
    private let patterns: [Int: Pattern]
    let hash: Hash?

    /// Compiles the rules. `hash` is needed where a rule has `hash`; eight hex digits of it stand in the replacement, so that among ten
    /// thousand values the odds that any two look equal are about one in a hundred.
    public init(_ rules: [RedactionRule], hash: Hash? = nil) throws(RedactionError) {
        var patterns: [Int: Pattern] = [:]
        for (index, rule) in rules.enumerated() {
            if rule.hash, hash == nil { throw .noHashKey(rule: index) }
            guard case .pattern(let source) = rule.target else { continue }
            do throws(PatternError) {
                patterns[index] = try Pattern(source)
            } catch {
                throw .pattern(rule: index, error)
            }
        }
        self.init(rules, patterns: patterns, hash: hash) { _ in true }
    }

    private init(_ rules: [RedactionRule], patterns: [Int: Pattern], hash: Hash?, isUsed: (Int) -> Bool) {
        self.rules = rules
        self.patterns = patterns
        self.hash = hash
        detectors = Detectors(rules: rules, isUsed: isUsed, patterns: patterns)
        replacements = rules.map(Replacement.init)
    }

    /// The same rules of which only those with these indices act, for texts that a rule's `in` leaves out. Counts keep their indices.
    public func limited(to isUsed: (Int) -> Bool) -> Redactor { Redactor(rules, patterns: patterns, hash: hash, isUsed: isUsed) }

    /// The text with what was found replaced; nil where nothing was found.
    public func redact(_ text: UnsafeRawBufferPointer, with workspace: RedactionWorkspace) -> RedactedText? {
        withEdits(of: text, workspace) { edits, base in RedactedText(base, text.count, edits, self) }
    }

    /// As above, for few texts.
    public func redact(_ text: [UInt8], with workspace: RedactionWorkspace = RedactionWorkspace()) -> RedactedText? {
        text.withUnsafeBytes { redact($0, with: workspace) }
    }

    /// What would be replaced, in order: for showing it to a person.
    public func findings(in text: UnsafeRawBufferPointer, with workspace: RedactionWorkspace) -> [RedactionFinding] {
        withEdits(of: text, workspace) { edits, _ in
            edits.compactMap { $0.rule < 0 ? nil : RedactionFinding(range: $0.start..<$0.end, rule: $0.rule) }
        } ?? []
    }

    private func withEdits<Result>(
        of text: UnsafeRawBufferPointer, _ workspace: RedactionWorkspace, _ body: ([Edit], UnsafePointer<UInt8>) -> Result
    ) -> Result? {
        let bytes = text.assumingMemoryBound(to: UInt8.self)
        workspace.redaction.search(bytes, self)
        defer { workspace.redaction.shrink(after: bytes.count) }
        guard let base = bytes.baseAddress, !workspace.redaction.edits.isEmpty else { return nil }
        return body(workspace.redaction.edits, base)
    }
}

/// A text after redaction.
public struct RedactedText: Sendable, Equatable {
    /// The text.
    public let bytes: [UInt8]
    /// How many values each rule replaced, by its index.
    public let counts: [Int]

    init(_ base: UnsafePointer<UInt8>, _ length: Int, _ edits: [Edit], _ redactor: Redactor) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length + 16 * edits.count)
        var counts = [Int](repeating: 0, count: redactor.rules.count)
        var at = 0
        for edit in edits {
            bytes.append(contentsOf: UnsafeBufferPointer(start: base + at, count: edit.start - at))
            if edit.rule >= 0 {
                redactor.replacements[edit.rule].append(to: &bytes, hash: edit.hash, level: edit.level)
                counts[edit.rule] += 1
            } else {
                JSONString.append([UInt8(ascii: "\"")], to: &bytes, level: edit.level)
            }
            at = edit.end
        }
        bytes.append(contentsOf: UnsafeBufferPointer(start: base + at, count: length - at))
        self.bytes = bytes
        self.counts = counts
    }
}

/// A value that a rule wants replaced.
public struct RedactionFinding: Sendable, Equatable {
    /// Where it stands in the text, in bytes. In JSON it is the value as it is written, escapes included.
    public let range: Range<Int>
    /// The rule's index.
    public let rule: Int
}
