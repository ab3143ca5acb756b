import SpanModel

/// Reads one line after the other into what `assemble` makes an OTLP message of. Members of the span come in any order, those of the message
/// in one: so each part is encoded at once where it is met, into a buffer of its own, and copied once when all is known.
struct SpanParser: ~Copyable {
    let limits: IntakeLimits
    var ids: IDGenerator
    var json: JSONScanner
    /// Holds the span's attributes at its beginning; parts of other messages only while these are read.
    var encoder = ValueEncoder()
    /// The span's attributes.
    var attributes = KeyIndex.Frame.none
    /// What is not repeated.
    var fields = SpanFields()
    /// `Span.events` and `Span.links`, tags included; the messages `Resource` and `InstrumentationScope`.
    var events = Buffer<UInt8>(capacity: 4_096)
    var links = Buffer<UInt8>(capacity: 1_024)
    var resource = Buffer<UInt8>(capacity: 1_024)
    var scope = Buffer<UInt8>(capacity: 1_024)
    /// Places in `events` that wait for the span's end time.
    var untimedEvents = Buffer<Int>(capacity: 16)
    /// Names put together from pieces. Good until the next one.
    var madeName = Buffer<UInt8>(capacity: 256)
    var duplicates = Duplicates()
    var endBeforeStart: UInt64 = 0

    let members = NameTable<Member>(number: 1)
    let words = NameTable<Word>(number: 2)
    let usageNames = NameTable<UsageName>(number: 3)
    let names = AttributeKeys()

    init(limits: IntakeLimits, ids: IDGenerator) {
        self.limits = limits
        self.ids = ids
        json = JSONScanner(depthMax: limits.depth)
    }

    /// Reads a line; gives the value of a control line, nil for a span.
    mutating func read(_ line: Text, acceptsAck: Bool) throws(Rejection) -> Text? {
        guard line.count <= limits.spanBytes else { throw .tooLarge }
        begin(line)
        do throws(Fault) {
            if acceptsAck, let value = try controlLine() { return value }
            guard try json.next() == UInt8(ascii: "{") else { throw .refused(.notAnObject) }
            try span()
            try json.finish()
            return nil
        } catch {
            throw verdict(on: line, after: error)
        }
    }

    private mutating func begin(_ line: Text) {
        json.begin(line)
        encoder.empty()
        attributes = .none
        fields = SpanFields()
        events.empty(keeping: 1 << 20)
        links.empty(keeping: 1 << 20)
        resource.empty(keeping: 1 << 20)
        scope.empty(keeping: 1 << 20)
        untimedEvents.empty(keeping: 4_096)
        madeName.empty(keeping: 1 << 16)
        duplicates.empty()
    }

    /// What is wrong with the line: that it is no JSON, if it is none to the end, before what its members mean.
    private mutating func verdict(on line: Text, after fault: Fault) -> Rejection {
        guard case .refused(let rejection) = fault else {
            if case .malformed(let rejection) = fault { return rejection }
            return .invalidJSON
        }
        do throws(Fault) {
            json.begin(line)
            _ = try json.next()
            try json.skip()
            try json.finish()
            return rejection
        } catch {
            if case .malformed(let rejection) = error { return rejection }
            return rejection
        }
    }

    /// The value of `{"ack": ...}`. Nil if this is no control line; it is then to be read from its beginning.
    private mutating func controlLine() throws(Fault) -> Text? {
        guard json.mayBegin(with: "ack") else { return nil }
        let start = json.mark
        guard try json.next() == UInt8(ascii: "{") else { return nil }
        var value: Text?
        var key = try json.firstKey()
        while let name = key {
            guard name.text == Text("ack") else {
                value = nil
                break
            }
            let at = json.at
            try json.skip()
            value = Text(at, json.at - at)
            key = try json.nextKey()
        }
        guard let value else {
            json.rewind(to: start)
            return nil
        }
        try json.finish()
        guard value[0] == UInt8(ascii: "\"") || Self.beginsNumber(value[0]) else { throw .refused(.badType(.ack)) }
        return value
    }

    // MARK: Objects whose members are read as they come

    /// All that reading an object may add to, so that it can be read again.
    struct Mark {
        let json: JSONScanner.Mark
        let output: Int
        let keys: Int
        let events: Int
        let links: Int
        let untimedEvents: Int
    }

    var mark: Mark {
        Mark(
            json: json.mark, output: encoder.output.count, keys: encoder.keys.count, events: events.count, links: links.count,
            untimedEvents: untimedEvents.count)
    }

