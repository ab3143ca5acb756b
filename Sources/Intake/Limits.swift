import SpanModel

/// What a span may cost. Whatever is beyond is rejected, the line behind it is read as if nothing had happened.
public struct IntakeLimits: Sendable, Equatable {
    /// Bytes of one line (`too_large`).
    public var spanBytes: Int
    /// Objects and arrays within each other, the span itself being the first (`too_deep`). At most `depthMax`: nesting costs stack.
    public var depth: Int
    /// Attributes of the span, short forms and unknown members included (`too_large`).
    public var attributes: Int

    /// The most that `depth` can be.
    public static let depthMax = 512

    /// The contract's limits, where nothing else is said.
    public init(spanBytes: Int = 4 << 20, depth: Int = 64, attributes: Int = 1_000) {
        self.spanBytes = spanBytes
        self.depth = min(max(depth, 1), Self.depthMax)
        self.attributes = attributes
    }
}

/// What the source knows of a line and the line does not say. Made once a read.
public struct Stamp: Sendable, Equatable {
    /// When tracefwd took the bytes, nanoseconds of the Unix epoch.
    public var receivedAt: UInt64
    /// The user id of the writer, or `SpanEntry.unknownSender`.
    public var sender: UInt32
    /// The door they came through.
    public var source: SourceID

    /// A stamp for the lines of one read.
    public init(receivedAt: UInt64, sender: UInt32 = SpanEntry.unknownSender, source: SourceID) {
        self.receivedAt = receivedAt
        self.sender = sender
        self.source = source
    }
}
