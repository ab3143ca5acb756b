extension Segment {
    /// Shows each span as `forEachLLM` does. Where `body` gives a number the span gets it as an attribute, at its end (not one whose message
    /// is malformed). The same segment where no span gets any.
    ///
    /// All spans are copied, once, right behind the pass that has brought their bytes near, into room that is made before. Raw addresses,
    /// because this is done for every span that is delivered, and appending to an array asks at each of the seven pieces of a span whether
    /// it has room. Why it is safe: the room is the sum of the pieces' greatest sizes, and `MessageRoom` checks each write.
    public func adding(_ key: StaticString, _ body: (Int, SpanEntry, LLMFields) -> Double?) -> Segment {
        let attribute = doubleAttribute(key)
        // The two lengths around a span may each need a byte more than they had.
        let room = entries.reduce(0) { $0 + Int($1.length) + attribute.count + 2 }
        guard room > 0 else { return self }
        var changed: [SpanEntry] = []
        let payload = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            var copy = SegmentCopy(of: self, in: buffer)
            forEachLLM { index, entry, llm in
                guard let value = body(index, entry, llm), !llm.parts.span.isEmpty else { return }
                copy.append(upTo: index)
                copy.append(llm.parts, and: attribute, value)
            }
            guard copy.count > 0 else { return }
            copy.append(upTo: entries.count)
            (changed, count) = (copy.entries, copy.room.count)
        }
        return changed.isEmpty ? self : Segment(firstID: firstID, logOffset: logOffset, payload: payload, entries: changed)
    }

    /// The attribute's field of a `Span` message, a double of 0 at its end. The key is short.
    private func doubleAttribute(_ key: StaticString) -> [UInt8] {
        precondition(key.utf8CodeUnitCount < 100, "the lengths below have one byte")
        let name = UInt8(key.utf8CodeUnitCount)
        let tag = WireType.bytes.rawValue
        var field = [9 << 3 | tag, name + 13, 1 << 3 | tag, name]
        field.append(contentsOf: UnsafeRawBufferPointer(start: key.utf8Start, count: Int(name)))
        return field + [2 << 3 | tag, 9, 4 << 3 | WireType.fixed64.rawValue] + [UInt8](repeating: 0, count: 8)
    }
}

/// The spans of a segment, copied in their order.
private struct SegmentCopy {
    let segment: Segment
    private(set) var room: MessageRoom
    private(set) var entries: [SpanEntry]
    /// How many spans have been copied.
    private(set) var count = 0

    init(of segment: Segment, in buffer: UnsafeMutableBufferPointer<UInt8>) {
        (self.segment, entries, room) = (segment, segment.entries, MessageRoom(buffer))
    }

    /// The next spans as they are, up to the one at `end`.
    mutating func append(upTo end: Int) {
        while count < end {
            let start = room.count
            SpanView(segment: segment, index: count).withBytes { room.append($0) }
            place(from: start)
        }
    }

    /// The next span, whose parts these are, with an attribute more.
    mutating func append(_ parts: SpanParts, and attribute: [UInt8], _ value: Double) {
        let start = room.count
        room.append(parts, and: attribute, value)
        place(from: start)
    }

    private mutating func place(from start: Int) {
        entries[count].offset = UInt32(start)
        entries[count].length = UInt32(room.count - start)
        count += 1
    }
}

extension MessageRoom {
    /// The span of `parts` with an attribute more, whose last eight bytes are `value`.
    fileprivate mutating func append(_ parts: SpanParts, and attribute: [UInt8], _ value: Double) {
        let span = parts.span.count + attribute.count
        append(parts.resource)
        appendField(2, size: parts.scope.count + fieldSize(span))
        append(parts.scope)
        appendField(2, size: span)
        append(parts.span)
        attribute.withUnsafeBytes { append($0) }
        setLast(value.bitPattern.littleEndian)
    }
}
