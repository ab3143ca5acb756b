import ArgumentParser
import Foundation
import Spool

/// Which destination a command is for.
struct DestinationArgument: ParsableArguments {
    @Argument(help: "The destination's name in the configuration.") var destination: String
}

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Sends a destination nothing more, over restarts too; its spans wait.")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    func run() throws { try order(ControlRequest(.pause, destination: destination.destination), config) }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a destination go on at once, whatever held it: a pause, a refused key, a breaker.")
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    func run() throws { try order(ControlRequest(.resume, destination: destination.destination), config) }
}

struct Skip: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gives up a destination's backlog.",
        discussion: """
            What is passed over counts as expired, reason "skipped"; history still holds it, and seek brings it back.
            An example:  tracefwd skip langfuse --dry-run
            """)
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    @Flag(help: "Only tell how many spans would be passed over.") var dryRun = false
    func run() throws { try order(ControlRequest(.skip, destination: destination.destination, dryRun: dryRun), config) }
}

struct Seek: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Moves a destination's cursor.",
        discussion: """
            Back: what history still holds is delivered again, with the same ids. Forward: what is passed over is skipped.
            An example:  tracefwd seek langfuse --to 2h --dry-run
            """)
    @OptionGroup var config: ConfigOption
    @OptionGroup var destination: DestinationArgument
    @Option(help: "beginning, end, a span's id, or how long ago (2h, 30m).") var to: String
    @Flag(help: "Only tell how many spans would be delivered again or passed over.") var dryRun = false

    func validate() throws { _ = try target() }

    func run() throws { try order(try target(), config) }

    private func target() throws -> ControlRequest {
        var request = ControlRequest(.seek, destination: destination.destination, dryRun: dryRun)
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
        return request
    }
}

private func order(_ request: ControlRequest, _ config: ConfigOption) throws {
    let reply: TextReply = try ControlClient(config).ask(request)
    print(reply.text)
}

/// `90s`, `30m`, `2h`, `3d`, a century at most; nil where it is none of these.
func seconds(_ text: String) -> Double? {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let last = text.last, let unit = units[last], let number = Double(text.dropLast()) else { return nil }
    let seconds = number * unit
    return (0...100 * 366 * 86400).contains(seconds) ? seconds : nil
}
