// One key of the configuration: the unit of the table that feeds the decoder, the near-key guess, Docs/configuration.md, the editors' schema
// and `check --effective`. A destination brings keys of its own as a `DestinationType`, in its own file.

/// One key: its name, type, default, whether a reload applies it, and its sentence of documentation.
public struct Key: Sendable {
    /// What holds when a key is left out.
    public enum Absent: Sendable {
        /// Leaving it out is a mistake.
        case required
        /// This value, as a person would write it.
        case value(String)
        /// A section in which each key has its own default.
        case defaults
        /// Nothing; the words say what that means.
        case nothing(String)
    }

    /// The word before the colon.
    public let name: String
    /// What may stand after it.
    public let type: KeyType
    /// What holds without it.
    public let absent: Absent
    /// Whether a reload applies a change of it; otherwise it takes a restart.
    public let reload: Bool
    /// One sentence for a person.
    public let doc: String

    /// A key. The documentation is a sentence with its full stop.
    public init(_ name: String, _ type: KeyType, _ absent: Absent, reload: Bool = true, _ doc: String) {
        self.name = name
        self.type = type
        self.absent = absent
        self.reload = reload
        self.doc = doc
    }

    /// Whether an empty value is as good as none: a list, or names, whose items are all commented out.
    var mayBeEmpty: Bool {
        switch (type, absent) {
        case (.list, .nothing), (.headers, .nothing), (.destinations, .nothing), (.names, .nothing): true
        default: false
        }
    }

    /// The same key, and all below it, as one that takes a restart.
    func needingRestart() -> Key {
        let type: KeyType =
            switch type {
            case .section(let keys): .section(keys.map { $0.needingRestart() })
            case .choice(let words, .some(.section(let keys))): .choice(words, or: .section(keys.map { $0.needingRestart() }))
            default: type
            }
        return Key(name, type, absent, reload: false, doc)
    }
}

/// What may be written as a key's value. In every text but expressions and patterns `${NAME}`, `${NAME:-default}` and `$$` are replaced after
/// parsing.
public indirect enum KeyType: Sendable {
    /// Any text.
    case string
    /// A path of this machine.
    case path
    /// A path of a Unix socket: at most 107 bytes, which is the kernel's limit.
    case socket
    /// `http://…` or `https://…`. User, password and query are not shown.
    case url
    /// `host:port`, `[address]:port`.
    case listen
    /// A network such as `10.0.0.0/8`, or one address.
    case network
    /// The rights of a file: `"0660"`.
    case mode
    /// `true` or `false`.
    case boolean
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A size: `10GiB`, `500MB`, `65536`.
    case bytes(ClosedRange<Int>)
    /// A part of the spool: `50%`, or a size.
    case share
    /// A time: `200ms`, `5s`, `1m`, `72h`, `30d`, `0`.
    case duration(ClosedRange<Duration>)
    /// One of some words, or what `or` allows.
    case choice([String], or: KeyType? = nil)
    /// A text that is never shown, `{file: path}` or `{credential: name}`.
    case secret
    /// HTTP headers: names with values, each of which may be a secret.
    case headers
    /// The name of a destination that the configuration has.
    case destination
    /// The name of a destination, or of a group of them.
    case target
    /// An expression, a pattern or an entity, which the pipeline understands: no variable is replaced in it. The words say what it is:
    /// `a condition`. `orNull` allows none at all, which is the expression `null`.
    case expression(String, orNull: Bool = false)
    /// `true`, `false` or a condition.
    case condition
    /// A number from 0 to 1. The words say what it is: `a rate`.
    case fraction(String)
    /// A fraction, or an expression that gives one.
    case rate
    /// So many a time: `100/s`.
    case frequency
    /// A section that another room understands. The words say what it is.
    case anything(String)
    /// Any number of values of one type.
    case list(KeyType)
    /// Names, each with a value of one type.
    case names(NameForm, KeyType)
    /// Keys below the key.
    case section([Key])
    /// Keys below the key, exactly one of which stands there.
    case step([Key])
    /// One of several types that are told apart by what is written: a text, a list or a section.
    case either([KeyType])
    /// Names, each with a section whose `type:` says which keys it has beside those that all have.
    case destinations([DestinationType])
}

/// What the names of `KeyType.names` are.
public enum NameForm: Sendable {
    /// What an expression can name.
    case identifier
    /// A group of destinations, formed as they are.
    case group
    /// A destination that the configuration has.
    case destination
    /// An attribute.
    case attribute
    /// An attribute's glob, whose value is one with as many `*`.
    case glob
}

extension ClosedRange<Duration> {
    /// Any time but none, up to ten years.
    public static var positive: Self { .milliseconds(1) ... .seconds(86_400 * 3650) }
    /// Any time, none included.
    public static var orZero: Self { .zero...positive.upperBound }
}

/// What a destination type adds to the configuration.
public struct DestinationType: Sendable {
    /// The word after `type:`.
    public let name: String
    /// One sentence for a person.
    public let doc: String
    /// Whether it sends over HTTP, and so has the keys that belong to that (`tls`, `proxy`, `connect_timeout`).
    public let http: Bool
    /// Its own keys; one with a common key's name replaces that key.
    public let keys: [Key]
    /// What can only be seen over several keys. Called with a section in which each key alone is right.
    public let check: @Sendable (Section) -> [Mistake]

    /// A type. `check` reports with `section.mistake(at:_:)`.
    public init(
        _ name: String, http: Bool, _ doc: String, keys: [Key], check: @escaping @Sendable (Section) -> [Mistake] = { _ in [] }
    ) {
        self.name = name
        self.doc = doc
        self.http = http
        self.keys = keys
        self.check = check
    }

    /// All keys of a destination of this type: the common ones first.
    var allKeys: [Key] {
        let own = Set(keys.map(\.name))
        return commonDestinationKeys(http: http).filter { !own.contains($0.name) } + keys
    }
}
