import Foundation
import SpanModel
import Synchronization
import TestSupport
import Testing
import Threading

@testable import Spool

typealias SeededRandom = TestSupport.SeededRandom

/// The seeds of this run: the ones that are kept, or the one that is asked for (`TRACEFWD_SEED=7 make test`).
enum Seeds {
    static let thisRun: [UInt64] =
        ProcessInfo.processInfo.environment["TRACEFWD_SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(1...12)
}

/// A directory that goes with the object.
final class TemporaryDirectory: Sendable {
    let path: String

    init(in parent: String = NSTemporaryDirectory()) throws {
        var template = Array((parent + (parent.hasSuffix("/") ? "" : "/") + "spool-XXXXXX").utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    var spool: String { path + "/spool.db" }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Wall and boot clock that a test sets; the monotonic one, on which threads sleep, runs on.
final class PlayedClock: Sendable {
    private let nanoseconds: Atomic<UInt64>
    /// By how much the wall clock was set against the boot clock.
    private let jumped = Atomic<UInt64>(0)

    init(_ start: UInt64 = Clock.system.wall()) { nanoseconds = Atomic(start) }

    var wall: UInt64 { nanoseconds.load(ordering: .relaxed) + jumped.load(ordering: .relaxed) }
    var clock: Clock {
        Clock(wall: { self.wall }, monotonic: Clock.system.monotonic, boot: { self.nanoseconds.load(ordering: .relaxed) })
    }
    func advance(_ by: Duration) { nanoseconds.add(by.nanosecondsClamped, ordering: .relaxed) }
    func jump(_ by: Duration) { jumped.add(by.nanosecondsClamped, ordering: .relaxed) }
}

/// What a log told, and a way to wait for it.
final class Heard: Sendable {
    private let events = Monitor([SpoolEvent]())

    init(_ log: SpanLog) {
        log.observe { [events] event in
            events.withLock { $0.append(event) }
            events.broadcast()
        }
    }

    var all: [SpoolEvent] { events.withLock { $0 } }

    /// The first event of those to come or already there that `pick` wants; nil after a time that is much too long.
    func first<Answer: Sendable>(within patience: Duration = .seconds(20), _ pick: @escaping @Sendable (SpoolEvent) -> Answer?) -> Answer? {
        events.wait(for: patience) { $0.lazy.compactMap(pick).first }
    }

    /// How the commit of this number ended: `.some(nil)` where it is durable.
    func outcome(of commit: UInt64) -> Refusal?? {
        first { if case .committed(commit, let refusal, _) = $0 { .some(refusal) } else { nil } }
    }
}

/// When this run began: spans of the past would be history, and trimmed.
let startOfRun = Clock.system.wall()

/// A batch of spans of these lengths, each filled with bytes of its own.
func spans(_ lengths: [Int], receivedAt: UInt64 = startOfRun, sender: UInt32 = 7) -> SpanBatch {
    var batch = SpanBatch()
    for (index, length) in lengths.enumerated() {
        batch.entries.append(
            SpanEntry(
                offset: UInt32(batch.payload.count), length: UInt32(length), resourceLength: UInt32(min(length, 3)), scopeLength: 0,
                receivedAt: receivedAt + UInt64(index), traceHash: UInt64(index) &* 0x9e37_79b9_7f4a_7c15, sender: sender, source: 1))
        batch.payload += [UInt8](repeating: UInt8(truncatingIfNeeded: index &* 7 &+ length), count: length)
    }
    return batch
}

extension SpanLog {
    /// Appends and waits until it is decided. The refusal, or nil where the spans are durable.
    @discardableResult
    func commit(_ batch: SpanBatch) -> Refusal? {
        let heard = Heard(self)
        var batch = batch
        switch append(&batch, wantsAck: true) {
        case .refused(let refusal): return refusal
        case .taken(let commit): return heard.outcome(of: commit) ?? .ioError
        }
    }

    func consumer(_ id: Int64) throws -> Consumer { try #require(status.consumers[id]) }

    /// Settles these ids as delivered.
    func deliver(_ consumer: Int64, _ range: ClosedRange<Int64>) throws {
        var cursor = try self.consumer(consumer).cursor
        cursor.settle(range)
        var settlement = Settlement(consumer: consumer, cursor: cursor)
        settlement.add(LedgerKey(.delivered), Tally(spans: Int64(range.count)))
        settle(settlement)
        #expect(flush())
    }

    /// All spans from `first` on, as a reader that shares nothing with the writer finds them.
    func stored(from first: Int64 = 1) throws -> [StoredSpan] {
        let reader = try LogReader.open(path: options.path)
        var found: [StoredSpan] = []
        var next = first
        while let segment = try reader.segment(holding: next) {
            for entry in segment.entries[max(0, Int(next - segment.firstID))...] {
                found.append(StoredSpan(entry: entry, bytes: Array(segment.payload[Int(entry.offset)..<Int(entry.offset + entry.length)])))
            }
            next = segment.lastID + 1
        }
        return found
    }
}

extension SpanBatch {
    /// Each span alone, as the log is to give it back.
    var stored: [StoredSpan] {
        entries.map { StoredSpan(entry: $0, bytes: Array(payload[Int($0.offset)..<Int($0.offset + $0.length)])) }
    }
}

extension BacklogLimit {
    static let none = BacklogLimit(bytes: .max, expires: true)
}

/// A spool file of small spans in a directory of its own; closed when the test ends.
final class TestLog {
    let directory: TemporaryDirectory
    let options: SpoolOptions
    let log: SpanLog
    let heard: Heard

    init(
        in directory: TemporaryDirectory? = nil, clock: Clock = .system, _ change: (inout SpoolOptions) -> Void = { _ in },
        beat: @escaping @Sendable () -> Void = {}
    ) throws {
        let directory = try directory ?? TemporaryDirectory()
        var options = SpoolOptions(path: directory.spool)
        options.reserveBytes = 0
        change(&options)
        (self.directory, self.options) = (directory, options)
        log = try SpanLog(options, clock: clock, beat: beat)
        heard = Heard(log)
    }

    deinit { log.close() }

    /// Runs statements behind the daemon's back, through a connection of its own.
    static func tamper(_ path: String, _ sql: String) throws {
        try Database(path: path, readOnly: false).execute(sql)
    }
}
