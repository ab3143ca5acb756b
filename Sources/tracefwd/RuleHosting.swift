import Crypto
import Destinations
import Glibc
import Pipeline
import Settings
import Spool

/// Reads the configuration with all of its mistakes: the table's, and those of expressions, patterns and prices.
func loadSettings(_ path: String, surroundings: Surroundings = .process) throws(SettingsError) -> LoadedSettings {
    try load(file: path, destinationTypes: destinationTypes, surroundings: surroundings) { Rules.compile($0, host: RuleHost()).mistakes }
}

extension RuleHost {
    /// This machine. `hash` in rules is under the key in this file, 32 random bytes that are made where there are none: equal values have equal
    /// hashes on this host alone. A key that cannot be kept is good until the process ends.
    static func machine(keyFile: String) -> RuleHost {
        let key = SymmetricKey(data: hostKey(keyFile))
        return RuleHost(
            keyedHash: { text in Array(HMAC<SHA256>.authenticationCode(for: Array(text), using: key)) }, userName: nameOfUser,
            hostName: nameOfHost())
    }
}

private func hostKey(_ path: String) -> [UInt8] {
    let size = 32
    if let bytes = readKey(path, size) { return bytes }
    var generator = SystemRandomNumberGenerator()
    let key = (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { return readKey(path, size) ?? key }
    defer { close(file) }
    guard key.withUnsafeBytes({ write(file, $0.baseAddress, size) }) == size, fsync(file) == 0 else {
        unlink(path)
        return key
    }
    return key
}

private func readKey(_ path: String, _ size: Int) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: size)
    return bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, size) } == size ? bytes : nil
}

@Sendable private func nameOfUser(_ id: UInt32) -> String? {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { room in
        guard let base = room.baseAddress, getpwuid_r(id, &entry, base, room.count, &found) == 0, found != nil, let name = entry.pw_name
        else { return nil }
        return String(cString: name)
    }
}

private func nameOfHost() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "" }
    return name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
}
