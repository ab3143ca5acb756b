// `PriceValue` to prices: every key that the data knows, and every mistake at once. A key that is not known is a mistake: a price that is
// passed over would be a wrong cost.
import Patterns

extension PriceTable {
    /// The table that tracefwd ships, read once a process. It throws only where this build is broken; the tests read it.
    public static func shipped() throws(PriceError) -> PriceTable { try parsed.get() }

    /// A start compiles the rules twice, to find their mistakes and to use them.
    private static let parsed = Result { () throws(PriceError) in
        try PriceTable(json: ShippedPrices.json.withUTF8Buffer { Array($0) }, file: "shipped prices")
    }

    /// A table of the same form, as `prices: { file: … }` names it.
    public init(json: [UInt8], file: String) throws(PriceError) {
        try self.init(PriceValue(json: json, file: file))
    }

    /// The same, once it is read.
    public init(_ value: PriceValue) throws(PriceError) {
        var reader = PriceReader()
        let table = reader.table(value)
        guard let table, reader.mistakes.isEmpty else { throw PriceError(mistakes: reader.mistakes) }
        self = table
    }
}

extension OwnPrices {
    /// What `prices: { models: … }` says: a section by model. The key is the name, any case, with a `*` before or behind for any text; in
    /// the section stand a row of prices (USD per 1,000,000 tokens) and all else that the table's models have: `provider`, `match` instead of
    /// the name, `from`, `history`, `scheduled`, `above`, `windows`, `variants`.
    public init(_ value: PriceValue) throws(PriceError) {
        var reader = PriceReader()
        let models = reader.members(value, "models").compactMap { reader.model($0.value, "models.\($0.name)", named: $0.name) }
        guard reader.mistakes.isEmpty else { throw PriceError(mistakes: reader.mistakes) }
        self.init(models: models)
    }
}

private struct PriceReader {
    static let unit = "USD per 1,000,000 tokens"
    static let priceKeys = PriceKey.allCases.map(\.rawValue)
    static let rowKeys = priceKeys + ["above"]
    static let datedKeys = rowKeys + ["from", "windows"]
    static let ownKeys = datedKeys + ["provider", "match", "history", "scheduled", "variants"]
    /// `second_source` is another table's opinion, `source` where the facts were read.
    static let modelKeys = ownKeys + ["model", "second_source"]

    var mistakes: [PriceMistake] = []

    // MARK: The table

