// The next line of a client mostly has the keys of the line before, in the same order. So what stood around each key is kept by the key's turn
// in the line, and the same turn of the next line is compared with it first: what is equal need not be read, hashed and looked up again. It
// is a guess and no more: what a line means does not depend on the lines before it. Where a line lacks a key, the guess goes on behind it,
// so that the keys kept become those of all shapes of line that take turns.
import CShim

/// A key that was read.
struct Key: BitwiseCopyable {
    let text: Text
    /// What is known of it, until the next key is read.
    let known: UnsafeMutablePointer<tracefwd_key>

    var hash: UInt32 { @inline(__always) get { known.pointee.hash } }
}

/// The keys of the lines before, by their turn in a line. Unsafe because it hands out a pointer to what it knows: that stays where it is for
/// the parser's life.
struct FamiliarKeys: ~Copyable {
    /// Keys of a line beyond this many are read as if each were new.
    private static let turns = 64
    /// How many keys of other lines may stand before the one that is met.
    private static let ahead = 4
    /// The one behind all turns is for keys of which nothing is kept.
    private let keys = UnsafeMutablePointer<tracefwd_key>.allocate(capacity: turns + 1)
    /// The turn of the next key.
    private(set) var turn: UnsafeMutablePointer<tracefwd_key>

    init() {
        keys.initialize(repeating: tracefwd_key(), count: Self.turns + 1)
        for turn in 0...Self.turns { tracefwd_key_keep(keys + turn, Text("").base, 0) }
        turn = keys
    }

    deinit { keys.deallocate() }

    /// Begins a line.
    mutating func begin() { turn = keys }

    /// Goes back to an earlier key of the line.
    mutating func rewind(to turn: UnsafeMutablePointer<tracefwd_key>) { self.turn = turn }

    /// What is known of the key at `at`, where it stands there as it did before; the value behind it begins before `end` then.
    @inline(__always)
    mutating func find(_ at: UnsafePointer<UInt8>, before end: UnsafePointer<UInt8>) -> UnsafeMutablePointer<tracefwd_key>? {
        let key = turn
        guard end - at > tracefwd_key_room, tracefwd_key_stands(key, at) else { return findSlowly(at, before: end) }
        turn = key + 1
        return key
    }

    /// At the end of a line, or where some keys of other lines are left out.
    @inline(never)
    private mutating func findSlowly(
        _ at: UnsafePointer<UInt8>, before end: UnsafePointer<UInt8>
    ) -> UnsafeMutablePointer<tracefwd_key>? {
        for key in turn..<min(turn + Self.ahead, keys + Self.turns) {
            let length = Int(key.pointee.length)
            guard length > 0, end - at > length, tracefwd_key_is(key, at) else { continue }
            turn = key + 1
            return key
        }
        return nil
    }

    /// Keeps what was read from behind a brace or comma to a value. `key` is nil where its text is not as it stands there.
    mutating func learn(_ read: Text, key: Text?, hash: UInt32) -> UnsafeMutablePointer<tracefwd_key> {
        let known = turn
        let isKept = known < keys + Self.turns
        if isKept { turn += 1 }
        known.pointee.hash = hash
        tracefwd_key_keep(known, read.base, isKept && key != nil ? read.count : 0)
        if let key, known.pointee.length > 0 {
            known.pointee.text_at = UInt8(key.base - read.base)
            known.pointee.text_count = UInt8(key.count)
        }
        return known
    }
}

extension tracefwd_key {
    /// The key's text, where the key was found at `at`.
    @inline(__always)
    func text(_ at: UnsafePointer<UInt8>) -> Text { Text(at + Int(text_at), Int(text_count)) }
}
