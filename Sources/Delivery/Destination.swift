// Delivery: batch, send, judge, retry, breaker, dead letters: once, for every platform.
// Promises: every span a route selects ends, per destination, in exactly one outcome of the ledger; a destination that hangs costs its own
// backlog only; ids are equal at every redelivery. Does not know: any platform, any file format.
// Start here (what a destination is), then Lane.swift (one destination's state and decisions), Loop.swift (the thread that acts on them),
// HTTPSender.swift (libcurl), SinkSender.swift (files) and ExecRunner.swift (programs of routes).
public import Settings
public import SpanModel

/// How many spans, and how many bytes of stored spans, one batch may hold.
public struct BatchLimits: Sendable, Equatable {
    /// Most spans of a batch.
    public var spans: Int
    /// Most bytes of stored spans (`SpanEntry.length`) of a batch; a single larger span stands alone.
    public var bytes: Int

    /// Limits of a platform.
    public init(spans: Int, bytes: Int) {
        self.spans = spans
        self.bytes = bytes
    }
}

/// What a destination says of itself, so that delivery needs to know nothing else of it.
public struct Declaration: Sendable {
    /// Whether spans reach a destination of this kind in the order of the log.
    public enum Order: Sendable { case none, perTrace, log }

    /// The platform's own limits; the user may set lower ones.
    public var limits: BatchLimits
    /// Whether sending a span twice leaves one at the platform, so that a partly refused batch may be bisected.
    public var idempotent: Bool
    /// The order promised. `log` means one batch in flight at a time.
    public var order: Order
    /// Total time of a request where the platform's contract names one; otherwise the default of delivery.
    public var timeout: Duration?
    /// The least that a batch waits for more spans, where requests are dear.
    public var lingerMin: Duration = .zero
    /// The ways in that the platform has (a path, an encoding), the best first, each as it is called in the journal. Empty: there is one.
    public var doors: [String] = []
    /// The hosts that take the same requests, the best first, as they may be shown. Empty: there is one. Another than the first is used
    /// where connecting to it failed.
    public var hosts: [String] = []
    /// A limit of requests that other destinations have a part in.
    public var sharedRate: SharedRate?
    /// How long the destination is left alone after a 429 that does not say it; nil: as after any failure.
    public var throttleWait: ThrottleWait?
    /// Set where the platform shows no span whose parent never comes: delivery remembers parents, `EncodeContext.parents` has them.
    public var parents: SpanLink.RemoteParent?

    /// A declaration; `stableBatches`, grouping and steps come with the first platforms that need them.
    public init(
        limits: BatchLimits, idempotent: Bool = false, order: Order = .none, timeout: Duration? = nil, throttleWait: ThrottleWait? = nil,
        parents: SpanLink.RemoteParent? = nil
    ) {
        self.limits = limits
        self.idempotent = idempotent
        self.order = order
        self.timeout = timeout
        self.throttleWait = throttleWait
        self.parents = parents
    }
}

/// How often a platform may be asked by all destinations of one account together.
public struct SharedRate: Sendable, Equatable {
    /// The account, by a name that is no secret: destinations of equal names share the limit.
    public var account: String
    /// Most requests a second.
    public var requestsPerSecond: Double
    /// The doors that it holds for: this one and those behind it.
    public var firstDoor: Int

    /// A limit.
    public init(account: String, requestsPerSecond: Double, firstDoor: Int = 0) {
        self.account = account
        self.requestsPerSecond = requestsPerSecond
        self.firstDoor = firstDoor
    }
}

/// What `encode` may use beside the spans: all of it an argument, so the function stays pure.
public struct EncodeContext: Sendable {
    /// The destination's name in the configuration.
    public var destination: String
    /// The time of this attempt, nanoseconds of the Unix epoch.
    public var now: UInt64
    /// Which of the declared doors it goes through, and to which of the hosts.
    public var (door, host): (Int, Int)
    /// What the destination has got of the traces' trees, where it declares that it needs to know; nil otherwise.
    public var parents: ParentMemory?

    /// A context for one attempt.
    public init(destination: String, now: UInt64, door: Int = 0, host: Int = 0, parents: ParentMemory? = nil) {
        self.destination = destination
        self.now = now
        (self.door, self.host) = (door, host)
        self.parents = parents
    }
}

/// One header of a request. Its value may be a secret, so it is never printed.
public struct Header: Sendable, Equatable {
    /// The header's name as it is sent.
    public var name: String
    /// The value.
    public var value: Secret

    /// A header with an open or a secret value.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = Secret(value)
    }
    /// A header whose value comes from the configuration as a secret.
    public init(_ name: String, secret: Secret) {
        self.name = name
        self.value = secret
    }
}

/// One request, or one write of a sink: what `encode` makes.
public struct Request: Sendable {
    /// The absolute URL; empty for sinks.
    public var url: String
    /// `POST` nearly always; `GET` has no body.
    public var method: String
    /// Headers without Content-Length and Host, which the sender writes.
    public var headers: [Header]
    /// The body as it goes over the wire.
    public var body: [UInt8]
    /// Which spans of the batch it carries: offsets into the array that `encode` got.
    public var spans: Range<Int>
    /// How many of them are shorter in the body than they are in the spool, as the platform's limits want it.
    public var cutSpans = 0
    /// For platforms that answer per item: the span that an item's id belongs to, counted from the first of `spans`. The body is gone when
    /// the answer comes.
    public var spanOfItem: [String: Int] = [:]
    /// Which of the declared doors it goes through.
    public var door: Int

