// The messages within a span that hold attributes of their own: events, links, resource, scope. Their attributes are written behind the
// span's, copied to where they belong, and cut off again.
extension SpanParser {
    // MARK: Events

    mutating func eventList() throws(Fault) {
        guard json.byte == UInt8(ascii: "[") else { throw .refused(.badType(.events)) }
        var more = try json.firstElement()
        while more {
            try expectObject(.events)
            let start = mark
            do {
                try event(surveyed: false)
            } catch {
                try again(from: start, after: error)
                try event(surveyed: true)
            }
            more = try json.nextElement()
        }
    }

    private mutating func event(surveyed: Bool) throws(Fault) {
        let start = encoder.output.count
        var frame = encoder.keys.open()
        var eventName = Text("")
        var eventTime: UInt64?
        var dropped: UInt32 = 0
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let known = words.find(name)
            switch known?.name {
            case _ where duplicates.isDead(json.keyAt): try json.skip()
            case .name, .time, .attributes, .droppedAttributesCount:
                try once(known, &seen, surveyed)
                if try json.null() { break }
                switch known?.name {
                case .name: eventName = try text(.events)
                case .time: eventTime = try time(.events)
                case .attributes:
                    try expectObject(.events)
                    try encoder.attributes(SpanTag.eventAttributes, in: &frame, from: &json)
                default: dropped = try uint32(.events)
                }
            default:
                let made = attributeKey(name)
                try encoder.attribute(SpanTag.eventAttributes, made, rank: .unknownMember, in: &frame, from: &json)
            }
            key = try json.nextKey()
        }
        encoder.keys.settle(&frame, output: encoder.output)
        let attributeBytes = encoder.keys.living(in: frame).bytes
        let size = 9 + textFieldSize(eventName) + attributeBytes + countFieldSize(dropped)
        var pen = events.pen(room: fieldSize(size))
        pen.head(SpanTag.events, size)
        pen.byte(SpanTag.eventTime)
        if eventTime == nil { untimedEvents.append(pen.at - events.base) }
        pen.fixed64(eventTime ?? 0)
        pen.field(SpanTag.eventName, eventName)
        encoder.keys.write(frame, from: encoder.output, to: &pen)
        pen.count(SpanTag.eventDroppedAttributes, dropped)
        events.close(pen)
        drop(frame, from: start)
    }

    // MARK: Links

    mutating func linkList() throws(Fault) {
        guard json.byte == UInt8(ascii: "[") else { throw .refused(.badType(.links)) }
        var more = try json.firstElement()
        while more {
            try expectObject(.links)
            let start = mark
            do {
                try link(surveyed: false)
            } catch {
                try again(from: start, after: error)
                try link(surveyed: true)
            }
            more = try json.nextElement()
        }
    }

    private mutating func link(surveyed: Bool) throws(Fault) {
        let start = encoder.output.count
        var frame = encoder.keys.open()
        var linkedTrace: TraceID?
        var linkedSpan: UInt64?
        var traceState = Text("")
        var flags: UInt32 = 0
        var dropped: UInt32 = 0
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let known = words.find(name)
            switch known?.name {
            case _ where duplicates.isDead(json.keyAt): try json.skip()
            case .traceID, .spanID, .traceState, .flags, .attributes, .droppedAttributesCount:
                try once(known, &seen, surveyed)
                if try json.null() { break }
                switch known?.name {
                case .traceID: linkedTrace = try traceID(idText(or: .badTraceID))
                case .spanID: linkedSpan = try spanID(idText(or: .badSpanID))
                case .traceState: traceState = try text(.links)
                case .flags: flags = try uint32(.links)
                case .attributes:
                    try expectObject(.links)
                    try encoder.attributes(SpanTag.linkAttributes, in: &frame, from: &json)
                default: dropped = try uint32(.links)
                }
            default:
                let made = attributeKey(name)
                try encoder.attribute(SpanTag.linkAttributes, made, rank: .unknownMember, in: &frame, from: &json)
            }
            key = try json.nextKey()
        }
        guard let linkedTrace else { throw .refused(.badTraceID) }
        guard let linkedSpan else { throw .refused(.badSpanID) }
        encoder.keys.settle(&frame, output: encoder.output)
        let attributeBytes = encoder.keys.living(in: frame).bytes
        let size = 18 + 10 + textFieldSize(traceState) + attributeBytes + countFieldSize(dropped) + (flags == 0 ? 0 : 5)
        var pen = links.pen(room: fieldSize(size))
        pen.head(SpanTag.links, size)
        pen.id(SpanTag.linkTraceID, linkedTrace)
        pen.id(SpanTag.linkSpanID, linkedSpan)
        pen.field(SpanTag.linkTraceState, traceState)
        encoder.keys.write(frame, from: encoder.output, to: &pen)
        pen.count(SpanTag.linkDroppedAttributes, dropped)
        if flags != 0 {
            pen.byte(SpanTag.linkFlags)
            pen.fixed32(flags)
        }
        links.close(pen)
        drop(frame, from: start)
    }

    /// An id of a link: whatever is not text is no id.
    private mutating func idText(or rejection: Rejection) throws(Fault) -> Text {
        guard json.byte == UInt8(ascii: "\"") else { throw .refused(rejection) }
        return try json.string()
    }

    // MARK: Resource and scope

    mutating func resourceAttributes() throws(Fault) {
        try expectObject(.resource)
        let start = encoder.output.count
        var frame = encoder.keys.open()
        try encoder.attributes(SpanTag.resourceAttributes, in: &frame, from: &json)
        encoder.keys.settle(&frame, output: encoder.output)
        var pen = resource.pen(room: encoder.keys.living(in: frame).bytes)
        encoder.keys.write(frame, from: encoder.output, to: &pen)
        resource.close(pen)
        fields.resourceHasService = encoder.keys.find(names.serviceName, in: frame, encoder.output) != nil
        fields.resourceHasEnvironment = encoder.keys.find(names.environmentName, in: frame, encoder.output) != nil
        drop(frame, from: start)
    }

    mutating func instrumentationScope() throws(Fault) {
        try expectObject(.scope)
        let start = mark
        do {
            try scopeMembers(surveyed: false)
        } catch {
            try again(from: start, after: error)
            try scopeMembers(surveyed: true)
        }
    }

    private mutating func scopeMembers(surveyed: Bool) throws(Fault) {
        let start = encoder.output.count
        var frame = encoder.keys.open()
        var scopeName = Text("")
        var version = Text("")
        var dropped: UInt32 = 0
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let known = words.find(name)
            switch known?.name {
            case _ where duplicates.isDead(json.keyAt): try json.skip()
            case .name, .version, .attributes, .droppedAttributesCount:
                try once(known, &seen, surveyed)
                if try json.null() { break }
                switch known?.name {
                case .name: scopeName = try text(.scope)
                case .version: version = try text(.scope)
                case .attributes:
                    try expectObject(.scope)
                    try encoder.attributes(SpanTag.scopeAttributes, in: &frame, from: &json)
                default: dropped = try uint32(.scope)
                }
            default:
                let made = attributeKey(name)
                try encoder.attribute(SpanTag.scopeAttributes, made, rank: .unknownMember, in: &frame, from: &json)
            }
            key = try json.nextKey()
        }
        encoder.keys.settle(&frame, output: encoder.output)
        let attributeBytes = encoder.keys.living(in: frame).bytes
        var pen = scope.pen(room: textFieldSize(scopeName) + textFieldSize(version) + attributeBytes + countFieldSize(dropped))
        pen.field(SpanTag.scopeName, scopeName)
        pen.field(SpanTag.scopeVersion, version)
        encoder.keys.write(frame, from: encoder.output, to: &pen)
        pen.count(SpanTag.scopeDroppedAttributes, dropped)
        scope.close(pen)
        drop(frame, from: start)
    }

    /// Cuts off a part that has been copied.
    private mutating func drop(_ frame: KeyIndex.Frame, from start: Int) {
        encoder.output.count = start
        encoder.keys.cut(to: frame.base)
    }
}

extension Pen {
    mutating func id(_ tag: UInt8, _ id: TraceID) {
        byte(tag)
        byte(16)
        fixed64(id.high.byteSwapped)
        fixed64(id.low.byteSwapped)
    }

    mutating func id(_ tag: UInt8, _ id: UInt64) {
        byte(tag)
        byte(8)
        fixed64(id.byteSwapped)
    }

    /// A uint32 or enum field; nothing where it is 0, as proto3 has it.
    mutating func count(_ tag: UInt8, _ value: UInt32) {
        guard value != 0 else { return }
        byte(tag)
        varint(UInt64(value))
    }
}

func textFieldSize(_ text: Text) -> Int { text.isEmpty ? 0 : fieldSize(text.count) }

func countFieldSize(_ value: UInt32) -> Int { value == 0 ? 0 : 1 + lengthSize(Int(value)) }
