import Synchronization
import Testing
import Threading

@Suite struct MonitorTests {
    @Test("nothing is lost or doubled between many producers and many consumers")
    func handOver() {
        let (producers, consumers, each) = (4, 3, 5_000)
        let queue = Monitor((items: [Int](), closed: false))
        let sum = Atomic<Int>(0)
        let taking = (0..<consumers).map { _ in
            startThread(name: "consumer") {
                while let item: Int = queue.wait({ $0.items.popLast().map(Look.go) ?? ($0.closed ? .go(nil) : .sleep) }) {
                    sum.add(item, ordering: .relaxed)
                }
            }
        }
        let giving = (0..<producers).map { producer in
            startThread(name: "producer") {
                for item in 0..<each {
                    queue.withLock { $0.items.append(producer * each + item) }
                    queue.signal()
                }
            }
        }
        for thread in giving { thread.join() }
        queue.withLock { $0.closed = true }
        queue.broadcast()
        for thread in taking { thread.join() }
        let all = producers * each
        #expect(sum.load(ordering: .relaxed) == all * (all - 1) / 2)
    }

    @Test("a wait for nothing ends at its time, not before", arguments: [Duration.milliseconds(-5), .zero, .milliseconds(30)])
    func timeout(time: Duration) {
        let monitor = Monitor(0)
        let began = SuspendingClock.now
        #expect(monitor.wait(for: time) { _ in Int?.none } == nil)
        let passed = began.duration(to: .now)
        #expect(passed >= time && passed < time + .seconds(5))
    }

    @Test("a wait that is signalled ends long before its time")
    func signalled() {
        let monitor = Monitor(0)
        let began = SuspendingClock.now
        let thread = startThread(name: "signals") {
            monitor.withLock { $0 = 7 }
            monitor.signal()
        }
        #expect(monitor.wait(for: .seconds(60)) { $0 > 0 ? $0 : nil } == 7)
        #expect(began.duration(to: .now) < .seconds(30))
        thread.join()
    }

    @Test("a look can put itself off, by a time that it decides at each look")
    func putOff() {
        let monitor = Monitor(0)
        let looks = monitor.wait { looks -> Look<Int> in
            looks += 1
            return looks < 4 ? .sleepFor(.milliseconds(looks)) : .go(looks)
        }
        #expect(looks == 4)
    }

    @Test("an error leaves the lock free")
    func errorUnlocks() {
        struct Refused: Error {}
        let monitor = Monitor(1)
        #expect(throws: Refused.self) { try monitor.withLock { _ throws(Refused) in throw Refused() } }
        #expect(monitor.withLock { $0 } == 1)
    }
}
