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
    guard groups.requestSize > 0 else { return }
    // Every span that is delivered comes through here: the room is made before, and no piece asks the array for more.
    let request = [UInt8](unsafeUninitializedCapacity: groups.requestSize) { buffer, count in
        var room = MessageRoom(buffer)
        groups.write(spans, to: &room)
        count = room.count
    }
    if body.isEmpty { body = request } else { body += request }
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
        var malformed: Int?
        var before: SpanParts?
        spans.forEachMessage { index, entry, message, isNewSegment in
            guard malformed == nil, let parts = SpanParts(message, entry) else {
                malformed = malformed ?? index
                return
            }
            if isNewSegment, index > 0 {
                // What was read before lies in a segment that is not looked at any more.
                spans[index - 1].withParts { take(parts, index, entry, after: $0) }
            } else {
                take(parts, index, entry, after: before)
            }
            before = parts
        }
        if let malformed { throw MalformedSpan(index: malformed) }
        for index in resources.indices {
            for scope in scopes[resources[index].scopes] { resources[index].size += fieldSize(scope.size) }
            requestSize += fieldSize(resources[index].size)
        }
    }

    @inline(__always)
    private mutating func take(_ parts: SpanParts, _ index: Int, _ entry: SpanEntry, after before: SpanParts?) {
        let size = parts.spanField.count
        spanStarts.append(Int(entry.length) - size)
        let isResourceShared = before.map { parts.resource.equals($0.resource) } ?? false
        if isResourceShared, let before, parts.scope.equals(before.scope) {
            scopes[scopes.count - 1].spans = scopes[scopes.count - 1].spans.lowerBound..<index + 1
            scopes[scopes.count - 1].size += size
        } else {
            if isResourceShared {
                resources[resources.count - 1].scopes = resources[resources.count - 1].scopes.lowerBound..<scopes.count + 1
            } else {
                resources.append(Resource(first: index, scopes: scopes.count..<scopes.count + 1, size: Int(entry.resourceLength)))
            }
            scopes.append(Scope(spans: index..<index + 1, size: Int(entry.scopeLength) + size))
        }
    }

    /// Writes the request's body: `requestSize` bytes.
    fileprivate func write(_ spans: [SpanView], to room: inout MessageRoom) {
        var (resource, scope) = (resources[...], scopes[...])
        spans.forEachMessage { index, entry, message, _ in
            let start = spanStarts[index]
            if let next = resource.first, next.first == index {
                room.appendField(1, size: next.size)
                room.append(message.part(0, Int(entry.resourceLength)))
                resource.removeFirst()
            }
            if let next = scope.first, next.spans.lowerBound == index {
                room.appendField(2, size: next.size)
                room.append(message.part(start - Int(entry.scopeLength), Int(entry.scopeLength)))
                scope.removeFirst()
            }
            room.append(message.part(start, message.count - start))
        }
    }
}

extension [SpanView] {
    /// Calls `body` for each span with its index, its row of the directory, its message, and whether the span before is of another segment, so
    /// that its bytes may not be looked at any more. A segment is held once for adjacent spans of it: for each that took atomic operations.
    @inline(__always)
    fileprivate func forEachMessage(_ body: (Int, SpanEntry, UnsafeRawBufferPointer, Bool) -> Void) {
        var index = 0
        while index < count {
            let segment = self[index].segment
            segment.payload.withUnsafeBytes { payload in
                segment.entries.withUnsafeBufferPointer { entries in
                    let start = index
                    while index < count, self[index].segment === segment {
                        let place = self[index].index
                        // A buffer does not ask, in a release build.
                        precondition(entries.indices.contains(place), "a span that its segment does not hold")
                        let entry = entries[place]
                        body(index, entry, payload.message(of: entry), index == start)
                        index += 1
                    }
                }
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
}
