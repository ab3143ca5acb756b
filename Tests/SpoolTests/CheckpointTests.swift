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
        #expect(file.writer.walFrames == 0)
        thread.join()
    }

    @Test("who reads for long is not waited for, and keeps what it reads")
    func impatience() throws {
        let file = try Written()
        try file.write(2)
        let reader = try Self.reader(file.directory.spool)
        try file.write(2)
        #expect(try !file.writer.checkpoint(.restart, waitingFor: 20))
        #expect(file.writer.walFrames > 0)
        #expect(try reader.integer("SELECT count(*) FROM t") == 2)
        try reader.execute("COMMIT")
        #expect(try file.writer.checkpoint(.restart, waitingFor: 20))
        #expect(try file.writer.integer("SELECT count(*) FROM t") == 4)
    }
}
