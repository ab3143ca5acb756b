// The table: every key that tracefwd knows, but for those of single destination types. Decoder, near-key guess, documentation, editors'
// schema and `check --effective` all read it, so a key is added here and in Typed.swift, nowhere else.

/// The keys of the top, in the order of the documentation.
func table(_ types: [DestinationType]) -> [Key] {
    let start = [
        Key(
            "memory", .bytes(32 << 20 ... .max), .value("256MiB"), reload: false,
            "The memory that intake and delivery share; over it sources stop reading and destinations send less at a time."),
        Key("spool", .section(spoolKeys), .defaults, "Where accepted spans live until every destination has settled them.")
            .needingRestart(),
        Key(
            "sources", .section(sourceKeys), .defaults, "Where spans come in. A source is on when its key stands here, also empty: `unix:`."
        )
        .needingRestart(),
        Key("limits", .section(limitKeys), .defaults, "What one span may be; a larger one is rejected.").needingRestart(),
        Key("rejects", .section(rejectKeys), .defaults, "Whether lines that are no spans are kept, for a person to look at.")
            .needingRestart(),
        Key("control", .section(controlKeys), .defaults, "The socket for the command line; it reads and changes everything.")
            .needingRestart(),
        Key("journal", .section(journalKeys), .defaults, "What the daemon tells a person."),
        Key("stop", .section(stopKeys), .defaults, "How the daemon stops."),
    ]
    let end = [
        Key("destinations", .destinations(types), .nothing("nothing is sent; spans stay in the spool"), "Where spans go, by name.")
    ]
    return start + end + ruleKeys
}

private let spoolKeys = [
    Key("path", .path, .value("/var/lib/tracefwd/spool.db"), "The SQLite file. It is on a local disk: network file systems are refused."),
    Key("max_size", .bytes(16 << 20 ... .max), .value("10GiB"), "The most the spool takes: used pages, write-ahead log and dead letters."),
    Key("history", .duration(.orZero), .value("24h"), "How long settled spans are kept, for replay and for a destination that comes back."),
    Key(
        "when_full", .choice(["reject", "drop_oldest"], or: .section(blockKeys)), .value("reject"),
        "What a full spool does: reject new spans, drop the oldest undelivered ones, or let the sender wait, then reject."),
    Key(
        "durability", .choice(["fsync", "os", "none"]), .value("fsync"),
        "What an ack means: the span survives a power cut (`fsync`), a crash of the daemon (`os`), or nothing (`none`)."),
    Key("reserve", .bytes(0 ... .max), .value("64MiB"), "Kept free beside the spool, so that settling goes on when the disk is full."),
    Key("dead_letters", .section(deadLetterKeys), .defaults, "Spans that a destination refused for good."),
]

private let blockKeys = [Key("block", .duration(.positive), .required, "How long a sender waits for space before the span is rejected.")]

private let deadLetterKeys = [
    Key("max_size", .bytes(0 ... .max), .value("1GiB"), "The most they take; over it the oldest go."),
    Key("retain", .duration(.orZero), .value("30d"), "How long they are kept for a look or a replay."),
]

private let sourceKeys = [
    Key("unix", .section(unixKeys), .nothing("off"), "A Unix socket: NDJSON, acks after the disk has it."),
    Key("udp", .section(udpKeys), .nothing("off"), "UDP: one span or a few lines a datagram, no acks."),
    Key("unix_datagram", .section(unixDatagramKeys), .nothing("off"), "A Unix datagram socket: as UDP, and the kernel says who sends."),
    Key("http", .section(httpKeys), .nothing("off"), "HTTP: health, metrics and ingest."),
]

private let unixKeys = [
    Key("path", .socket, .value("/run/tracefwd.sock"), "Where the socket is; one that the service manager hands over wins."),
    Key("mode", .mode, .value("0660"), "The socket's rights."),
    Key("owner", .string, .nothing("the daemon's user"), "The socket's owner."),
    Key("group", .string, .nothing("the daemon's group"), "The socket's group."),
    Key("allow", .section(allowKeys), .nothing("whoever may open the socket"), "Who may send, checked by the kernel's word (SO_PEERCRED)."),
]

private let allowKeys = [
    Key("users", .list(.string), .nothing("none by name"), "Users, by name or number."),
    Key("groups", .list(.string), .nothing("none by name"), "Groups, by name or number; a user of any of them may send."),
]

private let udpKeys = [
    Key("listen", .listen, .value("127.0.0.1:8127"), "Where to listen."),
    Key(
        "receive_buffer", .bytes(4096...1 << 30), .value("8MiB"), "The kernel's buffer; more of it loses fewer datagrams in a burst."
    ),
    Key("allow", .list(.network), .nothing("this machine"), "The networks that may send; needed where other machines reach `listen`."),
]

private let unixDatagramKeys = [
    Key("path", .socket, .value("/run/tracefwd.dgram.sock"), "Where the socket is."),
    Key("mode", .mode, .value("0660"), "The socket's rights."),
    Key("group", .string, .nothing("the daemon's group"), "The socket's group."),
    Key("receive_buffer", .bytes(4096...1 << 30), .value("8MiB"), "The kernel's buffer."),
]

private let httpKeys = [
    Key(
        "listen", .listen, .value("127.0.0.1:8127"),
        "Where to listen. It has no key: other machines get no more than ingest, health and metrics.")
]

