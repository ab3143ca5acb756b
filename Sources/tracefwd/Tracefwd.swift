// tracefwd: reads the command line, builds the rooms and joins them; alone in knowing them all.
// Start here (the commands), then Daemon.swift (the rooms joined), Control.swift (what live commands talk to), HTTPServer.swift.
import ArgumentParser
import Foundation
import SpanModel

@main
struct Tracefwd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tracefwd",
        abstract: "Takes LLM spans over a local socket, makes them durable, and delivers them to every observability platform.",
        discussion: """
            A first try:  tracefwd run --config etc/run.yaml &
                          echo '{"name":"hello","model":"gpt-4o","input":"hi","output":"ho"}' | tracefwd send --config etc/run.yaml
                          tracefwd status --config etc/run.yaml
            Without --config the file is $TRACEFWD_CONFIG, or /etc/tracefwd/tracefwd.yaml.
            Exit status: 0 it worked, 1 it failed, 2 it was asked wrongly.
            Shell completions: tracefwd --generate-completion-script bash|zsh|fish
            """,
        version: version,
        subcommands: [
            Run.self, Check.self, Reload.self, Send.self, Status.self, Tail.self, Dead.self, Pause.self, Resume.self, Skip.self, Seek.self,
            TrustClock.self,
            SpoolCommand.self, RulesCommand.self, Doctor.self, Schema.self, DebugParse.self,
        ])

    /// As ArgumentParser's own, but wrong use exits with 2, as the documentation of every command says.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            if code == ExitCode.validationFailure {
                FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
                Foundation.exit(2)
            }
            exit(withError: error)
        }
    }
}

/// The options that every command has.
struct ConfigOption: ParsableArguments {
    @Option(
        name: .shortAndLong, help: ArgumentHelp("The configuration file.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    var path: String { named ?? "/etc/tracefwd/tracefwd.yaml" }

    /// Whether nobody has named another one.
    var isUsual: Bool { named == nil }

    private var named: String? { config ?? ProcessInfo.processInfo.environment["TRACEFWD_CONFIG"] }
}

/// A failure that a command has already described.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Writes to standard error.
func complain(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