    private mutating func rewind(to mark: Mark) {
        json.rewind(to: mark.json)
        encoder.output.count = mark.output
        encoder.keys.cut(to: mark.keys)
        events.count = mark.events
        links.count = mark.links
        untimedEvents.count = mark.untimedEvents
    }

    /// Goes back to an object that was read in vain, if leaving out replaced members can help; throws the fault again if it cannot.
    mutating func again(from mark: Mark, after fault: Fault) throws(Fault) {
        if case .malformed = fault { throw fault }
        rewind(to: mark)
        let found = try duplicates.survey(&json)
        guard found || fault.isDuplicate else { throw fault }
        rewind(to: mark)
    }

    private mutating func span() throws(Fault) {
        let start = mark
        do {
            try spanMembers(surveyed: false)
        } catch {
            try again(from: start, after: error)
            fields = SpanFields()
            attributes = .none
            resource.count = 0
            scope.count = 0
            try spanMembers(surveyed: true)
        }
    }

    private mutating func spanMembers(surveyed: Bool) throws(Fault) {
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            if duplicates.isDead(json.keyAt) {
                try json.skip()
            } else if let known = members.find(name), known.name != .ack {
                if seen & known.bit != 0, !surveyed { throw .duplicate }
                seen |= known.bit
                if try !json.null() { try member(known.name) }
            } else {
                let made = attributeKey(name)
                try encoder.attribute(SpanTag.attributes, made, rank: .unknownMember, in: &attributes, from: &json)
            }
            key = try json.nextKey()
        }
    }

    private mutating func member(_ member: Member) throws(Fault) {
        switch member {
        case .traceID: fields.traceID = try traceID(text(member))
        case .traceState: fields.traceState = try text(member)
        case .flags: fields.flags = try uint32(member)
        case .spanID: fields.spanID = try spanID(text(member))
        case .parentSpanID: fields.parentSpanID = try parentID(text(member))
        case .name: fields.name = try text(member)
        case .kind: fields.kind = try kind()
        case .startTime: fields.startTime = try time(member)
        case .endTime: fields.endTime = try time(member)
        case .startTimeUnixNano: fields.startTimeUnixNano = try unixNano(member)
        case .endTimeUnixNano: fields.endTimeUnixNano = try unixNano(member)
        case .durationMS: fields.duration = try duration()
        case .status: try status()
        case .attributes:
            try expectObject(member)
            try encoder.attributes(SpanTag.attributes, in: &attributes, from: &json)
        case .events: try eventList()
        case .links: try linkList()
        case .resource: try resourceAttributes()
        case .scope: try instrumentationScope()
        case .schemaURL: fields.schemaURL = try text(member)
        case .droppedAttributesCount: fields.droppedAttributes = try uint32(member)
        case .droppedEventsCount: fields.droppedEvents = try uint32(member)
        case .droppedLinksCount: fields.droppedLinks = try uint32(member)
        default: try shortForm(member)
        }
    }

    // MARK: Values of one type

    static func beginsNumber(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "-") || decimalDigit(byte) != nil }

    mutating func text(_ member: Member) throws(Fault) -> Text {
        guard json.byte == UInt8(ascii: "\"") else { throw .refused(.badType(member)) }
        return try json.string()
    }

    mutating func number(_ member: Member) throws(Fault) -> Number {
        guard Self.beginsNumber(json.byte) else { throw .refused(.badType(member)) }
        return try json.number()
    }

    mutating func uint32(_ member: Member) throws(Fault) -> UInt32 {
        guard case .integer(let value) = try number(member).value, let result = UInt32(exactly: value) else {
            throw .refused(.badType(member))
        }
        return result
    }

    func expectObject(_ member: Member) throws(Fault) {
        guard json.byte == UInt8(ascii: "{") else { throw .refused(.badType(member)) }
    }

    /// The key of the attribute that an unknown member becomes.
    mutating func attributeKey(_ name: Key) -> AttributeKey {
        name.text.contains(UInt8(ascii: ".")) ? AttributeKey(name) : make("tracefwd.extra.", name)
    }

    mutating func make(_ prefix: StaticString, _ name: Key) -> AttributeKey {
        madeName.count = 0
        madeName.append(Text(prefix))
        madeName.append(name.text)
        return AttributeKey(madeName.text)
    }
}

extension Fault {
    var isDuplicate: Bool {
        if case .duplicate = self { return true }
        return false
    }
}
