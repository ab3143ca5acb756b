import Delivery
import Pipeline
import SpanModel
import Spool

/// Prometheus' text format (version 0.0.4) of the ledger and what stands around it. Counters come from the ledger, so they survive restarts.
struct MetricsPage {
    private var text = ""

    init(
        _ report: StatusReport, deliveries: [DestinationStatus], rules: RuleCounters,
        intake: (redactions: [String: Int64], failures: Int64),
        journalLinesLost: Int, durability: String
    ) {
        family("tracefwd_build_info", "gauge", "The version that runs.") { $0.sample(["version": version, "durability": durability], 1) }
        family("tracefwd_uptime_seconds", "gauge", "Since the daemon started.") { $0.sample([:], report.uptimeSeconds) }
        family("tracefwd_spans_accepted_total", "counter", "Spans that are or were in the spool.") {
            $0.sample([:], Double(report.spool.accepted))
        }
        family("tracefwd_lines_rejected_total", "counter", "Lines that never became spans, by source and reason.") { page in
            for source in report.sources {
                for (reason, count) in source.rejected.sorted(by: { $0.key < $1.key }) {
                    page.sample(["source": source.name, "reason": reason], Double(count))
                }
            }
        }
        family("tracefwd_spans_total", "counter", "The ledger: what became of spans, by destination, outcome, reason and route.") { page in
            for one in report.destinations {
                for line in one.ledger {
                    page.sample(
                        ["destination": one.name, "outcome": line.outcome, "reason": line.reason, "route": line.route], Double(line.spans))
                }
            }
        }
        family("tracefwd_span_bytes_total", "counter", "Stored bytes of the spans in the ledger.") { page in
            for one in report.destinations {
                for line in one.ledger {
                    page.sample(
                        ["destination": one.name, "outcome": line.outcome, "reason": line.reason, "route": line.route], Double(line.bytes))
                }
            }
        }
        spool(report)
        sources(report)
        destinations(report, deliveries)
        self.rules(rules, intake)
        family("tracefwd_journal_lines_lost_total", "counter", "Lines that the journal did not take in time.") {
            $0.sample([:], Double(journalLinesLost))
        }
    }

    /// The page.
    var body: String { text }

    private mutating func spool(_ report: StatusReport) {
        family("tracefwd_spool_bytes", "gauge", "Used pages and WAL.") { $0.sample([:], Double(report.spool.usedBytes)) }
        family("tracefwd_spool_bytes_max", "gauge", "spool.max_size.") { $0.sample([:], Double(report.spool.maxBytes)) }
        family("tracefwd_spool_wal_bytes", "gauge", "The WAL.") { $0.sample([:], Double(report.spool.walBytes)) }
        family("tracefwd_spool_commits_total", "counter", "Commits since the start.") { $0.sample([:], Double(report.spool.commits)) }
        family("tracefwd_clock_trusted", "gauge", "1 while spans may expire by their age; 0 after the wall clock has jumped.") {
            $0.sample([:], report.spool.clockTrusted ? 1 : 0)
        }
        family("tracefwd_spool_writable", "gauge", "1 while spans are taken.") { $0.sample([:], report.spool.refusal == nil ? 1 : 0) }
    }

