/// A stored message that is not laid out as `SpanEntry` says, so it cannot be sent on.
public struct MalformedSpan: Error, Equatable, CustomStringConvertible {
    /// The span's place among those that were to be written.
    public let index: Int

    /// What is wrong, and where.
    public var description: String { "span \(index): its stored bytes are no ResourceSpans message" }
}

/// Appends the protobuf body of an `ExportTraceServiceRequest`, merging adjacent spans of equal resource and scope. No span is decoded:
/// what is stored of it is copied, once, behind the sizes.
public func appendOTLPRequest(_ spans: [SpanView], to body: inout [UInt8]) throws(MalformedSpan) {
    let groups = try OTLPGroups(spans)
    body.reserveCapacity(body.count + groups.requestSize)
    for resource in groups.resources {
        body.appendField(1, size: resource.size)
        spans[resource.first].withParts { if let parts = $0 { body.append(contentsOf: parts.resource) } }
        for scope in groups.scopes[resource.scopes] {
            body.appendField(2, size: scope.size)
            spans[scope.spans.lowerBound].withParts { if let parts = $0 { body.append(contentsOf: parts.scope) } }
            for span in spans[scope.spans] {
                span.withParts { if let parts = $0 { body.append(contentsOf: parts.spanField) } }
            }
        }
    }
}

/// How adjacent spans share resources and scopes, and the sizes of the messages that result. Equal means equal bytes.
struct OTLPGroups {
    struct Resource {
        /// The index of the first span.
        var first: Int
        /// Indices into `scopes`.
        var scopes: Range<Int>
        /// Bytes of the `ResourceSpans` message.
        var size: Int
    }

    struct Scope {
        var spans: Range<Int>
        /// Bytes of the `ScopeSpans` message.
        var size: Int
    }

    private(set) var resources: [Resource] = []
    private(set) var scopes: [Scope] = []
    /// Bytes of the request's body.
    private(set) var requestSize = 0

    init(_ spans: [SpanView]) throws(MalformedSpan) {
        for (index, span) in spans.enumerated() {
            guard let sizes = span.withParts({ $0.map { (resource: $0.resource.count, scope: $0.scope.count, span: $0.spanField.count) } })
            else { throw MalformedSpan(index: index) }
            let shared = index == 0 ? (resource: false, scope: false) : Self.shared(spans[index - 1], span)
            if shared.scope {
                scopes[scopes.count - 1].spans = scopes[scopes.count - 1].spans.lowerBound..<index + 1
                scopes[scopes.count - 1].size += sizes.span
            } else {
                if shared.resource {
                    resources[resources.count - 1].scopes = resources[resources.count - 1].scopes.lowerBound..<scopes.count + 1
                } else {
                    resources.append(Resource(first: index, scopes: scopes.count..<scopes.count + 1, size: sizes.resource))
                }
                scopes.append(Scope(spans: index..<index + 1, size: sizes.scope + sizes.span))
            }
        }
        for index in resources.indices {
            for scope in scopes[resources[index].scopes] { resources[index].size += fieldSize(scope.size) }
            requestSize += fieldSize(resources[index].size)
        }
    }

    /// Whether two spans have the same resource, and, if so, the same scope too.
    private static func shared(_ one: SpanView, _ other: SpanView) -> (resource: Bool, scope: Bool) {
        guard one.entry.resourceLength == other.entry.resourceLength else { return (false, false) }
        return one.withParts { one in
            other.withParts { other in
                guard let one, let other, one.resource.equals(other.resource) else { return (false, false) }
                return (true, one.scope.equals(other.scope))
            }
        }
    }
}

/// Bytes of a length-delimited field (with a number below 16) whose value has `size` bytes.
func fieldSize(_ size: Int) -> Int { 1 + varintSize(UInt64(size)) + size }

extension [UInt8] {
    /// Appends the tag of a length-delimited field with a number below 16, and the length of its value.
    mutating func appendField(_ number: UInt8, size: Int) {
        append(number << 3 | WireType.bytes.rawValue)
        appendVarint(UInt64(size))
    }
}
