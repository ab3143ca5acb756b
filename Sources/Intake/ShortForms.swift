// Short forms: members of the span's top level that stand for attributes. Each loses to the attribute itself, wherever that stands.
extension SpanParser {
    mutating func shortForm(_ member: Member) throws(Fault) {
        switch member {
        case .model:
            fields.hasModel = true
            attribute(names.requestModel, try text(member))
        case .responseModel: attribute(names.responseModel, try text(member))
        case .provider: attribute(names.providerName, try text(member))
        case .operation: attribute(names.operationName, try text(member))
        case .input: try messages(names.inputMessages, role: "user")
        case .output: try messages(names.outputMessages, role: "assistant")
        case .usage: try usage()
        case .costUSD:
            let cost = try number(member)
            encoder.attribute(SpanTag.attributes, names.costUSD, rank: .shortForm, in: &attributes) {
                $0.write($1, number: cost)
            }
        case .sessionID: attribute(names.sessionID, try textOrDigits(member))
        case .userID: attribute(names.userID, try textOrDigits(member))
        case .environment: fields.environment = try text(member)
        case .service: fields.service = try text(member)
        case .tags: try tags()
        case .metadata: try metadata()
        case .error: try error()
        default: try json.skip()
        }
    }

    mutating func attribute(_ key: AttributeKey, _ value: Text, rank: KeyRank = .shortForm) {
        encoder.attribute(SpanTag.attributes, key, rank: rank, in: &attributes) { $0.write($1, string: value) }
    }

    private mutating func textOrDigits(_ member: Member) throws(Fault) -> Text {
        json.byte == UInt8(ascii: "\"") ? try json.string() : try number(member).token
    }

    /// `input` and `output`: any JSON as it is, but a plain string as one message of one text part.
    private mutating func messages(_ key: AttributeKey, role: StaticString) throws(Fault) {
        guard json.byte == UInt8(ascii: "\"") else {
            return try encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes, from: &json)
        }
        let content = try json.string()
        encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes) {
            $0.write($1, message: content, role: role)
        }
    }

    private mutating func tags() throws(Fault) {
        guard json.byte == UInt8(ascii: "[") else { throw .refused(.badType(.tags)) }
        encoder.keys.admit(names.tags, rank: .shortForm, to: &attributes, output: encoder.output)
        let array = encoder.open(.keyed(SpanTag.attributes, names.tags.text), container: ValueEncoder.Tag.array, depth: json.depth)
        var more = try json.firstElement()
        while more {
            encoder.write(.element, string: try text(.tags))
            more = try json.nextElement()
        }
        encoder.close(array)
        encoder.keys.complete(output: encoder.output)
    }

    private mutating func metadata() throws(Fault) {
        try expectObject(.metadata)
        var key = try json.firstKey()
        while let name = key {
            let made = make("tracefwd.metadata.", name)
            try encoder.attribute(SpanTag.attributes, made, rank: .shortForm, in: &attributes, from: &json)
            key = try json.nextKey()
        }
    }

    // MARK: Error

    private mutating func error() throws(Fault) {
        guard json.byte == UInt8(ascii: "{") else {
            let text = try text(.error)
            fields.errorStatus = SpanStatus(code: 2, message: text)
            return attribute(names.errorType, text)
        }
        let start = mark
        do {
            try errorMembers(surveyed: false)
        } catch {
            try again(from: start, after: error)
            try errorMembers(surveyed: true)
        }
    }

    private mutating func errorMembers(surveyed: Bool) throws(Fault) {
        var message = Text("")
        var seen: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let known = words.find(name)
            switch known?.name {
            case _ where duplicates.isDead(json.keyAt): try json.skip()
            case .type, .message:
                try once(known, &seen, surveyed)
                if try json.null() { break }
                if known?.name == .message { message = try text(.error) } else { attribute(names.errorType, try text(.error)) }
            default:
                let made = make("tracefwd.extra.error.", name)
                try encoder.attribute(SpanTag.attributes, made, rank: .shortForm, in: &attributes, from: &json)
            }
            key = try json.nextKey()
        }
        fields.errorStatus = SpanStatus(code: 2, message: message)
    }
}
