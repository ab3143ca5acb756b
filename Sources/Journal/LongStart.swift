import Synchronization
public import Threading

/// Asks the service manager for time while a long start gets on, a damaged spool that is mended for one. A start that hangs asks for none, so
/// the unit's TimeoutStartSec= ends it.
public final class LongStart: Sendable {
    private let manager: ServiceManager
    private let askedAt = Atomic<UInt64>(0)
    private let hasEnded = Atomic(false)
    private static let every: UInt64 = 10_000_000_000
    /// A step must come within this time after the one before it.
    private static let patience = Duration.seconds(120)

    /// The start begins.
    public init(_ manager: ServiceManager = ServiceManager()) { self.manager = manager }

    /// The start has got on. It may be called as often as one likes: it asks once in 10 s. `now` is the monotonic clock, in nanoseconds.
    public func step(now: UInt64 = Clock.system.monotonic()) {
        guard !hasEnded.load(ordering: .relaxed) else { return }
        let last = askedAt.load(ordering: .relaxed)
        guard last == 0 || now > last + Self.every else { return }
        guard askedAt.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged else { return }
        manager.extendTimeout(by: Self.patience)
    }

    /// The daemon serves, or has given up: nothing more is asked for.
    public func end() { hasEnded.store(true, ordering: .relaxed) }
}
