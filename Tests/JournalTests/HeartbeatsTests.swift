import Testing
import Threading

@testable import Journal

@Suite struct HeartbeatsTests {
    @Test("who has not beaten in time is named, the longest silence first; who has ended is not")
    func silent() {
        let heartbeats = Heartbeats()
        let parts = ["spool", "delivery", "unix"].map(heartbeats.register)
        let now = Clock.system.monotonic()
        parts[0].beat(now: now - .seconds(20))
        parts[1].beat(now: now - .seconds(40))
        parts[2].beat(now: now)
        #expect(
            heartbeats.silent(longerThan: .seconds(15), now: now)
                == [Heartbeats.Silence(part: "delivery", time: .seconds(40)), Heartbeats.Silence(part: "spool", time: .seconds(20))])
        #expect(!heartbeats.allAlive(within: .seconds(15), now: now))
        parts[1].end()
        parts[0].beat(now: now)
        #expect(heartbeats.allAlive(within: .seconds(15), now: now))
    }

    @Test("a part that begins counts as alive, and one that beats after the look is not silent for ages")
    func young() {
        let heartbeats = Heartbeats()
        let part = heartbeats.register("spool")
        #expect(heartbeats.allAlive(within: .seconds(1)))
        let now = Clock.system.monotonic()
        part.beat(now: now + .seconds(1))
        #expect(heartbeats.allAlive(within: .zero, now: now))
    }

    @Test("a silence is told once, and its end too")
    func watch() {
        let (spool, unix) = (Heartbeats.Silence(part: "spool", time: .seconds(20)), Heartbeats.Silence(part: "unix", time: .seconds(17)))
        var watch = Watch(left: .seconds(22))
        #expect(watch.look([]) == Watch.Verdict(feed: true, tell: [], back: []))
        #expect(watch.look([spool]) == Watch.Verdict(feed: false, tell: [spool], back: []))
        #expect(watch.look([spool, unix]) == Watch.Verdict(feed: false, tell: [unix], back: []))
        #expect(watch.look([unix]) == Watch.Verdict(feed: false, tell: [], back: ["spool"]))
        #expect(watch.look([]) == Watch.Verdict(feed: true, tell: [], back: ["unix"]))
    }
}
