/// Mends a spool whose daemon is stopped, because a person asks for it; the daemon does the same by itself where it finds damage.
public struct Recovery: Sendable {
    private let options: SpoolOptions

    /// Of the spool at `path`.
    public init(path: String) { options = SpoolOptions(path: path) }

    /// Makes a fresh file of all that can be read and sets the old one aside; `beat` is called every few MiB. Throws `locked` where a daemon
    /// has the spool open.
    public func run(beat: @escaping () -> Void = {}) throws(SpoolError) -> SpoolRepair {
        let (disk, path) = (options.disk, options.path)
        guard disk.size(path) != nil else { throw .damaged(path: path, what: "there is no such file") }
        let lock = try disk.lock(path + ".lock", of: path)
        try Rebuild.finish(path, disk)
        defer { withExtendedLifetime(lock) {} }
        return try Rebuild.run(options, reason: "a person asked for it", witness: Witness(lock.read()), beat: beat)
    }
}
