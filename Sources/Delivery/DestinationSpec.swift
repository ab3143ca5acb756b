public import Spool

/// How delivery treats one destination: the keys that every destination has.
public struct DeliverySettings: Sendable, Equatable {
    /// Where a destination that the spool has never seen begins.
    public enum Start: Sendable, Equatable {
        /// At the end of the log; at its begin where the log is empty.
        case end
        /// With the oldest span that is still there.
        case beginning
        /// With what was received this long ago.
        case ago(Duration)
    }

    /// What goes first after an outage.
    public enum CatchUp: String, Sendable, Equatable {
        /// The oldest: the order of the log.
        case fifo
        /// What comes in now; the backlog when nothing newer waits.
        case liveFirst = "live_first"
    }

    /// Who takes the batches of a destination that has failed for some time.
    public struct Fallback: Sendable, Equatable {
        /// Another destination's name.
        public var to: String
        /// How long nothing must have succeeded.
        public var after: Duration

        /// A fallback.
        public init(to: String, after: Duration) { (self.to, self.after) = (to, after) }
    }

    /// False: nothing is sent, the spans wait as if a person had paused it.
    public var isEnabled = true
    /// How long a batch waits for more spans.
    public var linger: Duration = .milliseconds(200)
    /// Most spans and bytes of a batch.
    public var limits: BatchLimits
    /// Most requests under way at once.
    public var workers = 4
    /// Time to connect.
    public var connectTimeout: Duration = .seconds(5)
    /// Time of a whole request.
    public var timeout: Duration = .seconds(30)
    /// First wait after a failure, doubled each time.
    public var backoffBase: Duration = .seconds(1)
    /// Longest wait between attempts.
    public var backoffMax: Duration = .seconds(60)
    /// Failures in a row that open the circuit breaker.
    public var breakerFailures = 5
    /// Spans older than this expire.
    public var maxAge: Duration = .seconds(72 * 3600)
    /// What it may hold in a full spool.
    public var backlog: BacklogLimit
    /// Most requests a second; nil is no limit.
    public var requestsPerSecond: Double?
    /// Most bytes of request bodies a second; nil is no limit.
    public var bytesPerSecond: Double?
    /// What goes first after an outage.
    public var catchUp = CatchUp.fifo
    /// Who takes its batches when it has failed for long; nil: nobody.
    public var fallback: Fallback?
    /// Where a new destination begins.
    public var start = Start.end
    /// The name it had before.
    public var renamed: String?

    /// The defaults with a destination's own limits.
    public init(limits: BatchLimits, backlog: BacklogLimit) {
        self.limits = limits
        self.backlog = backlog
    }
}

/// A destination as the configuration makes it.
public struct DestinationSpec: Sendable {
    /// Its name in the configuration.
    public var name: String
    /// The word after `type:`.
    public var type: String
    /// The two functions and the declaration.
    public var destination: any Destination
    /// How it is treated.
    public var settings: DeliverySettings

    /// All of it.
    public init(name: String, type: String, destination: any Destination, settings: DeliverySettings) {
        self.name = name
        self.type = type
        self.destination = destination
        self.settings = settings
    }
}

/// What delivery tells; the journal makes sentences of it, `tail` shows it.
public enum DeliveryEvent: Sendable {
    case firstDelivery(destination: String, target: String)
    case delivered(destination: String, spans: Int, bytes: Int, milliseconds: Int, attempt: Int)
    case retrying(destination: String, spans: Int, status: Int, attempt: Int, wait: Duration, detail: String)
    case breakerOpened(destination: String, failures: Int, wait: Duration, detail: String)
    case breakerClosed(destination: String)
    case paused(destination: String, reason: String, status: Int, detail: String, probe: Duration?)
    case resumed(destination: String)
    case deadLetters(destination: String, spans: Int, reason: String, status: Int, detail: String)
    case parked(destination: String, spans: Int, reason: String, next: Duration)
    case handedOver(destination: String, spans: Int, to: String)
    case replayed(destination: String, spans: Int)
    case expired(destination: String, spans: Int64, reason: String)
    case lost(destination: String, spans: Int64)
    case note(destination: String, text: String)
    case readFailed(destination: String, error: SpoolError)
    case clockJumped(by: Duration)
    case ruleFailed(route: String, count: Int, detail: String)
    case unknownModel(String)
    case programStarted(route: String)
    case programStopped(route: String, detail: String, wait: Duration)
    case programSaid(route: String, line: String)
    case summary(DestinationStatus, DeliveryActivity, within: Duration)
}

/// One destination as `status` and /metrics show it.
public struct DestinationStatus: Sendable {
    /// What it is doing, as one word.
    public enum State: String, Sendable, Codable {
        case idle, delivering, retrying, paused, disabled
        case breakerOpen = "breaker_open"
        case pausedByUser = "paused_by_user"
    }

    /// Its name in the configuration.
    public var name = ""
    /// The word after `type:`.
    public var type = ""
    /// Where it sends to, without a secret.
    public var target = ""
    /// Its number in the spool.
    public var consumer: Int64 = 0
    /// What it is doing.
    public var state = State.idle
    /// Why it is in this state, in words; empty where there is nothing to say.
    public var detail = ""
    /// Spans that wait, those under way included.
    public var backlogSpans: Int64 = 0
    /// Their stored bytes, to within a segment.
    public var backlogBytes: Int64 = 0
    /// Spans under way.
    public var inFlightSpans: Int64 = 0
    /// Seconds since the oldest undelivered span was received; 0 where there is none.
    public var oldestAgeSeconds: Double = 0
    /// Unix nanoseconds of the last delivery since the start, 0 before it.
    public var lastDeliveredAt: UInt64 = 0
    /// The last failure in words; empty where there was none.
    public var lastError = ""
    /// Unix nanoseconds of it.
    public var lastErrorAt: UInt64 = 0
    /// Attempts that failed and are made again.
    public var retries: Int64 = 0
    /// Times that requests went over to another door of the platform's.
    public var doorChanges: Int64 = 0
    /// Times that they went over to another host, there and back.
    public var hostChanges: Int64 = 0
    /// Requests since the start.
    public var requests: Int64 = 0
    /// Bytes of their bodies.
    public var requestBytes: Int64 = 0
    /// Spans in them; one that is sent again counts again.
    public var requestSpans: Int64 = 0
    /// Spans that were delivered shorter than they are in the spool, as the platform's limits wanted it.
    public var cutSpans: Int64 = 0
    /// Spans that were sent under a parent that has not been delivered; nil where the platform does not need it.
    public var orphans: Int64?
    /// Traces that were decided before their time since the start, because more than `max_traces` were open.
    public var tracesDecidedEarly: Int64 = 0
    /// Requests by the hundred of their status, 0 for none (network).
    public var statusClasses: [Int: Int64] = [:]
    /// Answer times.
    public var latency = Histogram()
    /// Requests that may be under way at once.
    public var concurrency = 1
    /// Whether its circuit breaker is open.
    public var breakerOpen = false
}
