// How single values are written: text to value with a remedy for what does not fit, and value to text. Pure, and without a place: the
// decoder knows that.
import Glibc

/// What would be right instead.
struct Remedy: Error, Equatable {
    let text: String
    init(_ text: String) { self.text = text }
}

private struct Unit {
    let name: String
    /// In milliseconds or bytes.
    let size: Int
}

private let timeUnits = [
    Unit(name: "ms", size: 1), Unit(name: "s", size: 1000), Unit(name: "m", size: 60_000), Unit(name: "h", size: 3_600_000),
    Unit(name: "d", size: 86_400_000),
]

private let binaryUnits = [
    Unit(name: "KiB", size: 1 << 10), Unit(name: "MiB", size: 1 << 20), Unit(name: "GiB", size: 1 << 30), Unit(name: "TiB", size: 1 << 40),
]

private let sizeUnits =
    [Unit(name: "B", size: 1)] + binaryUnits + [
        Unit(name: "KB", size: 1000), Unit(name: "MB", size: 1_000_000), Unit(name: "GB", size: 1_000_000_000),
        Unit(name: "TB", size: 1_000_000_000_000),
    ]

extension KeyType {
    /// The value that a text stands for. `shown` is the text before variables were replaced: what an output may show.
    func parse(_ text: String, shown: String) throws(Remedy) -> Value {
        switch self {
        case .string, .destination, .target: return .text(Text(text: text, shown: shown))
        case .path: return .text(try parsePath(text, most: 4095))
        case .socket: return .text(try parsePath(text, most: 107))
        case .url: return .text(try parseURL(text, shown: shown))
        case .listen: return .listen(try parseListen(text))
        case .network: return .text(try parseNetwork(text))
        case .mode: return .integer(try parseMode(text))
        case .boolean:
            guard let flag = Bool(text) else { throw Remedy("it is true or false") }
            return .boolean(flag)
        case .integer(let range):
            guard let number = Int(text), range.contains(number) else { throw Remedy("it is a whole number \(words(range) { "\($0)" })") }
            return .integer(number)
        case .bytes(let range): return .integer(try parseBytes(text, within: range))
        case .share: return .share(try parseShare(text))
        case .duration(let range): return .duration(try parseDuration(text, within: range))
        case .choice(let words, let other):
            if words.contains(text) { return .text(Text(text: text, shown: text)) }
            if let other, other.isScalar, let value = try? other.parse(text, shown: shown) { return value }
            throw Remedy(nearest(to: text, in: words).map { "did you mean \"\($0)\"? It is \(form)" } ?? "it is \(form)")
        case .fraction(let what): return .number(try parseFraction(text, what))
        case .frequency: return .number(try parseFrequency(text))
        case .condition:
            guard let flag = Bool(text) else { throw Remedy("it is \(form)") }
            return .boolean(flag)
        case .secret, .headers, .list, .section, .destinations, .expression, .rate, .anything, .names, .step, .either:
            preconditionFailure("not a text, or one with a place: \(self)")
        }
    }

