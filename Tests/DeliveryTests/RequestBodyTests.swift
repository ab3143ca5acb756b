import Foundation
import Testing

@testable import Delivery

@Suite("a request's body")
struct RequestBodyTests {
    private func bytes(of body: RequestBody) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: body.address, count: body.count))
    }

    @Test("a large one lies in a file without a name, and nothing of it stays", arguments: [RequestBody.spillBytes, 3 << 20])
    func large(count: Int) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "bodies-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let content = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let body = RequestBody(content, folder: folder)
        #expect(body.heldBytes == 0 && body.count == count)
        #expect(bytes(of: body) == content)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    @Test(
        "a small one, and one for which no file can be made, stays in memory",
        arguments: [(0, "/tmp"), (10, "/tmp"), (2 << 20, "/nowhere")])
    func small(count: Int, folder: String) {
        let content = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let body = RequestBody(content, folder: folder)
        #expect(body.heldBytes == count && bytes(of: body) == content)
    }
}
