import Foundation
import Intake
import Pipeline
import Settings
import SpanModel
import Spool

/// A span to try rules on: of a file, of a test or of the spool.
struct TrialSpan {
    /// The only span of a segment.
    let view: SpanView
    /// Whether it has been in the spool: what happens before that has happened.
    var isStored = false

    /// In the native form, as a source would take it.
    static func native(_ json: [UInt8], limits: IntakeLimits, seed: UInt64 = 1) throws(Rejection) -> TrialSpan {
        var batch = SpanBatch()
        let stamp = Stamp(receivedAt: UInt64(Date().timeIntervalSince1970 * 1e9), source: .unix)
        // Generated ids are the same at every run, and so is what follows from them.
        let parser = LineParser(limits: limits, ids: IDGenerator(seed: seed))
        let parsed = json.withUnsafeBytes { parser.parse($0, stamp: stamp, into: &batch) }
        if case .rejected(let reason) = parsed { throw reason }
        return TrialSpan(view: SpanView(segment: Segment(firstID: 1, payload: batch.payload, entries: batch.entries), index: 0))
    }

    /// What `word` names: a file with a native span (`-` is standard input), or a span of the spool by its number or span id.
    static func named(_ word: String, limits: IntakeLimits, spool: String) throws -> TrialSpan {
        if word == "-" || access(word, F_OK) == 0 { return try file(word, limits) }
        if word.count == 16, word.allSatisfy(\.isHexDigit) { return try stored(spool) { $0.spanID.map { "\($0)" } == word.lowercased() } }
        guard let id = Int64(word) else {
            throw Failure("\(word): no such file, and no span of the spool: those have a number or an id of 16 hex digits")
        }
        let reader = try LogReader.open(path: spool)
        guard let segment = try reader.segment(holding: id), segment.firstID <= id else { throw Failure("the spool has no span \(id)") }
        return alone(SpanView(segment: segment, index: Int(id - segment.firstID)))
    }

    /// The last spans of the spool, the oldest of them first.
    static func last(_ count: Int, spool: String) throws -> [TrialSpan] {
        let reader = try LogReader.open(path: spool)
        let newest = try reader.info().first { $0.name == "newest_id" }.flatMap { Int64($0.value) } ?? 0
        var spans: [TrialSpan] = []
        var next = max(1, newest - Int64(count) + 1)
        while next <= newest, let segment = try reader.segment(holding: next) {
            for index in Int(max(0, next - segment.firstID))..<segment.entries.count {
                spans.append(alone(SpanView(segment: segment, index: index)))
            }
            next = segment.lastID + 1
        }
        return spans
    }

    /// As the spool would hold it: after the intake's rules.
    func accepted(_ rules: Rules) -> TrialSpan {
        guard !isStored else { return self }
        let gate = IntakeGate()
        gate.set(rules)
        var batch = SpanBatch()
        (batch.payload, batch.entries) = (view.segment.payload, view.segment.entries)
        gate.cleaner()(&batch)
        let segment = Segment(firstID: view.segment.firstID, payload: batch.payload, entries: batch.entries)
        return TrialSpan(view: SpanView(segment: segment, index: 0), isStored: true)
    }

    /// How a person finds it again.
    var title: String {
        let trace = view.traceID.map { ", trace \($0)" } ?? ""
        return "span \(view.spanID.map { "\($0)" } ?? "without an id") \"\(view.name)\"\(trace)"
    }

    private static func file(_ path: String, _ limits: IntakeLimits) throws -> TrialSpan {
        let data =
            path == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Data(contentsOf: URL(filePath: path))
        do throws(Rejection) {
            return try native([UInt8](data), limits: limits)
        } catch {
            throw Failure("\(path): is no span: \(error.code)")
        }
    }

    private static func stored(_ spool: String, _ isIt: (SpanView) -> Bool) throws -> TrialSpan {
        let reader = try LogReader.open(path: spool)
        var next: Int64 = 1
        while let segment = try reader.segment(holding: next) {
            for index in segment.entries.indices {
                let view = SpanView(segment: segment, index: index)
                if isIt(view) { return alone(view) }
            }
            next = segment.lastID + 1
        }
        throw Failure("the spool has no such span")
    }

    /// Out of its segment, whose other spans are nobody's business here.
    private static func alone(_ view: SpanView) -> TrialSpan {
        var entry = view.entry
        let payload = view.withBytes { Array($0) }
        entry.offset = 0
        return TrialSpan(view: SpanView(segment: Segment(firstID: view.id, payload: payload, entries: [entry]), index: 0), isStored: true)
    }
}

extension IntakeLimits {
    init(_ settings: LimitSettings) { self.init(spanBytes: settings.spanBytes, depth: settings.depth, attributes: settings.attributes) }
}
