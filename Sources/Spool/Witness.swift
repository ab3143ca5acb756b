/// How far the log had come, told by a file beside it: the lock's. It is written after each commit and read at the next start. A spool that
/// ends before its witness has lost its end (a WAL that somebody cut or removed, a file that was deleted, a disk that lied about an fsync):
/// those ids are counted as lost and never given out again.
///
/// It is not synced, so after a power cut it may say less than the spool has, which tells nothing, and never more than was acknowledged.
struct Witness: Equatable {
    /// Which spool it speaks of.
    var spoolID: String
    /// The last id that was given out.
    var lastID: Int64
    /// Stored bytes of all spans up to it.
    var logOffset: Int64

    init(spoolID: String, lastID: Int64, logOffset: Int64) {
        (self.spoolID, self.lastID, self.logOffset) = (spoolID, lastID, logOffset)
    }

    /// nil where it was never written, or not whole.
    init?(_ bytes: [UInt8]) {
        let words = bytes.prefix { $0 != 0x0a }.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
        guard bytes.contains(0x0a), words.count == 6, words[0] == "spool", words[2] == "last_id", words[4] == "bytes",
            let lastID = Int64(words[3]), let logOffset = Int64(words[5]), lastID >= 0, logOffset >= 0, lastID < .max / 2
        else { return nil }
        self.init(spoolID: words[1], lastID: lastID, logOffset: logOffset)
    }

    /// Always as long, so that one written over another leaves nothing of it.
    var bytes: [UInt8] { Array("spool \(spoolID) last_id \(Self.padded(lastID)) bytes \(Self.padded(logOffset))\n".utf8) }

    private static func padded(_ number: Int64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 19 - digits.count)) + digits
    }
}
