import CShim
import Glibc
import Testing

@testable import Spool

@Suite("the kernel's cache of the spool's file")
struct PageCacheTests {
    private static let mebibyte = 1 << 20

    /// What is let go at each of these marks, where the destinations have come this far.
    private static func letGo(_ steps: [(id: Int64, size: Int, settled: Int64)]) -> [Int?] {
        var cache = PageCache(path: "/no/such/file")
        return steps.map { cache.mark(.init(id: $0.id, size: $0.size), settled: $0.settled) }
    }

    @Test("in a file that grows what all destinations have goes, and what one has not stays")
    func growing() {
        #expect(Self.letGo([(100, 10, 0), (200, 20, 90), (300, 30, 100), (400, 40, 250), (500, 50, 500)]) == [nil, nil, 10, 20, 50])
    }

    @Test("in a file that is full all goes, unless a destination lags")
    func full() {
        #expect(Self.letGo([(100, 10, 100), (200, 10, 100), (300, 10, 100), (400, 10, 150), (500, 10, 400)]) == [10, 10, nil, nil, 10])
    }

    @Test("a destination that is away for long costs a bounded memory, and lets go what it has when it is back")
    func away() {
        var cache = PageCache(path: "/no/such/file")
        for step in 1...2000 { #expect(cache.mark(.init(id: Int64(step), size: step), settled: 0) == nil) }
        #expect(cache.marks.count == PageCache.marksMax)
        #expect(cache.mark(.init(id: 2001, size: 2001), settled: 1990) == 1990)
        #expect(cache.marks.count == 12)
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
        cache.copied(through: 2, settled: 1)
        try #require(Self.residentBytes(file) == 8 * Self.mebibyte)
        cache.copied(through: 3, settled: 2)
        let left = Self.residentBytes(file)
        if Self.isInMemory(path) {
            print("this directory lies in memory (tmpfs), where nothing can be let go: only that it does no harm was tested")
        } else {
            #expect(left < Self.mebibyte)
        }
        var read = [UInt8](repeating: 0, count: bytes.count)
        #expect(pread(file, &read, read.count, off_t(7 * bytes.count)) == read.count && read.allSatisfy { $0 == 7 })
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
