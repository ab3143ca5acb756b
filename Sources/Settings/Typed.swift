// What the other rooms get: the table's sections as values with names. Built in this file alone, from sections that cannot lack anything.

/// What a full spool does with a new span.
public enum WhenFull: Sendable, Equatable {
    case reject
    case dropOldest
    /// Waits for space, then rejects.
    case block(Duration)
}

/// What an acknowledgement means.
public enum Durability: String, Sendable, Equatable {
    case fsync, os, none
}

/// `spool:`
public struct SpoolSettings: Sendable, Equatable {
    /// The SQLite file.
    public let path: String
    /// Most bytes of pages, write-ahead log and dead letters.
    public let sizeMax: Int
    /// How long settled spans are kept.
    public let history: Duration
    /// What happens to a new span when it is full.
    public let whenFull: WhenFull
    /// What an ack means.
    public let durability: Durability
    /// Bytes kept free beside the spool.
    public let reserve: Int
    /// Most bytes of dead letters.
    public let deadLettersSizeMax: Int
    /// How long dead letters are kept.
    public let deadLettersRetain: Duration

    init(_ section: Section) {
        path = section.string("path")
        sizeMax = section.integer("max_size")
        history = section.duration("history")
        whenFull =
            if let block = section.optionalSection("when_full") {
                .block(block.duration("block"))
            } else {
                section.string("when_full") == "drop_oldest" ? .dropOldest : .reject
            }
        durability = section.choice("durability")
        reserve = section.integer("reserve")
        let deadLetters = section.section("dead_letters")
        deadLettersSizeMax = deadLetters.integer("max_size")
        deadLettersRetain = deadLetters.duration("retain")
    }
}

/// `sources.unix:`
public struct UnixSourceSettings: Sendable, Equatable {
    /// Where the socket is.
    public let path: String
    /// Its rights.
    public let mode: Int
    /// Its owner, by name or number.
    public let owner: String?
    /// Its group, by name or number.
    public let group: String?
    /// Who may send; nil is whoever may open it.
    public let allow: Allow?

    /// Users and groups, by name or number.
    public struct Allow: Sendable, Equatable {
        /// Any of these users,
        public let users: [String]
        /// or a user of any of these groups.
        public let groups: [String]
    }

    init(_ section: Section) {
        path = section.string("path")
        mode = section.integer("mode")
        owner = section.optionalString("owner")
        group = section.optionalString("group")
        allow = section.optionalSection("allow").map { Allow(users: $0.strings("users"), groups: $0.strings("groups")) }
    }
}

/// `sources.udp:`
public struct UDPSourceSettings: Sendable, Equatable {
    /// Where to listen.
    public let listen: ListenAddress
    /// The kernel's buffer, in bytes.
    public let receiveBuffer: Int
    /// Networks that may send; nil is this machine.
    public let allow: [String]?

    init(_ section: Section) {
        listen = section.listen("listen")
        receiveBuffer = section.integer("receive_buffer")
        allow = section.has("allow") ? section.strings("allow") : nil
    }
}

/// `sources.unix_datagram:`
public struct UnixDatagramSourceSettings: Sendable, Equatable {
    /// Where the socket is.
    public let path: String
    /// Its rights.
    public let mode: Int
    /// Its group, by name or number.
    public let group: String?
    /// The kernel's buffer, in bytes.
    public let receiveBuffer: Int

    init(_ section: Section) {
        path = section.string("path")
        mode = section.integer("mode")
        group = section.optionalString("group")
        receiveBuffer = section.integer("receive_buffer")
    }
}

/// `sources.http:`
public struct HTTPSourceSettings: Sendable, Equatable {
    /// Where to listen.
    public let listen: ListenAddress

    init(_ section: Section) { listen = section.listen("listen") }
}

/// `sources:`; one that is nil is off.
public struct SourceSettings: Sendable, Equatable {
    /// NDJSON over a Unix socket.
    public let unix: UnixSourceSettings?
    /// UDP.
    public let udp: UDPSourceSettings?
    /// Unix datagrams.
    public let unixDatagram: UnixDatagramSourceSettings?
    /// HTTP.
    public let http: HTTPSourceSettings?

