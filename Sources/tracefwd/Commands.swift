import ArgumentParser
import Destinations
import Foundation
import Glibc
import Intake
import Settings
import SpanModel
import Spool

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs the daemon in the foreground, as systemd does.")
    @OptionGroup var config: ConfigOption

    func run() async throws {
        let settings: LoadedSettings
        do throws(SettingsError) {
            settings = try load(file: config.path, destinationTypes: destinationTypes)
        } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
        do {
            try await Daemon.run(configPath: config.path, settings: settings)
        } catch let error as Failure {
            complain("tracefwd: \(error)")
            throw ExitCode(1)
        }
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads the configuration and tells every mistake with its place and its remedy.",
        discussion: "Opens the spool too, without changing it. Exit status 1 where something is wrong.")
    @OptionGroup var config: ConfigOption
    @Flag(help: "Print all of the configuration with its defaults; secrets are dots.") var effective = false

    func run() throws {
        let settings: LoadedSettings
        do throws(SettingsError) {
            settings = try load(file: config.path, destinationTypes: destinationTypes)
        } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
        if access(settings.spool.path, F_OK) == 0 {
            do throws(SpoolError) {
                _ = try LogReader.open(path: settings.spool.path).info()
            } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
        if effective {
            print(settings.renderEffective())
        } else {
            let count = settings.destinations.count
            print("\(settings.files.joined(separator: ", ")): no mistakes; \(count) destination\(count == 1 ? "" : "s")")
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

/// Which destination a command is for.
struct DestinationArgument: ParsableArguments {
    @Argument(help: "The destination's name in the configuration.") var destination: String
}

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Sends a destination nothing more, over restarts too; its spans wait.")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    func run() throws { try order(.pause, config, destination) }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a destination go on at once, whatever held it: a pause, a refused key, a breaker.")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    func run() throws { try order(.resume, config, destination) }
}

struct Skip: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gives up a destination's backlog.", discussion: "What is passed over counts as expired, reason \"skipped\".")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    func run() throws { try order(.skip, config, destination) }
}

struct Seek: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Moves a destination's cursor.",
        discussion: "Back: what history still holds is delivered again, with the same ids. Forward: what is passed over is skipped.")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    @Option(help: "beginning, end, a span's id, or how long ago (2h, 30m).") var to: String

    func run() throws {
        var request = ControlRequest(.seek, destination: destination.destination)
        switch to {
        case "beginning": request.position = 0
        case "end": request.position = .max
        default:
            if let id = Int64(to), id > 0 {
                request.position = id - 1
            } else if let age = seconds(to) {
                request.secondsAgo = age
            } else {
                throw ValidationError("--to \(to): write beginning, end, a span's id, or a time as in 30m, 2h, 3d")
            }
        }
        let reply: TextReply = try ControlClient(config).ask(request)
        print(reply.text)
    }
}

private func order(_ command: ControlRequest.Command, _ config: ConfigOption, _ destination: DestinationArgument) throws {
    let reply: TextReply = try ControlClient(config).ask(ControlRequest(command, destination: destination.destination))
    print(reply.text)
}

/// `90s`, `30m`, `2h`, `3d`; nil where it is none of these.
func seconds(_ text: String) -> Double? {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let last = text.last, let unit = units[last], let number = Double(text.dropLast()), number >= 0 else { return nil }
    return number * unit
}

