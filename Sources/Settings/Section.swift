/// A part of the spool's size: a percentage of it, or a number of bytes.
public enum Share: Sendable, Equatable {
    case percent(Int)
    case bytes(Int)

    /// The bytes that this is of a whole.
    public func bytes(of whole: Int) -> Int {
        switch self {
        case .percent(let percent): whole / 100 * percent + whole % 100 * percent / 100
        case .bytes(let bytes): bytes
        }
    }
}

/// A host and a port to listen on.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// An address or a name; an IPv6 address without its brackets.
    public let host: String
    /// 0 lets the kernel choose.
    public let port: Int

    /// An address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Whether only this machine reaches it.
    public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

    /// `host:port`, with brackets where an address needs them.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A header: a name, and a value that may be secret.
public struct NamedSecret: Sendable, Equatable {
    /// As it is written.
    public let name: String
    /// Never shown.
    public let value: Secret
}

/// A text, and what of it an output may show: a variable's value may be a secret, as may a URL's user and query. Equal by the text alone.
struct Text: Sendable, Equatable {
    let text: String
    let shown: String

    static func == (a: Text, b: Text) -> Bool { a.text == b.text }
}

/// A decoded value. Sizes and modes are integers, a frequency is a number a second; how to print one is known by its key's type.
enum Value: Sendable, Equatable {
    case text(Text)
    case boolean(Bool)
    case integer(Int)
    case number(Double)
    case share(Share)
    case duration(Duration)
    case listen(ListenAddress)
    case secret(Secret)
    case rule(RuleText)
    case raw(SettingsValue)
    case list([Value])
    case map([Named])
    case section(Section)

    struct Named: Sendable, Equatable {
        let name: String
        let value: Value
        /// Where the name stands.
        let place: Place

        static func == (a: Named, b: Named) -> Bool { a.name == b.name && a.value == b.value }
    }
}

