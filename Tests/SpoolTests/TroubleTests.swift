import CSQLite
import Foundation
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Spool

@Suite struct TroubleTests {
    private func settlement(_ consumer: Int64, through: Int64) -> Settlement {
        var settlement = Settlement(consumer: consumer, cursor: Cursor(position: through))
        settlement.add(LedgerKey(.delivered), Tally(spans: through))
        return settlement
    }

    @Test(
        "spans of a failed commit are answered io_error; fates it carried are kept; a truncating checkpoint leads back",
        arguments: [true, false])
    func failedCommit(write: Bool) throws {
        let vfs = FaultyVFS()
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory) { $0.disk = SystemDisk(vfs: vfs.name) }
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10, 20])) == nil)
        vfs.set { if write { $0.writeFails = FaultyVFS.writeFailed } else { $0.syncFails = (FaultyVFS.fsyncFailed, .max) } }
        test.log.settle(settlement(consumer.id, through: 2))
        var batch = spans([100 << 10])
        guard case .taken(let commit) = test.log.append(&batch, wantsAck: true) else { throw Surprise() }
        #expect(test.heard.outcome(of: commit) == .some(.ioError))
        #expect(test.log.status.refusal == .ioError && test.log.status.trouble.contains("the disk failed a commit"))
        #expect(test.log.commit(spans([30])) == .ioError)
        #expect(try test.log.consumer(consumer.id).cursor.position == 0)

        vfs.set { ($0.writeFails, $0.syncFails) = (nil, nil) }
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.commit(spans([40])) == nil)
        #expect(test.log.flush())
        #expect(try test.log.consumer(consumer.id).cursor.position == 2)
        #expect(try test.log.stored().map(\.bytes.count) == [10, 20, 40])
        test.log.close()
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 3)
        try BooksTests.expectBalanced(again.log, "after a failed commit")
    }

    @Test("no commit is made between a failed one and the checkpoint that ends it, and spans that gathered meanwhile are durable then")
    func gathersMeanwhile() throws {
        let vfs = FaultyVFS()
        let test = try TestLog { $0.disk = SystemDisk(vfs: vfs.name) }
        // Something for the checkpoint to copy, and to sync.
        #expect(test.log.commit(spans([5])) == nil)
        let second = Mutex(SpanBatch())
        let commits = Mutex<[UInt64]>([])
        // While the first commit fails, the next one gathers: the listener is on the writer's thread, before the next turn.
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, 2) }
        var first = spans([10])
        second.withLock { $0 = spans([20]) }
        guard case .taken(let failing) = test.log.append(&first, wantsAck: false) else { throw Surprise() }
        let admission = second.withLock { test.log.append(&$0, wantsAck: true) }
        if case .taken(let number) = admission { commits.withLock { $0.append(number) } }
        let outcome = test.heard.outcome(of: failing)
        #expect(outcome == .some(.ioError))
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        for number in commits.withLock({ $0 }) where number != failing { #expect(test.heard.outcome(of: number) == .some(nil)) }
        #expect(test.log.commit(spans([30])) == nil)
    }

    @Test("flush says whether all is on disk: false while a commit cannot be made")
    func flush() throws {
        let vfs = FaultyVFS()
        let test = try TestLog { $0.disk = SystemDisk(vfs: vfs.name) }
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10])) == nil && test.log.flush())
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, .max) }
        test.log.settle(settlement(consumer.id, through: 1))
        #expect(!test.log.flush())
        #expect(!test.log.flush())
        vfs.set { $0.syncFails = nil }
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.flush())
        #expect(try test.log.consumer(consumer.id).cursor.position == 1)
    }

    @Test("what is asked while the disk fails is refused: a seek would be undone by the settlement that waits")
    func seekWhileFailing() throws {
        let vfs = FaultyVFS()
        let test = try TestLog { $0.disk = SystemDisk(vfs: vfs.name) }
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10, 10, 10])) == nil)
        test.log.settle(settlement(consumer.id, through: 2))
        #expect(test.log.flush())
        // One failure: the commit that carries the settlement fails, the seek right behind it would find a sound disk.
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, 1) }
        var next = settlement(consumer.id, through: 3)
        next.tallies = [LedgerKey(.delivered): Tally(spans: 1)]
        test.log.settle(next)
        _ = try? test.log.seekBack(consumer.id, to: 0)
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.flush())
        #expect(try test.log.consumer(consumer.id).balances)
        try BooksTests.expectBalanced(test.log, "sought while failing")
    }

    @Test("a failing disk is looked at about once a second, not in a circle")
    func noCircle() throws {
        let vfs = FaultyVFS()
        let beats = Turns()
        let test = try TestLog({ $0.disk = SystemDisk(vfs: vfs.name) }, beat: { beats.count() })
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10])) == nil)
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, .max) }
        test.log.settle(settlement(consumer.id, through: 1))
        #expect(test.heard.first { if case .trouble = $0 { true } else { nil } } == true)
        usleep(200_000)
        let before = beats.now
        usleep(1_500_000)
        #expect(beats.now - before < 20)
        vfs.set { $0.syncFails = nil }
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
    }

    @Test("a full disk shuts intake with spool_full, keeps the fates that it does not take, and intake opens again when there is room")
    func diskFull() throws {
        let vfs = FaultyVFS()
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory) {
            $0.disk = SystemDisk(vfs: vfs.name)
            $0.reserveBytes = 1 << 20
        }
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10, 20])) == nil)
        #expect(SystemDisk().size(directory.spool + ".reserve") == 1 << 20)
        vfs.set { $0.writeFails = SQLITE_FULL }
        #expect(test.log.commit(spans([30])) == .full)
        #expect(test.heard.first { if case .full(let disk) = $0 { disk } else { nil } } == true)
        test.log.settle(settlement(consumer.id, through: 2))
        usleep(500_000)
        #expect(!test.log.flush())
        #expect(test.heard.all.count { if case .full = $0 { true } else { false } } == 1)
        #expect(test.log.commit(spans([31])) == .full)
        vfs.set { $0.writeFails = nil }
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(SystemDisk().size(directory.spool + ".reserve") == 1 << 20)
        #expect(test.log.commit(spans([40])) == nil)
        #expect(try test.log.stored().map(\.bytes.count) == [10, 20, 40])
        #expect(test.log.flush())
        #expect(try test.log.consumer(consumer.id).cursor.position == 2)
        try BooksTests.expectBalanced(test.log, "was full")
    }

    @Test("close returns though the disk takes nothing", .timeLimit(.minutes(10)), arguments: [true, false])
    func closesOnAFullDisk(full: Bool) throws {
        let vfs = FaultyVFS()
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory) { $0.disk = SystemDisk(vfs: vfs.name) }
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([10])) == nil)
        vfs.set { if full { $0.writeFails = SQLITE_FULL } else { $0.syncFails = (FaultyVFS.fsyncFailed, .max) } }
        test.log.settle(settlement(consumer.id, through: 1))
        let closed = Turns()
        let thread = startThread(name: "closes") { [log = test.log] in
            log.close()
            closed.count()
        }
        for _ in 0..<500 where closed.now == 0 { usleep(10_000) }
        #expect(closed.now == 1)
        vfs.set { ($0.writeFails, $0.syncFails) = (nil, nil) }
        thread.join()
    }

    @Test("a spool that starts without its reserve takes no spans until it has it")
    func startsFull() throws {
        let directory = try TemporaryDirectory()
        // A directory in the way of the file: it cannot be made.
        #expect(mkdir(directory.spool + ".reserve", 0o700) == 0)
        let test = try TestLog(in: directory) { $0.reserveBytes = 1 << 20 }
        #expect(test.log.commit(spans([10])) == .full)
        #expect(rmdir(directory.spool + ".reserve") == 0)
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.commit(spans([10])) == nil)
    }

    @Test("a spool that cannot even be checkpointed at its start is not opened")
    func startsFailing() throws {
        let vfs = FaultyVFS()
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory) { $0.disk = SystemDisk(vfs: vfs.name) }
        #expect(test.log.commit(spans([10])) == nil)
        vfs.set { $0.syncFails = (FaultyVFS.fsyncFailed, .max) }
        test.log.close()
        #expect { try SpanLog(test.options) } throws: {
            if case .sqlite(_, let error) = $0 as? SpoolError { error.code == FaultyVFS.fsyncFailed } else { false }
        }
        vfs.set { $0.syncFails = nil }
        let again = try TestLog(in: directory)
        #expect(again.log.lastID == 1)
    }

    // MARK: A real full disk

    @Test("on a real full file system: spool_full, settling goes on, and intake opens when spans are delivered and when a file goes")
    func realFullDisk() throws {
        guard let disk = SmallDisk(megabytes: 64) else {
            print("skipped: a full file system needs the right to mount one")
            return
        }
        let directory = try TemporaryDirectory(in: disk.path)
        let test = try TestLog(in: directory) { $0.reserveBytes = 4 << 20 }
        let consumer = try test.log.register("a", backlog: .none)
        var taken: Int64 = 0
        while taken < 200, test.log.commit(spans([500 << 10])) == nil { taken += 1 }
        #expect((10..<150).contains(taken) && test.log.status.refusal == .full)
        #expect(test.log.lastID == taken)
        try test.log.deliver(consumer.id, 1...taken)
        #expect(try test.log.consumer(consumer.id).cursor.position == taken)
        // All of it is settled: history gives way, the reserve is made again.
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(SystemDisk().size(directory.spool + ".reserve") == 4 << 20)
        #expect(test.log.commit(spans([10])) == nil)
        try BooksTests.expectBalanced(test.log, "was full")
        test.log.close()
    }
}

/// Turns of a loop.
private final class Turns: Sendable {
    private let turns = Atomic(0)
    func count() { turns.add(1, ordering: .relaxed) }
    var now: Int { turns.load(ordering: .relaxed) }
}

/// A file system in memory of so many MiB; nil where this user may not mount one.
private final class SmallDisk {
    let path: String

    init?(megabytes: Int) {
        var template = Array((NSTemporaryDirectory() + "/disk-XXXXXX").utf8CString)
        guard getuid() == 0, let made = mkdtemp(&template) else { return nil }
        path = String(cString: made)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            rmdir(path)
            return nil
        }
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }
}