    /// What a person may write, in a few words: for messages and documentation.
    var form: String {
        switch self {
        case .string: "a text"
        case .path: "a path"
        case .socket: "a path of at most 107 bytes"
        case .url: "a URL: http://… or https://…"
        case .listen: "host:port"
        case .network: "a network such as 10.0.0.0/8"
        case .mode: "a mode such as \"0660\""
        case .boolean: "true or false"
        case .integer(let range): "a whole number \(words(range) { "\($0)" })"
        case .bytes(let range): "a size such as 64MiB" + (range.lowerBound > 1 ? ", \(words(range, render(bytes:)))" : "")
        case .share: "a part such as 50%, or a size"
        case .duration(let range): range.contains(.zero) ? "a time such as 5s or 0" : "a time such as 5s"
        case .choice(let words, let other): phrase(words + (other.map { [$0.form] } ?? []), "or")
        case .secret: "a secret"
        case .headers: "headers: names with values"
        case .destination: "the name of a destination"
        case .target: "the name of a destination or of a group"
        case .expression(let what, _): what
        case .condition: "true, false or a condition"
        case .fraction: "a number from 0 to 1"
        case .rate: phrase(alternatives, "or")
        case .frequency: "so many a time, such as 100/s or 5000/min"
        case .anything(let what): what
        case .list(let item): "a list: \(item.form)"
        case .names(_, let item): "names, each with \(item.form)"
        case .step(let keys): "one of \(phrase(keys.map(\.name), "and"))"
        case .either(let types):
            if types.count == 2, case .list(let item) = types[1], item.form == types[0].form {
                "\(item.form), or a list of them"
            } else {
                phrase(types.flatMap(\.alternatives), "or")
            }
        case .section(let keys) where keys.count == 1: "{\(keys[0].name): \(keys[0].type.form)}"
        case .section: "a section: keys with values"
        case .destinations: "names, each with a section"
        }
    }

    /// The same, where it is one of several.
    private var alternatives: [String] {
        switch self {
        case .rate: ["a number from 0 to 1", "an expression"]
        case .section(let keys) where keys.count > 1: ["a section"]
        case .choice(let words, nil): words
        default: [form]
        }
    }

    /// How a secret may be written, where `form` does not help.
    static let secretForms = "a text, \"${NAME}\", {file: path} or {credential: name}"

    /// Whether a value of it is written as one text.
    var isScalar: Bool {
        switch self {
        case .secret, .headers, .list, .section, .destinations, .anything, .names, .step, .either: false
        default: true
        }
    }

    /// Whether it is a choice between words and something else.
    var hasAlternative: Bool { if case .choice(_, .some) = self { true } else { false } }

    /// Whether it takes a list: then one that is empty is a mistake.
    var isList: Bool {
        switch self {
        case .list: true
        case .either(let types): types.contains(where: \.isList)
        default: false
        }
    }

    /// Of several types, the one that takes what is written.
    func alternative(for content: Written.Content) -> KeyType {
        guard case .either(let types) = self else { return self }
        let fitting = types.first { type in
            switch content {
            case .text: type.isScalar
            case .list: type.isList
            case .map: !type.isScalar && !type.isList
            case .empty: false
            }
        }
        return fitting ?? self
    }
}

// MARK: - Text to value

/// The number and the unit of `200ms`; nil where it does not begin with a number.
private func split(_ text: String) -> (number: Substring, unit: Substring)? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard number.first?.isNumber == true, number.last != ".", number.count(where: { $0 == "." }) <= 1 else { return nil }
    return (number, text[number.endIndex...].drop { $0 == " " })
}

/// So many units, to the nearest whole; nil where that is beyond an integer.
private func scaled(_ number: Substring, by unit: Unit) -> Int? {
    guard let whole = Int(number) else { return Int(exactly: ((Double(number) ?? .infinity) * Double(unit.size)).rounded()) }
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit.size)
    return overflow ? nil : product
}

private func parseDuration(_ text: String, within range: ClosedRange<Duration>) throws(Remedy) -> Duration {
    guard let (number, unitName) = split(text) else { throw Remedy("a time is a number and a unit: 200ms, 5s, 1m, 72h or 30d") }
    guard !unitName.isEmpty || number == "0" else {
        throw Remedy("a time has a unit: " + phrase(timeUnits.map { "\(number)\($0.name)" }, "or"))
    }
    guard let unit = unitName.isEmpty ? timeUnits.first : timeUnits.first(where: { $0.name == unitName }) else {
        throw unknown(unitName, among: timeUnits)
    }
    guard let time = scaled(number, by: unit).map({ Duration.milliseconds($0) }), range.contains(time) else {
        throw Remedy("it is from \(render(range.lowerBound)) to \(render(range.upperBound))")
    }
    return time
}

