import Logging
import Threading

/// One line of the log as it left its caller: bounded, on one line, its values already text.
struct Line: Sendable, Equatable {
    struct Field: Sendable, Equatable {
        let name: String
        let value: String
    }

    /// A longer sentence or value is cut: what a peer sent may stand in it.
    static let textBytesMax = 8 << 10

    let level: Logger.Level
    /// Nanoseconds of the Unix epoch.
    let at: UInt64
    let message: String
    /// By name.
    let fields: [Field]

    init(level: Logger.Level, at: UInt64 = Clock.system.wall(), message: String, fields: [Field]) {
        self.level = level
        self.at = at
        self.message = message.onOneLine
        self.fields = fields.map { Field(name: $0.name, value: $0.value.onOneLine) }.sorted { $0.name < $1.name }
    }

    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// What it takes of the ring.
    var bytes: Int { fields.reduce(64 + message.utf8.count) { $0 + 32 + $1.name.utf8.count + $1.value.utf8.count } }
}

extension String {
    /// Control characters written out, so that no value can begin a line of its own or paint the terminal; the end of a long one cut.
    fileprivate var onOneLine: String {
        guard utf8.count <= Line.textBytesMax else {
            return String(unicodeScalars[..<utf8.index(startIndex, offsetBy: Line.textBytesMax)]).onOneLine + "…"
        }
        if utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return self }
        var text = ""
        for scalar in unicodeScalars {
            text += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return text
    }
}
