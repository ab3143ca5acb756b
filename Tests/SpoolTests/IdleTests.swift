import Foundation
import Synchronization
import TestSupport
import Testing
import Threading

@testable import Spool

/// What a spool wakes up for when nobody wants anything of it.
@Suite struct IdleTests {
    /// All clocks of a machine that is never set and never suspended.
    private final class Time: Sendable {
        private let nanoseconds = Atomic<UInt64>(1_700_000_000_000_000_000)
        var now: UInt64 { nanoseconds.load(ordering: .relaxed) }
        var clock: Clock { Clock(wall: { self.now }, monotonic: { self.now }, boot: { self.now }) }
        func set(_ time: UInt64) { nanoseconds.store(time, ordering: .relaxed) }
    }

    /// A simulated disk that would tell where somebody took a file away.
    private struct WatchedDisk: Disk {
        let disk: SimulatedDisk
        var vfs: String? { disk.vfs }
        func prepare(_ path: String) throws(SpoolError) { try disk.prepare(path) }
        func lock(_ path: String, of spool: String) throws(SpoolError) -> any DiskLock { try disk.lock(path, of: spool) }
        func size(_ path: String) -> Int? { disk.size(path) }
        func identity(_ path: String) -> FileIdentity? { disk.identity(path) }
        func freeBytes(_ path: String) -> Int { disk.freeBytes(path) }
        func rename(_ path: String, to other: String) throws(SpoolError) { try disk.rename(path, to: other) }
        func remove(_ path: String) { disk.remove(path) }
        func isAllocated(_ path: String, bytes: Int) -> Bool { disk.isAllocated(path, bytes: bytes) }
        func allocate(_ path: String, bytes: Int) -> Bool { disk.allocate(path, bytes: bytes) }
        func watch(_ path: String, changed: @escaping @Sendable (Bool) -> Void) -> (@Sendable () -> Void)? { {} }
    }

    @Test("an idle spool turns when something is due and sleeps else: history goes after an hour, a dead letter after thirty days")
    func sleeps() throws {
        let time = Time()
        let begin = time.now
        var options = SpoolOptions(path: "/spool.db")
        options.disk = WatchedDisk(disk: SimulatedDisk(seed: 1))
        (options.reserveBytes, options.history) = (0, .seconds(3600))
        let log = try SpanLog(options, clock: time.clock, beat: {}, turnedByCaller: true)
        let consumer = try log.register("a", from: 0, backlog: .none)
        for _ in 1...2 {
            var batch = spans([1000], receivedAt: begin)
            #expect(log.append(&batch, wantsAck: true) != .refused(.full) && log.flush())
        }
        var settlement = Settlement(consumer: consumer.id, cursor: Cursor(position: 2))
        settlement.add(LedgerKey(.delivered), Tally(spans: 1))
        settlement.add(LedgerKey(.dead, reason: "http_400"), Tally(spans: 1))
        settlement.dead = [
            DeadLetter(
                consumer: consumer.id, span: 2, state: .dead, reason: "http_400", status: 400, detail: "", attempts: 1,
                firstAt: Int64(begin / 1_000_000), lastAt: Int64(begin / 1_000_000), stored: spans([7]).stored[0])
        ]
        log.settle(settlement)
        #expect(log.flush())

        var turns: [UInt64] = []
        var (trimmedAt, agedAt): (UInt64?, UInt64?)
        loop: while turns.count < 100 {
            switch log.turn() {
            case .acted: turns.append((time.now - begin) / 1_000_000_000)
            case .idle(let until):
                guard let until else { break loop }
                time.set(until)
            }
            if trimmedAt == nil, log.status.oldestID == 2 { trimmedAt = turns.last }
            if agedAt == nil, log.status.consumers[consumer.id]?.ledger[LedgerKey(.agedOut)] != nil { agedAt = turns.last }
        }
        #expect(trimmedAt == 3600 && agedAt == 30 * 86400, "\(turns) seconds after the last span")
        // Besides: a second after the start, a minute after the last commit, a minute after what had aged.
        #expect(turns.count <= 6, "\(turns) seconds after the last span")
        log.close()
    }

    @Test("a file that is taken away under an idle log is missed at once: nobody has to write", arguments: ["", "-wal", ".lock"])
    func taken(end: String) throws {
        let test = try TestLog()
        #expect(test.log.commit(spans([10, 20])) == nil)
        let before = try #require(SystemDisk().identity(test.options.path + end))
        let aside = test.directory.path + "/elsewhere"
        #expect(rename(test.options.path + end, aside) == 0)
        let deadline = Clock.system.monotonic() + 20_000_000_000
        func isMended() -> Bool { SystemDisk().identity(test.options.path + end).map { $0 != before } ?? false }
        while !isMended() || test.log.status.refusal != nil, Clock.system.monotonic() < deadline { usleep(10_000) }
        #expect(isMended(), "nothing was put in its place")
        #expect(test.log.commit(spans([30])) == nil && test.log.lastID == 3)
        #expect(try test.log.stored().count == 3)
    }
}
