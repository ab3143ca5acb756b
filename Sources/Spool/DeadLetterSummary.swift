/// What dead letters there are, before anything is done to them.
public struct DeadLetterSummary: Sendable, Equatable {
    /// Letters of one reason and status.
    public struct Group: Sendable, Equatable, Codable {
        /// A code, as in the ledger.
        public var reason: String
        /// The HTTP status that decided, or 0.
        public var status: Int
        /// Letters.
        public var letters: Int
        /// Spans that they stand for.
        public var spans: Int64
        /// Letters whose span is kept, so that it can be sent again.
        public var replayable: Int
    }

    /// The most frequent first.
    public var groups: [Group] = []
    /// Unix milliseconds of the oldest first failure; nil where there are no letters.
    public var oldest: Int64?
    /// Unix milliseconds of the newest one.
    public var newest: Int64?
    /// A few of their spans, the lowest ids.
    public var spans: [Int64] = []
}

/// What has become of letters that were asked for again, those that have gone left out.
public struct DeadLetterFates: Sendable, Equatable {
    /// Still to be sent, or under way.
    public var replaying = 0
    /// Failed, and tried again by themselves.
    public var parked = 0
    /// Failed for good.
    public var dead = 0
}

extension LogReader {
    /// The letters of a consumer that a filter means, counted.
    public func deadLetterSummary(consumer: Int64, filter: DeadLetterFilter) throws(SpoolError) -> DeadLetterSummary {
        let values = [.integer(consumer)] + filter.values
        return try reading { database throws(SQLiteError) -> DeadLetterSummary in
            var summary = DeadLetterSummary()
            try database.each(
                """
                SELECT reason, status, count(*), sum(weight), sum(\(Self.isReplayable)), min(first_at), max(first_at)
                FROM dead_letters AS l WHERE \(filter.condition) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
                """, values
            ) { row in
                summary.groups.append(
                    DeadLetterSummary.Group(
                        reason: row.text(0), status: Int(row.integer(1)), letters: Int(row.integer(2)), spans: row.integer(3),
                        replayable: Int(row.integer(4))))
                summary.oldest = min(summary.oldest ?? .max, row.integer(5))
                summary.newest = max(summary.newest ?? .min, row.integer(6))
            }
            try database.each("SELECT l.span FROM dead_letters AS l WHERE \(filter.condition) ORDER BY l.span LIMIT 10", values) { row in
                summary.spans.append(row.integer(0))
            }
            return summary
        }
    }

    /// The spans of the letters that a filter means and that can be sent again, ascending.
    public func replayableLetters(consumer: Int64, filter: DeadLetterFilter) throws(SpoolError) -> [Int64] {
        try reading { database throws(SQLiteError) -> [Int64] in
            var spans: [Int64] = []
            try database.each(
                "SELECT l.span FROM dead_letters AS l WHERE \(filter.condition) AND \(Self.isReplayable) ORDER BY l.span",
                [.integer(consumer)] + filter.values
            ) { row in spans.append(row.integer(0)) }
            return spans
        }
    }

    /// How the letters of these spans stand.
    public func fates(of spans: Set<Int64>, consumer: Int64) throws(SpoolError) -> DeadLetterFates {
        guard let first = spans.min(), let last = spans.max() else { return DeadLetterFates() }
        return try reading { database throws(SQLiteError) -> DeadLetterFates in
            var fates = DeadLetterFates()
            try database.each(
                "SELECT span, state FROM dead_letters WHERE consumer = ? AND span BETWEEN ? AND ?", .integer(consumer), .integer(first),
                .integer(last)
            ) { row in
                guard spans.contains(row.integer(0)) else { return }
                switch DeadLetter.State(rawValue: row.text(1)) {
                case .replaying: fates.replaying += 1
                case .parked: fates.parked += 1
                case .dead, nil: fates.dead += 1
                }
            }
            return fates
        }
    }

    private static let isReplayable = "(l.reason <> 'partial_unknown' AND EXISTS (SELECT 1 FROM dead_spans WHERE span = l.span))"
}
