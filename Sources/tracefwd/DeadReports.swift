import Foundation
import Spool

/// Which dead letters a filter means.
struct DeadPreviewReply: Codable, Sendable {
    var destination: String
    var letters: Int
    /// Those of them whose span is kept, so that it can be sent again.
    var replayable: Int
    var groups: [DeadLetterSummary.Group]
    var oldest: String?
    var newest: String?
    /// A few of them.
    var spans: [Int64]

    init(_ summary: DeadLetterSummary, destination: String) {
        self.destination = destination
        (groups, spans) = (summary.groups, summary.spans)
        letters = groups.reduce(0) { $0 + $1.letters }
        replayable = groups.reduce(0) { $0 + $1.replayable }
        (oldest, newest) = (summary.oldest.map(time), summary.newest.map(time))
    }

    var text: String {
        guard letters > 0, let oldest, let newest else { return "\(destination): no dead letters are meant" }
        var lines = ["\(destination): \(counted(letters, "dead letter")), failed first from \(oldest) to \(newest)"]
        lines += groups.map { group in
            let status = group.status > 0 ? " (\(group.status))" : ""
            let left = group.letters - group.replayable
            return "  \(group.letters)  \(group.reason)\(status)\(left > 0 ? "; \(left) have no span and cannot be sent again" : "")"
        }
        lines.append("  spans \(spans.map(String.init).joined(separator: ", "))\(letters > spans.count ? ", ..." : "")")
        return lines.joined(separator: "\n")
    }
}

/// How far a replay is.
struct ReplayProgress: Codable, Sendable, Equatable {
    var destination: String
    /// Letters that are to be sent again.
    var asked: Int
    /// Those that were not sent yet, or have no answer.
    var waiting: Int
    var delivered = 0
    /// Refused once more.
    var deadAgain = 0
    /// Failed once more, and tried again by themselves.
    var parked = 0
    /// What the destination is doing, where it holds the replay up.
    var state = ""

    var isDone: Bool { waiting == 0 }

    var text: String {
        let letters = "\(counted(asked, "dead letter")) of \(destination) to be sent again"
        guard waiting < asked || isDone && asked > 0 else { return state.isEmpty ? letters : "\(letters); \(state)" }
        let gone = asked - waiting - delivered - deadAgain - parked
        let parts = [
            (waiting, "to go"), (delivered, "delivered"), (deadAgain, "dead again"), (parked, "parked, tried again by itself"),
            (gone, "purged meanwhile"),
        ]
        return "\(letters): " + parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
            + (state.isEmpty || isDone ? "" : "; \(state)")
    }
}
