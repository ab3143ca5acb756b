import Foundation
import Pipeline
import Redaction
import Settings

/// What each `redact:` of a configuration would replace in a text, as a difference of lines.
struct RedactionPreview {
    private let file: String
    private let bytes: [UInt8]
    private let host: RuleHost
    private let lists: [(name: String, rules: [RedactionSettings])]

    init(file: String, _ rules: RuleSettings, _ host: RuleHost) throws {
        (self.file, self.host) = (file, host)
        bytes = [UInt8](file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Data(contentsOf: URL(filePath: file)))
        guard String(validating: bytes, as: UTF8.self) != nil else { throw Failure("\(file): is no text in UTF-8") }
        let routes = (rules.routes ?? []).map { ("route \"\($0.name)\"", $0.redact) }
        lists = ([("intake", rules.intake.redact)] + routes).filter { !$0.1.isEmpty }
    }

    var text: String {
        guard !lists.isEmpty else { return "nothing is redacted: the configuration has no redact:" }
        return lists.map { "\($0.name): " + difference($0.rules).joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private func difference(_ settings: [RedactionSettings]) -> [String] {
        guard let redactor = try? Redactor(settings.compactMap(RedactionRule.init), hash: host.shortHash) else {
            return ["cannot be tried"]
        }
        let workspace = RedactionWorkspace()
        let findings = bytes.withUnsafeBytes { redactor.findings(in: $0, with: workspace) }
        guard !findings.isEmpty, let redacted = redactor.redact(bytes, with: workspace) else { return ["nothing is found in \(file)"] }
        var counts: [String: Int] = [:]
        for finding in findings { counts[redactor.rules[finding.rule].name, default: 0] += 1 }
        let found = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return ["\(found) in \(file)"] + lines(findings, redacted.bytes)
    }

    /// The lines with something found, before and after.
    private func lines(_ findings: [RedactionFinding], _ redacted: [UInt8]) -> [String] {
        // What is found may cover several lines, which become one.
        var before: [(line: Int, bytes: ArraySlice<UInt8>)] = []
        var (start, line, first, next) = (0, 1, 1, 0)
        for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
            line += 1
            while next < findings.count, findings[next].range.upperBound <= index { next += 1 }
            if next < findings.count, findings[next].range.contains(index) { continue }
            before.append((first, bytes[start..<index]))
            (start, first) = (index + 1, line)
        }
        before.append((first, bytes[start...]))
        let after = redacted.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard before.count == after.count else { return Self.marked("+", redacted[...]) }
        return zip(before, after).filter { $0.bytes != $1 }.flatMap { before, after in
            ["  line \(before.line)"] + Self.marked("-", before.bytes) + Self.marked("+", after)
        }
    }

    private static func marked(_ mark: String, _ bytes: ArraySlice<UInt8>) -> [String] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map { "  \(mark) \($0)" }
    }
}

extension RedactionRule {
    fileprivate init?(_ settings: RedactionSettings) {
        switch settings.target {
        case .entity(let name):
            guard let entity = Entity(rawValue: name.text) else { return nil }
            self.init(.entity(entity), as: settings.replacement, hash: settings.hash)
        case .pattern(let pattern): self.init(.pattern(pattern.text), as: settings.replacement, hash: settings.hash)
        }
    }

    fileprivate var name: String {
        switch target {
        case .entity(let entity): entity.rawValue
        case .pattern(let pattern): "/\(pattern)/"
        }
    }
}
