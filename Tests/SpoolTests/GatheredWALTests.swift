import CSQLite
import CShim
import Foundation
import TestSupport
import Testing

@testable import Spool

/// The VFS that writes a WAL in large pieces (`tracefwd_wal_vfs`), called as SQLite calls it.
@Suite("A WAL that is written in large pieces")
struct GatheredWALTests {
    /// A WAL file that was opened through the VFS over `base`.
    private final class File {
        let directory: TemporaryDirectory
        private let handle: UnsafeMutablePointer<sqlite3_file>
        private let name: UnsafeMutablePointer<CChar>
        private var methods: sqlite3_io_methods { get throws { try #require(handle.pointee.pMethods).pointee } }

        init(over base: String? = nil) throws {
            directory = try TemporaryDirectory()
            let vfs = try #require(sqlite3_vfs_find(tracefwd_wal_vfs(base)))
            handle = UnsafeMutableRawPointer.allocate(byteCount: Int(vfs.pointee.szOsFile), alignment: 16)
                .bindMemory(to: sqlite3_file.self, capacity: 1)
            // SQLite's names end with the parameters of a URI: none.
            name = UnsafeMutablePointer<CChar>.allocate(capacity: directory.path.utf8.count + 32)
            name.initialize(repeating: 0, count: directory.path.utf8.count + 32)
            strcpy(name, directory.path + "/spool.db-wal")
            // Whose rights the WAL gets.
            FileManager.default.createFile(atPath: directory.spool, contents: nil)
            let flags = SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            try #require(vfs.pointee.xOpen(vfs, name, handle, flags, nil) == SQLITE_OK)
        }

        deinit {
            _ = handle.pointee.pMethods?.pointee.xClose(handle)
            UnsafeMutableRawPointer(handle).deallocate()
            name.deallocate()
        }

        func write(_ bytes: [UInt8], at: Int) throws -> Int32 { try methods.xWrite(handle, bytes, Int32(bytes.count), Int64(at)) }
        func sync() throws -> Int32 { try methods.xSync(handle, SQLITE_SYNC_NORMAL) }
        func truncate(_ size: Int) throws -> Int32 { try methods.xTruncate(handle, Int64(size)) }

        func size() throws -> Int {
            var size: Int64 = 0
            #expect(try methods.xFileSize(handle, &size) == SQLITE_OK)
            return Int(size)
        }

        /// nil beyond the end.
        func read(_ count: Int, at: Int) throws -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            let code = try methods.xRead(handle, &bytes, Int32(count), Int64(at))
            #expect(code == SQLITE_OK || code == SQLITE_IOERR | 2 << 8)
            return code == SQLITE_OK ? bytes : nil
        }

        /// Compared here: of long arrays that differ a test would tell how, for minutes.
        func holds(_ bytes: [UInt8]) -> Bool { onDisk == bytes }

        /// What others see.
        var onDisk: [UInt8] { FileManager.default.contents(atPath: directory.spool + "-wal").map(Array.init) ?? [] }
    }

    private static let page = 16384

    private static func header(endsCommit: Bool) -> [UInt8] {
        var header = [UInt8](repeating: 9, count: 24)
        header.replaceSubrange(4..<8, with: [0, 0, 0, endsCommit ? 3 : 0])
        return header
    }

    @Test("frames gather, and are written before the call returns that ends a commit")
    func commit() throws {
        let file = try File()
        var at = 32
        for frame in 1...3 {
            #expect(try file.write(Self.header(endsCommit: frame == 3), at: at) == SQLITE_OK)
            #expect(file.onDisk.isEmpty)
            #expect(try file.write([UInt8](repeating: UInt8(frame), count: Self.page), at: at + 24) == SQLITE_OK)
            at += 24 + Self.page
            #expect(file.onDisk.count == (frame == 3 ? at : 0))
        }
        #expect(file.onDisk.suffix(Self.page).allSatisfy { $0 == 3 })
    }

