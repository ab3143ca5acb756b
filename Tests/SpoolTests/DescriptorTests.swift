import Glibc
import Synchronization
import TestSupport
import Testing
import Threading

@testable import Spool

/// What cannot be opened closes its descriptor once: the second time it would be somebody else's.
@Suite struct DescriptorTests {
    private final class Watch: Sendable {
        let isOver = Atomic(false)
        let stolen = Atomic(0)
    }

    /// How many descriptors were taken from threads that open and close their own, while `body` ran again and again.
    private static func descriptorsTaken(while body: () -> Void) -> Int {
        let watch = Watch()
        let threads = (0..<2).map { number in
            startThread(name: "opener \(number)") {
                while !watch.isOver.load(ordering: .relaxed) {
                    let mine = (0..<16).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
                    for descriptor in mine where close(descriptor) != 0 { watch.stolen.add(1, ordering: .relaxed) }
                }
            }
        }
        for _ in 0..<20_000 { body() }
        watch.isOver.store(true, ordering: .relaxed)
        for thread in threads { thread.join() }
        return watch.stolen.load(ordering: .relaxed)
    }

    @Test("a lock that somebody else has")
    func lock() throws {
        let directory = try TemporaryDirectory()
        let held = try SpoolLock(directory.spool + ".lock", of: directory.spool)
        let taken = Self.descriptorsTaken { _ = try? SpoolLock(directory.spool + ".lock", of: directory.spool) }
        #expect(taken == 0)
        withExtendedLifetime(held) {}
    }

    @Test("a lock is free at once, whatever children begin meanwhile")
    func children() throws {
        let directory = try TemporaryDirectory()
        try whileChildrenBegin {
            for _ in 0..<20_000 { _ = try SpoolLock(directory.spool + ".lock", of: directory.spool) }
        }
    }

    @Test("a folder that is not there")
    func folder() { #expect(Self.descriptorsTaken { _ = FolderWatch("/no/such/folder/spool.db") { _ in } } == 0) }
}
