import ArgumentParser
import Foundation
import Glibc
import Spool

struct Dead: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks after dead letters: spans that a destination will not take.",
        subcommands: [List.self, Show.self, Replay.self, Purge.self])

    /// Which letters are meant.
    struct Filter: ParsableArguments {
        @Option(help: "Only letters with this reason.") var reason: String?
        @Option(help: ArgumentHelp("Only letters with this HTTP status; 0 is none.", valueName: "code")) var status: Int?
        @Option(
            help: ArgumentHelp("Only letters that failed first since then: 30m, 2h, 3d ago, or 2026-11-26T10:00:00Z.", valueName: "time"))
        var since: String?
        @Option(help: ArgumentHelp("Only letters that failed first before then; as --since.", valueName: "time")) var until: String?
        @Option(name: .customLong("span"), help: ArgumentHelp("Only the letter of this span; may be repeated.", valueName: "id"))
        var spans: [Int64] = []

        func validate() throws {
            let (since, until) = (try milliseconds("since", since), try milliseconds("until", until))
            if let since, let until, since >= until { throw ValidationError("--since is not before --until: no letter can be meant") }
        }

        func filter() throws -> DeadLetterFilter {
            DeadLetterFilter(
                spans: spans.isEmpty ? nil : spans, reason: reason, status: status, since: try milliseconds("since", since),
                until: try milliseconds("until", until))
        }

        private func milliseconds(_ name: String, _ text: String?) throws -> Int64? {
            guard let text else { return nil }
            if let age = seconds(text) { return Int64((Date().timeIntervalSince1970 - age) * 1000) }
            if let time = try? Date(text, strategy: .iso8601) { return Int64(time.timeIntervalSince1970 * 1000) }
            throw ValidationError("--\(name) \(text): write how long ago, as in 30m, 2h, 3d, or a time as in 2026-11-26T10:00:00Z")
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
        static let configuration = CommandConfiguration(
            abstract: "Sends dead letters again, to that destination only, and waits for what becomes of them.",
            discussion: """
                Without a filter all of them. Exit status 1 where some were not delivered. Ctrl-C stops the waiting, not the replay.
                An example:  tracefwd dead replay langfuse --status 400 --since 2h --dry-run
                """)
        @OptionGroup var config: ConfigOption
        @OptionGroup var destination: DestinationArgument
        @OptionGroup var filter: Filter
        @Flag(help: "Only tell which letters are meant.") var dryRun = false
        @Flag(name: .customLong("no-wait"), help: "Do not wait until they were sent.") var doesNotWait = false
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            var request = ControlRequest(.deadReplay, destination: destination.destination, dryRun: dryRun)
            request.filter = try filter.filter()
            request.wait = !doesNotWait
            let client = try ControlClient(config)
            guard !dryRun else { return try Dead.preview(request, client, json: json) }
            var line = ProgressLine()
            var last: ReplayProgress?
            if !doesNotWait { Self.leaveOnInterrupt() }
            try client.stream(request, of: ReplayProgress.self) { progress in
                last = progress
                line.show(progress.text)
            }
            line.end()
            guard let last, doesNotWait || last.isDone else {
                throw Failure("the daemon closed the connection; the replay goes on by itself, or when the daemon runs again")
            }
            print(json ? String(decoding: try encoder().encode(last), as: UTF8.self) : last.text)
            if last.isDone, last.delivered < last.asked { throw ExitCode(1) }
        }

        /// The daemon sees that nobody waits any more, and goes on.
        private static func leaveOnInterrupt() {
            signal(SIGINT) { _ in
                let goodbye: StaticString = "\nno longer waiting; the replay goes on: tracefwd status, tracefwd dead list\n"
                write(2, goodbye.utf8Start, goodbye.utf8CodeUnitCount)
                _exit(130)
            }
        }
    }

    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes dead letters for good; counted as purged.",
            discussion: "An example:  tracefwd dead purge langfuse --until 7d --dry-run")
        @OptionGroup var config: ConfigOption
        @OptionGroup var destination: DestinationArgument
        @OptionGroup var filter: Filter
        @Flag(help: "All of them: what is meant where no filter stands must be said.") var all = false
        @Flag(help: "Only tell which letters are meant.") var dryRun = false
        @Flag(help: "As JSON; with --dry-run.") var json = false

        func validate() throws {
            if try filter.filter().isEmpty != all, !dryRun {
                throw ValidationError(all ? "--all stands beside a filter: leave one of them out" : "name a filter, or say --all")
            }
        }

        func run() throws {
            var request = ControlRequest(.deadPurge, destination: destination.destination, dryRun: dryRun)
            request.filter = try filter.filter()
            let client = try ControlClient(config)
            guard !dryRun else { return try Dead.preview(request, client, json: json) }
            let reply: TextReply = try client.ask(request)
            print(reply.text)
        }
    }

    private static func preview(_ request: ControlRequest, _ client: ControlClient, json: Bool) throws {
        if json { return print(try client.raw(request)) }
        let reply: DeadPreviewReply = try client.ask(request)
        print(reply.text)
    }
}
