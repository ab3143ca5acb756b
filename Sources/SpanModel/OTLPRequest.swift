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
        let first = resource.first
        body.append(spans[first], from: 0, to: Int(spans[first].entry.resourceLength))
        for scope in groups.scopes[resource.scopes] {
            body.appendField(2, size: scope.size)
            let first = scope.spans.lowerBound
            body.append(spans[first], from: groups.spanStarts[first] - Int(spans[first].entry.scopeLength), to: groups.spanStarts[first])
            for index in scope.spans { body.append(spans[index], from: groups.spanStarts[index], to: Int(spans[index].entry.length)) }
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
    /// Where in its message each span's own field begins: found once, for it takes reading two lengths.
    private(set) var spanStarts: [Int] = []
    /// Bytes of the request's body.
    private(set) var requestSize = 0

    init(_ spans: [SpanView]) throws(MalformedSpan) {
        spanStarts.reserveCapacity(spans.count)
        for (index, span) in spans.enumerated() {
            guard let size = span.withParts({ $0?.spanField.count }) else { throw MalformedSpan(index: index) }
            let entry = span.entry
            spanStarts.append(Int(entry.length) - size)
            let shared = index == 0 ? (resource: false, scope: false) : shared(spans, index - 1, index)
            if shared.scope {
                scopes[scopes.count - 1].spans = scopes[scopes.count - 1].spans.lowerBound..<index + 1
                scopes[scopes.count - 1].size += size
            } else {
                if shared.resource {
                    resources[resources.count - 1].scopes = resources[resources.count - 1].scopes.lowerBound..<scopes.count + 1
                } else {
                    resources.append(Resource(first: index, scopes: scopes.count..<scopes.count + 1, size: Int(entry.resourceLength)))
                }
                scopes.append(Scope(spans: index..<index + 1, size: Int(entry.scopeLength) + size))
            }
        }
        for index in resources.indices {
            for scope in scopes[resources[index].scopes] { resources[index].size += fieldSize(scope.size) }
            requestSize += fieldSize(resources[index].size)
        }
    }

    /// Whether two spans have the same resource, and, if so, the same scope too.
    private func shared(_ spans: [SpanView], _ one: Int, _ other: Int) -> (resource: Bool, scope: Bool) {
        let (resource, scope) = (spans[other].entry.resourceLength, spans[other].entry.scopeLength)
        guard spans[one].entry.resourceLength == resource else { return (false, false) }
        let isScopeLong = spans[one].entry.scopeLength == scope
        let (oneScope, otherScope) = (spanStarts[one] - Int(scope), spanStarts[other] - Int(scope))
        return spans[one].withBytes { one in
            spans[other].withBytes { other in
                guard one.part(0, Int(resource)).equals(other.part(0, Int(resource))) else { return (false, false) }
                return (true, isScopeLong && one.part(oneScope, Int(scope)).equals(other.part(otherScope, Int(scope))))
            }
        }
    }
}

/// Bytes of a length-delimited field (with a number below 16) whose value has `size` bytes.
public func fieldSize(_ size: Int) -> Int { 1 + varintSize(UInt64(size)) + size }

extension UnsafeRawBufferPointer {
    fileprivate func part(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[start..<start + count])
    }
}

extension [UInt8] {
    /// Appends the tag of a length-delimited field with a number below 16, and the length of its value.
    public mutating func appendField(_ number: UInt8, size: Int) {
        append(number << 3 | WireType.bytes.rawValue)
        appendVarint(UInt64(size))
    }
    /// Appends a part of a span's message.
    fileprivate mutating func append(_ span: SpanView, from start: Int, to end: Int) {
        span.withBytes { append(contentsOf: $0.part(start, end - start)) }
    }
}
