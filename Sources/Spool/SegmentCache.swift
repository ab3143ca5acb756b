import SpanModel
import Synchronization

/// Decoded segments that several readers want. What was just committed is in it, so live traffic is delivered without reading the disk.
/// Two generations: what is used moves to the young one; when that holds half of the bytes allowed it becomes the old one, and what nobody
/// used since is let go. Every step is O(1), however small the segments are.
final class SegmentCache: Sendable {
    private struct Generations {
        var young: [Int64: Segment] = [:]
        var old: [Int64: Segment] = [:]
        var youngBytes = 0
    }
    private let state = Mutex(Generations())
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func insert(_ segment: Segment) {
        state.withLock { insert(segment, into: &$0) }
    }

    /// The segment that begins at this id.
    func segment(from firstID: Int64) -> Segment? {
        state.withLock { state in
            if let young = state.young[firstID] { return young }
            guard let old = state.old.removeValue(forKey: firstID) else { return nil }
            insert(old, into: &state)
            return old
        }
    }

    private func insert(_ segment: Segment, into state: inout Generations) {
        let cost = Self.cost(segment)
        if state.youngBytes + cost > bytesMax / 2 {
            state.old = state.young
            state.young = [:]
            state.youngBytes = 0
        }
        if state.young.updateValue(segment, forKey: segment.firstID) == nil { state.youngBytes += cost }
    }

    /// What a segment holds in memory: its bytes, its directory, and the objects around them.
    private static func cost(_ segment: Segment) -> Int {
        segment.payload.count + segment.entries.count * MemoryLayout<SpanEntry>.stride + 256
    }
}
