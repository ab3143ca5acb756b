/// One span as everything behind the spool reads it: its stored OTLP bytes, and members read from them on demand.
public struct SpanView: Sendable {
    /// The segment that holds the bytes.
    public let segment: Segment
    /// The span's place in the segment.
    public let index: Int

    /// A view of span `index` of a segment.
    public init(segment: Segment, index: Int) {
        self.segment = segment
        self.index = index
    }

    /// The span's id in the spool's log.
    public var id: Int64 { segment.firstID + Int64(index) }
    /// Its row in the segment's directory.
    public var entry: SpanEntry { segment.entries[index] }

    /// The stored `ResourceSpans` message.
    @inlinable
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let entry = segment.entries[index]
        return try segment.payload.withUnsafeBytes { all in
            try body(UnsafeRawBufferPointer(rebasing: all[Int(entry.offset)..<Int(entry.offset) + Int(entry.length)]))
        }
    }
}
