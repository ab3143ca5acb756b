public import SpanModel

/// What tail sampling made of a trace on the way to a consumer: kept until nothing of it can come any more.
public struct TraceDecision: Sendable, Equatable {
    /// The route that decided.
    public var route: String
    /// The trace.
    public var trace: TraceID
    /// What becomes of it, in numbers of delivery's.
    public var verdict: Int64
    /// The last id of the log that had been seen then.
    public var through: Int64
    /// Log time, nanoseconds of the Unix epoch.
    public var at: UInt64

    /// A decision.
    public init(route: String, trace: TraceID, verdict: Int64, through: Int64, at: UInt64) {
        (self.route, self.trace, self.verdict, self.through, self.at) = (route, trace, verdict, through, at)
    }

    /// From a row of route, trace_id, decision, through, decided_at; nil where that is none.
    init?(_ row: Statement) {
        guard let trace = row.bytes(1).withUnsafeBytes({ TraceID($0) }) else { return nil }
        self.init(
            route: row.text(0), trace: trace, verdict: row.integer(2), through: row.integer(3), at: UInt64(clamping: row.integer(4)))
    }

    func insert(into database: Database, consumer: Int64) throws(SQLiteError) {
        try database.run(
            "INSERT OR REPLACE INTO traces (consumer, route, trace_id, decision, through, decided_at) VALUES (?, ?, ?, ?, ?, ?)",
            .integer(consumer), .text(route), .blob(trace.bytes), .integer(verdict), .integer(through), .integer(Int64(clamping: at)))
    }
}

/// A trace that a route has decided on.
public struct TracedRoute: Sendable, Equatable {
    /// The route that decided.
    public var route: String
    /// The trace.
    public var trace: TraceID

    /// A trace of a route.
    public init(route: String, trace: TraceID) { (self.route, self.trace) = (route, trace) }

    func forget(in database: Database, consumer: Int64) throws(SQLiteError) {
        try database.run(
            "DELETE FROM traces WHERE consumer = ? AND route = ? AND trace_id = ?", .integer(consumer), .text(route), .blob(trace.bytes))
    }
}

extension TraceID {
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: bits.bigEndian) { Array($0) } }
}