private func parseBytes(_ text: String, within range: ClosedRange<Int>) throws(Remedy) -> Int {
    guard let (number, unitName) = split(text) else { throw Remedy("a size is a number and a unit: 64KiB, 500MB or 10GiB") }
    guard let unit = unitName.isEmpty ? sizeUnits.first : sizeUnits.first(where: { $0.name == unitName }) else {
        throw unknown(unitName, among: sizeUnits)
    }
    guard let size = scaled(number, by: unit) else { throw Remedy("that is beyond any disk") }
    guard range.contains(size) else { throw Remedy("it is \(words(range, render(bytes:)))") }
    return size
}

/// A number as YAML and CEL write it; Swift's own forms beside those, such as `nan`, are texts.
func isNumber(_ text: some StringProtocol) -> Bool {
    String(text).wholeMatch(of: /[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/) != nil
}

private func parseFraction(_ text: String, _ what: String) throws(Remedy) -> Double {
    let number = text.hasSuffix("%") ? String(text.dropLast()).replacing(" ", with: "") : text
    guard isNumber(number), let value = Double(number) else { throw Remedy("\(what) is a number from 0 to 1") }
    guard number == text, (0...1).contains(value) else {
        // Whoever writes 10 means per cent.
        let percent = (2...100).contains(value) && value == value.rounded() ? Int(value) : 10
        let share = percent == 100 ? "1" : "0.\(percent < 10 ? "0" : "")\(percent)"
        throw Remedy("\(what) is from 0 to 1, for \(percent) % write \(share)")
    }
    return value
}

private let frequencyUnits = [(name: "s", seconds: 1.0), (name: "min", seconds: 60), (name: "h", seconds: 3600)]

private func parseFrequency(_ text: String) throws(Remedy) -> Double {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
    guard parts.count == 2, isNumber(parts[0]), let count = Double(parts[0]), count > 0, count <= 1e12 else {
        throw Remedy("it is a number, / and a unit of time: 100/s, 5000/min")
    }
    guard let unit = frequencyUnits.first(where: { $0.name == parts[1] }) else {
        throw Remedy("\"\(parts[1])\" is no unit here; it is \(phrase(frequencyUnits.map { "\(parts[0])/\($0.name)" }, "or"))")
    }
    return count / unit.seconds
}

private func parseShare(_ text: String) throws(Remedy) -> Share {
    guard text.hasSuffix("%") else { return .bytes(try parseBytes(text, within: 1...Int.max)) }
    guard let percent = Int(text.dropLast()), (1...100).contains(percent) else { throw Remedy("a part is from 1% to 100%") }
    return .percent(percent)
}

private func parsePath(_ text: String, most: Int) throws(Remedy) -> Text {
    guard !text.isEmpty else { throw Remedy("it is a path") }
    guard text.utf8.count <= most else { throw Remedy("a path here has at most \(most) bytes") }
    return Text(text: text, shown: text.replacing("$", with: "$$"))
}

private func parseMode(_ text: String) throws(Remedy) -> Int {
    guard (3...4).contains(text.utf8.count), let mode = Int(text, radix: 8), mode <= 0o777 else {
        throw Remedy("a mode has three octal digits after a 0, in quotes: \"0660\"")
    }
    return mode
}

private func parseURL(_ text: String, shown: String) throws(Remedy) -> Text {
    let rest = ["http://", "https://"].lazy.filter { text.lowercased().hasPrefix($0) }.map { text.dropFirst($0.count) }.first
    guard let rest, let first = rest.first, !"/?#:@".contains(first) else { throw Remedy("it is \(KeyType.url.form)") }
    guard text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }) else { throw Remedy("a URL has no spaces") }
    return Text(text: text, shown: withoutSecrets(shown))
}

