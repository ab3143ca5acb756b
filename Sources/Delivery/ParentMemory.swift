public import SpanModel

/// A span of a trace, by the low half of the trace's id and its own id: enough to know it again.
public struct SpanKey: Hashable, Sendable {
    /// The low half of the trace's id.
    public let trace: UInt64
    /// The span.
    public let span: SpanID

    /// A span of a trace.
    public init(trace: UInt64, span: SpanID) {
        self.trace = trace
        self.span = span
    }
}

/// A span and the parent that it hangs under.
public struct SpanLink: Equatable, Sendable {
    /// What becomes of a parent in another service (`Span.flags`, bits 8 and 9), which may report elsewhere.
    public enum RemoteParent: String, Sendable {
        /// It stays the parent.
        case keep
        /// The span becomes a root.
        case root
    }

    /// The span itself.
    public let key: SpanKey
    /// Its parent; nil for a root.
    public var parent: SpanID?

    /// A span under its parent.
    public init(key: SpanKey, parent: SpanID?) {
        self.key = key
        self.parent = parent
    }

    /// The link of a span; nil where it has no ids.
    public init?(_ span: SpanFields, remoteParent: RemoteParent) {
        guard let trace = TraceID(span.traceID), let id = SpanID(span.spanID) else { return nil }
        let isRemote = span.flags & Self.remoteFlags == Self.remoteFlags
        self.init(
            key: SpanKey(trace: UInt64(truncatingIfNeeded: trace.bits), span: id),
            parent: isRemote && remoteParent == .root ? nil : SpanID(span.parentSpanID))
    }

    /// "Whether the parent is remote is known" and "it is".
    private static let remoteFlags: UInt32 = 0x300
}

/// What a destination has got of a trace's tree, for platforms that show no span whose parent never comes (contract `langsmith`, 2.4): spans
/// whose parent a route dropped hang under the nearest ancestor that it did not drop, and those whose parent is missing are counted.
///
/// Bounded, oldest forgotten first; a start reads the log's end again for it (LaneParents.swift). What it has forgotten counts as a parent
/// that may still come. It never holds a span back: where a child was sent before its parent was dropped, the child is counted.
public struct ParentMemory: Sendable {
    /// Spans that were sent under a parent that was dropped, or not delivered in time.
    public private(set) var orphans: Int64 = 0
    /// How long a parent is waited for before its children count.
    public let patience: Duration

    private var delivered: RecentMap<SpanKey, Void>
    /// What routes dropped, and what that hung under.
    private var dropped: RecentMap<SpanKey, SpanID?>
    /// Parents that have not come, by age.
    private var awaited: RecentMap<SpanKey, Awaited>

    private struct Awaited: Sendable {
        var children: Int64
        /// Monotonic nanoseconds.
        var since: UInt64
    }

    /// `entriesMax` bounds each of the three things it remembers: 131,072 entries take at most about 10 MiB.
    public init(entriesMax: Int = 1 << 17, patience: Duration = .seconds(3600)) {
        self.patience = patience
        delivered = RecentMap(entriesMax: entriesMax)
        dropped = RecentMap(entriesMax: entriesMax)
        awaited = RecentMap(entriesMax: entriesMax)
    }

    /// The link as it is to be sent.
    public func resolve(_ link: SpanLink) -> SpanLink {
        var link = link
        // A chain of ids that senders chose may be a ring.
        for _ in 0..<Self.generationsMax {
            guard let parent = link.parent, let above = dropped[SpanKey(trace: link.key.trace, span: parent)] else { return link }
            link.parent = above == link.key.span ? nil : above
        }
        link.parent = nil
        return link
    }

    /// A route dropped the span. Children that were sent before have no parent any more.
    public mutating func drop(_ link: SpanLink) {
        dropped.insert(link.key, link.parent)
        if let waiting = awaited.remove(link.key) { orphans += waiting.children }
    }

    /// The destination took the span, sent under the parent that `link` says. `now` in monotonic nanoseconds.
    public mutating func deliver(_ link: SpanLink, now: UInt64) {
        guard delivered[link.key] == nil else { return }  // once more
        delivered.insert(link.key, ())
        dropped.remove(link.key)  // the rules have changed
        awaited.remove(link.key)
        guard let parent = link.parent.map({ SpanKey(trace: link.key.trace, span: $0) }), delivered[parent] == nil else { return }
        if dropped[parent] != nil {
            orphans += 1  // between sending and the answer
        } else {
            let before = awaited[parent] ?? Awaited(children: 0, since: now)
            awaited.insert(parent, Awaited(children: before.children + 1, since: before.since))
        }
    }

    /// Counts the children of parents that have been waited for too long.
    public mutating func advance(now: UInt64) {
        while let oldest = awaited.oldest?.value, now >= oldest.since &+ patience.nanosecondsClamped {
            awaited.removeOldest()
            orphans += oldest.children
        }
    }

    /// Counts from here on: what was counted before a start has been told then.
    mutating func forgetOrphans() { orphans = 0 }

    /// Ancestors in a row that routes dropped, above which a span becomes a root.
    private static let generationsMax = 1_000
}
