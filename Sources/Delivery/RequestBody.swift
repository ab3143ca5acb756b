import Glibc

/// The bytes of a request under way, at one address until it ends. A large one lies in a file without a name, so that a platform that does
/// not answer holds pages that the kernel may take back, not memory (DESIGN.md section 9).
final class RequestBody {
    private let array: [UInt8]
    private let mapped: UnsafeMutableRawPointer?
    /// Its bytes.
    let count: Int
    /// Bytes that it holds in memory.
    var heldBytes: Int { array.count }

    /// From this size on it lies in a file.
    static let spillBytes = 1 << 20

    /// `folder` is where the file is made; where that fails the bytes stay in memory.
    init(_ bytes: [UInt8], folder: String) {
        count = bytes.count
        mapped = bytes.count >= Self.spillBytes ? Self.spill(bytes, folder) : nil
        array = mapped == nil ? bytes : []
    }

    deinit { if let mapped { munmap(mapped, count) } }

    /// Where libcurl reads it: an array's storage does not move while it is held and nobody writes to it.
    var address: UnsafeMutableRawPointer? { mapped ?? array.withUnsafeBytes { UnsafeMutableRawPointer(mutating: $0.baseAddress) } }

    private static func spill(_ bytes: [UInt8], _ folder: String) -> UnsafeMutableRawPointer? {
        var template = Array("\(folder)/request-XXXXXX".utf8CString)
        // A program of a route is started without the daemon's files.
        let file = mkstemp(&template)
        guard file >= 0 else { return nil }
        defer { close(file) }
        unlink(template)
        var at = 0
        while at < bytes.count {
            let written = bytes.withUnsafeBytes { write(file, $0.baseAddress.map { $0 + at }, bytes.count - at) }
            guard written > 0 else { return nil }
            at += written
        }
        let mapped = mmap(nil, bytes.count, PROT_READ, MAP_SHARED, file, 0)
        return mapped == MAP_FAILED ? nil : mapped
    }
}
