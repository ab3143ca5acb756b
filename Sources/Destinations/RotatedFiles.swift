import Glibc
import SpanModel

/// The files that a file's rotations left beside it: `spans.ndjson.20261126T093000Z`, with `-1`, `-2` behind it where a second was not
/// enough, and `.gz` where it is compressed.
struct RotatedFiles {
    let path: String
    let mode: mode_t

    struct Entry: Comparable {
        /// `20261126T093000Z`
        var stamp: String
        /// 0 where the second had one rotation.
        var number: Int
        var isCompressed: Bool

        static func < (a: Entry, b: Entry) -> Bool { (a.stamp, a.number) < (b.stamp, b.number) }

        /// What stands behind the file's own name.
        var suffix: String { "." + stamp + (number > 0 ? "-\(number)" : "") + (isCompressed ? ".gz" : "") }
    }

    /// Moves the file to a name that nothing has.
    func moveAway(at seconds: UInt64) throws(SystemError) {
        let stamp = stamp(seconds)
        let last = all().last { $0.stamp == stamp }
        let entry = Entry(stamp: stamp, number: last.map { $0.number + 1 } ?? 0, isCompressed: false)
        try check(rename(path, path + entry.suffix))
        try syncDirectory(directory(of: path))
    }

    /// Compresses those that are not; what cannot be compressed stays as it is.
    func compressAll() {
        for entry in all() where !entry.isCompressed {
            let plain = path + entry.suffix
            let temporary = plain + ".gz.part"
            do throws(SystemError) {
                try compress(plain, to: temporary)
                try check(rename(temporary, plain + ".gz"))
                try syncDirectory(directory(of: path))
                try check(unlink(plain))
            } catch {
                unlink(temporary)
            }
        }
    }

    /// Deletes the oldest.
    func deleteAll(but keep: Int) {
        for entry in all().dropLast(keep) { unlink(path + entry.suffix) }
    }

    /// Removes what a death during a compression left. For whoever has the file locked: nobody else compresses then.
    func deleteUnfinished() {
        for suffix in suffixes() where suffix.wholeMatch(of: /\d{8}T\d{6}Z(-\d{1,9})?\.gz\.part/) != nil { unlink("\(path).\(suffix)") }
    }

    /// Those that are there, oldest first.
    func all() -> [Entry] {
        suffixes().compactMap { suffix in
            guard let parts = suffix.wholeMatch(of: /(\d{8}T\d{6}Z)(?:-(\d{1,9}))?(\.gz)?/) else { return nil }
            return Entry(stamp: String(parts.1), number: parts.2.flatMap { Int($0) } ?? 0, isCompressed: parts.3 != nil)
        }.sorted()
    }

    /// What stands behind the file's name and a dot in the names of its directory.
    private func suffixes() -> [Substring] {
        guard let listing = opendir(directory(of: path)) else { return [] }
        defer { closedir(listing) }
        let prefix = String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]) + "."
        var found: [Substring] = []
        while let item = readdir(listing) {
            let name = withUnsafeBytes(of: &item.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasPrefix(prefix) { found.append(name.dropFirst(prefix.count)) }
        }
        return found
    }

    private func compress(_ source: String, to target: String) throws(SystemError) {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw SystemError() }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, mode)
        guard output >= 0 else { throw SystemError() }
        defer { close(output) }
        let compressor = GzipCompressor(level: 6)
        var (chunk, out) = ([UInt8](repeating: 0, count: 256 << 10), [UInt8]())
        while true {
            let count = read(input, &chunk, chunk.count)
            guard count >= 0 else { throw SystemError() }
            if count == 0 { break }
            chunk.withUnsafeBytes { compressor.compress(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: &out) }
            try writeAll(out, to: output)
            out.removeAll(keepingCapacity: true)
        }
        compressor.finish(to: &out)
        try writeAll(out, to: output)
        try check(fchmod(output, mode))
        try check(fsync(output))
    }

    /// RFC 3339 without its punctuation, which not every tool likes in a name.
    private func stamp(_ seconds: UInt64) -> String {
        var text: [UInt8] = []
        text.appendRFC3339(nanoseconds: seconds * 1_000_000_000, fraction: 0)
        return String(decoding: text.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ":") }, as: UTF8.self)
    }
}
