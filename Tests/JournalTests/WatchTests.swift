import Testing
import Threading

@testable import Journal

@Suite struct WatchTests {
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