    /// None yet.
    static let none = Request(url: "", body: [], spans: 0..<0)

    /// A request for some spans of a batch.
    public init(url: String, method: String = "POST", headers: [Header] = [], body: [UInt8], spans: Range<Int>, door: Int = 0) {
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
        self.spans = spans
        self.door = door
    }
}

/// What came back, whole.
public struct Response: Sendable {
    /// The HTTP status.
    public var status: Int
    /// Headers with lower-case names; of a repeated one the last.
    public var headers: [String: String]
    /// The body, cut at 1 MiB (`bodyCut` tells).
    public var body: [UInt8]
    /// Whether the body was longer than what is kept.
    public var bodyCut: Bool

    /// A response as the sender read it.
    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = [], bodyCut: Bool = false) {
        self.status = status
        self.headers = headers
        self.body = body
        self.bodyCut = bodyCut
    }
}

/// What became of the spans of one request. Whole-request verdicts are decided further by delivery (DESIGN.md section 5).
public enum Verdict: Sendable, Equatable {
    /// Every span was taken. `note` is a warning of the platform's, told once.
    case delivered(note: String? = nil)
    /// Judged span by span, in the order of `Request.spans`.
    case perSpan([SpanVerdict])
    /// `refused` of the request's spans were refused for good, and which is unknown.
    case partialUnknown(refused: Int, detail: String)
    /// Try again later, after at least `after` where the platform said so. `throttle` lowers the concurrency too.
    case retry(after: Duration? = nil, detail: String, throttle: Bool = false)
    /// The request was refused for good because of something in it: bisected until the span at fault stands alone.
    case refused(reason: String, detail: String)
    /// The body was too large: the batch is halved.
    case tooLarge
    /// The configuration is wrong (key, path, permission): the destination pauses, says so, and probes; no attempt is counted.
    case pause(reason: String, detail: String)
    /// The destination is gone for good: it stops until a reload.
    case disable(reason: String, detail: String)
    /// This door takes nothing of the kind, which proves that nothing was stored: the batch goes to another at once, one further on in
    /// `Declaration.doors`. Where that one delivers, the others follow.
    case otherDoor(Int, detail: String)
}

/// What became of one span, where the platform tells.
public enum SpanVerdict: Sendable, Equatable {
    case delivered
    case refused(reason: String, detail: String)
    case retry
}

/// A span that cannot be written in the platform's form at all: a dead letter with this reason.
public struct EncodeError: Error, Equatable, CustomStringConvertible {
    /// The offset of the span in the batch.
    public var span: Int
    /// A code as in the ledger.
    public var reason: String

    /// An error for one span.
    public init(span: Int, reason: String) {
        self.span = span
        self.reason = reason
    }
    /// What and where, never the content.
    public var description: String { "span \(span) of the batch: \(reason)" }
}

/// TLS and transport of one destination's requests, as the configuration gives them.
public struct HTTPOptions: Sendable, Equatable {
    /// A PEM file of certificate authorities, beside which the system's are not used.
    public var caFile: String?
    /// A client certificate, PEM.
    public var certificateFile: String?
    /// Its private key, PEM.
    public var keyFile: String?
    /// Whether the server's certificate is checked. True unless the user says otherwise.
    public var verify = true
    /// A proxy URL; nil leaves it to the environment (`http_proxy`, `https_proxy`, `no_proxy`).
    public var proxy: String?

    /// The defaults: the system's authorities, checked.
    public init() {}
}

/// A place on this machine that takes bytes: a file, standard output. Lives on a thread of its own, so it may block.
public protocol Sink: AnyObject {
    /// Writes one request's body so that it lasts, or throws; what was written in part is undone by the sink.
    func write(_ request: Request) throws(SinkError)
    /// The last call.
    func close()
}

/// Why a sink did not take the bytes. Always retried: a disk gets space again, a directory appears.
public struct SinkError: Error, Equatable, CustomStringConvertible {
    /// What, where and what to do.
    public var description: String

    /// An error with its sentence.
    public init(_ description: String) { self.description = description }
}

/// How a destination's requests leave.
public enum Outlet: Sendable {
    /// Over HTTP, by delivery's libcurl.
    case http(HTTPOptions)
    /// Into a sink, made on the thread that it will live on.
    case sink(@Sendable () throws(SinkError) -> any Sink)
}

/// A destination: two pure functions and a declaration. No socket, clock, retry or logger.
public protocol Destination: Sendable {
    /// The word after `type:`.
    static var type: String { get }
    /// What delivery must know.
    var declaration: Declaration { get }
    /// How its requests leave.
    var outlet: Outlet { get }
    /// Where it sends to, in words and without a secret: for `status` and the journal.
    var target: String { get }

    /// Spans to one or more requests, which together carry each span once. Called anew for every attempt.
    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request]
    /// A response to verdicts. Only for outlets of `http`; network errors are judged by delivery itself.
    func judge(_ response: Response, to request: Request) -> Verdict

    /// What `check --probe` asks the platform, in this order, up to the first that does not work: its health and whether the key is right,
    /// with no span in it. None: a connection is all that can be tried.
    var probes: [Request] { get }
    /// What the answer to one of them means, in words.
    func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict
}

extension Destination {
    /// None.
    public var probes: [Request] { [] }
    /// Any answer is well.
    public func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict { .works("answered \(response.status)") }
}

/// What a probe found, as a part of a sentence without its full stop.
public enum ProbeVerdict: Sendable, Equatable {
    case works(String)
    /// What is wrong, and what a person should do.
    case fails(String, remedy: String)
}
