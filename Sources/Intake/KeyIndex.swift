// Of equal keys in one object the last wins, so each key written is remembered until its object ends. Most objects hold few keys: up to 64
// a filter of 64 bits says "surely new" for all but a few, and only those are compared. A larger object is sorted once, at its end. Both
// stay far from quadratic, whoever chose the keys.
import Glibc

/// A `KeyValue` message in the output, while its object is open.
struct KeyEntry: BitwiseCopyable {
    let hash: UInt32
    /// Who wins among equal keys: the higher rank, then the later one.
    let rank: KeyRank
    /// Lost to an equal key; not part of the result.
    var isDead: Bool
    /// The message's bytes, its tag included.
    let start: Int
    var end: Int

    var size: Int { end - start }
}

/// Where an attribute comes from; a later case beats an earlier one of the same key.
enum KeyRank: UInt8, BitwiseCopyable {
    case byDefault
    case shortForm
    case unknownMember
    case attribute
}

/// The open objects' keys, one object behind the other.
struct KeyIndex: ~Copyable {
    /// One open object.
    struct Frame: BitwiseCopyable {
        fileprivate(set) var base: Int
        fileprivate var filter: UInt64 = 0
        fileprivate(set) var hasDead = false

        /// Before any object is open.
        static let none = Frame(base: 0)
    }

    private static let filtered = 64
    private(set) var entries = Buffer<KeyEntry>(capacity: 256)

    var count: Int { entries.count }

    func open() -> Frame { Frame(base: entries.count) }

    /// Remembers a key whose message is about to be written at the end of `output`.
    @inline(__always)
    mutating func admit(_ key: AttributeKey, rank: KeyRank, to frame: inout Frame, output: borrowing Buffer<UInt8>) {
        let isBeaten = isBeaten(key, rank: rank, in: &frame, output: output)
        append(KeyEntry(hash: key.hash, rank: rank, isDead: isBeaten, start: output.count, end: output.count))
    }

    /// Whether a new key loses to an equal one of the object; if that loses to the new one, it is dead from now on.
    @inline(__always)
    mutating func isBeaten(_ key: AttributeKey, rank: KeyRank, in frame: inout Frame, output: borrowing Buffer<UInt8>) -> Bool {
        // These bits of the hash, because in them no two of the short forms' keys are alike.
        let bit: UInt64 = 1 << UInt64(key.hash >> 7 & 63)
        defer { frame.filter |= bit }
        return frame.filter & bit != 0 && lookCloser(key, rank, &frame, output)
    }

    /// Remembers a message that is written.
    @inline(__always)
    mutating func append(_ entry: KeyEntry) { entries.append(entry) }

    /// Says that the message of the key admitted last in `frame` is complete.
    @inline(__always)
    mutating func complete(output: borrowing Buffer<UInt8>) { entries.base[entries.count - 1].end = output.count }

    /// Looks for an equal key; whether the new one loses to it.
    @inline(never)
    private mutating func lookCloser(
        _ key: AttributeKey, _ rank: KeyRank, _ frame: inout Frame, _ output: borrowing Buffer<UInt8>
    ) -> Bool {
        guard entries.count - frame.base <= Self.filtered, let old = place(of: key, in: frame, output) else { return false }
        frame.hasDead = true
        guard rank.rawValue >= entries[old].rank.rawValue else { return true }
        entries.base[old].isDead = true
        return false
    }

    private func place(of key: AttributeKey, in frame: Frame, _ output: borrowing Buffer<UInt8>) -> Int? {
        for entry in entries.base + frame.base..<entries.base + entries.count where entry.pointee.hash == key.hash {
            if !entry.pointee.isDead, Self.key(at: entry.pointee.start, in: output) == key.text { return entry - entries.base }
        }
        return nil
    }

    /// The message that holds a key, its tag and length left out.
    func find(_ key: AttributeKey, in frame: Frame, _ output: borrowing Buffer<UInt8>) -> Text? {
        guard let index = place(of: key, in: frame, output) else { return nil }
        let body = Self.body(at: entries[index].start, in: output)
        return Text(body, UnsafePointer(output.base + entries[index].end) - body)
    }

