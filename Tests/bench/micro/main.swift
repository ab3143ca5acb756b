// One step of a span's path, again and again, so that a tool can count what it takes: `micro-bench CASE SPANS`.
// `make bench-budgets` runs each case under callgrind for some spans and for twice as many: the difference is free of the start.
import Delivery
import Foundation
import Intake
import Pipeline
import SpanModel
import Spool
import Threading

/// A step of a span's path. Each handles so many spans.
let cases: [String: (Int) throws -> Void] = [
    "parse": parse, "encode": encode, "commit": commit, "deliver": deliver, "route": route,
]

/// A line to a stored message (Intake).
func parse(spans: Int) {
    let parser = LineParser(ids: IDGenerator(seed: 1))
    var batch = SpanBatch()
    for index in 0..<spans {
        add(Lines.all[index % Lines.all.count], to: &batch, with: parser)
        if batch.count == 250 { batch.removeAll() }
    }
}

private func add(_ line: [UInt8], to batch: inout SpanBatch, with parser: LineParser) {
    let stamp = Stamp(receivedAt: 1_760_000_001_000_000_000, sender: 1000, source: .unix)
    let parsed = line.withUnsafeBytes { parser.parse($0, stamp: stamp, acceptsAck: true, into: &batch) }
    precondition(parsed == .span, "the parser refuses a line of this bench: \(parsed)")
}

private func parsed(_ spans: Int) -> SpanBatch {
    let parser = LineParser(ids: IDGenerator(seed: 1))
    var batch = SpanBatch()
    for index in 0..<spans { add(Lines.all[index % Lines.all.count], to: &batch, with: parser) }
    return batch
}

/// Stored messages to the body of a request of 500 spans (SpanModel).
func encode(spans: Int) throws {
    let batch = parsed(500)
    let segment = Segment(firstID: 1, payload: batch.payload, entries: batch.entries)
    let views = batch.entries.indices.map { SpanView(segment: segment, index: $0) }
    for _ in 0..<spans / 500 {
        var body: [UInt8] = []
        try appendOTLPRequest(views, to: &body)
        precondition(body.count > 500 * 500, "a request is missing spans")
    }
}

/// Commits of 250 spans, some 256 KiB, each waited for (Spool). Nothing is fsynced: the kernel's part is not counted anyway.
func commit(spans: Int) throws {
    try withLog { log in
        for _ in 0..<spans / 250 {
            var batch = parsed250
            precondition(log.append(&batch, wantsAck: false) != .refused(.ioError), "the spool refuses spans")
            precondition(log.flush(), "the spool cannot be written")
        }
    }
}

private let parsed250 = parsed(250)

/// What `commit` does, and on to a destination that takes all at once: read, batch, encode, judge, settle (Delivery).
func deliver(spans: Int) throws {
    try withLog { log in
        for _ in 0..<spans / 250 {
            var batch = parsed250
            _ = log.append(&batch, wantsAck: false)
        }
        precondition(log.flush(), "the spool cannot be written")
        let ended = Monitor(false)
        let engine = try DeliveryEngine(log: log, tell: { _ in })
        log.observe { event in
            let all = log.status.consumers.values.allSatisfy { $0.cursor.position == Int64(spans) }
            guard case .committed = event, all, !log.status.consumers.isEmpty else { return }
            ended.withLock { $0 = true }
            ended.broadcast()
        }
        let limits = BatchLimits(spans: 500, bytes: 4 << 20)
        var settings = DeliverySettings(limits: limits, backlog: BacklogLimit(bytes: 1 << 40, expires: false))
        settings.start = .beginning
        settings.workers = 1
        try engine.apply(
            [
                DestinationSpec(
                    name: "nowhere", type: Nowhere.type, destination: Nowhere(), settings: settings)
            ], rules: Rules(everythingTo: ["nowhere"]))
        ended.wait { $0 ? .go(()) : .sleep }
        engine.stop(drain: .seconds(1))
    }
}

/// Which route a batch takes, for twelve routes and the last of twelve destinations (Pipeline).
func route(spans: Int) {
    let rules = Rules(everythingTo: (0..<12).map { "destination\($0)" })
    var found = 0
    for _ in 0..<spans where rules.place(of: "destination11").flatMap({ rules.constant(for: $0) })?.delivers == true { found += 1 }
    precondition(found == spans, "a route was not found")
}

private func withLog(_ body: (SpanLog) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tracefwd-micro-\(getpid())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var options = SpoolOptions(path: folder.appendingPathComponent("spool.db").path)
    options.durability = .none
    options.reserveBytes = 0
    let log = try SpanLog(options)
    defer { log.close() }
    try body(log)
}

guard CommandLine.arguments.count == 3, let run = cases[CommandLine.arguments[1]], let spans = Int(CommandLine.arguments[2]) else {
    print("usage: micro-bench \(cases.keys.sorted().joined(separator: "|")) SPANS")
    exit(2)
}
try run(spans)
