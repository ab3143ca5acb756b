import Pipeline
import SpanModel
import Spool

// What a destination has got of the traces' trees, where its platform shows no span whose parent never comes.
extension Lane {
    /// A route keeps the span from the destination.
    func drop(_ span: SpanView) {
        if parents != nil, let link = link(span) { parents?.drop(link) }
    }

    /// The spans' places in their traces as they are sent now, one for each; empty where nobody asks.
    func links(of spans: [SpanView]) -> [SpanLink?] {
        guard let parents else { return [] }
        return spans.map { link($0).map(parents.resolve) }
    }

    /// The platform took spans that were sent with these links.
    func deliver(_ links: ArraySlice<SpanLink?>, now: UInt64) {
        for case let link? in links { parents?.deliver(link, now: now) }
    }

    fileprivate func link(_ span: SpanView) -> SpanLink? {
        guard let remoteParent = spec.destination.declaration.parents else { return nil }
        return span.withFields { SpanLink($0, remoteParent: remoteParent) }
    }
}

extension Loop {
    /// Spans of the log that are read again, at most: what a trace that spans a start has behind it.
    private static let recalledMax: Int64 = 1 << 14

    /// Reads again what the destination had before this start, by the rules as they are now: a parent that was dropped or delivered then is
    /// known to its children that come now. What the log says of a span is whether routes send it; one that went over a limit, expired or
    /// became a dead letter counts as delivered. What history does not hold any more, or cannot be read, is not known.
    func recallParents(_ lane: Lane) {
        guard lane.parents != nil, lane.recallsParents else { return }
        lane.recallsParents = false
        guard lane.constant?.delivers != false else { return }
        let position = lane.cursor.position
        let base = log.status.consumers.values.first { $0.id == lane.consumer }?.base ?? position
        let first = max(base + 1, position - Self.recalledMax + 1)
        // A router of its own: what is counted of rules is not counted again.
        let router = Router(lane.rules)
        var parents = ParentMemory()
        let (now, wall) = (clock.monotonic(), clock.wall())
        for ids in (first <= position ? [first...position] : []) + lane.cursor.settled {
            var next = ids.lowerBound
            while next <= ids.upperBound, let segment = try? reader.segment(holding: next) {
                let routed = lane.constant == nil ? router.route(segment) : nil
                for index in segment.entries.indices where ids.contains(segment.firstID + Int64(index)) {
                    guard let link = lane.link(SpanView(segment: segment, index: index)) else { continue }
                    let age = wall - min(wall, segment.entries[index].receivedAt)
                    if routed?.decision(index, for: lane.place).delivers ?? true {
                        parents.deliver(parents.resolve(link), now: now - min(now, age))
                    } else {
                        parents.drop(link)
                    }
                }
                next = segment.lastID + 1
            }
        }
        parents.advance(now: now)
        parents.forgetOrphans()
        lane.parents = parents
    }
}
