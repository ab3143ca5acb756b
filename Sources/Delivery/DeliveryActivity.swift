/// What a destination has done, counted from its start or over an interval.
public struct DeliveryActivity: Sendable, Equatable {
    /// Spans that were delivered.
    public var spans: Int64 = 0
    /// Batches that delivered them.
    public var batches: Int64 = 0
    /// Attempts that failed and are made again.
    public var retries: Int64 = 0
    /// Requests that were sent.
    public var requests: Int64 = 0
    /// Spans in them; one that is sent again counts again.
    public var requestSpans: Int64 = 0
    /// Bytes of their bodies.
    public var requestBytes: Int64 = 0
    /// Answers by the hundred of their status, 0 for none (network).
    public var statusClasses: [Int: Int64] = [:]
    /// Answer times.
    public var latency = Histogram()

    /// What came to it since an earlier state. An answer's class that did not come is not there.
    public func since(_ earlier: DeliveryActivity) -> DeliveryActivity {
        DeliveryActivity(
            spans: spans - earlier.spans, batches: batches - earlier.batches, retries: retries - earlier.retries,
            requests: requests - earlier.requests, requestSpans: requestSpans - earlier.requestSpans,
            requestBytes: requestBytes - earlier.requestBytes,
            statusClasses: statusClasses.reduce(into: [:]) { classes, one in
                let more = one.value - (earlier.statusClasses[one.key] ?? 0)
                if more > 0 { classes[one.key] = more }
            },
            latency: latency.since(earlier.latency))
    }
}

extension Lane {
    /// Since the start.
    var activity: DeliveryActivity {
        DeliveryActivity(
            spans: deliveredSpans, batches: deliveries, retries: status.retries, requests: status.requests,
            requestSpans: status.requestSpans, requestBytes: status.requestBytes, statusClasses: status.statusClasses,
            latency: status.latency)
    }
}

extension [Int: Int64] {
    /// Counts by the hundred of a status, by name: `2xx`; `none` for no answer.
    public var byStatusClass: [String: Int64] {
        [String: Int64](uniqueKeysWithValues: map { ($0.key == 0 ? "none" : "\($0.key)xx", $0.value) })
    }
}