    /// Ends the adding of keys: of equal ones only the winner is alive then.
    mutating func settle(_ frame: inout Frame, output: borrowing Buffer<UInt8>) {
        guard entries.count - frame.base > Self.filtered else { return }
        let texts = (frame.base..<entries.count).map { Self.key(at: entries[$0].start, in: output) }
        let order = (frame.base..<entries.count).filter { !entries[$0].isDead }.sorted { left, right in
            if entries[left].hash != entries[right].hash { return entries[left].hash < entries[right].hash }
            let (leftKey, rightKey) = (texts[left - frame.base], texts[right - frame.base])
            if !(leftKey == rightKey) { return leftKey < rightKey }
            if entries[left].rank != entries[right].rank { return entries[left].rank.rawValue < entries[right].rank.rawValue }
            return left < right
        }
        for (loser, winner) in zip(order, order.dropFirst()) where entries[loser].hash == entries[winner].hash {
            guard texts[loser - frame.base] == texts[winner - frame.base] else { continue }
            entries.base[loser].isDead = true
            frame.hasDead = true
        }
    }

    /// Bytes and number of the messages that are alive.
    func living(in frame: Frame) -> (bytes: Int, count: Int) {
        guard frame.hasDead else {
            guard entries.count > frame.base else { return (0, 0) }
            // Of the innermost object only, so they stand one behind the other.
            return (entries[entries.count - 1].end - entries[frame.base].start, entries.count - frame.base)
        }
        var (bytes, count) = (0, 0)
        for index in frame.base..<entries.count where !entries[index].isDead {
            bytes += entries[index].size
            count += 1
        }
        return (bytes, count)
    }

    /// Writes the messages that are alive.
    func write(_ frame: Frame, from output: borrowing Buffer<UInt8>, to pen: inout Pen) {
        var index = frame.base
        while index < entries.count {
            guard !entries[index].isDead else {
                index += 1
                continue
            }
            let start = entries[index].start
            var end = entries[index].end
            index += 1
            while index < entries.count, !entries[index].isDead, entries[index].start == end {
                end = entries[index].end
                index += 1
            }
            pen.bytes(output.base + start, end - start)
        }
    }

    /// Ends an object whose messages stand at the end of `output`, and takes the dead ones out of there.
    @inline(__always)
    mutating func close(_ frame: inout Frame, output: inout Buffer<UInt8>) {
        settle(&frame, output: output)
        if frame.hasDead { compact(frame, &output) }
        entries.count = frame.base
    }

    @inline(never)
    private func compact(_ frame: Frame, _ output: inout Buffer<UInt8>) {
        var at = entries[frame.base].start
        for index in frame.base..<entries.count where !entries[index].isDead {
            memmove(output.base + at, output.base + entries[index].start, entries[index].size)
            at += entries[index].size
        }
        output.count = at
    }

    /// Forgets all from here on.
    mutating func cut(to count: Int) { entries.count = count }

    mutating func empty() { entries.empty(keeping: 4_096) }

    // A message is read back for its key: tag, length, then 0x0a, length, key; an empty key is left out.

    private static func body(at start: Int, in output: borrowing Buffer<UInt8>) -> UnsafePointer<UInt8> {
        var at = UnsafePointer(output.base + start + 1)
        _ = length(&at)
        return at
    }

    private static func key(at start: Int, in output: borrowing Buffer<UInt8>) -> Text {
        var at = body(at: start, in: output)
        guard at.pointee == 0x0a else { return Text(at, 0) }
        at += 1
        let count = length(&at)
        return Text(at, count)
    }

    private static func length(_ at: inout UnsafePointer<UInt8>) -> Int {
        var (value, shift) = (0, 0)
        while at.pointee >= 0x80 {
            value |= Int(at.pointee & 0x7f) << shift
            shift += 7
            at += 1
        }
        value |= Int(at.pointee) << shift
        at += 1
        return value
    }
}
