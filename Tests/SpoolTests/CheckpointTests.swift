import Foundation
import TestSupport
import Testing
import Threading

@testable import Spool

/// How the WAL is copied into the file while others read it.
@Suite("Checkpoints")
struct CheckpointTests {
    /// A file with one table in WAL mode, and the connection that writes it.
    private struct Written {
        let directory: TemporaryDirectory
        let writer: Database

        init() throws {
            directory = try TemporaryDirectory()
            writer = try Database(path: directory.spool, readOnly: false)
            try Schema.configure(writer, durability: .none)
            writer.countFrames()
            try writer.execute("CREATE TABLE t (bytes BLOB)")
        }

        func write(_ count: Int = 1) throws {
            for _ in 0..<count { try writer.run("INSERT INTO t VALUES (?)", .blob([UInt8](repeating: 7, count: 100_000))) }
        }

        var walBytes: Int { SystemDisk().size(directory.spool + "-wal") ?? 0 }
    }

    /// Somebody who reads the file as it is now, until he commits.
    private static func reader(_ path: String) throws -> Database {
        let reader = try Database(path: path, readOnly: true)
        try reader.execute("BEGIN; SELECT count(*) FROM t")
        return reader
    }

    @Test("after a restart the next commits write over the WAL, also beside those who read since")
    func restart() throws {
        let file = try Written()
        try file.write(8)
        #expect(try file.writer.checkpoint(.restart))
        let (before, reader) = (file.walBytes, try Self.reader(file.directory.spool))
        try file.write(8)
        #expect(before > 8 * 100_000 && file.walBytes == before)
        #expect(try reader.integer("SELECT count(*) FROM t") == 8)
    }

    @Test("a restart waits for those who read, where a passive checkpoint leaves the rest")
    func patience() throws {
        let file = try Written()
        try file.write(2)
        // 1: somebody reads what there is now; 2: more has been written since.
        let (state, path) = (Monitor(0), file.directory.spool)
        let thread = startThread(name: "reader") {
            let reader = try? Self.reader(path)
            state.withLock { $0 = 1 }
            state.broadcast()
            state.wait { $0 == 2 ? .go(()) : .sleep }
            usleep(50_000)
            try? reader?.execute("COMMIT")
        }
        state.wait { $0 == 1 ? .go(()) : .sleep }
        try file.write(2)
        #expect(try !file.writer.checkpoint(.passive))
        state.withLock { $0 = 2 }
        state.broadcast()
        #expect(try file.writer.checkpoint(.restart, waitingFor: 20_000))
        #expect(file.writer.wal == WALCopy())
        thread.join()
    }

    @Test("who reads for long is not waited for, and keeps what it reads")
    func impatience() throws {
        let file = try Written()
        try file.write(2)
        let reader = try Self.reader(file.directory.spool)
        try file.write(2)
        #expect(try !file.writer.checkpoint(.restart, waitingFor: 20))
        #expect(file.writer.wal.left > 0)
        #expect(try reader.integer("SELECT count(*) FROM t") == 2)
        try reader.execute("COMMIT")
        #expect(try file.writer.checkpoint(.restart, waitingFor: 20))
        #expect(try file.writer.integer("SELECT count(*) FROM t") == 4)
    }

    /// A checkpointer of a file, and a way to wait for its passes.
    private struct Beside {
        let checkpointer: Checkpointer
        private let passes = Monitor(0)

        init(_ options: SpoolOptions) {
            checkpointer = Checkpointer(options) { [passes] in
                passes.withLock { $0 += 1 }
                passes.broadcast()
            }
        }

        func pass() throws -> WALCopy? {
            passes.withLock { $0 = 0 }
            checkpointer.begin(at: .init(last: 0, logged: 0, positions: []))
            passes.wait { $0 > 0 ? .go(()) : .sleep }
            #expect(!checkpointer.isAtWork)
            return try checkpointer.result()
        }
    }

    @Test("the checkpointer copies what is there and leaves what is committed since; the next restart copies that alone")
    func beside() throws {
        let file = try Written()
        let beside = Beside(SpoolOptions(path: file.directory.spool))
        try file.write(3)
        let frames = file.writer.wal.frames
        #expect(frames > 18 && file.writer.wal.left == frames)
        // Somebody reads the WAL, so the next commit goes on in it.
        let reader = try Self.reader(file.directory.spool)
        #expect(try beside.pass() == WALCopy(frames: frames, copied: frames))
        #expect(try beside.checkpointer.result() == nil)
        file.writer.noteCopied(frames)
        try file.write()
        #expect(file.writer.wal.copied == frames && (1..<frames).contains(file.writer.wal.left))
        try reader.execute("COMMIT")
        #expect(try file.writer.checkpoint(.restart, waitingFor: 20_000))
        // A commit that begins the WAL anew has copied nothing of it.
        try file.write()
        #expect(file.writer.wal.copied == 0 && file.writer.wal.frames < frames)
        #expect(try file.writer.integer("SELECT count(*) FROM t") == 5)
    }