/// A decoded section. Each key of its table has a value of the table's type, written or by default, so the accessors cannot fail; asking for
/// a key that the table does not have, or as another type, is a programmer's error and stops the program. Where a choice has an alternative
/// (`reject` or `{block: 5s}`) the optional accessor of either type says which one it is.
public struct Section: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    struct Entry: Sendable {
        /// Nil where what is written is wrong; then the configuration does not load.
        let value: Value?
        /// Where the key stands; nil for a default.
        let place: Place?
    }

    /// The table of this section.
    let keys: [Key]
    /// As a person would name it: `destinations.collector`. For what is in an item of a list, the item: `routes[0] "production"`.
    public let path: String
    /// In an item of a list, the keys from there, with dots: `sample.tail`; empty for the item itself.
    var keysInItem = ""
    /// Where the section's own key stands.
    let place: Place
    var entries: [String: Entry] = [:]

    /// Equal when the values are, wherever they were written.
    public static func == (a: Section, b: Section) -> Bool { a.entries.mapValues(\.value) == b.entries.mapValues(\.value) }

    /// As YAML on one line, with dots for secrets.
    public var description: String { inline(.section(self), .section(keys)) }
    /// As `description`.
    public var debugDescription: String { description }
    /// Hides the values from `dump` and the debugger's summary too: a text may hold what a variable or a URL keeps secret.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// A mistake at one of the section's keys, of which `text` says what is wrong ("is 5s, less than base"), or at the section as a whole.
    public func mistake(at name: String? = nil, _ text: String) -> Mistake {
        guard let name else { return Mistake(place, path: path, keysInItem.isEmpty ? text : "\(keysInItem) \(text)") }
        return Mistake(entries[name]?.place ?? place, path: path, (keysInItem.isEmpty ? "" : "\(keysInItem).") + "\(name) \(text)")
    }

    /// Whether a key has a value, by itself or by its default.
    public func has(_ name: String) -> Bool { self[name] != nil }

    /// Whether the file does not have the key, nor the table a default for it.
    func isLeftOut(_ name: String) -> Bool { entries[name] == nil }

    /// The value of a key of the table.
    subscript(name: String) -> Value? {
        precondition(keys.contains { $0.name == name }, "\(path): the table has no key \(name)")
        return entries[name]?.value
    }

    /// A text, path, socket, URL, network, choice or destination's name.
    public func string(_ name: String) -> String { required(name, optionalString(name)) }
    /// As `string`, where the key may be left out.
    public func optionalString(_ name: String) -> String? { pick(name) { if case .text(let text) = $0 { text.text } else { nil } } }
    /// A list of texts; empty where the key is left out.
    public func strings(_ name: String) -> [String] {
        list(name) { if case .text(let text) = $0 { text.text } else { nil } }
    }
    /// A choice, as an enum whose cases are its words.
    func choice<T: RawRepresentable<String>>(_ name: String) -> T { required(name, T(rawValue: string(name))) }
    /// Yes or no.
    public func boolean(_ name: String) -> Bool { required(name, pick(name) { if case .boolean(let flag) = $0 { flag } else { nil } }) }
    /// A whole number, a size in bytes or a mode.
    public func integer(_ name: String) -> Int { required(name, optionalInteger(name)) }
    /// As `integer`, where the key may be left out.
    public func optionalInteger(_ name: String) -> Int? { pick(name) { if case .integer(let number) = $0 { number } else { nil } } }
    /// A part of the spool.
    public func share(_ name: String) -> Share { required(name, pick(name) { if case .share(let share) = $0 { share } else { nil } }) }
    /// A time.
    public func duration(_ name: String) -> Duration { required(name, optionalDuration(name)) }
    /// As `duration`, where the key may be left out.
    public func optionalDuration(_ name: String) -> Duration? { pick(name) { if case .duration(let time) = $0 { time } else { nil } } }
    /// An address to listen on.
    public func listen(_ name: String) -> ListenAddress {
        required(name, pick(name) { if case .listen(let address) = $0 { address } else { nil } })
    }
    /// A secret.
    public func secret(_ name: String) -> Secret { required(name, optionalSecret(name)) }
    /// As `secret`, where the key may be left out.
    public func optionalSecret(_ name: String) -> Secret? { pick(name) { if case .secret(let secret) = $0 { secret } else { nil } } }
    /// A list of secrets; empty where the key is left out.
    public func secrets(_ name: String) -> [Secret] {
        list(name) { if case .secret(let secret) = $0 { secret } else { nil } }
    }
    /// Headers in the order of the file; empty where the key is left out.
    public func headers(_ name: String) -> [NamedSecret] {
        pairs(name).map { pair in
            guard case .secret(let secret) = pair.value else { preconditionFailure("\(path).\(name): not headers") }
            return NamedSecret(name: pair.name, value: secret)
        }
    }
    /// A section that is always there.
    public func section(_ name: String) -> Section { required(name, optionalSection(name)) }
    /// A section that may be left out.
    public func optionalSection(_ name: String) -> Section? { pick(name) { if case .section(let section) = $0 { section } else { nil } } }
    /// A list of sections; empty where the key is left out.
    public func sections(_ name: String) -> [Section] {
        list(name) { if case .section(let section) = $0 { section } else { nil } }
    }
    /// The sections of a map, by name, in the order of the file.
    func namedSections(_ name: String) -> [(name: String, section: Section)] {
        pairs(name).compactMap { pair in if case .section(let section) = pair.value { (pair.name, section) } else { nil } }
    }

    /// A map of names that are the user's, in the order of the file; empty where the key is left out.
    func pairs(_ name: String) -> [Value.Named] {
        pick(name) { (value) -> [Value.Named]? in if case .map(let pairs) = value { pairs } else { nil } } ?? []
    }

    private func required<T>(_ name: String, _ value: T?) -> T {
        guard let value else { preconditionFailure("\(path).\(name) may be left out: ask with the optional accessor") }
        return value
    }

    private func pick<T>(_ name: String, _ take: (Value) -> T?) -> T? {
        guard let value = self[name] else { return nil }
        let taken = take(value)
        precondition(taken != nil || keys.contains { $0.name == name && $0.type.hasAlternative }, "\(path).\(name) has another type")
        return taken
    }

    private func list<T>(_ name: String, _ take: (Value) -> T?) -> [T] {
        let items = pick(name) { (value) -> [Value]? in if case .list(let items) = value { items } else { nil } }
        return (items ?? []).map { item in
            guard let taken = take(item) else { preconditionFailure("\(path).\(name) has items of another type") }
            return taken
        }
    }
}