    init(_ section: Section) {
        unix = section.optionalSection("unix").map(UnixSourceSettings.init)
        udp = section.optionalSection("udp").map(UDPSourceSettings.init)
        unixDatagram = section.optionalSection("unix_datagram").map(UnixDatagramSourceSettings.init)
        http = section.optionalSection("http").map(HTTPSourceSettings.init)
    }
}

/// `limits:`, of one span.
public struct LimitSettings: Sendable, Equatable {
    /// Bytes as sent.
    public let spanBytes: Int
    /// Nesting of its JSON.
    public let depth: Int
    /// Attributes.
    public let attributes: Int

    init(_ section: Section) {
        spanBytes = section.integer("span_bytes")
        depth = section.integer("depth")
        attributes = section.integer("attributes")
    }
}

/// `rejects:`; nil is off.
public struct RejectSettings: Sendable, Equatable {
    /// Every line, or one in a while of each source and reason.
    public let keepsAll: Bool
    /// The file.
    public let path: String
    /// Most bytes of it and the one before it.
    public let sizeMax: Int

    init?(_ section: Section, spoolPath: String) {
        let keep = section.string("keep")
        guard keep != "off" else { return nil }
        keepsAll = keep == "all"
        path = section.optionalString("path") ?? folder(of: spoolPath) + "rejects.ndjson"
        sizeMax = section.integer("max_size")
    }
}

/// With its slash; empty for a name alone.
private func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "" }

/// `control:`
public struct ControlSettings: Sendable, Equatable {
    /// Where the socket is.
    public let path: String
    /// A group that may use it beside the daemon's user and root.
    public let group: String?

    init(_ section: Section, spoolPath: String) {
        path = section.optionalString("path") ?? folder(of: spoolPath) + "control.sock"
        group = section.optionalString("group")
    }
}

/// `journal:`
public struct JournalSettings: Sendable, Equatable {
    /// What is told.
    public enum Level: String, Sendable, Equatable { case debug, info, warning, error }

    /// The least that is told.
    public let level: Level
    /// How often a destination with traffic gets its line.
    public let summary: Duration

    init(_ section: Section) {
        level = section.choice("level")
        summary = section.duration("summary")
    }
}

/// What every destination has, and `section` for the keys of its type.
public struct DestinationSettings: Sendable, Equatable {
    /// Where a destination that was never seen begins.
    public enum Start: Sendable, Equatable {
        case end
        case beginning
        /// So long ago.
        case ago(Duration)
    }

    /// What happens over the backlog.
    public enum BacklogFull: String, Sendable, Equatable { case expire, hold }

    /// Who takes the batches of a destination that has failed for long.
    public struct Fallback: Sendable, Equatable {
        /// Another destination's name.
        public let to: String
        /// How long nothing must have succeeded.
        public let after: Duration
    }

    /// Keys of those that send over HTTP.
    public struct HTTP: Sendable, Equatable {
        /// How long a connection may take.
        public let connectTimeout: Duration
        /// Headers that each request carries.
        public let headers: [NamedSecret]
        /// Certificate authorities instead of the system's.
        public let caFile: String?
        /// A client certificate.
        public let certificateFile: String?
        /// Its key.
        public let keyFile: String?
        /// Whether the server's certificate is checked.
        public let verify: Bool
        /// A proxy's URL, which may hold a password; nil leaves it to the environment.
        public let proxy: Secret?

        init(_ section: Section) {
            let tls = section.section("tls")
            connectTimeout = section.duration("connect_timeout")
            headers = section.headers("headers")
            caFile = tls.optionalString("ca_file")
            certificateFile = tls.optionalString("certificate_file")
            keyFile = tls.optionalString("key_file")
            verify = tls.boolean("verify")
            proxy = section.optionalString("proxy").map { Secret($0) }
        }
    }

