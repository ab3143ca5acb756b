import CShim
import Glibc

/// The clocks of a machine, as values a test or a simulator can play.
public struct Clock: Sendable {
    /// Nanoseconds of the Unix epoch, as the wall clock says: it may jump.
    public var wall: @Sendable () -> UInt64
    /// Nanoseconds since some point in the past: never jumps, so every wait and timeout is measured on it.
    public var monotonic: @Sendable () -> UInt64
    /// Nanoseconds since the machine started, suspended time included: what the wall clock is checked against.
    public var boot: @Sendable () -> UInt64
    /// Whether the wall clock is known to follow a time server.
    public var synchronised: @Sendable () -> Bool

    /// A clock of three readings.
    public init(
        wall: @escaping @Sendable () -> UInt64, monotonic: @escaping @Sendable () -> UInt64, boot: @escaping @Sendable () -> UInt64,
        synchronised: @escaping @Sendable () -> Bool = { true }
    ) {
        self.wall = wall
        self.monotonic = monotonic
        self.boot = boot
        self.synchronised = synchronised
    }

    /// The kernel's clocks.
    public static let system = Clock(
        wall: { read(CLOCK_REALTIME) }, monotonic: { read(CLOCK_MONOTONIC) }, boot: { read(CLOCK_BOOTTIME) },
        synchronised: { tracefwd_clock_is_synchronised() == 1 })

    private static func read(_ id: clockid_t) -> UInt64 {
        var now = timespec()
        clock_gettime(id, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, never negative, cut at what a UInt64 holds (584 years).
    public var nanosecondsClamped: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product &+ UInt64(attoseconds / 1_000_000_000)
    }
}
