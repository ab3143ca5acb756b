import Crypto
import Destinations
import Glibc
import Pipeline
import Settings
import Spool
import Synchronization

/// Reads the configuration with all of its mistakes: the table's, and those of expressions, patterns and prices.
func loadSettings(_ path: String, surroundings: Surroundings = .process) throws(SettingsError) -> LoadedSettings {
    try load(file: path, destinationTypes: destinationTypes, surroundings: surroundings) { Rules.compile($0, host: RuleHost()).mistakes }
}

extension RuleHost {
    /// This machine, for the daemon. `hash` in rules is under the key in this file, 32 random bytes that are made where there are none: equal
    /// values have equal hashes on this host alone. A key that cannot be kept is good until the process ends.
    static func machine(keyFile: String) -> RuleHost { RuleHost(key: hostKey(keyFile)) }

    /// The same for a command, which makes no key. Where the daemon's cannot be read every hash is of zeros, and the first that is asked for
    /// is a line to `tell`.
    static func reading(keyFile: String, tell: @escaping @Sendable (String) -> Void) -> RuleHost {
        if let key = readKey(keyFile) { return RuleHost(key: key) }
        let why = String(cString: strerror(errno))
        let isTold = Atomic(false)
        var host = RuleHost(key: nil)
        let zeros = host.keyedHash
        host.keyedHash = { text in
            if !isTold.exchange(true, ordering: .relaxed) {
                tell("note: \(keyFile) cannot be read (\(why)): hashes are zeros here, and not in the daemon")
            }
            return zeros(text)
        }
        return host
    }

    private init(key: [UInt8]?) {
        self.init(userName: nameOfUser, hostName: nameOfHost())
        guard let key = key.map({ SymmetricKey(data: $0) }) else { return }
        keyedHash = { text in Array(HMAC<SHA256>.authenticationCode(for: Array(text), using: key)) }
    }
}

extension SpoolSettings {
    /// The key of the rules' hashes.
    var hostKeyFile: String { SpoolOptions(path: path).folder + "/host.key" }
}

private let hostKeySize = 32

private func hostKey(_ path: String) -> [UInt8] {
    if let bytes = readKey(path) { return bytes }
    var generator = SystemRandomNumberGenerator()
    let key = (0..<hostKeySize).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { return readKey(path) ?? key }
    defer { close(file) }
    guard key.withUnsafeBytes({ write(file, $0.baseAddress, hostKeySize) }) == hostKeySize, fsync(file) == 0 else {
        unlink(path)
        return key
    }
    return key
}

/// Nil, with `errno`, where there is none.
private func readKey(_ path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: hostKeySize)
    guard bytes.withUnsafeMutableBytes({ read(file, $0.baseAddress, hostKeySize) }) == hostKeySize else {
        errno = EBADMSG
        return nil
    }
    return bytes
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
