import Delivery
import Foundation
import Spool

/// What `status` shows. Its JSON form is for scripts: it only grows.
struct StatusReport: Codable, Sendable {
    struct Spool: Codable, Sendable {
        var path: String
        var id: String
        var durability: String
        var accepted: Int64
        var oldestId: Int64
        var usedBytes: Int
        var maxBytes: Int
        var walBytes: Int
        /// Whether a reader keeps the WAL from being begun anew.
        var walHeld: Bool
        var commits: Int64
        /// `spool_full` or `io_error` while no spans are taken.
        var refusal: String?
        var trouble: String?
        /// What was wrong with the file at the start, or since, in a sentence.
        var repair: String?
        /// Whether spans may expire by their age.
        var clockTrusted: Bool
    }

    struct Source: Codable, Sendable {
        var name: String
        var address: String
        var inherited: Bool
        var bytes: Int
        var connections: Int
        var connectionsOpen: Int
        /// Whether peers wait that cannot be taken.
        var crowded: Bool
        var connectionsRefused: Int
        var datagrams: Int
        var datagramsRefused: Int
        var kernelDropped: Int
        /// Bytes that the kernel holds of datagrams, as it granted them; of a source of datagrams only.
        var receiveBuffer: Int?
        var answersDropped: Int
        var endBeforeStart: Int
        var rejected: [String: Int64]
    }

    struct LedgerLine: Codable, Sendable {
        var outcome: String
        var reason: String
        var route: String
        var spans: Int64
        var bytes: Int64
    }

    struct Destination: Codable, Sendable {
        var name: String
        var type: String
        var target: String
        var state: String
        var detail: String
        var base: Int64
        var position: Int64
        var settledBeyond: Int64
        var backlogSpans: Int64
        var backlogBytes: Int64
        var inFlightSpans: Int64
        var oldestAgeSeconds: Double
        var lastDeliveredAt: String?
        var lastDeliveredAgeSeconds: Double?
        /// The last failure since the start, in words.
        var lastError: String?
        var lastErrorAt: String?
        /// How long ago that was; nil where something was delivered since.
        var lastErrorAgeSeconds: Double?
        /// Since the start, with the spans in them (one that is sent again counts again) and the bytes of their bodies.
        var requests: Int64
        var requestSpans: Int64
        var requestBytes: Int64
        /// nil where nothing was sent.
        var spansPerRequest: Double?
        /// Requests by class of status, as `2xx`; `none` where there was no answer.
        var responses: [String: Int64]
        var retries: Int64
        var deadLetters: [String: Int64]
        var ledger: [LedgerLine]
        /// position - base + settled beyond = the sum of the ledger.
        var balances: Bool
    }

    var version: String
    var pid: Int32
    var uptimeSeconds: Double
    var files: [String]
    var spool: Spool
    var sources: [Source]
    var destinations: [Destination]

    var text: String {
        var lines = ["tracefwd \(version), pid \(pid), up \(human(seconds: uptimeSeconds)), configuration \(files.joined(separator: ", "))"]
        lines.append(
            "spool \(spool.path): \(counted(Int(spool.accepted), "span")) accepted, \(human(bytes: spool.usedBytes)) of \(human(bytes: spool.maxBytes)) used, "
                + "durability \(spool.durability)")
        if let trouble = spool.trouble { lines.append("  NO SPANS ARE TAKEN: \(trouble)") }
        if let repair = spool.repair { lines.append("  \(repair)") }
        if !spool.clockTrusted {
            lines.append("  the wall clock is not trusted, nothing expires by its age; `tracefwd trust-clock` says that it is right")
        }
        if spool.walHeld {
            lines.append(
                "  the write-ahead log has grown to \(human(bytes: spool.walBytes)): a reader holds a transaction open, "
                    + "`fuser -v \(spool.path)` shows who")
        }
        for source in sources {
            var line = "source \(source.name) at \(source.address)"
            if source.name == "unix" { line += ", \(source.connectionsOpen) of \(source.connections) connections open" }
            if source.datagramsRefused > 0 { line += ", \(source.datagramsRefused) datagrams refused by allow" }
            if source.kernelDropped > 0 { line += ", \(source.kernelDropped) datagrams dropped by the kernel" }
            lines.append(line)
            if source.crowded {
                lines.append("  NOT ALL ARE SERVED: no connection can be taken, raise LimitNOFILE= or see who opens so many")
            }
            for (reason, count) in source.rejected.sorted(by: { $0.key < $1.key }) { lines.append("  rejected \(count): \(reason)") }
        }
        let width = destinations.map(\.name.count).max() ?? 0
        for one in destinations {
            lines.append("\(one.name.padding(toLength: width, withPad: " ", startingAt: 0))  \(one.state), \(one.waiting)")
            if !one.detail.isEmpty { lines.append("  \(one.detail)") }
            if let traffic = one.traffic { lines.append("  \(traffic)") }
            if let failure = one.failure { lines.append("  \(failure)") }
            for entry in one.ledger.sorted(by: { $0.spans > $1.spans }) {
                let why = [entry.reason, entry.route.isEmpty ? "" : "route \(entry.route)"].filter { !$0.isEmpty }.joined(separator: ", ")
                lines.append("  \(entry.outcome) \(entry.spans)\(why.isEmpty ? "" : " (\(why))")")
            }
            if !one.balances { lines.append("  THE BOOKS DO NOT BALANCE: please report this with `tracefwd status --json`") }
        }
        return lines.joined(separator: "\n")
    }
}

