import CShim

// Members with a form of their own: ids, times, kind and status.
extension SpanParser {
    // MARK: Ids

    mutating func traceID(_ text: Text) throws(Fault) -> TraceID {
        guard let id = hexTraceID(text), id.high | id.low != 0 else { throw .refused(.badTraceID) }
        return id
    }

    private mutating func hexTraceID(_ text: Text) -> TraceID? {
        var id = TraceID(high: 0, low: 0)
        switch text.count {
        case 32: return tracefwd_hex64(text.base, &id.high) && tracefwd_hex64(text.base + 16, &id.low) ? id : nil
        case 36:  // a UUID: 8-4-4-4-12 digits
            for dash in [8, 13, 18, 23] where text[dash] != UInt8(ascii: "-") { return nil }
            madeName.count = 0
            for index in 0..<text.count where ![8, 13, 18, 23].contains(index) { madeName.append(text[index]) }
            return hexTraceID(Text(madeName.base, madeName.count))
        default: return nil
        }
    }

    func spanID(_ text: Text) throws(Fault) -> UInt64 {
        var id: UInt64 = 0
        guard text.count == 16, tracefwd_hex64(text.base, &id), id != 0 else { throw .refused(.badSpanID) }
        return id
    }

    /// Nil for a root: empty, or all zero as some senders write it.
    func parentID(_ text: Text) throws(Fault) -> UInt64? {
        var id: UInt64 = 0
        if text.isEmpty { return nil }
        guard text.count == 16, tracefwd_hex64(text.base, &id) else { throw .refused(.badSpanID) }
        return id == 0 ? nil : id
    }

    // MARK: Times

    mutating func time(_ member: Member) throws(Fault) -> UInt64 {
        let value: UInt64?
        if json.byte == UInt8(ascii: "\"") {
            let text = try json.string()
            value = Times.isDigits(text) ? Times.epoch(text) : Times.rfc3339(text)
        } else {
            let number = try number(member)
            if case .integer(let whole) = number.value { value = Times.epoch(whole) } else { value = Times.epoch(number.token) }
        }
        guard let value else { throw .refused(.badTimestamp) }
        return value
    }

    mutating func unixNano(_ member: Member) throws(Fault) -> UInt64 {
        let value: UInt64?
        if json.byte == UInt8(ascii: "\"") {
            let text = try json.string()
            value = Times.isDigits(text) ? Times.nanoseconds(text) : nil
        } else {
            value = Times.nanoseconds(try number(member).token)
        }
        guard let value else { throw .refused(.badTimestamp) }
        return value
    }

    mutating func duration() throws(Fault) -> SpanDuration {
        let decimal = Decimal(try number(.durationMS).token)
        guard !decimal.isNegative || decimal.magnitude == nil else { return .negative }
        return decimal.scaled(by: 6).map { .nanoseconds($0) } ?? .beyond
    }

    // MARK: Kind and status

    mutating func kind() throws(Fault) -> UInt32 {
        if Self.beginsNumber(json.byte) {
            let value = try uint32(.kind)
            guard value <= 5 else { throw .refused(.badType(.kind)) }
            return value
        }
        let name = try text(.kind).dropPrefix("span_kind_")
        if name.matches("internal") { return 1 }
        if name.matches("server") { return 2 }
        if name.matches("client") { return 3 }
        if name.matches("producer") { return 4 }
        if name.matches("consumer") { return 5 }
        if name.matches("unspecified") { return 0 }
        throw .refused(.badType(.kind))
    }

    mutating func status() throws(Fault) {
        guard json.byte == UInt8(ascii: "{") else {
            fields.status = SpanStatus(code: try statusCode())
            return
        }
        let start = mark
        do {
            try statusMembers(surveyed: false)
        } catch {
            try again(from: start, after: error)
            try statusMembers(surveyed: true)
        }
    }

    private mutating func statusMembers(surveyed: Bool) throws(Fault) {
        var status = SpanStatus()
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let known = words.find(name)
            switch known?.name {
            case _ where duplicates.isDead(json.keyAt): try json.skip()
            case .code, .message:
                try once(known, &seen, surveyed)
                if try json.null() { break }
                if known?.name == .code { status.code = try statusCode() } else { status.message = try text(.status) }
            default:
                let made = make("tracefwd.extra.status.", name)
                try encoder.attribute(SpanTag.attributes, made, rank: .shortForm, in: &attributes, from: &json)
            }
            key = try json.nextKey()
        }
        fields.status = status
    }

    private mutating func statusCode() throws(Fault) -> UInt32 {
        if Self.beginsNumber(json.byte) {
            let value = try uint32(.status)
            guard value <= 2 else { throw .refused(.badType(.status)) }
            return value
        }
        let name = try text(.status).dropPrefix("status_code_")
        if name.matches("unset") { return 0 }
        if name.matches("ok") { return 1 }
        if name.matches("error") { return 2 }
        throw .refused(.badType(.status))
    }

    /// Takes note of a member of a known name; it may stand once, until the object has been surveyed.
    func once(_ known: NameTable<Word>.Entry?, _ seen: inout UInt64, _ surveyed: Bool) throws(Fault) {
        guard let known else { return }
        if seen & known.bit != 0, !surveyed { throw .duplicate }
        seen |= known.bit
    }
}

extension Text {
    /// Without a prefix, in either case of its letters, where it has it. `prefix` is lower case.
    func dropPrefix(_ prefix: StaticString) -> Text {
        let length = prefix.utf8CodeUnitCount
        return count >= length && Text(base, length).matches(prefix) ? dropFirst(length) : self
    }
}