private let limitKeys = [
    Key("span_bytes", .bytes(1024...(64 << 20)), .value("4MiB"), "The largest span as it is sent."),
    Key("depth", .integer(4...512), .value("64"), "How deep its JSON may be nested."),
    Key("attributes", .integer(1...100_000), .value("1000"), "How many attributes it may have."),
]

private let rejectKeys = [
    Key("keep", .choice(["off", "sample", "all"]), .value("off"), "Which: none, one in ten seconds of each source and reason, or all."),
    Key(
        "path", .path, .nothing("`rejects.ndjson` beside the spool"),
        "The file; an older one stands beside it as `.1`. It may hold prompts."),
    Key("max_size", .bytes(64 << 10 ... .max), .value("16MiB"), "The most both files take."),
]

private let controlKeys = [
    Key("path", .socket, .nothing("`control.sock` beside the spool"), "Where the socket is."),
    Key("group", .string, .nothing("the daemon's own user and root alone"), "A group that may use it too. Not the one that sends spans."),
]

private let journalKeys = [
    Key(
        "level", .choice(["debug", "info", "warning", "error"]), .value("info"),
        "The least that is told: each batch, what began or recovered, what was dealt with, what a person must do."),
    Key("summary", .duration(.positive), .value("10s"), "How often a destination with traffic gets its line."),
]

private let stopKeys = [Key("drain", .duration(.orZero), .value("10s"), "How long a stop may take to finish what is in flight.")]

/// The first key of every destination.
func typeKey(_ types: [DestinationType]) -> Key {
    Key("type", .choice(types.map(\.name).sorted()), .required, "What kind of destination it is.")
}

/// What each destination has. Those that do not send over HTTP lack the keys that belong to it.
func commonDestinationKeys(http: Bool) -> [Key] {
    let all = [
        Key("enabled", .boolean, .value("true"), "False sends nothing; the spans wait as if the destination were paused."),
        Key(
            "from", .choice(["end", "beginning"], or: .duration(.positive)), .nothing("the log's end; its beginning on a fresh spool"),
            "Where a destination that was never seen begins: only new spans, all that the spool has, or those of the last hours."),
        Key("was", .string, .nothing("it was never renamed"), "The name it had: its place in the log is kept."),
        Key("linger", .duration(.orZero), .value("200ms"), "How long a batch waits for more spans."),
        Key("max_spans", .integer(1...100_000), .nothing("500, or the platform's limit where that is lower"), "The most spans of a batch."),
        Key("max_bytes", .bytes(1024...1 << 30), .nothing("the platform's limit"), "The most bytes of a batch, as they lie in the spool."),
        Key("workers", .integer(1...64), .value("4"), "The most batches on their way at once; it adapts below that."),
        Key("timeout", .duration(.positive), .nothing("30s, or what the platform asks for"), "How long one attempt may take in all."),
        Key("backoff", .section(backoffKeys), .defaults, "The wait between attempts: doubled each time, with full jitter."),
        Key("breaker", .section(breakerKeys), .defaults, "When to stop trying every batch and probe with one."),
        Key("max_age", .duration(.positive), .value("72h"), "Older spans are not sent any more: they expire, and are counted."),
        Key("backlog", .section(backlogKeys), .defaults, "How much of the spool its undelivered spans may take."),
        Key(
            "catch_up", .choice(["fifo", "live_first"]), .value("fifo"),
            "What goes first after an outage: the oldest spans, or those that come in now and the backlog when nothing newer waits."),
        Key("rate", .section(rateKeys), .defaults, "How much it is sent a second."),
        Key("fallback", .section(fallbackKeys), .nothing("its spans wait"), "Who takes its batches when it has failed for long."),
    ]
    let overHTTP = [
        Key("connect_timeout", .duration(.positive), .value("5s"), "How long a connection may take to open, TLS included."),
        Key("headers", .headers, .nothing("none"), "Headers that each request carries; a value may be a secret."),
        Key("tls", .section(tlsKeys), .defaults, "How the server, and this client, are known."),
        Key("proxy", .url, .nothing("`http_proxy`, `https_proxy` and `no_proxy` of the environment"), "An HTTP proxy to go through."),
    ]
    return http ? all + overHTTP : all
}

private let rateKeys = [
    Key("requests", .integer(1...1_000_000), .nothing("no limit"), "The most requests a second."),
    Key("bytes", .bytes(1...1 << 40), .nothing("no limit"), "The most bytes of request bodies a second."),
]

private let fallbackKeys = [
    Key("to", .destination, .required, "The destination that takes them; they count as handed_over."),
    Key("after", .duration(.positive), .value("10m"), "How long nothing must have succeeded."),
]

private let backoffKeys = [
    Key("base", .duration(.positive), .value("1s"), "The first wait, at most."),
    Key("max", .duration(.positive), .value("60s"), "The longest wait."),
]

private let breakerKeys = [Key("failures", .integer(1...1000), .value("5"), "Failures in a row that open it.")]

private let backlogKeys = [
    Key("max", .share, .value("50%"), "A part of `spool.max_size`, or a size."),
    Key("when_full", .choice(["expire", "hold"]), .value("expire"), "Over it the oldest expire, or they are held and the spool may fill."),
]

private let tlsKeys = [
    Key("ca_file", .path, .nothing("the system's authorities"), "Certificate authorities to trust instead, PEM."),
    Key("certificate_file", .path, .nothing("none is shown"), "A client certificate, PEM."),
    Key("key_file", .path, .nothing("none is shown"), "Its private key, PEM."),
    Key("verify", .boolean, .value("true"), "False takes any certificate: for a test on this machine only."),
]