extension StatusReport.Destination {
    fileprivate var waiting: String {
        guard backlogSpans > 0 else { return "nothing waits" }
        return
            "\(counted(Int(backlogSpans), "span")) to go (\(human(bytes: Int(backlogBytes)))), the oldest for \(human(seconds: oldestAgeSeconds))"
    }

    /// Nil where nothing was sent since the start.
    fileprivate var traffic: String? {
        guard let spansPerRequest else { return nil }
        let taken = lastDeliveredAgeSeconds.map { "took the last \(human(seconds: $0)) ago" } ?? "took nothing yet"
        let answers = responses.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        let size = String(format: "%.1f", spansPerRequest)
        return "\(taken); \(counted(Int(requests), "request")) of \(size) spans, \(human(bytes: Int(requestBytes))) in all"
            + (answers.isEmpty ? "" : ": \(answers)")
    }

    /// Nil where nothing has failed since the start, or the state says it already.
    fileprivate var failure: String? {
        guard let lastError, let lastErrorAt else { return nil }
        if let seconds = lastErrorAgeSeconds {
            return detail.isEmpty ? "the last attempt failed \(human(seconds: seconds)) ago: \(lastError)" : nil
        }
        return "failed last at \(lastErrorAt): \(lastError)"
    }
}

struct DeadListReply: Codable, Sendable {
    struct Letter: Codable, Sendable {
        var destination: String
        var span: Int64
        var state: String
        var reason: String
        var status: Int
        var detail: String
        var attempts: Int
        var firstAt: String
        var lastAt: String
        var nextAt: String?
        var weight: Int64

        init(_ letter: DeadLetter, destination: String) {
            (self.destination, span, state) = (destination, letter.span, letter.state.rawValue)
            (reason, status, detail, attempts) = (letter.reason, letter.status, letter.detail, letter.attempts)
            (firstAt, lastAt, nextAt) = (time(milliseconds: letter.firstAt), time(milliseconds: letter.lastAt), letter.nextAt.map(time))
            weight = letter.weight
        }
    }

    var letters: [Letter]

    var text: String {
        guard !letters.isEmpty else { return "no dead letters" }
        return letters.map { letter in
            let answer = letter.status > 0 ? " (\(letter.status))" : ""
            let many = letter.weight > 1 ? ", stands for \(letter.weight) spans" : ""
            return "\(letter.destination)  span \(letter.span)  \(letter.state)  \(letter.reason)\(answer)  attempts \(letter.attempts)  "
                + "last \(letter.lastAt)\(letter.nextAt.map { ", next \($0)" } ?? "")\(many)\n    \(letter.detail)"
        }.joined(separator: "\n")
    }
}

/// `1 span`, `2 spans`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

func time(milliseconds: Int64) -> String {
    Date(timeIntervalSince1970: Double(milliseconds) / 1000).ISO8601Format(.init(includingFractionalSeconds: true))
}

func human(seconds: Double) -> String {
    switch seconds {
    case ..<60: "\(Int(seconds)) s"
    case ..<3600: "\(Int(seconds / 60)) min"
    case ..<86400: "\(Int(seconds / 3600)) h \(Int(seconds / 60) % 60) min"
    default: "\(Int(seconds / 86400)) d \(Int(seconds / 3600) % 24) h"
    }
}

func human(bytes: Int) -> String {
    switch bytes {
    case ..<1024: "\(bytes) B"
    case ..<(1 << 20): "\(bytes >> 10) KiB"
    case ..<(1 << 30): "\(bytes >> 20) MiB"
    default: String(format: "%.1f GiB", Double(bytes) / Double(1 << 30))
    }
}
