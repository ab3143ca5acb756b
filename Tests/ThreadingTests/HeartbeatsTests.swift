import Glibc
import Synchronization
import Testing

@testable import Threading

@Suite struct HeartbeatsTests {
    private typealias Silence = Heartbeats.Silence

    private static let second: UInt64 = 1_000_000_000
    private let heartbeats = Heartbeats()

    /// The names of those that are silent for longer than 15 s at this many seconds from now.
    private func silent(after seconds: UInt64) -> [String] {
        heartbeats.look(limit: .seconds(15), now: Clock.system.monotonic() + seconds * Self.second).map(\.part)
    }

    @Test("who has not beaten in time is named, the longest silence first; who has ended is not")
    func silent() {
        let parts = ["spool", "delivery", "unix"].map(heartbeats.register)
        let now = Clock.system.monotonic()
        parts[0].beat(now: now - 20 * Self.second)
        parts[1].beat(now: now - 40 * Self.second)
        parts[2].beat(now: now)
        #expect(
            heartbeats.look(limit: .seconds(15), now: now)
                == [Silence(part: "delivery", time: .seconds(40)), Silence(part: "spool", time: .seconds(20))])
        parts[1].end()
        parts[0].beat(now: now)
        #expect(heartbeats.look(limit: .seconds(15), now: now) == [])
    }

    @Test("a part that begins counts as alive, and one that beats after the look is not silent for ages")
    func young() {
        let part = heartbeats.register("spool")
        #expect(silent(after: 0) == [])
        let now = Clock.system.monotonic()
        part.beat(now: now + Self.second)
        #expect(heartbeats.look(limit: .zero, now: now) == [])
    }

    @Test("who sleeps is asked once, and is silent from then on where it does not answer")
    func asked() {
        let asked = Atomic(0)
        let part = heartbeats.register("delivery")
        part.asleep(wake: { asked.add(1, ordering: .relaxed) }) {
            #expect(silent(after: 1_000) == [], "however long it has slept")
            #expect(silent(after: 1_010) == [])
            #expect(silent(after: 1_020) == ["delivery"])
            #expect(asked.load(ordering: .relaxed) == 1)
        }
        #expect(silent(after: 0) == [], "awake, and it has beaten")
        part.asleep(wake: { asked.add(1, ordering: .relaxed) }) { #expect(silent(after: 2_000) == []) }
        #expect(asked.load(ordering: .relaxed) == 2, "a new sleep is asked anew")
    }

    @Test("where all parts sleep and owe no answer, the first that wakes up tells, once")
    func allSleep() {
        let told = Atomic(0)
        let (spool, delivery, ended) = (heartbeats.register("spool"), heartbeats.register("delivery"), heartbeats.register("unix"))
        ended.end()
        func allSleep() -> Bool { heartbeats.allSleep { told.add(1, ordering: .relaxed) } }
        spool.asleep(wake: {}) {
            #expect(!allSleep(), "delivery is awake")
            delivery.asleep(wake: {}) { #expect(allSleep()) }
            #expect(told.load(ordering: .relaxed) == 1)
            delivery.asleep(wake: {}) {}
            #expect(told.load(ordering: .relaxed) == 1, "nobody has asked again")
            delivery.asleep(wake: {}) {
                #expect(silent(after: 0) == [])
                #expect(!allSleep(), "both owe an answer")
            }
            delivery.asleep(wake: {}) { #expect(!allSleep(), "one owes it still") }
        }
        #expect(told.load(ordering: .relaxed) == 1)
    }

    @Test("a part that falls asleep and wakes up while it is looked at is not missed", arguments: 1...200)
    func allSleepRaces(round: Int) {
        let told = Atomic(false)
        let isOver = Atomic(false)
        let part = heartbeats.register("spool")
        let thread = startThread(name: "spool") {
            while !isOver.load(ordering: .acquiring) { part.asleep(wake: {}) { _ = sched_yield() } }
        }
        while !heartbeats.allSleep(until: { told.store(true, ordering: .releasing) }) { sched_yield() }
        while !told.load(ordering: .acquiring) { sched_yield() }
        isOver.store(true, ordering: .releasing)
        thread.join()
    }

    @Test("a thread that waits on a monitor sleeps as long as it likes, answers when it is asked, and is woken by nobody else")
    func monitor() {
        let looks = Atomic(0)
        let queue = Monitor(false)
        let thread = startThread(name: "spool", heartbeat: heartbeats.register("spool")) {
            queue.wait { over -> Look<Void> in
                looks.add(1, ordering: .relaxed)
                return over ? .go(()) : .sleep
            }
        }
        for round in 1...100 {
            while looks.load(ordering: .relaxed) < round { sched_yield() }
            // It may not be asleep yet: then it is silent for no time, and is asked at another look.
            while looks.load(ordering: .relaxed) == round { #expect(silent(after: 0) == []) }
        }
        queue.withLock { $0 = true }
        queue.signal()
        thread.join()
    }

    @Test("a thread that neither turns nor sleeps is named, by itself and while others wait for it")
    func stuck() {
        let gate = Atomic(false)
        let answer = Monitor(false)
        let stuck = startThread(name: "spool", heartbeat: heartbeats.register("spool")) {
            while !gate.load(ordering: .acquiring) { sched_yield() }  // as in a call that does not return
            answer.withLock { $0 = true }
            answer.signal()
        }
        let waits = startThread(name: "delivery", heartbeat: heartbeats.register("delivery")) { answer.wait { $0 ? Look.go(()) : .sleep } }
        // Both are young: by then the one is silent, the other has been asked at the latest.
        #expect(silent(after: 14) == [])
        let found = Set(silent(after: 16))
        #expect(found.contains("spool"))
        gate.store(true, ordering: .releasing)
        stuck.join()
        waits.join()
        #expect(silent(after: 1_000) == [], "a thread that has ended is nobody's concern")
    }

    @Test("a beat is the calling thread's part's, and nothing on a thread that is none")
    func here() {
        Heartbeat.beatHere()
        #expect(Heartbeat.asleepHere(wake: {}) { 7 } == 7)
        let seen = Atomic(false)
        let part = heartbeats.register("unix")
        part.beat(now: 0)
        let thread = startThread(name: "unix", heartbeat: part) {
            Heartbeat.beatHere()
            while !seen.load(ordering: .acquiring) { sched_yield() }
        }
        while part.silence(now: .max) == .max { sched_yield() }
        seen.store(true, ordering: .releasing)
        thread.join()
    }
}
