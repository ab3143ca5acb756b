import Synchronization

/// The one budget of memory that sources and delivery share (DESIGN.md section 9): bytes are leased before they are held, and given back.
public final class MemoryBudget: Sendable {
    /// What may be leased in all.
    public let bytes: Int
    private let used = Atomic(0)

    /// A budget of which nothing is leased yet.
    public init(bytes: Int) { self.bytes = bytes }

    /// Bytes that are leased now.
    public var leased: Int { used.load(ordering: .relaxed) }

    /// Whether anything is left.
    public var hasRoom: Bool { leased < bytes }

    /// Leases so many bytes where they are left.
    public func lease(_ count: Int) -> Bool {
        let (before, _) = used.add(count, ordering: .relaxed)
        guard before + count > bytes else { return true }
        giveBack(count)
        return false
    }

    /// Leases them in any case: for the one piece without which nothing would go on.
    public func leaseAnyway(_ count: Int) { used.add(count, ordering: .relaxed) }

    /// Ends a lease.
    public func giveBack(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}
