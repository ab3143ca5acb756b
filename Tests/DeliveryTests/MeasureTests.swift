import Testing
import Threading

@testable import Delivery

@Suite("wall clock")
struct WallClockGuardTests {
    private static let hour: UInt64 = 3_600_000_000_000
    private static let second: UInt64 = 1_000_000_000

    @Test(
        "is not trusted for an hour after a jump of more than 5 s, either way",
        arguments: [(4, true), (-4, true), (6, false), (-6, false), (86_400 * 3650, false), (-86_400 * 3650, false)])
    func jump(seconds: Int64, trusted: Bool) {
        var clock = WallClockGuard()
        let wall = 1_700_000_000 * Self.second
        #expect(clock.observe(wall: wall, boot: 10 * Self.second) == nil)
        let after = UInt64(Int64(wall + Self.second) + seconds * 1_000_000_000)
        let told = clock.observe(wall: after, boot: 11 * Self.second)
        #expect(told == (trusted ? nil : .seconds(seconds)))
        #expect(clock.isTrusted == trusted)
        #expect(clock.observe(wall: after + Self.hour - Self.second, boot: 10 * Self.second + Self.hour) == nil)
        #expect(clock.isTrusted == trusted)
        #expect(clock.observe(wall: after + Self.hour, boot: 11 * Self.second + Self.hour) == nil)
        #expect(clock.isTrusted)
    }

    @Test("another jump begins the hour anew")
    func again() {
        var clock = WallClockGuard()
        _ = clock.observe(wall: Self.hour * 1000, boot: 0)
        #expect(clock.observe(wall: Self.hour * 2000, boot: 0) != nil)
        #expect(clock.observe(wall: Self.hour * 1000 + Self.hour / 2, boot: Self.hour / 2) != nil)
        #expect(clock.observe(wall: Self.hour * 1001 + Self.second, boot: Self.hour + Self.second) == nil)
        #expect(!clock.isTrusted)
        #expect(clock.observe(wall: Self.hour * 1001 + Self.hour / 2, boot: Self.hour + Self.hour / 2) == nil)
        #expect(clock.isTrusted)
    }

    @Test("a slow slew is no jump, and a machine that slept has not jumped")
    func slew() {
        var clock = WallClockGuard()
        for second in 0..<100 as Range<UInt64> {
            #expect(clock.observe(wall: Self.hour + second * (Self.second + 500_000), boot: second * Self.second) == nil)
        }
        #expect(clock.observe(wall: Self.hour * 9, boot: Self.hour * 8) == nil)
        #expect(clock.isTrusted)
    }

    @Test("at the start it is trusted when it follows a time server, or after ten minutes; one that is put right meanwhile has jumped")
    func start() {
        var clock = WallClockGuard()
        #expect(!clock.isTrusted)
        let wall = 1_700_000_000 * Self.second
        _ = clock.observe(wall: wall, boot: 0, synchronised: false)
        _ = clock.observe(wall: wall + 599 * Self.second, boot: 599 * Self.second, synchronised: false)
        #expect(!clock.isTrusted)
        var served = clock
        _ = served.observe(wall: wall + 599 * Self.second, boot: 599 * Self.second, synchronised: true)
        #expect(served.isTrusted)
        var righted = clock
        #expect(righted.observe(wall: wall * 2, boot: 600 * Self.second, synchronised: true) != nil)
        _ = righted.observe(wall: wall * 2, boot: 600 * Self.second, synchronised: true)
        #expect(!righted.isTrusted)
        _ = clock.observe(wall: wall + 600 * Self.second, boot: 600 * Self.second, synchronised: false)
        #expect(clock.isTrusted)
    }

    @Test("a person's word ends the doubt")
    func trust() {
        var clock = WallClockGuard()
        _ = clock.observe(wall: 0, boot: 0)
        _ = clock.observe(wall: Self.hour, boot: 0)
        #expect(!clock.isTrusted)
        clock.trust()
        #expect(clock.isTrusted)
    }
}

@Suite("histogram")
struct HistogramTests {
    private func histogram(_ milliseconds: [UInt64]) -> Histogram {
        var histogram = Histogram()
        for value in milliseconds { histogram.add(nanoseconds: value * 1_000_000) }
        return histogram
    }

    @Test(
        "a quantile is the bound of the bucket that it lies in",
        arguments: [
            ([], 0.95, 0), ([1], 0.5, 0.005), ([5], 1, 0.005), ([6], 0.01, 0.01), ([1, 1, 1, 400], 0.5, 0.005),
            ([1, 1, 1, 400], 0.75, 0.005),
            ([1, 1, 1, 400], 0.76, 0.5), ([1, 1, 1, 400], 1, 0.5), ([29_000], 0.95, 30), ([31_000], 0.95, .infinity),
        ] as [([UInt64], Double, Double)])
    func quantile(values: [UInt64], share: Double, bound: Double) {
        #expect(histogram(values).quantile(share) == bound)
    }

    @Test("counts and sums, and the difference to an earlier state is what came since")
    func since() {
        let before = histogram([1, 20, 300])
        var after = before
        after.add(nanoseconds: 7_000_000_000)
        #expect(after.count == 4)
        #expect(after.since(before).count == 1)
        #expect(after.since(before).quantile(0.5) == 10)
        #expect(abs(after.since(before).sum - 7) < 1e-9)
        #expect(after.since(after).counts.allSatisfy { $0 == 0 })
    }
}
