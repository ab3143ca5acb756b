// The short form `usage`: the contract's own names, and the usage objects of OpenAI (chat, responses) and Anthropic as they come.
extension SpanParser {
    /// The counts that have an attribute of their own. A member of the contract's own name beats a provider's, then the later one wins.
    private struct Counts {
        struct Count {
            var value: Int64?
            private var isOwn = false

            mutating func take(_ new: Int64, isOwn: Bool) {
                guard isOwn || !self.isOwn else { return }
                value = new
                self.isOwn = isOwn
            }
        }

        var input = Count()
        var output = Count()
        var cacheRead = Count()
        var cacheWrite = Count()
        var reasoning = Count()
        var isAnthropic = false

        /// Anthropic's `input_tokens` leave out what its two cache counts hold; the attribute includes them (otlp contract, "Totals").
        var inputTotal: Int64? {
            guard isAnthropic, let value = input.value else { return input.value }
            let (read, over) = value.addingReportingOverflow(cacheRead.value ?? 0)
            let (total, carried) = read.addingReportingOverflow(cacheWrite.value ?? 0)
            return over || carried ? value : total
        }
    }

    mutating func usage() throws(Fault) {
        try expectObject(.usage)
        let start = mark
        do {
            try usageMembers(surveyed: false)
        } catch {
            try again(from: start, after: error)
            try usageMembers(surveyed: true)
        }
    }

    private mutating func usageMembers(surveyed: Bool) throws(Fault) {
        var counts = Counts()
        // Every key of the object leaves a bit: if one is set already, the key may be there twice. Then its members, which unknown ones
        // spread over several attributes, must not mix.
        var filter: UInt64 = 0
        var key = try json.firstKey()
        while let name = key {
            let bit: UInt64 = 1 << UInt64(name.hash >> 8 & 63)
            if filter & bit != 0, !surveyed { throw .duplicate }
            filter |= bit
            if duplicates.isDead(json.keyAt) {
                try json.skip()
            } else if let known = usageNames.find(name), known.name != .cachedTokens {
                if try !json.null() { try usageMember(known.name, name, &counts) }
            } else if json.byte == UInt8(ascii: "{"), name.text.count <= 128 {
                try nested(name)
            } else {
                try keep(make("gen_ai.usage.", name))
            }
            key = try json.nextKey()
        }
        write(names.inputTokens, counts.inputTotal)
        write(names.outputTokens, counts.output.value)
        write(names.cacheReadTokens, counts.cacheRead.value)
        write(names.cacheWriteTokens, counts.cacheWrite.value)
        write(names.reasoningTokens, counts.reasoning.value)
    }

    private mutating func usageMember(_ known: UsageName, _ name: Key, _ counts: inout Counts) throws(Fault) {
        switch known {
        case .inputTokens: try count(names.inputTokens, &counts.input, isOwn: true)
        case .promptTokens: try count(names.inputTokens, &counts.input, isOwn: false)
        case .outputTokens: try count(names.outputTokens, &counts.output, isOwn: true)
        case .completionTokens: try count(names.outputTokens, &counts.output, isOwn: false)
        case .cacheReadTokens: try count(names.cacheReadTokens, &counts.cacheRead, isOwn: true)
        case .cacheWriteTokens: try count(names.cacheWriteTokens, &counts.cacheWrite, isOwn: true)
        case .cacheReadInputTokens:
            counts.isAnthropic = true
            try count(names.cacheReadTokens, &counts.cacheRead, isOwn: false)
        case .cacheCreationInputTokens:
            counts.isAnthropic = true
            try count(names.cacheWriteTokens, &counts.cacheWrite, isOwn: false)
        case .reasoningTokens: try count(names.reasoningTokens, &counts.reasoning, isOwn: true)
        case .inputTokensDetails, .promptTokensDetails:
            try details(name, .cachedTokens, names.cacheReadTokens, &counts.cacheRead)
        case .outputTokensDetails, .completionTokensDetails:
            try details(name, .reasoningTokens, names.reasoningTokens, &counts.reasoning)
        case .cachedTokens: try json.skip()
        }
    }

    /// A count that has an attribute of its own. What is no integer is kept as it is.
    private mutating func count(_ key: AttributeKey, _ count: inout Counts.Count, isOwn: Bool) throws(Fault) {
        guard Self.beginsNumber(json.byte) else { return try keep(key) }
        let number = try json.number()
        if case .integer(let value) = number.value { return count.take(value, isOwn: isOwn) }
        encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes) { $0.write($1, number: number) }
    }

    /// OpenAI's object beside a count: one of its members is a count with an attribute of its own.
    private mutating func details(_ outer: Key, _ wanted: UsageName, _ key: AttributeKey, _ count: inout Counts.Count) throws(Fault) {
        guard json.byte == UInt8(ascii: "{") else { return try keep(make("gen_ai.usage.", outer)) }
        var found = Counts.Count()
        var inner = try json.firstKey()
        while let name = inner {
            if usageNames.find(name)?.name == wanted {
                found = Counts.Count()
                if try !json.null() { try self.count(key, &found, isOwn: false) }
            } else {
                try keep(made(outer, name))
            }
            inner = try json.nextKey()
        }
        if let value = found.value { count.take(value, isOwn: false) }
    }

    /// An object that is not known: an attribute for each of its members.
    private mutating func nested(_ outer: Key) throws(Fault) {
        var inner = try json.firstKey()
        while let name = inner {
            try keep(made(outer, name))
            inner = try json.nextKey()
        }
    }

    private mutating func made(_ outer: Key, _ name: Key) -> AttributeKey {
        _ = make("gen_ai.usage.", outer)
        madeName.append(UInt8(ascii: "."))
        madeName.append(name.text)
        return AttributeKey(madeName.text)
    }

    private mutating func keep(_ key: AttributeKey) throws(Fault) {
        try encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes, from: &json)
    }

    private mutating func write(_ key: AttributeKey, _ value: Int64?) {
        guard let value else { return }
        encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes) { $0.write($1, int: value) }
    }
}
