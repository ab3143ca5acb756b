import CShim
import Glibc
import Testing

@testable import Spool

@Suite("the kernel's cache of the spool's file")
struct PageCacheTests {
    private static let mebibyte = 1 << 20

    private typealias Step = (id: Int64, size: Int, positions: [Int64])

    /// What is let go at each of these marks, where the destinations have come this far. Spans of a MiB, so that the log is as long as the ids say.
    private static func letGo(_ steps: [Step]) -> [Int?] {
        var cache = PageCache(path: "/no/such/file")
        return steps.map { cache.mark(.init(id: $0.id, logged: $0.id << 20, size: $0.size << 20), $0.positions).map { $0 >> 20 } }
    }

    @Test("in a file that grows what all destinations have goes, and what one has not stays")
    func growing() {
        let gone = Self.letGo([(10, 11, [9, 8]), (20, 22, [19, 11]), (30, 33, [10, 28]), (40, 44, [25, 35]), (50, 55, [50, 50])])
        #expect(gone == [nil, 11, 11, 22, 55])
    }

    @Test("in a file that is full all goes, unless a destination lags")
    func full() {
        let gone = Self.letGo([(10, 11, [10]), (20, 11, [10]), (30, 12, [10]), (40, 12, [15]), (50, 10, [40])])
        #expect(gone == [11, 11, nil, nil, 12])
    }

    @Test("for a destination that is far behind nothing is kept, for one that lags beside it what it has not")
    func farBehind() {
        for (lags, wanted) in [(true, 38), (false, 40)] {
            let steps = (1...40).map { (mark: Int) -> Step in
                let id = Int64(mark * 10)
                return (id, mark * 11, lags ? [5, id - 15] : [5])
            }
            let gone = Self.letGo(steps)
            #expect(gone[20] == nil && gone[39] == wanted * 11)
        }
    }

    @Test("the marks are bounded")
    func bounded() {
        var cache = PageCache(path: "/no/such/file")
        for step in 1...2000 { _ = cache.mark(.init(id: Int64(step), logged: Int64(step) << 23, size: step << 23), [0]) }
        #expect(cache.marks.count == 34)
    }

    @Test("the kernel lets go of it")
    func real() throws {
        let directory = try TemporaryDirectory()
        let path = directory.spool
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        let bytes = [UInt8](repeating: 7, count: Self.mebibyte)
        for index in 0..<8 { #expect(pwrite(file, bytes, bytes.count, off_t(index * bytes.count)) == bytes.count) }
        try #require(fsync(file) == 0)
        var cache = PageCache(path: path)
        cache.copied(.init(last: 2, logged: 2, positions: [1, 2]))
        try #require(Self.residentBytes(file) == 8 * Self.mebibyte)
        let isInMemory = Self.isInMemory(path)
        if isInMemory { print("this directory lies in memory (tmpfs), where nothing can be let go: only that it does no harm was tested") }
        cache.copied(.init(last: 3, logged: 3, positions: [2, 3]))
        #expect(isInMemory || Self.residentBytes(file) < Self.mebibyte)
        var read = [UInt8](repeating: 0, count: bytes.count)
        for index in 0..<8 {
            #expect(pread(file, &read, read.count, off_t(index * bytes.count)) == read.count && read.allSatisfy { $0 == 7 })
        }
        cache.readFarBehind(bytes: PageCache.readBytesMax - 1)
        try #require(Self.residentBytes(file) == 8 * Self.mebibyte)
        cache.readFarBehind(bytes: 1)
        #expect(isInMemory || Self.residentBytes(file) < Self.mebibyte)
    }

    private static func isInMemory(_ path: String) -> Bool {
        var status = statfs()
        return statfs(path, &status) == 0 && status.f_type == 0x0102_1994
    }

    /// Bytes of the file that the kernel has in its cache.
    private static func residentBytes(_ file: Int32) -> Int {
        var status = stat()
        guard fstat(file, &status) == 0, let map = mmap(nil, Int(status.st_size), PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else {
            return -1
        }
        defer { munmap(map, Int(status.st_size)) }
        let page = Int(getpagesize())
        var resident = [UInt8](repeating: 0, count: (Int(status.st_size) + page - 1) / page)
        return mincore(map, Int(status.st_size), &resident) == 0 ? resident.count { $0 & 1 == 1 } * page : -1
    }
}