/// A URL, or what was meant as one, with dots for what may be secret in it: user, password and query.
func withoutSecrets(_ url: String) -> String {
    var url = url
    if let query = url.firstIndex(of: "?") { url = url[...query] + Secret("").description }
    if let at = url.lastIndex(of: "@") {
        let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
        if start <= at { url.replaceSubrange(start..<at, with: Secret("").description) }
    }
    return url
}

private func parseListen(_ text: String) throws(Remedy) -> ListenAddress {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
        throw Remedy("it is host:port, such as 127.0.0.1:8127")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else { throw Remedy("a host stands before the port: 127.0.0.1 for this machine, 0.0.0.0 for every network") }
    let isIPv6 = addressBits(String(host)) == 128
    guard isIPv6 ? text.hasPrefix("[") : host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }) else {
        throw Remedy("it is host:port; an IPv6 address stands in brackets, and the whole in quotes: \"[::1]:8127\"")
    }
    return ListenAddress(host: String(host), port: Int(port))
}

private func parseNetwork(_ text: String) throws(Remedy) -> Text {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let bits = parts.first.flatMap { addressBits(String($0)) }
    let prefix = parts.count == 1 ? bits : parts.last.flatMap { Int($0) }
    guard parts.count <= 2, let bits, let prefix, (0...bits).contains(prefix) else {
        throw Remedy("it is an address or a network: 192.168.1.7, 10.0.0.0/8 or fd00::/8")
    }
    return Text(text: text, shown: text)
}

/// 32 for an IPv4 address, 128 for an IPv6 address, nil for anything else.
private func addressBits(_ text: String) -> Int? {
    var bytes = in6_addr()
    if inet_pton(AF_INET, text, &bytes) == 1 { return 32 }
    return inet_pton(AF_INET6, text, &bytes) == 1 ? 128 : nil
}

private func unknown(_ unit: Substring, among units: [Unit]) -> Remedy {
    let known = units.map(\.name)
    let folded = unit.lowercased()
    let guess =
        known.first { $0.lowercased() == folded } ?? known.first { $0.lowercased().hasPrefix(folded) }
        ?? known.first { folded.hasPrefix($0.lowercased()) }
    let units = "nits are \(phrase(known, "and"))"
    return Remedy("\"\(unit)\" is no unit here; " + (guess.map { "did you mean \"\($0)\"? U\(units)" } ?? "u\(units)"))
}

// MARK: - Value to text

/// As a person would write it: the largest unit that leaves a whole number.
func render(_ time: Duration) -> String {
    let milliseconds = Int((time / .milliseconds(1)).rounded())
    guard milliseconds != 0, let unit = timeUnits.last(where: { milliseconds % $0.size == 0 }) else { return "0" }
    return "\(milliseconds / unit.size)\(unit.name)"
}

/// As a person would write it: the largest binary unit that leaves a whole number.
func render(bytes: Int) -> String {
    guard bytes != 0, let unit = binaryUnits.last(where: { bytes % $0.size == 0 }) else { return "\(bytes)" }
    return "\(bytes / unit.size)\(unit.name)"
}

/// As a person would write it: without a fraction that is none.
func render(number: Double) -> String { Int(exactly: number).map { "\($0)" } ?? "\(number)" }

/// As a person would write it: the shortest time that has a whole number.
func render(perSecond: Double) -> String {
    let whole = frequencyUnits.first { abs((perSecond * $0.seconds).rounded() - perSecond * $0.seconds) < 1e-9 * perSecond * $0.seconds }
    guard let unit = whole else { return "\(perSecond)/s" }
    return "\(render(number: (perSecond * unit.seconds).rounded()))/\(unit.name)"
}

/// `from 1 to 64`, `at least 1MiB`.
private func words(_ range: ClosedRange<Int>, _ show: (Int) -> String) -> String {
    range.upperBound == .max ? "at least \(show(range.lowerBound))" : "from \(show(range.lowerBound)) to \(show(range.upperBound))"
}

/// `a, b or c`.
func phrase(_ words: [String], _ conjunction: String) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " \(conjunction) " + (words.last ?? "")
}
