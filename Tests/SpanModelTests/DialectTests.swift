import Foundation
import Testing

@testable import SpanModel

@Suite("Dialects")
struct DialectTests {
    /// `NAME.json` is a span in the native form, `NAME.view.json` what the view says of it. `TRACEFWD_RECORD=1 make test` writes the second
    /// anew; what it wrote is to be read before it is committed.
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/dialects").standardized
    static let names: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".json") && !$0.hasSuffix(".view.json") }.map { String($0.dropLast(5)) }.sorted()

    @Test("there are golden files of every dialect")
    func files() {
        for dialect in ["genai", "openinference", "openllmetry", "native"] { #expect(Self.names.contains { $0.hasPrefix(dialect) }) }
    }

    @Test("are read as the golden files say", arguments: names)
    func golden(name: String) throws {
        let found = viewJSON(view(try Self.span(name)))
        let expected = Self.folder.appending(path: name + ".view.json")
        if ProcessInfo.processInfo.environment["TRACEFWD_RECORD"] != nil { try Data(found.utf8).write(to: expected) }
        #expect(found == (try? String(contentsOf: expected, encoding: .utf8)), "\(name).view.json")
        // What is written of content is JSON to every reader.
        _ = try JSON(Self.compact(found))
    }

    /// The span of a fixture.
    static func span(_ name: String) throws -> TestSpan {
        try TestSpan(native: JSON(compact(String(contentsOf: folder.appending(path: name + ".json"), encoding: .utf8))))
    }

    /// Without the white space that the tests' strict parser does not read.
    static func compact(_ json: String) -> [UInt8] {
        var (compact, isText, isEscaped) = ([UInt8](), false, false)
        for byte in json.utf8 {
            if !isText, byte == 0x20 || byte == 0x0a { continue }
            if byte == UInt8(ascii: "\""), !isEscaped { isText.toggle() }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
            compact.append(byte)
        }
        return compact
    }
}
