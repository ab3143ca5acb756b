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
        /// Spans that are not durable yet: by commit, ascending; of their lines as many as could be listed as mistakes.
        var pending: [(commit: UInt64, spans: Int, lines: [Int])] = []
        var closing: Closing?

        mutating func reject(_ spans: Int, lines: some Sequence<Int>, reason: String) {
            rejected += spans
            mistakes += lines.prefix(mistakesMax - mistakes.count).map { Mistake(line: $0, reason: reason) }
        }
    }

    static let mistakesMax = 20
    /// Acks that may wait for commits; then the peer's socket is not read until some are answered.
    static let acksMax = 1024
    /// Bytes of their values that may wait: a peer chooses how long its `ack` is.
    static let ackBytesMax = 64 << 10

    private var sections = [Section()]
    private var ackBytes = 0

    /// Whether an ack waits for its commit.
    var owes: Bool { sections.count > 1 || sections[0].closing != nil }

    /// Whether so many acks wait that reading must stop.
    var isCrowded: Bool { sections.count > Self.acksMax || ackBytes > Self.ackBytesMax }

    /// Whether some commit decides over spans of this peer.
    var isPending: Bool { sections.contains { !$0.pending.isEmpty } }

    /// Spans gather in this commit; `lines` are theirs, the first 20 at least.
    mutating func gathering(_ spans: Int, lines: [Int], commit: UInt64) {
        guard spans > 0 else { return }
        let section = sections.count - 1
        let last = sections[section].pending.count - 1
        if last >= 0, sections[section].pending[last].commit == commit {
            sections[section].pending[last].spans += spans
            sections[section].pending[last].lines += lines.prefix(Self.mistakesMax - sections[section].pending[last].lines.count)
        } else {
            sections[section].pending.append((commit, spans, lines))
        }
    }

    /// A line is no span.
    mutating func rejected(line: Int, reason: String) { rejected(1, lines: CollectionOfOne(line), reason: reason) }

    /// Spans were not taken; `lines` are theirs, the first 20 at least.
    mutating func rejected(_ spans: Int, lines: some Sequence<Int>, reason: String) {
        sections[sections.count - 1].reject(spans, lines: lines, reason: reason)
    }

    /// Everything so far is to be answered for.
    mutating func close(_ closing: Closing) {
        if case .ack(let value) = closing { ackBytes += value.count }
        sections[sections.count - 1].closing = closing
        sections.append(Section())
    }

    /// A commit has ended; `refusal` where its spans were not taken.
    mutating func ended(commit: UInt64, refusal: String?) {
        for index in sections.indices {
            while let first = sections[index].pending.first, first.commit <= commit {
                sections[index].pending.removeFirst()
                if let refusal, first.commit == commit {
                    sections[index].reject(first.spans, lines: first.lines, reason: refusal)
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
        if case .ack(let bytes) = closing { ackBytes -= bytes.count }
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
