/// Whether the wall clock may be trusted with deciding that a span is too old. A jump against the boot clock makes it untrusted until the two
/// have agreed for an hour, so a machine that wakes up in the wrong year expires nothing (DESIGN.md section 3).
public struct WallClockGuard: Sendable, Equatable {
    private static let tolerance: Int64 = 5_000_000_000
    private static let agreement: UInt64 = 3_600_000_000_000
    private var offset: Int64?
    private var jumpedAt: UInt64?

    /// A guard that has seen no jump yet.
    public init() {}

    /// Takes a reading of both clocks, nanoseconds. Returns by how much the wall clock has just jumped, or nil.
    public mutating func observe(wall: UInt64, boot: UInt64) -> Duration? {
        let now = Int64(bitPattern: wall &- boot)
        defer { offset = now }
        if let jumped = jumpedAt, boot >= jumped + Self.agreement { jumpedAt = nil }
        guard let offset, abs(now &- offset) > Self.tolerance else { return nil }
        jumpedAt = boot
        return .nanoseconds(now &- offset)
    }

    /// Whether spans may expire by age now.
    public var isTrusted: Bool { jumpedAt == nil }

    /// A person says that the clock is right.
    public mutating func trust() { jumpedAt = nil }
}
