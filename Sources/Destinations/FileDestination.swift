import Delivery
import Glibc
import Settings
import SpanModel

// A file of native NDJSON on this machine. Contract: Docs/destinations/file.md. A span is in the file whole or not at all, and on the disk
// before it counts as delivered. How the file is written, rotated and repaired is FileSink's.
struct FileDestination: RegisteredDestination {
    static let type = "file"
    static let http = false
    static let doc = "A file on this machine: one span a line, as JSON."
    static let keys = [
        Key("path", .path, .required, "The file. Its directory is made where only that is missing."),
        Key("mode", .mode, .value("0640"), "The rights of a file that is made."),
        Key("sync", .boolean, .value("true"), "Whether a span is on the disk before it counts as delivered."),
        Key(
            "rotate", .section(rotateKeys), .nothing("the file grows; logrotate may take it away at any time"),
            "When a new file is begun."),
        Key("compress", .choice(["gzip", "none"]), .value("gzip"), "What is done with a rotated file."),
    ]

    private static let rotateKeys = [
        Key("size", .bytes(4096 ... .max), .value("100MiB"), "The most bytes of a file, but for a write that is larger by itself."),
        Key(
            "every", .duration(.seconds(1) ... .seconds(86_400 * 3650)), .nothing("by size alone"),
            "The period of a file, counted in UTC: `24h` begins a new one with the first span after midnight."),
        Key("keep", .integer(1...100_000), .nothing("all are kept"), "How many rotated files are kept; older ones are deleted."),
    ]

    let path: String
    let outlet: Outlet

    init(_ settings: DestinationSettings) {
        let section = settings.section
        path = section.string("path")
        let options = FileSink.Options(
            path: section.string("path"), mode: mode_t(section.integer("mode")), sync: section.boolean("sync"),
            rotation: section.optionalSection("rotate").map { rotate in
                FileSink.Rotation(
                    sizeMax: rotate.integer("size"), every: rotate.optionalDuration("every").map { UInt64($0.components.seconds) },
                    keep: rotate.optionalInteger("keep"))
            },
            compress: section.string("compress") == "gzip")
        outlet = .sink { () throws(SinkError) in try FileSink(options) }
    }

    // One write at a time keeps the order of the log; large ones, since each waits for the disk.
    var declaration: Declaration { Declaration(limits: BatchLimits(spans: 2000, bytes: 4 << 20), order: .log) }

    var target: String { path }

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        var body: [UInt8] = []
        appendNDJSON(batch, to: &body)
        return sinkRequest(body, spans: batch.indices)
    }

    func judge(_ response: Response, to request: Request) -> Verdict { byStatus(response, to: request) }
}
