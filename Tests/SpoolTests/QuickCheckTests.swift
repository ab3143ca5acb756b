import Foundation
import Testing

@testable import Spool

@Suite struct QuickCheckTests {
    private func spool(_ count: Int) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let test = try TestLog(in: directory)
        for _ in 0..<count { #expect(test.log.commit(spans([20_000, 20_000, 20_000])) == nil) }
        test.log.close()
        return directory
    }

    @Test("a sound file is sound")
    func sound() throws {
        let directory = try spool(10)
        #expect(try LogReader.open(path: directory.spool).quickCheck(within: .seconds(60)) == .sound)
    }

    @Test("a damaged page is found")
    func damaged() throws {
        let directory = try spool(40)
        let handle = try #require(FileHandle(forUpdatingAtPath: directory.spool))
        try handle.seek(toOffset: 20 * 16384)
        handle.write(Data(repeating: 0xa5, count: 10 * 16384))
        try handle.close()
        do {
            guard case .damaged(let words) = try LogReader.open(path: directory.spool).quickCheck(within: .seconds(60)) else {
                Issue.record("the damage was not seen")
                return
            }
            #expect(!words.isEmpty)
        } catch {
            guard case .sqlite(_, let error) = error as? SpoolError, error.isCorrupt else { throw error }
        }
    }

    @Test("what cannot be looked at in the time is not called sound, and the reader is of use afterwards")
    func unfinished() throws {
        let directory = try spool(400)
        let disk = FaultyVFS()
        let reader = try LogReader(path: directory.spool, vfs: disk.name, cache: SegmentCache(bytesMax: 4 << 20))
        disk.set { $0.readOnlyReadMicroseconds = 20_000 }
        #expect(try reader.quickCheck(within: .zero) == .unfinished)
        disk.set { $0.readOnlyReadMicroseconds = 0 }
        #expect(try reader.segment(holding: 1)?.firstID == 1)
    }
}
