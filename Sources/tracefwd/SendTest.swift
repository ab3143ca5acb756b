import Delivery
import Destinations
import Foundation
import Intake
import Settings
import SpanModel

/// `send --test`: one marked span, straight to each platform and past the spool, and what the platform said.
struct TestSpanReport {
    /// What one destination's platform said.
    struct Line {
        var name: String
        var arrived: Bool
        var text: String
    }

    private(set) var lines: [Line] = []
    /// The trace that the span is the whole of, to look for.
    let traceID: String

    /// Whether it arrived everywhere.
    var arrived: Bool { lines.allSatisfy(\.arrived) }

    /// A line a destination, and what to look for.
    var text: String {
        let told = lines.map { "\($0.name): \($0.arrived ? "" : "FAILED: ")\($0.text)" }
        return (told + ["the span is \"tracefwd test\", trace \(traceID)"]).joined(separator: "\n")
    }

    /// Sends to the destination of that name; nil: to each that is a platform.
    init(_ settings: LoadedSettings, to name: String?) throws {
        let chosen = settings.destinations.filter { name == nil || $0.name == name }
        if let name, chosen.isEmpty {
            throw Failure("there is no destination \"\(name)\"; there are \(settings.destinations.map(\.name).joined(separator: ", "))")
        }
        let span = try Self.span()
        traceID = span.traceID?.description ?? ""
        lines = chosen.map { Self.line($0, span) }
    }

    /// What the sender of a model call would send, with nobody's words in it.
    private static func span() throws -> SpanView {
        let line = Array(
            """
            {"name":"tracefwd test","operation":"chat","model":"tracefwd-test","provider":"tracefwd","input":"Does this arrive?",\
            "output":"It does.","usage":{"input_tokens":4,"output_tokens":2},"tags":["tracefwd-test"],"service":"tracefwd","duration_ms":1}
            """.utf8)
        var batch = SpanBatch()
        let stamp = Stamp(receivedAt: UInt64(Date().timeIntervalSince1970 * 1e9), source: .unix)
        let outcome = line.withUnsafeBytes { LineParser().parse($0, stamp: stamp, acceptsAck: false, into: &batch) }
        guard outcome == .span else { throw Failure("the test span is none: \(outcome)") }
        return SpanView(segment: Segment(firstID: 1, payload: batch.payload, entries: batch.entries), index: 0)
    }

    private static func line(_ one: DestinationSettings, _ span: SpanView) -> Line {
        let destination = makeDestination(one)
        guard case .http(let options) = destination.outlet else {
            return Line(
                name: one.name, arrived: true, text: "\(destination.target), on this machine: left alone; the daemon is who writes there")
        }
        let context = EncodeContext(destination: one.name, now: UInt64(Date().timeIntervalSince1970 * 1e9))
        let requests: [Request]
        do throws(EncodeError) {
            requests = try destination.encode([span], context)
        } catch {
            return Line(name: one.name, arrived: false, text: "it has no form for the span: \(error.reason)")
        }
        let connect = one.http?.connectTimeout ?? .seconds(5)
        for request in requests {
            switch exchange(request, options: options, connect: connect, total: destination.declaration.timeout ?? .seconds(30)) {
            case .failure(let failure): return Line(name: one.name, arrived: false, text: "\(destination.target): \(failure)")
            case .success(let response):
                let (arrived, text) = words(destination.judge(response, to: request), response.status)
                guard arrived else { return Line(name: one.name, arrived: false, text: "\(destination.target): \(text)") }
            }
        }
        return Line(name: one.name, arrived: true, text: "\(destination.target) took it")
    }

    private static func words(_ verdict: Verdict, _ status: Int) -> (arrived: Bool, text: String) {
        switch verdict {
        case .delivered: (true, "")
        case .perSpan(let verdicts):
            switch verdicts.first {
            case .delivered: (true, "")
            case .refused(_, let detail): (false, "refused it: \(detail)")
            case .retry, nil: (false, "answered \(status) and wants it again later")
            }
        case .partialUnknown(_, let detail): (false, "refused it: \(detail)")
        case .retry(_, let detail, _): (false, "\(detail); the daemon would try again")
        case .refused(_, let detail): (false, "refused it: \(detail)")
        case .tooLarge: (false, "finds it too large, which it is not; is a proxy between?")
        case .pause(_, let detail): (false, "\(detail); the daemon would pause until that is mended")
        case .disable(_, let detail): (false, "\(detail); the daemon would stop sending there")
        case .otherDoor(_, let detail): (false, "\(detail); the daemon would try the platform's next door")
        }
    }
}