    private mutating func rules(_ counters: RuleCounters, _ intake: (redactions: [String: Int64], failures: Int64)) {
        family("tracefwd_condition_errors_total", "counter", "Expressions of routes that failed since the start, by route.") { page in
            for (route, count) in counters.conditionErrors.sorted(by: { $0.key < $1.key }) { page.sample(["route": route], Double(count)) }
            if intake.failures > 0 { page.sample(["route": "intake"], Double(intake.failures)) }
        }
        family("tracefwd_redactions_total", "counter", "Values that were replaced since the start, by route (or intake) and entity.") {
            page in
            for (entity, count) in intake.redactions.sorted(by: { $0.key < $1.key }) {
                page.sample(["route": "intake", "entity": entity], Double(count))
            }
            let sorted = counters.redactions.sorted { ($0.key.route, $0.key.entity) < ($1.key.route, $1.key.entity) }
            for (key, count) in sorted { page.sample(["route": key.route, "entity": key.entity], Double(count)) }
        }
        family("tracefwd_exec_starts_total", "counter", "Starts of a route's program, since the start.") { page in
            for (route, count) in counters.programStarts.sorted(by: { $0.key < $1.key }) { page.sample(["route": route], Double(count)) }
        }
        family("tracefwd_exec_failures_total", "counter", "Spans for which a route's program had no answer, since the start, by reason.") {
            page in
            let sorted = counters.programFailures.sorted { ($0.key.route, $0.key.reason) < ($1.key.route, $1.key.reason) }
            for (key, count) in sorted { page.sample(["route": key.route, "reason": key.reason], Double(count)) }
        }
        family("tracefwd_unpriced_spans_total", "counter", "Spans with token counts whose model has no known price, since the start.") {
            $0.sample([:], Double(counters.unknownModels))
        }
    }

    private mutating func sources(_ report: StatusReport) {
        func each(_ name: String, _ type: String, _ help: String, _ value: KeyPath<StatusReport.Source, Int>, _ page: inout MetricsPage) {
            page.family(name, type, help) { page in
                for source in report.sources { page.sample(["source": source.name], Double(source[keyPath: value])) }
            }
        }
        each("tracefwd_source_bytes_total", "counter", "Bytes read.", \.bytes, &self)
        each("tracefwd_source_connections_total", "counter", "Connections taken.", \.connections, &self)
        each("tracefwd_source_connections_open", "gauge", "Connections open now.", \.connectionsOpen, &self)
        family("tracefwd_source_crowded", "gauge", "1 while peers wait that cannot be taken: too many open files.") { page in
            for source in report.sources { page.sample(["source": source.name], source.crowded ? 1 : 0) }
        }
        each("tracefwd_source_connections_refused_total", "counter", "Connections refused by allow.", \.connectionsRefused, &self)
        each("tracefwd_source_datagrams_total", "counter", "Datagrams read.", \.datagrams, &self)
        each("tracefwd_source_datagrams_refused_total", "counter", "Datagrams from addresses outside allow.", \.datagramsRefused, &self)
        each(
            "tracefwd_source_kernel_dropped_total", "counter", "Datagrams the kernel dropped before they were read.", \.kernelDropped, &self
        )
        each("tracefwd_source_answers_dropped_total", "counter", "Acks that a peer did not read.", \.answersDropped, &self)
        each("tracefwd_source_end_before_start_total", "counter", "Spans whose end is before their start.", \.endBeforeStart, &self)
    }

