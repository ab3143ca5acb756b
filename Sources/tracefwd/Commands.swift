import ArgumentParser
import Destinations
import Foundation
import Intake
import Settings
import SpanModel

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs the daemon in the foreground, as systemd does.")
    @OptionGroup var config: ConfigOption

    func run() throws {
        let settings: LoadedSettings
        do throws(SettingsError) {
            settings = try loadSettings(config.path)
        } catch {
            tellFailedStart(error, path: config.path)
            throw ExitCode(1)
        }
        do {
            try Daemon.run(configPath: config.path, settings: settings)
        } catch let error as Failure {
            tellFailedStart(error)
            throw ExitCode(1)
        }
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets the daemon read its configuration again, and waits until it is in force.",
        discussion: "A file with a mistake changes nothing: the mistakes are printed and the exit status is 1.")
    @OptionGroup var config: ConfigOption
    @Flag(help: "Only tell what would change, and whose backlog it touches.") var dryRun = false

    func run() throws {
        let reply: ReloadReply = try ControlClient(config).ask(ControlRequest(.reload, dryRun: dryRun))
        for line in reply.lines { print(line) }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows the spool, every destination, its backlog and its books.")
    @OptionGroup var config: ConfigOption
    @Flag(help: "As JSON.") var json = false

    func run() throws {
        let client = try ControlClient(config)
        if json {
            print(try client.raw(ControlRequest(.status)))
        } else {
            let report: StatusReport = try client.ask(ControlRequest(.status))
            print(report.text)
        }
    }
}

struct Tail: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follows what is accepted and what becomes of it, live.",
        discussion: "Shows names, models and ids; with --json whole spans, which may hold prompts.")
    @OptionGroup var config: ConfigOption
    @Flag(help: "Whole spans and events, one JSON object a line.") var json = false
    @Flag(help: "Only accepted spans.") var spans = false
    @Flag(help: "Only delivery events.") var events = false

    func run() throws {
        let client = try ControlClient(config)
        try client.stream(ControlRequest(.tail, json: json, spans: spans || !events, events: events || !spans)) { line in
            FileHandle.standardOutput.write(Data("\(line)\n".utf8))
        }
    }
}

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints what the configuration knows, for editors and for the documentation.")
    @Flag(help: "As Markdown (Docs/configuration.md) instead of a JSON schema.") var markdown = false
    @Flag(help: "As a manual page, tracefwd.yaml(5).") var man = false

    func validate() throws {
        if markdown, man { throw ValidationError("--markdown or --man, not both") }
    }

    func run() {
        if man { return print(renderManPage(destinationTypes, version: version), terminator: "") }
        print(markdown ? renderMarkdown(destinationTypes) : renderJSONSchema(destinationTypes))
    }
}

/// Reads spans from standard input and writes what the parser makes of each, for the checks in Tests/acceptance: per line a byte (0 span,
/// 1 rejected), a big-endian length of 4 bytes, and the stored bytes or the reason.
struct DebugParse: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "debug-parse", shouldDisplay: false)

    func run() {
        let parser = LineParser()
        var out: [UInt8] = []
        // Bytes, not `readLine`: that repairs invalid UTF-8, which the parser is to see.
        var lines = [UInt8](FileHandle.standardInput.readDataToEndOfFile()).split(separator: 0x0a, omittingEmptySubsequences: false)
        if lines.last?.isEmpty ?? false { lines.removeLast() }
        for line in lines {
            var batch = SpanBatch()
            let text = Array(line)
            let stamp = Stamp(receivedAt: UInt64(Date().timeIntervalSince1970 * 1e9), source: .unix)
            let (kind, bytes): (UInt8, [UInt8]) =
                switch text.withUnsafeBytes({ parser.parse($0, stamp: stamp, acceptsAck: false, into: &batch) }) {
                case .rejected(let reason): (1, Array(reason.code.utf8))
                default: (0, batch.payload)
                }
            out.append(kind)
            withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { out.append(contentsOf: $0) }
            out += bytes
        }
        FileHandle.standardOutput.write(Data(out))
    }
}

/// Where the daemon's files are, or an end with the mistakes that hide it.
func pathsOrExit(_ path: String) throws -> DaemonPaths {
    do throws(SettingsError) {
        return try daemonPaths(file: path, destinationTypes: destinationTypes)
    } catch {
        complain("\(error)")
        throw ExitCode(1)
    }
}
