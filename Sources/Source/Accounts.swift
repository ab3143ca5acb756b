import Intake
import Spool

/// What a peer is owed: how many of its lines are durable or rejected, in the order of its acks. A value; it decides what to answer and when.
///
/// Lines gather in sections; an ack (or the end of the stream) closes one. A section is answered when each commit that holds spans of it has
/// ended, and those before it are answered.
struct Accounts {
    /// Why a section was closed.
    enum Closing: Equatable {
        /// A control line: the bytes of its `ack` value, as JSON.
        case ack([UInt8])
        /// The writer closed its side.
        case endOfStream
    }

    struct Mistake: Equatable {
        var line: Int
        var reason: String
    }

    private struct Section {
        var accepted = 0
        var rejected = 0
        var mistakes: [Mistake] = []
        /// Spans that are not durable yet: by commit, ascending.
        var pending: [(commit: UInt64, spans: Int, firstLine: Int)] = []
        var closing: Closing?
    }

    static let mistakesMax = 20
    /// Acks that may wait for commits; then the peer's socket is not read until some are answered.
    static let acksMax = 1024

    private var sections = [Section()]

    /// Whether an ack waits for its commit.
    var owes: Bool { sections.count > 1 || sections[0].closing != nil }

    /// Whether so many acks wait that reading must stop.
    var isCrowded: Bool { sections.count > Self.acksMax }

    /// Whether some commit decides over spans of this peer.
    var isPending: Bool { sections.contains { !$0.pending.isEmpty } }

    /// Spans of lines from `firstLine` on gather in this commit.
    mutating func gathering(_ spans: Int, firstLine: Int, commit: UInt64) {
        guard spans > 0 else { return }
        let last = sections.count - 1
        if let pending = sections[last].pending.last, pending.commit == commit {
            sections[last].pending[sections[last].pending.count - 1].spans += spans
        } else {
            sections[last].pending.append((commit, spans, firstLine))
        }
    }

    /// A line is no span, or was not taken.
    mutating func rejected(line: Int, reason: String, count: Int = 1) {
        let last = sections.count - 1
        sections[last].rejected += count
        for offset in 0..<min(count, Self.mistakesMax - sections[last].mistakes.count) {
            sections[last].mistakes.append(Mistake(line: line + offset, reason: reason))
        }
    }

    /// Everything so far is to be answered for.
    mutating func close(_ closing: Closing) {
        sections[sections.count - 1].closing = closing
        sections.append(Section())
    }

    /// A commit has ended; `refusal` where its spans were not taken.
    mutating func ended(commit: UInt64, refusal: String?) {
        for index in sections.indices {
            while let first = sections[index].pending.first, first.commit <= commit {
                sections[index].pending.removeFirst()
                if let refusal, first.commit == commit {
                    sections[index].rejected += first.spans
                    for offset in 0..<min(first.spans, max(0, Self.mistakesMax - sections[index].mistakes.count)) {
                        sections[index].mistakes.append(Mistake(line: first.firstLine + offset, reason: refusal))
                    }
                } else {
                    sections[index].accepted += first.spans
                }
            }
        }
    }

    /// The next answer that can be given, as a line of JSON (ingest contract, section 2); nil where none can.
    mutating func nextAnswer(durability: String, fill: Double) -> (line: [UInt8], isLast: Bool)? {
        guard let closing = sections[0].closing, sections[0].pending.isEmpty else { return nil }
        let section = sections.removeFirst()
        var text = "{\"ack\":"
        let value: [UInt8] = if case .ack(let bytes) = closing { bytes } else { Array("null".utf8) }
        text += String(decoding: value, as: UTF8.self)
        text += ",\"accepted\":\(section.accepted),\"rejected\":\(section.rejected),\"errors\":["
        // Codes are words of our own, so nothing in them needs an escape.
        text += section.mistakes.sorted { $0.line < $1.line }.map { "{\"line\":\($0.line),\"reason\":\"\($0.reason)\"}" }.joined(
            separator: ",")
        text += "],\"durable\":\"\(durability)\",\"fill\":\(Double(Int(fill * 1000)) / 1000)}\n"
        return (Array(text.utf8), closing == .endOfStream)
    }
}