    @Test("a commit of more frames than gather at once ends on disk too, whichever of its frames filled the piece")
    func large() throws {
        for frames in 5...23 {
            let file = try File()
            for frame in 0..<frames {
                let at = 32 + frame * (24 + Self.page)
                #expect(try file.write(Self.header(endsCommit: frame == frames - 1), at: at) == SQLITE_OK)
                #expect(try file.write([UInt8](repeating: UInt8(frame), count: Self.page), at: at + 24) == SQLITE_OK)
            }
            #expect(file.onDisk.count == 32 + frames * (24 + Self.page))
        }
    }

    @Test("whatever is written, read, cut, asked and synced in whatever order, the file is the one that a plain file would be")
    func random() throws {
        for seed in UInt64(1)...60 {
            var random = SeededRandom(seed: seed)
            let file = try File()
            var (model, at) = ([UInt8](), 0)
            for _ in 0..<120 {
                switch Int.random(in: 0..<12, using: &random) {
                case 0: at = Int.random(in: 0...max(model.count, 1), using: &random)
                case 1:
                    let (from, count) = (Int.random(in: 0...model.count, using: &random), Int.random(in: 1...40_000, using: &random))
                    let expected = from + count <= model.count ? Array(model[from..<from + count]) : nil
                    let isSame = try file.read(count, at: from) == expected
                    #expect(isSame, "seed \(seed)")
                case 2:
                    model.removeSubrange(Int.random(in: model.count / 2...model.count, using: &random)...)
                    #expect(try file.truncate(model.count) == SQLITE_OK)
                case 3: #expect(try file.size() == model.count, "seed \(seed)")
                case 4:
                    #expect(try file.sync() == SQLITE_OK)
                    let isSame = file.holds(model)
                    #expect(isSame, "seed \(seed)")
                default:
                    let count = [24, 24, Self.page, Self.page, 32, 65536].randomElement(using: &random) ?? 24
                    var bytes = [UInt8](repeating: UInt8.random(in: 1...255, using: &random), count: count)
                    let endsCommit = count == 24 && Bool.random(using: &random)
                    if count == 24, !endsCommit { bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0]) }
                    at = min(at, model.count)
                    var pieces = [bytes]
                    if endsCommit { pieces.append([UInt8](repeating: 77, count: Self.page)) }
                    for piece in pieces {
                        #expect(try file.write(piece, at: at) == SQLITE_OK)
                        model.replaceSubrange(at..<min(at + piece.count, model.count), with: piece)
                        at += piece.count
                    }
                    let isSame = !endsCommit || file.holds(model)
                    #expect(isSame, "seed \(seed)")
                }
            }
        }
    }

    @Test("a write that fails is told by the call that ends the commit at the latest, and what it held is not written later")
    func failure() throws {
        let vfs = FaultyVFS()
        let file = try File(over: vfs.name)
        vfs.set { $0.writeFails = FaultyVFS.writeFailed }
        #expect(try file.write(Self.header(endsCommit: true), at: 32) == SQLITE_OK)
        #expect(try file.write([UInt8](repeating: 1, count: Self.page), at: 56) == FaultyVFS.writeFailed)
        vfs.set { $0.writeFails = nil }
        #expect(try file.sync() == SQLITE_OK)
        #expect(file.onDisk.isEmpty)
        // Frames of a transaction that was given up: the next one writes over them.
        #expect(try file.write(Self.header(endsCommit: false), at: 32) == SQLITE_OK)
        #expect(try file.write([UInt8](repeating: 2, count: Self.page), at: 56) == SQLITE_OK)
        #expect(try file.write(Self.header(endsCommit: true), at: 32) == SQLITE_OK)
        #expect(try file.write([UInt8](repeating: 3, count: Self.page), at: 56) == SQLITE_OK)
        #expect(file.onDisk.suffix(Self.page).allSatisfy { $0 == 3 })
    }

    @Test("a base that is not there is none")
    func noBase() { #expect(tracefwd_wal_vfs("no such") == nil) }
}
