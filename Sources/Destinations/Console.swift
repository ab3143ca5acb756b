import Delivery
import Glibc
import Settings
import SpanModel

// Standard output, for a look at what comes through: a line a span, or native NDJSON for a pipe. Contract: Docs/destinations/console.md.
struct Console: RegisteredDestination {
    static let type = "console"
    static let http = false
    static let doc = "Standard output: a line a span."
    static let keys = [
        Key("format", .choice(["text", "json"]), .value("text"), "A line for a person, or the native span as JSON.")
    ]

    enum Format: String { case text, json }

    let format: Format
    let hasColours: Bool
    let outlet: Outlet

    init(_ settings: DestinationSettings) {
        self.init(
            format: settings.section.string("format") == "json" ? .json : .text,
            hasColours: isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil)
    }

    init(format: Format, hasColours: Bool) {
        self.format = format
        self.hasColours = hasColours
        outlet = .sink { () throws(SinkError) in ConsoleSink(file: STDOUT_FILENO) }
    }

    var declaration: Declaration { Declaration(limits: BatchLimits(spans: 500, bytes: 1 << 20), order: .log) }

    var target: String { "standard output" }

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        var body: [UInt8] = []
        switch format {
        case .json: appendNDJSON(batch, to: &body)
        case .text: for span in batch { body += Array((line(span) + "\n").utf8) }
        }
        return sinkRequest(body, spans: batch.indices)
    }

    func judge(_ response: Response, to request: Request) -> Verdict { byStatus(response, to: request) }

    /// `2023-11-14 22:13:20.000Z  4bf92f35  chat gpt-4o  gpt-4o  120 > 30 tokens  1.00 s  ok`
    private func line(_ span: SpanView) -> String {
        let name = padded(plain(span.name, limit: 60), to: 28)
        let model = padded(plain(span.model ?? "-", limit: 40), to: 16)
        let tokens = padded(tokensText(span), to: 18)
        let duration = padded(durationText(span), to: 8)
        let parts = [dim(timeText(span)), dim(String(span.traceID?.description.prefix(8) ?? "-       ")), name, model, tokens, duration]
        return (parts + [statusText(span)]).joined(separator: "  ")
    }

    private func timeText(_ span: SpanView) -> String {
        var text: [UInt8] = []
        text.appendRFC3339(nanoseconds: span.startTime ?? span.endTime ?? 0, fraction: 3)
        return String(decoding: text, as: UTF8.self).replacing("T", with: " ")
    }

    private func tokensText(_ span: SpanView) -> String {
        let (input, output) = (span.inputTokens, span.outputTokens)
        if input == nil, output == nil { return "-" }
        return "\(input.map(String.init) ?? "?") > \(output.map(String.init) ?? "?") tokens"
    }

    private func durationText(_ span: SpanView) -> String {
        guard let start = span.startTime, let end = span.endTime else { return "-" }
        let sign = end < start ? "-" : ""
        let microseconds = (max(start, end) - min(start, end)) / 1_000
        switch microseconds {
        case 0..<1_000_000: return "\(sign)\(microseconds / 1_000) ms"
        case 1_000_000..<60_000_000:
            let hundredths = microseconds / 10_000
            return "\(sign)\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
        default: return "\(sign)\(microseconds / 60_000_000) m \(microseconds / 1_000_000 % 60) s"
        }
    }

    private func statusText(_ span: SpanView) -> String {
        let (code, message) = (span.status, plain(span.statusMessage, limit: 80))
        let text = "\(code.name)" + (message.isEmpty ? "" : ": \(message)")
        switch code {
        case .unset: return dim(text)
        case .ok: return coloured(text, "32")
        case .error: return coloured(text, "31")
        }
    }

    private func dim(_ text: String) -> String { coloured(text, "2") }

    private func coloured(_ text: String, _ code: String) -> String { hasColours ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }

    /// One line of text that moves no cursor: senders may write what they like, a terminal obeys control characters.
    private func plain(_ text: String, limit: Int) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit + 1) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: scalars.append("\u{fffd}")
            default: scalars.append(scalar)
            }
        }
        return scalars.count > limit ? String(String.UnicodeScalarView(scalars.prefix(limit - 1))) + "…" : String(scalars)
    }

    private func padded(_ text: String, to width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
}

/// Writes to a stream that cannot be cut back: what was written of a failed write is written again.
final class ConsoleSink: Sink {
    private let file: Int32

    init(file: Int32) { self.file = file }

    func write(_ request: Request) throws(SinkError) {
        do throws(SystemError) {
            try writeAll(request.body, to: file)
        } catch {
            throw SinkError("standard output: cannot be written: \(error)")
        }
    }

    func close() {}
}
