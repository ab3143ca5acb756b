import CShim
import Glibc
import Intake
import Spool

/// One peer of the Unix stream socket. It belongs to its source's thread.
final class Connection {
    let descriptor: Int32
    let uid: UInt32
    private(set) var accounts = Accounts()
    private var lines: LineSplitter
    private var line = 0
    /// Answers that the peer has not taken in yet.
    private var outbound: [UInt8] = []
    /// The peer has closed its writing side (or we have): its last answer ends the connection.
    private(set) var hasEnded = false
    /// The last answer was given; it may still wait to be written.
    private(set) var hasAnsweredLast = false
    /// What epoll was last told.
    var interest: UInt32 = 0

    /// Bytes of answers that wait for a peer who does not read; further answers are dropped whole, but for the last one.
    private static let outboundMax = 64 << 10

    init(descriptor: Int32, uid: UInt32, spanBytesMax: Int) {
        self.descriptor = descriptor
        self.uid = uid
        lines = LineSplitter(bytesMax: spanBytesMax)
    }

    deinit { close(descriptor) }

    /// Whether more is to be read now.
    var mayRead: Bool { !hasEnded && !accounts.isCrowded }
    /// The last answer is written, or cannot be.
    var isDone: Bool { hasAnsweredLast && outbound.isEmpty }
    /// Whether answers wait to be written.
    var mayWrite: Bool { !outbound.isEmpty }

    /// Bytes of a line whose end has not come.
    var heldBytes: Int { lines.heldBytes }

    /// Gives up the line under way: it will count as too large.
    func dropHeld() { lines.dropHeld() }

    /// Reads once; spans go to the spool, acks into the accounts.
    func read(into buffer: UnsafeMutableRawBufferPointer, _ intake: LineIntake, now: UInt64, counters: SourceCounters) {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        // A reset is the end of a stream too: the peer is gone with answers unread. What it wrote before is ours.
        counters.bytes.wrappingAdd(max(0, count), ordering: .relaxed)
        let stamp = Stamp(receivedAt: now, sender: uid, source: intake.source)
        var chunk = Chunk()
        if count > 0 {
            lines.take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { take($0, intake, stamp, &chunk) }
        } else {
            lines.finish { take($0, intake, stamp, &chunk) }
            hasEnded = true
        }
        flush(&chunk, intake, wantsAck: hasEnded)
        if hasEnded { accounts.close(.endOfStream) }
    }

    /// Spans of one read that have not been offered to the spool yet.
    private struct Chunk {
        var spans = 0
        /// Their lines, as far as an answer would list them.
        var lines: [Int] = []
    }

    private func take(_ read: LineSplitter.Line, _ intake: LineIntake, _ stamp: Stamp, _ chunk: inout Chunk) {
        line += 1
        guard case .whole(let bytes) = read else {
            intake.reject(.tooLarge)
            accounts.rejected(line: line, reason: Rejection.tooLarge.code)
            return
        }
        guard !bytes.isEmpty else { return }
        switch intake.parse(bytes, stamp: stamp, acceptsAck: true) {
        case .span:
            chunk.spans += 1
            if chunk.spans <= Accounts.mistakesMax { chunk.lines.append(line) }
        case .rejected(let reason):
            accounts.rejected(line: line, reason: reason.code)
        case .ack(let value):
            flush(&chunk, intake, wantsAck: true)
            accounts.close(.ack(Array(bytes[value])))
        }
    }

    private func flush(_ chunk: inout Chunk, _ intake: LineIntake, wantsAck: Bool) {
        switch intake.append(wantsAck: wantsAck) {
        case .taken(let commit): accounts.gathering(chunk.spans, lines: chunk.lines, commit: commit)
        case .refused(let refusal): accounts.rejected(chunk.spans, lines: chunk.lines, reason: refusal.rawValue)
        }
        chunk = Chunk()
    }

    func ended(commit: UInt64, refusal: Refusal?) { accounts.ended(commit: commit, refusal: refusal?.rawValue) }

    /// Writes the answers that can be given, without ever waiting. An answer goes whole or not at all.
    func answer(durability: String, fill: Double, counters: SourceCounters) {
        while let (bytes, isLast) = accounts.nextAnswer(durability: durability, fill: fill) {
            if outbound.count + bytes.count <= Self.outboundMax || isLast {
                outbound += bytes
            } else {
                counters.answersDropped.wrappingAdd(1, ordering: .relaxed)
            }
            write(counters: counters)
            // A peer that does not take it now costs what an idle one does, until it reads or goes.
            if isLast { hasAnsweredLast = true }
        }
    }

    /// Writes what waits.
    func write(counters: SourceCounters) {
        while !outbound.isEmpty {
            let sent = outbound.withUnsafeBytes { tracefwd_send(descriptor, $0.baseAddress, $0.count, false) }
            if sent < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN {
                    // The peer does not read any more; its spans are still welcome.
                    outbound = []
                    counters.answersDropped.wrappingAdd(1, ordering: .relaxed)
                }
                return
            }
            outbound.removeFirst(sent)
        }
    }

    /// No more is taken in: what lies in the buffers is read to its end, then the last answer goes.
    func stopReading() { shutdown(descriptor, Int32(SHUT_RD)) }
}
