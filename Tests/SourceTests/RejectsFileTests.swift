import Foundation
import Intake
import SpanModel
import Testing

@testable import Source

/// `rejects:` of the ingest contract, section 1.
@Suite struct RejectsFileTests {
    private static let second: UInt64 = 1_000_000_000
    private let path = FileManager.default.temporaryDirectory.appending(path: "tracefwd-rejects-\(UUID().uuidString)").path

    private func lines(_ file: String) throws -> [[String: Any]] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    private func add(_ text: String, to file: RejectsFile, reason: Rejection = .invalidJSON, at now: UInt64 = 1_700_000_000 * second) {
        Array(text.utf8).withUnsafeBytes { file.add($0, source: .unix, reason: reason, now: now) }
    }

    @Test("all: every line, as it was sent, for the daemon's user alone")
    func all() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = RejectsFile(path: path, bytesMax: 1 << 20, keep: .all)
        add("{\"a\":", to: file)
        [0x22, 0xff, 0x22].withUnsafeBytes { file.add($0, source: .udp, reason: .invalidUTF8, now: 0) }
        let kept = try lines(path)
        #expect(kept.map { $0["reason"] as? String } == ["invalid_json", "invalid_utf8"])
        #expect(kept.map { $0["source"] as? String } == ["unix", "udp"])
        #expect(kept[0]["line"] as? String == "{\"a\":" && kept[0]["bytes"] as? Int == 5)
        #expect(kept[0]["at"] as? String == "2023-11-14T22:13:20.000000000Z")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("sample: of each source and reason one in ten seconds")
    func sample() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = RejectsFile(path: path, bytesMax: 1 << 20, keep: .sample)
        for tick in 0..<25 as Range<UInt64> { add("x", to: file, at: (1_700_000_000 + tick) * Self.second) }
        add("x", to: file, reason: .tooDeep)
        #expect(try lines(path).count == 4)
    }

    @Test("the file and the one before it stay within the bytes allowed")
    func bounded() throws {
        defer { for end in ["", ".1"] { try? FileManager.default.removeItem(atPath: path + end) } }
        let file = RejectsFile(path: path, bytesMax: 64 << 10, keep: .all)
        let text = String(repeating: "y", count: 1000)
        for _ in 0..<500 { add(text, to: file) }
        let sizes = try [path, path + ".1"].map { try #require(try FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int) }
        #expect(sizes.reduce(0, +) <= 64 << 10 && sizes[1] > 30 << 10)
        #expect(try lines(path).count > 0)
    }

    @Test("a path that cannot be written costs nothing")
    func unwritable() {
        add("x", to: RejectsFile(path: "/nonexistent/rejects", bytesMax: 1 << 20, keep: .all))
    }
}
