import ArgumentParser
import Foundation
import Glibc

/// What one look came to.
struct Finding: Codable, Sendable, Equatable {
    enum Outcome: String, Codable, Sendable {
        /// Right.
        case ok
        /// Worth knowing; spans are safe.
        case warning
        /// Somebody must act.
        case wrong
        /// It could not be looked at.
        case unknown
    }

    /// The check, and what it looked at: `disk`, `destination langfuse`.
    var check = ""
    var outcome: Outcome
    /// What was found, in words.
    var text: String
    /// What to do, where there is something to do.
    var remedy: String?

    static func ok(_ text: String) -> Finding { Finding(outcome: .ok, text: text) }
    static func warning(_ text: String, _ remedy: String) -> Finding { Finding(outcome: .warning, text: text, remedy: remedy) }
    static func wrong(_ text: String, _ remedy: String) -> Finding { Finding(outcome: .wrong, text: text, remedy: remedy) }
    static func unknown(_ text: String, _ remedy: String? = nil) -> Finding { Finding(outcome: .unknown, text: text, remedy: remedy) }

    /// The same finding of a part of its check.
    func of(_ check: String) -> Finding {
        var named = self
        named.check = check
        return named
    }
}

/// One thing that `doctor` looks at: a name and a function of what is known, without any state.
struct DoctorCheck: Sendable {
    let name: String
    let look: @Sendable (DoctorSubject) -> [Finding]

    /// Findings without a name of their own get the check's.
    func run(_ subject: DoctorSubject) -> [Finding] {
        look(subject).map { $0.check.isEmpty ? $0.of(name) : $0 }
    }

    /// All there are, in the order of a span's path.
    static let all: [DoctorCheck] = [
        configuration, secrets, spoolFiles, sockets, disk, diskSpeed, spool, lock, clock, kernel, limits, daemon, unit, destinations,
    ]
}

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks for what is wrong with configuration, files, disk, spool, clock, network and daemon, and says what to do.",
        discussion: """
            Works with the daemon running or stopped, and without root, which sees more. No span is sent: of a destination's address it \
            looks the name up, connects, and checks TLS as the daemon does. Exit status 1 where something is wrong; a warning is not.
            """)
    @OptionGroup var config: ConfigOption
    @Flag(help: "As JSON.") var json = false

    private struct Report: Codable {
        var findings: [Finding]
        var wrong: Int
        var warnings: Int
    }

    func run() throws {
        let subject = DoctorSubject(configPath: config.path)
        var line = ProgressLine()
        var findings: [Finding] = []
        for check in DoctorCheck.all {
            line.show("looking at \(check.name)")
            findings += check.run(subject)
        }
        line.end()
        func count(_ outcome: Finding.Outcome) -> Int { findings.count { $0.outcome == outcome } }
        if json {
            let report = Report(findings: findings, wrong: count(.wrong), warnings: count(.warning))
            print(String(decoding: try encoder().encode(report), as: UTF8.self))
        } else {
            let width = findings.map(\.check.count).max() ?? 0
            for finding in findings { print(finding.line(width: width)) }
            print("\(count(.wrong)) wrong, \(counted(count(.warning), "warning")), \(count(.ok)) right, \(count(.unknown)) not looked at")
        }
        if count(.wrong) > 0 { throw ExitCode(1) }
    }
}

extension Finding {
    fileprivate func line(width: Int) -> String {
        let word =
            switch outcome {
            case .ok: "ok     "
            case .warning: "warning"
            case .wrong: "WRONG  "
            case .unknown: "?      "
            }
        let indent = String(repeating: " ", count: 7 + 2 + width + 2)
        let text = text.split(separator: "\n").joined(separator: "\n\(indent)")
        return
            "\(word)  \(check.padding(toLength: width, withPad: " ", startingAt: 0))  \(text)\(remedy.map { "\n\(indent)-> \($0)" } ?? "")"
    }
}