    private mutating func destinations(_ report: StatusReport, _ deliveries: [DestinationStatus]) {
        func each(_ name: String, _ type: String, _ help: String, _ page: inout MetricsPage, _ value: (DestinationStatus) -> Double) {
            page.family(name, type, help) { page in
                for one in deliveries { page.sample(["destination": one.name], value(one)) }
            }
        }
        each("tracefwd_destination_backlog_spans", "gauge", "Spans that wait.", &self) { Double($0.backlogSpans) }
        each("tracefwd_destination_backlog_bytes", "gauge", "Their stored bytes.", &self) { Double($0.backlogBytes) }
        each("tracefwd_destination_in_flight_spans", "gauge", "Spans under way.", &self) { Double($0.inFlightSpans) }
        each("tracefwd_destination_oldest_seconds", "gauge", "Age of the oldest undelivered span.", &self) { $0.oldestAgeSeconds }
        each("tracefwd_destination_last_delivered_seconds", "gauge", "Unix time of the last delivery since the start, 0 before it.", &self)
        {
            Double($0.lastDeliveredAt) / 1e9
        }
        each("tracefwd_destination_breaker_open", "gauge", "1 while the circuit breaker is open.", &self) { $0.breakerOpen ? 1 : 0 }
        each("tracefwd_destination_concurrency", "gauge", "Requests that may be under way at once.", &self) { Double($0.concurrency) }
        each("tracefwd_destination_retries_total", "counter", "Attempts that failed and were made again, since the start.", &self) {
            Double($0.retries)
        }
        each("tracefwd_destination_last_error_seconds", "gauge", "Unix time of the last failure since the start, 0 before it.", &self) {
            Double($0.lastErrorAt) / 1e9
        }
        each(
            "tracefwd_destination_request_spans_total", "counter",
            "Spans in requests since the start, one that is sent again counted again; over request_seconds_count: spans per request.", &self
        ) {
            Double($0.requestSpans)
        }
        each("tracefwd_destination_request_bytes_total", "counter", "Bytes of request bodies since the start.", &self) {
            Double($0.requestBytes)
        }
        each("tracefwd_destination_door_changes_total", "counter", "Times that requests took to another door of the platform.", &self) {
            Double($0.doorChanges)
        }
        each("tracefwd_destination_host_changes_total", "counter", "Times that they took to another host, there and back.", &self) {
            Double($0.hostChanges)
        }
        each(
            "tracefwd_destination_cut_spans_total", "counter",
            "Spans delivered shorter than stored, for the platform's limits, since the start.", &self
        ) {
            Double($0.cutSpans)
        }
        each(
            "tracefwd_destination_traces_decided_early_total", "counter",
            "Traces that tail sampling decided before their time, past max_traces, since the start.", &self
        ) {
            Double($0.tracesDecidedEarly)
        }
        let watched = deliveries.filter { $0.orphans != nil }
        if !watched.isEmpty {
            family(
                "tracefwd_langsmith_orphans_total", "counter",
                "Spans sent under a parent that was dropped, or not delivered within an hour: LangSmith does not show them."
            ) { page in
                for one in watched { page.sample(["destination": one.name], Double(one.orphans ?? 0)) }
            }
        }
        family("tracefwd_destination_state", "gauge", "1 for the state that a destination is in.") { page in
            for one in deliveries { page.sample(["destination": one.name, "state": one.state.rawValue], 1) }
        }
        family("tracefwd_destination_responses_total", "counter", "Answers since the start, by class of status; none where there was none.")
        { page in
            for one in deliveries {
                for (name, count) in one.statusClasses.byStatusClass.sorted(by: { $0.key < $1.key }) {
                    page.sample(["destination": one.name, "class": name], Double(count))
                }
            }
        }
        family("tracefwd_dead_letters", "gauge", "Dead letters that are there, by state.") { page in
            for one in report.destinations {
                for (state, count) in one.deadLetters.sorted(by: { $0.key < $1.key }) {
                    page.sample(["destination": one.name, "state": state], Double(count))
                }
            }
        }
        family("tracefwd_destination_request_seconds", "histogram", "Time of a request.") { page in
            for one in deliveries {
                var running: Int64 = 0
                for (bound, count) in zip(Histogram.bounds.map { "\($0)" } + ["+Inf"], one.latency.counts) {
                    running += count
                    page.sample(["destination": one.name, "le": bound], Double(running), suffix: "_bucket")
                }
                page.sample(["destination": one.name], one.latency.sum, suffix: "_sum")
                page.sample(["destination": one.name], Double(one.latency.count), suffix: "_count")
            }
        }
    }

    private var current = ""

    private mutating func family(_ name: String, _ type: String, _ help: String, _ samples: (inout MetricsPage) -> Void) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        current = name
        samples(&self)
    }

    private mutating func sample(_ labels: KeyValuePairs<String, String>, _ value: Double, suffix: String = "") {
        let list = labels.map { "\($0.key)=\"\(escape($0.value))\"" }.joined(separator: ",")
        let number = value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
        text += "\(current)\(suffix)\(list.isEmpty ? "" : "{\(list)}") \(number)\n"
    }

    private func escape(_ text: String) -> String {
        text.map { $0 == "\\" ? "\\\\" : $0 == "\"" ? "\\\"" : $0 == "\n" ? "\\n" : String($0) }.joined()
    }
}
