import Foundation
import Synchronization
import Testing
import Threading

@Suite struct NamedThreadTests {
    @Test(
        "a thread bears its name, cut to what the kernel holds",
        arguments: [("spool", "spool"), ("a name much too long", "a name much too")])
    func name(given: String, seen: String) {
        let found = Mutex("")
        startThread(name: given) {
            let name = (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? ""
            found.withLock { $0 = name }
        }.join()
        #expect(found.withLock { $0 } == seen + "\n")
    }

    @Test(
        "a signal to the process never lands in the thread; a fault of its own does",
        arguments: [(SIGTERM, 1), (SIGHUP, 1), (SIGINT, 1), (SIGPIPE, 1), (SIGSEGV, 0), (SIGABRT, 0)] as [(Int32, Int32)])
    func signals(signal: Int32, blocked: Int32) {
        let found = Atomic<Int32>(-1)
        startThread(name: "signals") {
            var mask = sigset_t()
            pthread_sigmask(SIG_SETMASK, nil, &mask)
            found.store(sigismember(&mask, signal), ordering: .relaxed)
        }.join()
        #expect(found.load(ordering: .relaxed) == blocked)
    }

    @Test("the creator's own mask is as it was")
    func creatorsMask() {
        var (before, after) = (sigset_t(), sigset_t())
        pthread_sigmask(SIG_SETMASK, nil, &before)
        startThread(name: "mask") {}.join()
        pthread_sigmask(SIG_SETMASK, nil, &after)
        for signal in 1..<Int32(32) { #expect(sigismember(&before, signal) == sigismember(&after, signal)) }
    }

    @Test("the stack is as large as asked for")
    func stack() {
        @Sendable func deep(_ frames: Int) -> Int {
            withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { bytes in
                bytes.initializeMemory(as: UInt8.self, repeating: 1)
                return frames == 0 ? 0 : deep(frames - 1) + Int(bytes[frames % 1024])
            }
        }
        let found = Atomic<Int>(0)
        startThread(name: "stack", stackBytes: 4 << 20) { found.store(deep(2_000), ordering: .relaxed) }.join()  // some 2 MiB
        #expect(found.load(ordering: .relaxed) == 2_000)
    }

    @Test("join returns after the end, for everyone who asks and as often as they ask")
    func join() {
        let ended = Atomic<Bool>(false)
        let worker = startThread(name: "worker") {
            usleep(50_000)
            ended.store(true, ordering: .releasing)
        }
        let tooEarly = Atomic<Int>(0)
        let waiting = (0..<3).map { _ in
            startThread(name: "waiting") {
                worker.join()
                if !ended.load(ordering: .acquiring) { tooEarly.add(1, ordering: .relaxed) }
            }
        }
        for thread in waiting { thread.join() }
        worker.join()
        #expect(tooEarly.load(ordering: .relaxed) == 0)
    }

    @Test("what the thread held is let go at its end, handle kept or not", arguments: [true, false])
    func release(kept: Bool) {
        final class Token: Sendable {}
        weak var token: Token?
        let go = Monitor(false)
        do {
            let held = Token()
            token = held
            let handle = startThread(name: "holder") { [held] in
                go.wait { $0 ? .go(()) : .sleep }
                withExtendedLifetime(held) {}
            }
            go.withLock { $0 = true }
            go.broadcast()
            if kept { handle.join() }
        }
        for _ in 0..<1000 where token != nil { usleep(1000) }
        #expect(token == nil)
    }
}