    /// Its name.
    public let name: String
    /// Its type.
    public let type: String
    /// False: nothing is sent.
    public let isEnabled: Bool
    /// Where it begins; nil is the end of the log, or its beginning on a fresh spool.
    public let from: Start?
    /// The name it had.
    public let was: String?
    /// How long a batch waits.
    public let linger: Duration
    /// Most spans of a batch; nil is 500, or the platform's limit where that is lower.
    public let spansMax: Int?
    /// Most bytes of a batch; nil is the platform's limit.
    public let bytesMax: Int?
    /// Most batches on their way.
    public let workers: Int
    /// Total time of an attempt; nil is 30 s, or what the platform asks for.
    public let timeout: Duration?
    /// The first wait between attempts.
    public let backoffBase: Duration
    /// The longest wait.
    public let backoffMax: Duration
    /// Failures in a row that open the breaker.
    public let breakerFailures: Int
    /// Older spans expire.
    public let ageMax: Duration
    /// Most of the spool that its undelivered spans take.
    public let backlogMax: Share
    /// What happens over that.
    public let backlogWhenFull: BacklogFull
    /// Whether what comes in now goes before the backlog of an outage.
    public let liveFirst: Bool
    /// Most requests a second; nil is no limit.
    public let requestsPerSecond: Int?
    /// Most bytes of request bodies a second; nil is no limit.
    public let bytesPerSecond: Int?
    /// Who takes its batches, and after how long a failure; nil: nobody.
    public let fallback: Fallback?
    /// Nil for a type that does not send over HTTP.
    public let http: HTTP?
    /// All its keys, those of its type among them.
    public let section: Section

    init(name: String, _ section: Section) {
        self.name = name
        self.section = section
        type = section.string("type")
        isEnabled = section.boolean("enabled")
        from = section.optionalDuration("from").map(Start.ago) ?? section.optionalString("from").map { $0 == "end" ? .end : .beginning }
        was = section.optionalString("was")
        linger = section.duration("linger")
        spansMax = section.optionalInteger("max_spans")
        bytesMax = section.optionalInteger("max_bytes")
        workers = section.integer("workers")
        timeout = section.optionalDuration("timeout")
        backoffBase = section.section("backoff").duration("base")
        backoffMax = section.section("backoff").duration("max")
        breakerFailures = section.section("breaker").integer("failures")
        ageMax = section.duration("max_age")
        backlogMax = section.section("backlog").share("max")
        backlogWhenFull = section.section("backlog").choice("when_full")
        liveFirst = section.string("catch_up") == "live_first"
        requestsPerSecond = section.section("rate").optionalInteger("requests")
        bytesPerSecond = section.section("rate").optionalInteger("bytes")
        fallback = section.optionalSection("fallback").map { Fallback(to: $0.string("to"), after: $0.duration("after")) }
        http = section.keys.contains { $0.name == "connect_timeout" } ? HTTP(section) : nil
    }
}

extension LoadedSettings {
    /// The memory budget, in bytes.
    public var memory: Int { root.integer("memory") }
    /// `spool:`
    public var spool: SpoolSettings { SpoolSettings(root.section("spool")) }
    /// `sources:`
    public var sources: SourceSettings { SourceSettings(root.section("sources")) }
    /// `limits:`
    public var limits: LimitSettings { LimitSettings(root.section("limits")) }
    /// `rejects:`
    public var rejects: RejectSettings? { RejectSettings(root.section("rejects"), spoolPath: spool.path) }
    /// `control:`
    public var control: ControlSettings { ControlSettings(root.section("control"), spoolPath: spool.path) }
    /// `journal:`
    public var journal: JournalSettings { JournalSettings(root.section("journal")) }
    /// How long a stop may take to finish what is in flight.
    public var stopDrain: Duration { root.section("stop").duration("drain") }
    /// In the order of the file.
    public var destinations: [DestinationSettings] { root.namedSections("destinations").map(DestinationSettings.init) }
    /// Which spans go where, and in which form.
    public var rules: RuleSettings { RuleSettings(root) }
}
