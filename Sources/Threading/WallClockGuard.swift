/// Whether the wall clock may be trusted with deciding that a span is too old. A jump against the boot clock makes it untrusted until the two
/// have agreed for an hour, so a machine that wakes up in the wrong year expires nothing (DESIGN.md section 3). At the start it is trusted
/// when the kernel says that it follows a time server, or after ten minutes, in which one would have put it right.
public struct WallClockGuard: Sendable, Equatable {
    private static let tolerance: Int64 = 5_000_000_000
    private static let minute: UInt64 = 60_000_000_000
    private var offset: Int64?
    /// On the boot clock: from then on the wall clock is trusted.
    private var trustedFrom: UInt64 = 0
    private var isNew = true

    /// A guard that has seen nothing yet.
    public init() {}

    /// Takes a reading of both clocks, nanoseconds, and whether the wall clock is known to follow a time server. Returns by how much the wall
    /// clock has just jumped, or nil.
    public mutating func observe(wall: UInt64, boot: UInt64, synchronised: @autoclosure () -> Bool = true) -> Duration? {
        let now = Int64(bitPattern: wall &- boot)
        defer { offset = now }
        if let before = offset, abs(now &- before) > Self.tolerance {
            (isNew, trustedFrom) = (false, boot + 60 * Self.minute)
            isTrusted = false
            return .nanoseconds(now &- before)
        }
        if offset == nil { trustedFrom = boot + 10 * Self.minute }
        isTrusted = isTrusted || boot >= trustedFrom || (isNew && synchronised())
        if isTrusted { isNew = false }
        return nil
    }

    /// Whether spans may expire by age now.
    public private(set) var isTrusted = false

    /// When that begins, on the boot clock, where nothing comes between; nil where it has begun.
    public var trustsAt: UInt64? { isTrusted ? nil : trustedFrom }

    /// A person says that the clock is right.
    public mutating func trust() { (isTrusted, isNew) = (true, false) }
}