    @Test("a checkpointer that lets the files go has none of them open, and comes back to the one that bears the name then")
    func letsGo() throws {
        let (first, second) = (try Written(), try Written())
        let path = first.directory.spool
        let beside = Beside(SpoolOptions(path: path))
        try first.write()
        #expect(try beside.pass()?.left == 0)
        beside.checkpointer.letGo()
        first.writer.leaveFiles()
        for suffix in ["", "-wal", "-shm"] {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: path + ".aside" + suffix)
            try FileManager.default.moveItem(atPath: second.directory.spool + suffix, toPath: path + suffix)
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { link in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(link)")) == path + ".aside-wal"
        }
        // The writer's own.
        #expect(open.count == 1)
        try second.write(2)
        let copy = try beside.pass()
        #expect(copy?.frames == second.writer.wal.frames && copy?.left == 0)
    }

    @Test("the gate keeps readers out while it is closed, waits for those inside, though not for ever, and lets all in again")
    func gate() {
        let (gate, inside, isClosed) = (ReaderGate(), Monitor(0), Monitor(false))
        let threads = (0..<4).map { number in
            startThread(name: "reader \(number)") {
                for _ in 0..<2_000 {
                    gate.read {
                        inside.withLock { $0 += 1 }
                        #expect(!isClosed.withLock { $0 })
                        inside.withLock { $0 -= 1 }
                    }
                }
            }
        }
        for _ in 0..<200 {
            gate.close(waiting: .seconds(60)) {
                isClosed.withLock { $0 = true }
                #expect(inside.withLock { $0 } == 0)
                isClosed.withLock { $0 = false }
            }
        }
        for thread in threads { thread.join() }
        // One that stays inside.
        let came = gate.read { gate.close(waiting: .milliseconds(1)) { true } }
        #expect(came && gate.read { true })
    }

    /// Small pieces, so that a test need not write much.
    private static func options(_ path: String, disk: any Disk = SystemDisk()) -> SpoolOptions {
        var options = SpoolOptions(path: path)
        (options.reserveBytes, options.disk) = (2 << 20, disk)
        return options
    }

    private static func write(_ mebibytes: Int, to log: SpanLog) -> Int64 {
        for _ in 0..<mebibytes * 4 {
            var batch = spans([Int](repeating: 4096, count: 64))
            guard case .taken = log.append(&batch, wantsAck: true) else { break }
        }
        return log.flush() ? log.lastID : 0
    }

    @Test("the WAL stays short under load though commits go on while it is copied, and nothing is lost of what a stop leaves in it")
    func load() throws {
        let directory = try TemporaryDirectory()
        let vfs = FaultyVFS()
        let log = try SpanLog(Self.options(directory.spool, disk: SystemDisk(vfs: vfs.name)))
        #expect(Self.write(32, to: log) == 32 * 256)
        // A MiB is when it is begun anew; three, when the writer does not wait any longer for that; and a commit of 4.
        #expect(log.status.walBytes < 9 << 20)
        #expect(vfs.now.databaseSyncs > 32 / 9)
        log.close()
        let reader = try LogReader.open(path: directory.spool)
        var next: Int64 = 1
        while let segment = try reader.segment(holding: next) { next = segment.lastID + 1 }
        #expect(next == 32 * 256 + 1 && SystemDisk().size(directory.spool + "-wal") ?? 0 == 0)
    }

    @Test("a pass that fails is trouble of the disk: nothing is taken before a checkpoint has succeeded")
    func failure() throws {
        let directory = try TemporaryDirectory()
        let vfs = FaultyVFS()
        let log = try SpanLog(Self.options(directory.spool, disk: SystemDisk(vfs: vfs.name)))
        let heard = Heard(log)
        vfs.set { $0.databaseSyncFails = FaultyVFS.fsyncFailed }
        _ = Self.write(8, to: log)
        #expect(heard.first { if case .trouble = $0 { true } else { nil } } == true)
        #expect(log.status.refusal == .ioError)
        vfs.set { $0.databaseSyncFails = nil }
        #expect(heard.first { if case .recovered = $0 { true } else { nil } } == true)
        // What gathered meanwhile is committed now.
        #expect(log.flush())
        let before = log.lastID
        #expect(Self.write(1, to: log) == before + 256)
        log.close()
    }
}