struct Dead: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks after dead letters: spans that a destination will not take.",
        subcommands: [List.self, Show.self, Replay.self, Purge.self])

    /// Which letters are meant.
    struct Filter: ParsableArguments {
        @Option(help: "Only letters with this reason.") var reason: String?
        @Option(help: "Only letters that failed first within this time (30m, 2h, 3d).") var since: String?
        @Option(name: .customLong("span"), help: "Only the letter of this span; may be repeated.") var spans: [Int64] = []

        func filter() throws -> DeadLetterFilter {
            var since: Int64?
            if let text = self.since {
                guard let age = seconds(text) else { throw ValidationError("--since \(text): write a time as in 30m, 2h, 3d") }
                since = Int64((Date().timeIntervalSince1970 - age) * 1000)
            }
            return DeadLetterFilter(spans: spans.isEmpty ? nil : spans, reason: reason, since: since)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the dead letters of one destination, or of all.")
        @OptionGroup var config: ConfigOption
        @Argument(help: "The destination's name; all where it is left out.") var destination: String?
        @OptionGroup var filter: Filter
        @Option(help: "At most this many of each.") var limit = 100
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            let client = try ControlClient(config)
            var request = ControlRequest(.deadList, destination: destination)
            request.filter = try filter.filter()
            request.limit = limit
            if json { return print(try client.raw(request)) }
            let reply: DeadListReply = try client.ask(request)
            print(reply.text)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one dead letter with its span.", discussion: "The span may hold prompts.")
        @OptionGroup var config: ConfigOption
        @OptionGroup var destination: DestinationArgument
        @Argument(help: "The span's id, as in dead list.") var span: Int64

        func run() throws {
            var request = ControlRequest(.deadShow, destination: destination.destination)
            request.span = span
            print(try ControlClient(config).raw(request))
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sends dead letters again, to that destination only.")
        @OptionGroup var config: ConfigOption
        @OptionGroup var destination: DestinationArgument
        @OptionGroup var filter: Filter
        func run() throws { try change(.deadReplay, config, destination, filter) }
    }

    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deletes dead letters for good; counted as purged.")
        @OptionGroup var config: ConfigOption
        @OptionGroup var destination: DestinationArgument
        @OptionGroup var filter: Filter
        func run() throws { try change(.deadPurge, config, destination, filter) }
    }

    private static func change(
        _ command: ControlRequest.Command, _ config: ConfigOption, _ destination: DestinationArgument, _ filter: Filter
    ) throws {
        var request = ControlRequest(command, destination: destination.destination)
        request.filter = try filter.filter()
        let reply: TextReply = try ControlClient(config).ask(request)
        print(reply.text)
    }
}

struct SpoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool", abstract: "Looks into the spool's file; works with the daemon stopped too.",
        subcommands: [Info.self, Verify.self])

    /// Where the file is.
    struct Place: ParsableArguments {
        @OptionGroup var config: ConfigOption
        @Option(help: "The spool's file, in place of the configuration's.", completion: .file()) var path: String?

        func reader() throws -> LogReader {
            let file = try path ?? pathsOrExit(config.path).spool
            do throws(SpoolError) {
                return try LogReader.open(path: file)
            } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
    }

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows what is in the file.")
        @OptionGroup var place: Place
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            let rows = try place.reader().info()
            if json {
                let object = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0.value) })
                print(String(decoding: try encoder().encode(object), as: UTF8.self))
            } else {
                for (name, value) in rows { print("\(name.padding(toLength: 20, withPad: " ", startingAt: 0)) \(value)") }
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the whole file: SQLite's own check, every segment, dense ids, balanced books.",
            discussion: "Reads all of it. Exit status 1 where something is wrong; what was found is printed.")
        @OptionGroup var place: Place

        func run() throws {
            let shows = isatty(2) != 0
            let findings = try place.reader().verify { spans in
                if shows { FileHandle.standardError.write(Data("\r\(spans) spans".utf8)) }
            }
            if shows { complain("") }
            guard findings.isEmpty else {
                for finding in findings { complain(finding) }
                throw ExitCode(1)
            }
            print("the spool is sound")
        }
    }
}

struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints what the configuration knows, for editors and for the documentation.")
    @Flag(help: "As Markdown (Docs/configuration.md) instead of a JSON schema.") var markdown = false
    func run() { print(markdown ? renderMarkdown(destinationTypes) : renderJSONSchema(destinationTypes)) }
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
