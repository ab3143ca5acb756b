import Settings
import SpanModel
import Spool

@testable import Delivery

/// A platform of the tests. A request's body is the numbers of its spans, a response says by its status what DESIGN.md section 5 has in its
/// table; 207 judges span by span (`d`elivered, re`f`used, `r`etry), 206 refuses `refused` of them and does not say which, 421 sends on to the
/// next door.
struct TestDestination: Destination {
    static let type = "test"
    var declaration = Declaration(limits: BatchLimits(spans: 10, bytes: 10_000))
    var outlet = Outlet.http(HTTPOptions())
    var target = "the test"
    /// Spans that have no form on this platform.
    var unencodable: Set<Int64> = []
    /// Most spans of a request; a batch of more becomes several.
    var requestSpans = Int.max
    /// A later version of the configuration, whose judge refuses everything.
    var refusesAll = false

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        let numbers = batch.map(\.number)
        if let span = numbers.firstIndex(where: unencodable.contains) { throw EncodeError(span: span, reason: "no_form") }
        return stride(from: 0, to: numbers.count, by: min(requestSpans, numbers.count)).map { from in
            let spans = from..<from + min(requestSpans, numbers.count - from)
            return Request(
                url: context.destination, headers: [Header("host", "\(context.host)")],
                body: Array(numbers[spans].map(String.init).joined(separator: " ").utf8), spans: spans, door: context.door)
        }
    }

    func judge(_ response: Response, to request: Request) -> Verdict {
        if refusesAll { return .refused(reason: "later", detail: "") }
        let detail = "status \(response.status)"
        let after = response.headers["retry-after"].flatMap(Int.init).map { Duration.seconds($0) }
        switch response.status {
        case 206: return .partialUnknown(refused: response.headers["refused"].flatMap(Int.init) ?? 0, detail: detail)
        case 207: return .perSpan(response.body.map(Self.verdict))
        case 200..<300: return .delivered(note: response.headers["note"])
        case 401, 403: return .pause(reason: "unauthorized", detail: detail)
        case 410: return .disable(reason: "gone", detail: detail)
        case 413: return .tooLarge
        case 421 where request.door + 1 < declaration.doors.count: return .otherDoor(request.door + 1, detail: detail)
        case 421: return .pause(reason: "not_found", detail: detail)
        case 408, 429, 500..<600: return .retry(after: after, detail: detail, throttle: response.status == 429)
        default: return .refused(reason: "http_\(response.status)", detail: detail)
        }
    }

    private static func verdict(_ letter: UInt8) -> SpanVerdict {
        switch letter {
        case UInt8(ascii: "d"): .delivered
        case UInt8(ascii: "r"): .retry
        default: .refused(reason: "bad_span", detail: "")
        }
    }
}

extension SpanView {
    /// The number that the test gave the span: its name, or the begin of stored bytes that are no span.
    var number: Int64 { Int64(name) ?? withBytes { $0.loadUnaligned(as: Int64.self) } }
}

extension SpanBatch {
    /// A span whose stored bytes begin with its number.
    mutating func append(number: Int64, bytes: Int, receivedAt: UInt64) {
        let length = max(bytes, 8)
        entries.append(
            SpanEntry(
                offset: UInt32(payload.count), length: UInt32(length), resourceLength: 0, scopeLength: 0, receivedAt: receivedAt,
                traceHash: 0,
                sender: UInt32(number % 4), source: SourceID.unix.rawValue))
        withUnsafeBytes(of: number) { payload += $0 }
        payload += [UInt8](repeating: 0x78, count: length - 8)
    }
}
