import SpanModel

/// A row of `segments` as it is stored: what one commit gathered, or ids whose spans are gone.
struct SegmentRow {
    var first, last, minAt, maxAt, offset, format: Int64
    var directory, payload: [UInt8]

    /// What is selected for `init(row)`.
    static let columns = "first_id, last_id, min_at, max_at, log_offset, format, directory, payload"

    /// Of an answer with `columns`.
    init(_ row: Statement) {
        (first, last, minAt, maxAt) = (row.integer(0), row.integer(1), row.integer(2), row.integer(3))
        (offset, format, directory, payload) = (row.integer(4), row.integer(5), row.bytes(6), row.bytes(7))
    }

    /// Of spans.
    init(_ segment: Segment) {
        (first, last, offset, format) = (segment.firstID, segment.lastID, segment.logOffset, Schema.spans)
        minAt = Int64(clamping: segment.entries.first?.receivedAt ?? 0)
        maxAt = Int64(clamping: segment.entries.last?.receivedAt ?? 0)
        (directory, payload) = (Directory.encode(segment.entries, segment.payload), segment.payload)
    }

    /// Of ids whose spans are gone. `offset` is where the log goes on behind them; at its end the row carries the next id.
    init(hole ids: ClosedRange<Int64>, receivedAt: UInt64, offset: Int64) {
        (first, last, self.offset, format) = (ids.lowerBound, ids.upperBound, offset, Schema.lost)
        (minAt, maxAt, directory, payload) = (Int64(clamping: receivedAt), Int64(clamping: receivedAt), [], [])
    }

    /// Whether it can be what was written: the directory fits the payload, and no number is absurd.
    var isWhole: Bool {
        guard first > 0, last >= first, last < .max / 2, (0..<Int64.max / 2).contains(offset) else { return false }
        if format == Schema.lost { return payload.isEmpty }
        let entries = directory.withUnsafeBytes { Directory.decode($0, payload) }
        return format == Schema.spans && entries.map { Int64($0.count) } == last - first + 1
    }

    func insert(into database: Database) throws(SQLiteError) {
        try database.run(
            "INSERT INTO segments (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", .integer(first), .integer(last), .integer(minAt),
            .integer(maxAt), .integer(offset), .integer(format), .blob(directory), .blob(payload))
    }
}
