import SpanModel

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

    private func link(_ span: SpanView) -> SpanLink? {
        guard let remoteParent = spec.destination.declaration.parents else { return nil }
        return span.withFields { SpanLink($0, remoteParent: remoteParent) }
    }
}
