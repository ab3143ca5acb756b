import Delivery
import Foundation
import Intake
import SpanModel
import Testing

@testable import Destinations

/// The golden files of a platform: `NAME.json` is a span in the native form, `NAME.out.pb` the body that is made of it, before gzip, and
/// `NAME.out.txt` the request for a reader. `TRACEFWD_RECORD=1 make test-unit` writes both anew; read them before they are committed.
struct Golden: Sendable {
    let folder: URL
    /// The names of the cases.
    let names: [String]

    /// The files in Tests/Fixtures/`platform`.
    init(_ platform: String) {
        folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/\(platform)").standardized
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        names = files.filter { $0.hasSuffix(".json") && $0.split(separator: ".").count == 2 }.map { String($0.dropLast(5)) }.sorted()
    }

    private static let isRecording = ProcessInfo.processInfo.environment["TRACEFWD_RECORD"] != nil

    /// The span of a case as intake stores it: ids from a seed, times from a fixed receipt.
    func span(_ name: String) throws -> SpanView {
        let line = [UInt8](try Data(contentsOf: folder.appending(path: name + ".json")))
        let parser = LineParser(ids: IDGenerator(seed: 7))
        var batch = SpanBatch()
        let stamp = Stamp(receivedAt: 1_700_000_002_000_000_000, sender: 1_000, source: .unix)
        let outcome = line.withUnsafeBytes { parser.parse($0, stamp: stamp, acceptsAck: false, into: &batch) }
        try #require(outcome == .span, "\(name).json: \(outcome)")
        return SpanView(segment: Segment(firstID: 1, payload: batch.payload, entries: batch.entries), index: 0)
    }

    /// The request that a destination makes of a case.
    func request(_ name: String, to destination: some Destination) throws -> Request {
        let requests = try destination.encode([try span(name)], context)
        try #require(requests.count == 1)
        return requests[0]
    }

    /// Compares an OTLP request with its golden files.
    func check(_ name: String, _ request: Request, hiding secret: String) throws {
        let body = try #require(request.plainBody)
        try check(body, name + ".out.pb")
        try check(Array(shown(request, try #require(decodeOTLP(body)), hiding: secret).utf8), name + ".out.txt")
    }

    /// Compares bytes with a golden file.
    func check(_ bytes: [UInt8], _ file: String) throws {
        let path = folder.appending(path: file)
        if Self.isRecording { try Data(bytes).write(to: path) }
        let known = (try? Data(contentsOf: path)).map { [UInt8]($0) }
        #expect(bytes == known, "\(file) has other bytes; now they are: \(String(decoding: bytes.prefix(20_000), as: UTF8.self))")
    }

    /// A request for a reader, with the secret header left out.
    private func shown(_ request: Request, _ spans: [DecodedSpan], hiding secret: String) -> String {
        var lines = ["\(request.method) \(request.url)"]
        for header in request.headers where header.name != "User-Agent" {
            lines.append("\(header.name): \(header.name == secret ? "…" : header.value.reveal())")
        }
        for span in spans {
            lines += ["", "name = \(span.name)", "trace = \(span.traceID)", "span = \(span.spanID)", "parent = \(span.parentSpanID)"]
            lines += ["start = \(span.start)", "end = \(span.end)", "status = \(span.status) \(span.statusMessage)"]
            lines += span.resource.sorted { $0.key < $1.key }.map { "resource \($0.key) = \(shown($0.value))" }
            lines += span.attributeKeys.sorted().map { key in "\(key) = \(span[key].map(shown) ?? "")" }
            for event in span.events {
                lines.append("event \(event.name)")
                lines += event.attributes.sorted { $0.key < $1.key }.map { "  \($0.key) = \(shown($0.value))" }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A value with its type.
    private func shown(_ value: AttributeValue) -> String {
        switch value {
        case .null: "null"
        case .string(let text): "\"\(text.replacing("\n", with: "\\n"))\""
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value) (double)"
        case .bytes(let bytes): "\(bytes.count) bytes"
        case .array(let values): "[" + values.map(shown).joined(separator: ", ") + "]"
        case .map(let values): "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \(shown($0.value))" }.joined(separator: ", ") + "}"
        }
    }
}