    mutating func table(_ value: PriceValue) -> PriceTable? {
        let top = section(value, "", keys: ["unit", "as_of", "sources", "rules", "providers", "models"])
        if let unit = top["unit"], text(unit, "unit") != Self.unit { mistake(unit, "unit", "the unit is \"\(Self.unit)\"") }
        guard let providersValue = top["providers"], let modelsValue = top["models"] else {
            mistake(value, "", "`providers` and `models` are required")
            return nil
        }
        var providers: [PriceTable.Provider] = []
        var fallbacks: [[String]] = []
        for (index, value) in list(providersValue, "providers").enumerated() {
            guard let (provider, names) = provider(value, "providers[\(index)]") else { continue }
            providers.append(provider)
            fallbacks.append(names)
        }
        let indices = Dictionary(providers.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        // One without models of its own here is no use to fall back to, and no mistake: the table is a part of a larger one.
        for (index, names) in fallbacks.enumerated() { providers[index].fallsBackTo = names.compactMap { indices[$0] } }
        var models: [ModelPrices] = []
        for (index, value) in list(modelsValue, "models").enumerated() {
            guard let model = model(value, "models[\(index)]", named: nil) else { continue }
            if let provider = indices[model.provider] {
                providers[provider].models.append(models.count)
            } else {
                mistake(value, "models[\(index)].provider", "\"\(model.provider)\" is none of `providers`")
            }
            models.append(model)
        }
        let sources = top["sources"].map { list($0, "sources") } ?? []
        return PriceTable(
            asOf: top["as_of"].flatMap { text($0, "as_of") } ?? "",
            sources: sources.enumerated().compactMap { source($1, "sources[\($0)]") },
            providers: providers, models: models)
    }

    private mutating func source(_ value: PriceValue, _ path: String) -> String? {
        let keys = section(value, path, keys: ["name", "version", "license", "role"])
        let words = ["name", "version", "license"].map { key in keys[key].flatMap { text($0, "\(path).\(key)") } ?? "?" }
        return "\(words[0]) \(words[1]) (\(words[2]))"
    }

    private mutating func provider(_ value: PriceValue, _ path: String) -> (PriceTable.Provider, fallsBackTo: [String])? {
        let keys = section(value, path, keys: ["id", "names", "api", "falls_back_to", "source"])
        guard let id = keys["id"].flatMap({ text($0, "\(path).id") }) else {
            if keys["id"] == nil { mistake(value, path, "`id` is required") }
            return nil
        }
        var api: Pattern?
        if let value = keys["api"], let source = text(value, "\(path).api") {
            do { api = try Pattern(source) } catch { mistake(value, "\(path).api", "\(error)") }
        }
        let names = texts(keys["names"], "\(path).names").map(lowercase)
        return (PriceTable.Provider(id: id, names: names, api: api), texts(keys["falls_back_to"], "\(path).falls_back_to"))
    }

    // MARK: A model

    /// `named` is the key of an own price, which may do without `match`, `model` and `provider`.
    mutating func model(_ value: PriceValue, _ path: String, named: String?) -> ModelPrices? {
        let keys = section(value, path, keys: named == nil ? Self.modelKeys : Self.ownKeys)
        let provider = keys["provider"].flatMap { text($0, "\(path).provider") }
        let name = named ?? keys["model"].flatMap { text($0, "\(path).model") }
        guard let name, !name.isEmpty, named != nil || provider != nil else {
            mistake(value, path, named == nil ? "`provider` and `model` are required" : "the model's name is empty")
            return nil
        }
        let match: NameMatch?
        if let value = keys["match"] {
            match = self.match(value, "\(path).match")
        } else if let named {
            match = glob(named, value, path)
        } else {
            mistake(value, path, "`match` is required")
            match = nil
        }
        var dates = [dated(value, keys, path)]
        for key in ["history", "scheduled"] {
            dates += sections(keys[key], "\(path).\(key)", keys: Self.datedKeys).map { dated($0.value, $0.keys, $0.path) }
        }
        let variants = sections(keys["variants"], "\(path).variants", keys: Self.rowKeys + ["from", "when"])
            .map { variant($0.value, $0.keys, $0.path) }
        guard let match else { return nil }
        return ModelPrices(
            provider: provider ?? "", model: name, match: match, dated: dates.compactMap(\.self).sorted { $0.from > $1.from },
            variants: latestFirst(variants.compactMap(\.self)))
    }

    /// Of those with the same condition the latest stands first; conditions stay in the order of the file.
    private func latestFirst(_ variants: [ModelPrices.Variant]) -> [ModelPrices.Variant] {
        var conditions: [[ModelPrices.Condition]] = []
        for variant in variants where !conditions.contains(variant.when) { conditions.append(variant.when) }
        return conditions.flatMap { when in variants.filter { $0.when == when }.sorted { $0.from > $1.from } }
    }

    private mutating func dated(_ value: PriceValue, _ keys: [String: PriceValue], _ path: String) -> ModelPrices.Dated? {
        let windows = sections(keys["windows"], "\(path).windows", keys: Self.rowKeys + ["daily_utc"])
            .map { window($0.value, $0.keys, $0.path) }
        guard let row = row(value, keys, path), let from = from(keys, path) else { return nil }
        return ModelPrices.Dated(from: from, row: row, windows: windows.compactMap(\.self))
    }

    private mutating func window(_ value: PriceValue, _ keys: [String: PriceValue], _ path: String) -> ModelPrices.Window? {
        let row = row(value, keys, path)
        let times = texts(keys["daily_utc"], "\(path).daily_utc").map(Self.secondOfDay)
        guard times.count == 2, let start = times[0], let end = times[1] else {
            mistake(value, "\(path).daily_utc", "two times of the day are required: [\"00:30:00+00:00\", \"16:30:00+00:00\"]")
            return nil
        }
        return row.map { ModelPrices.Window(start: start, end: end, row: $0) }
    }

    private mutating func variant(_ value: PriceValue, _ keys: [String: PriceValue], _ path: String) -> ModelPrices.Variant? {
        let row = row(value, keys, path)
        let from = from(keys, path)
        guard let when = keys["when"] else {
            mistake(value, path, "`when` is required")
            return nil
        }
        let known = ModelPrices.Condition.Member.allCases
        let said = section(when, "\(path).when", keys: known.map(\.rawValue))
        let conditions = known.compactMap { member in
            said[member.rawValue].flatMap { text($0, "\(path).when.\(member.rawValue)") }
                .map { ModelPrices.Condition(member: member, value: lowercase($0)) }
        }
        guard !conditions.isEmpty else {
            mistake(when, "\(path).when", "a condition is required: \(Self.words(known.map(\.rawValue)))")
            return nil
        }
        guard let row, let from else { return nil }
        return ModelPrices.Variant(when: conditions, from: from, row: row)
    }

    // MARK: A row

    private mutating func row(_ value: PriceValue, _ keys: [String: PriceValue], _ path: String) -> PriceRow? {
        let prices = prices(value, keys, path)
        var tiers: [PriceRow.Tier] = []
        for (value, keys, path) in sections(keys["above"], "\(path).above", keys: Self.priceKeys + ["input_tokens"]) {
            let prices = self.prices(value, keys, path)
            guard let text = keys["input_tokens"].flatMap({ text($0, "\(path).input_tokens") }), let above = Int64(text), above >= 0 else {
                mistake(keys["input_tokens"] ?? value, "\(path).input_tokens", "a number of tokens is required")
                continue
            }
            if tiers.contains(where: { $0.above == above }) { mistake(value, path, "two rows hold above \(above) tokens; leave one") }
            if let prices { tiers.append(PriceRow.Tier(above: above, prices: prices)) }
        }
        return prices.map { PriceRow(prices: $0, tiers: tiers.sorted { $0.above > $1.above }) }
    }

    private mutating func prices(_ value: PriceValue, _ keys: [String: PriceValue], _ path: String) -> Prices? {
        var prices: [PriceKey: TokenPrice] = [:]
        for key in PriceKey.allCases {
            guard let value = keys[key.rawValue] else { continue }
            prices[key] = price(value, "\(path).\(key.rawValue)")
        }
        guard let input = prices[.input] else {
            if keys["input"] == nil { mistake(value, path, "`input` is required: the price of 1,000,000 tokens in USD") }
            return nil
        }
        return Prices(input: input) { prices[$0] }
    }

    private mutating func price(_ value: PriceValue, _ path: String) -> TokenPrice? {
        guard let text = text(value, path) else { return nil }
        guard let amount = Dollars(text), 0...1_000_000_000_000_000_000_000_000 ~= amount.attodollars, amount.attodollars % 1_000_000 == 0
        else {
            mistake(value, path, "\"\(text.prefix(40))\" is no price; it is USD per 1,000,000 tokens, 0 to 1000000, to 12 decimals")
            return nil
        }
        return TokenPrice(amount.attodollars / 1_000_000)
    }

    private mutating func from(_ keys: [String: PriceValue], _ path: String) -> Day? {
        guard let value = keys["from"] else { return .first }
        guard let text = text(value, "\(path).from") else { return nil }
        let day = Day(text)
        if day == nil { mistake(value, "\(path).from", "\"\(text.prefix(40))\" is no day; write it as 2026-10-29") }
        return day
    }

    /// `16:30`, `16:30:00`, `16:30:00+00:00`, `16:30:00Z`.
    private static func secondOfDay(_ text: String) -> Int? {
        let bare = text.hasSuffix("+00:00") ? text.dropLast(6) : text.hasSuffix("Z") ? text.dropLast() : text[...]
        let parts = bare.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { $0.utf8.count == 2 && $0.utf8.allSatisfy(isDigit) ? Int($0) : nil }
        guard (2...3).contains(parts.count), numbers.count == parts.count, numbers[0] < 24, numbers.dropFirst().allSatisfy({ $0 < 60 })
        else {
            return nil
        }
        return numbers[0] * 3_600 + numbers[1] * 60 + (numbers.count == 3 ? numbers[2] : 0)
    }

    // MARK: A name

    private mutating func match(_ value: PriceValue, _ path: String) -> NameMatch? {
        let known = ["equals", "prefix", "suffix", "contains", "regex", "any", "all"]
        let members = members(value, path)
        guard members.count == 1, let (key, value) = members.first.map({ ($0.name, $0.value) }), known.contains(key) else {
            mistake(value, path, "exactly one condition is required: \(Self.words(known))")
            return nil
        }
        let path = "\(path).\(key)"
        if key == "any" || key == "all" {
            let list = list(value, path)
            let matches = list.enumerated().compactMap { match($1, "\(path)[\($0)]") }
            if list.isEmpty { mistake(value, path, "at least one condition is required") }
            return key == "any" ? .any(matches) : .all(matches)
        }
        guard let text = text(value, path) else { return nil }
        guard !text.isEmpty else {
            mistake(value, path, "the text is empty")
            return nil
        }
        switch key {
        case "equals": return .equals(lowercase(text))
        case "prefix": return .prefix(lowercase(text))
        case "suffix": return .suffix(lowercase(text))
        case "contains": return .contains(lowercase(text))
        default:
            do { return try NameMatch(regex: text) } catch {
                mistake(value, path, "\(error)")
                return nil
            }
        }
    }

    private mutating func glob(_ name: String, _ value: PriceValue, _ path: String) -> NameMatch? {
        let isOpenBefore = name.hasPrefix("*")
        let isOpenBehind = name.hasSuffix("*")
        let text = lowercase(String(name.dropFirst(isOpenBefore ? 1 : 0).dropLast(isOpenBehind && name.utf8.count > 1 ? 1 : 0)))
        guard !text.isEmpty, !text.contains(UInt8(ascii: "*")) else {
            mistake(value, path, "a * stands before or behind a name; for more, write `match`")
            return nil
        }
        return switch (isOpenBefore, isOpenBehind) {
        case (false, false): .equals(text)
        case (false, true): .prefix(text)
        case (true, false): .suffix(text)
        case (true, true): .contains(text)
        }
    }

    // MARK: The forms

    private mutating func mistake(_ value: PriceValue, _ path: String, _ text: String) {
        mistakes.append(PriceMistake(place: value.place, path: path, text: text))
    }

    mutating func members(_ value: PriceValue, _ path: String) -> [PriceValue.Member] {
        switch value.content {
        case .map(let members): return members
        case .empty: return []
        case .text, .list:
            mistake(value, path, "a section is required")
            return []
        }
    }

    /// The members by key. Unknown and repeated keys are mistakes; an empty value counts as absent.
    private mutating func section(_ value: PriceValue, _ path: String, keys: [String]) -> [String: PriceValue] {
        var section: [String: PriceValue] = [:]
        for member in members(value, path) {
            if !keys.contains(member.name) {
                mistake(member.value, path, "unknown key \"\(member.name.prefix(40))\"; known are \(Self.words(keys))")
            } else if section[member.name] != nil {
                mistake(member.value, path, "\"\(member.name)\" stands twice; leave one")
            } else if case .empty = member.value.content {
                continue
            } else {
                section[member.name] = member.value
            }
        }
        return section
    }

    private mutating func sections(
        _ value: PriceValue?, _ path: String, keys: [String]
    ) -> [(value: PriceValue, keys: [String: PriceValue], path: String)] {
        guard let value else { return [] }
        return list(value, path).enumerated().map { index, value in
            let path = "\(path)[\(index)]"
            return (value, section(value, path, keys: keys), path)
        }
    }

    private mutating func list(_ value: PriceValue, _ path: String) -> [PriceValue] {
        if case .list(let values) = value.content { return values }
        mistake(value, path, "a list is required")
        return []
    }

    private mutating func text(_ value: PriceValue, _ path: String) -> String? {
        if case .text(let text) = value.content { return text }
        mistake(value, path, "a number or a text is required")
        return nil
    }

    private mutating func texts(_ value: PriceValue?, _ path: String) -> [String] {
        guard let value else { return [] }
        return list(value, path).enumerated().compactMap { text($1, "\(path)[\($0)]") }
    }

    private static func words(_ keys: [String]) -> String { keys.map { "`\($0)`" }.joined(separator: ", ") }
}
