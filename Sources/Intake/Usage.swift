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
            let print = KeyPrint(name)
            let bit: UInt64 = 1 << UInt64(print.hash >> 8 & 63)
            if filter & bit != 0, !surveyed { throw .duplicate }
            filter |= bit
            if duplicates.isDead(json.keyAt) {
                try json.skip()
            } else if let known = usageNames.find(name, print), known.name != .cachedTokens {
                if try !json.null() { try usageMember(known.name, name, &counts) }
            } else if json.byte == UInt8(ascii: "{"), name.count <= 128 {
                try nested(name)
            } else {
                try keep(make("gen_ai.usage.", name))
            }
            key = try json.nextKey()
        }
        write("gen_ai.usage.input_tokens", counts.inputTotal)
        write("gen_ai.usage.output_tokens", counts.output.value)
        write("gen_ai.usage.cache_read.input_tokens", counts.cacheRead.value)
        write("gen_ai.usage.cache_write.input_tokens", counts.cacheWrite.value)
        write("gen_ai.usage.reasoning.output_tokens", counts.reasoning.value)
    }

    private mutating func usageMember(_ known: UsageName, _ name: Text, _ counts: inout Counts) throws(Fault) {
        switch known {
        case .inputTokens: try count("gen_ai.usage.input_tokens", &counts.input, isOwn: true)
        case .promptTokens: try count("gen_ai.usage.input_tokens", &counts.input, isOwn: false)
        case .outputTokens: try count("gen_ai.usage.output_tokens", &counts.output, isOwn: true)
        case .completionTokens: try count("gen_ai.usage.output_tokens", &counts.output, isOwn: false)
        case .cacheReadTokens: try count("gen_ai.usage.cache_read.input_tokens", &counts.cacheRead, isOwn: true)
        case .cacheWriteTokens: try count("gen_ai.usage.cache_write.input_tokens", &counts.cacheWrite, isOwn: true)
        case .cacheReadInputTokens:
            counts.isAnthropic = true
            try count("gen_ai.usage.cache_read.input_tokens", &counts.cacheRead, isOwn: false)
        case .cacheCreationInputTokens:
            counts.isAnthropic = true
            try count("gen_ai.usage.cache_write.input_tokens", &counts.cacheWrite, isOwn: false)
        case .reasoningTokens: try count("gen_ai.usage.reasoning.output_tokens", &counts.reasoning, isOwn: true)
        case .inputTokensDetails, .promptTokensDetails:
            try details(name, .cachedTokens, "gen_ai.usage.cache_read.input_tokens", &counts.cacheRead)
        case .outputTokensDetails, .completionTokensDetails:
            try details(name, .reasoningTokens, "gen_ai.usage.reasoning.output_tokens", &counts.reasoning)
        case .cachedTokens: try json.skip()
        }
    }

    /// A count that has an attribute of its own. What is no integer is kept as it is.
    private mutating func count(_ key: StaticString, _ count: inout Counts.Count, isOwn: Bool) throws(Fault) {
        guard Self.beginsNumber(json.byte) else { return try keep(Text(key)) }
        let number = try json.number()
        if case .integer(let value) = number.value { return count.take(value, isOwn: isOwn) }
        encoder.attribute(SpanTag.attributes, Text(key), rank: .shortForm, in: &attributes) { $0.write($1, number: number) }
    }

    /// OpenAI's object beside a count: one of its members is a count with an attribute of its own.
    private mutating func details(_ outer: Text, _ wanted: UsageName, _ key: StaticString, _ count: inout Counts.Count) throws(Fault) {
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
    private mutating func nested(_ outer: Text) throws(Fault) {
        var inner = try json.firstKey()
        while let name = inner {
            try keep(made(outer, name))
            inner = try json.nextKey()
        }
    }

    private mutating func made(_ outer: Text, _ name: Text) -> Text {
        _ = make("gen_ai.usage.", outer)
        madeName.append(UInt8(ascii: "."))
        madeName.append(name)
        return Text(madeName.base, madeName.count)
    }

    private mutating func keep(_ key: Text) throws(Fault) {
        try encoder.attribute(SpanTag.attributes, key, rank: .shortForm, in: &attributes, from: &json)
    }

    private mutating func write(_ key: StaticString, _ value: Int64?) {
        guard let value else { return }
        encoder.attribute(SpanTag.attributes, Text(key), rank: .shortForm, in: &attributes) { $0.write($1, int: value) }
    }
}
