// A stretch of a text, and how matchers look at it. Unsafe because it walks a pointer: an index given to the subscript must lie in the
// passage, `byte(_:)` takes any.
import CShim

/// Bytes to be searched, with what may be looked at before them.
struct Passage {
    let base: UnsafePointer<UInt8>
    /// From here to `start` stands context: the JSON key of the value that is searched. Nothing is found in it.
    let floor: Int
    let start: Int
    let end: Int
    /// The end of the memory around it, for those that look at many bytes at once.
    let limit: Int

    /// A part of the passage, or of what is around it.
    func part(_ start: Int, _ end: Int, floor: Int) -> Passage { Passage(base: base, floor: floor, start: start, end: end, limit: limit) }

    subscript(_ index: Int) -> UInt8 { @inline(__always) get { base[index] } }

    /// The byte at the index, 0 outside of the passage.
    @inline(__always)
    func byte(_ index: Int) -> UInt8 { index >= start && index < end ? base[index] : 0 }

    /// The byte at the index, 0 outside of the passage and its context.
    @inline(__always)
    func context(_ index: Int) -> UInt8 { index >= floor && index < end ? base[index] : 0 }

    /// Whether the literal stands at the index.
    func has(_ literal: [UInt8], at index: Int) -> Bool {
        guard index >= start, end - index >= literal.count else { return false }
        for offset in literal.indices where base[index + offset] != literal[offset] { return false }
        return true
    }

    /// Whether the literal, in lower-case ASCII letters, stands at the index in any case; the context counts too.
    func hasWord(_ word: StaticString, at index: Int) -> Bool {
        guard index >= floor, end - index >= word.utf8CodeUnitCount else { return false }
        for offset in 0..<word.utf8CodeUnitCount where base[index + offset] | 0x20 != word.utf8Start[offset] { return false }
        return true
    }

    /// Whether it is the value of a JSON member whose name ends with the word, given in lower-case letters.
    func isValue(ofKey word: StaticString) -> Bool {
        var last = start - 1
        while last >= floor, !context(last).isLetter { last -= 1 }
        let begin = last + 1 - word.utf8CodeUnitCount
        return hasWord(word, at: begin) && !context(begin - 1).isWord
    }

    /// The end of the run of bytes of a class that begins at `index`, at most `limit` bytes long.
    @inline(__always)
    func runEnd(_ mask: UInt8, from index: Int, limit: Int = .max) -> Int {
        let stop = limit < end - index ? index + limit : end
        var at = index
        while at < stop, tracefwd_is(base[at], mask) { at += 1 }
        return at
    }

    /// Whether no word goes on into `index` from before. The letter of an escape (`\n` in JSON that is quoted in a text) is part of no word.
    @inline(__always)
    func beginsWord(_ index: Int) -> Bool { !byte(index - 1).isWord || isEscapeLetter(index - 1) }

    /// Whether no word goes on from before `index`.
    @inline(__always)
    func endsWord(_ index: Int) -> Bool { !byte(index).isWord }

    func isEscapeLetter(_ index: Int) -> Bool {
        guard byte(index - 1) == UInt8(ascii: "\\") else { return false }
        switch byte(index) {
        case UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"), UInt8(ascii: "b"), UInt8(ascii: "f"): return true
        default: return false
        }
    }

    /// Whether it is `.` or `-` and a digit: a number goes on.
    @inline(__always)
    func continuesNumber(_ index: Int) -> Bool {
        let byte = byte(index)
        return (byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")) && self.byte(index + 1).isDigit
    }
}

/// Classes of bytes, as the candidates' loop has them.
enum ByteClass {
    static let digit = UInt8(TRACEFWD_DIGIT)
    static let alnum = UInt8(TRACEFWD_DIGIT | TRACEFWD_UPPER | TRACEFWD_LOWER)
    static let word = UInt8(TRACEFWD_DIGIT | TRACEFWD_UPPER | TRACEFWD_LOWER | TRACEFWD_UNDERSCORE)
    static let base64URL = UInt8(TRACEFWD_DIGIT | TRACEFWD_UPPER | TRACEFWD_LOWER | TRACEFWD_UNDERSCORE | TRACEFWD_HYPHEN)
    static let base64 = UInt8(TRACEFWD_DIGIT | TRACEFWD_UPPER | TRACEFWD_LOWER | TRACEFWD_BASE64_SIGN)
    static let upperOrDigit = UInt8(TRACEFWD_DIGIT | TRACEFWD_UPPER)
    static let letter = UInt8(TRACEFWD_UPPER | TRACEFWD_LOWER)
    static let hexLower = UInt8(TRACEFWD_DIGIT | TRACEFWD_HEX_LOWER)
    static let hex = UInt8(TRACEFWD_DIGIT | TRACEFWD_HEX_LOWER | TRACEFWD_HEX_UPPER)
}

extension UInt8 {
    var isDigit: Bool { @inline(__always) get { self &- UInt8(ascii: "0") < 10 } }
    var isLetter: Bool { @inline(__always) get { (self | 0x20) &- UInt8(ascii: "a") < 26 } }
    var isAlnum: Bool { @inline(__always) get { tracefwd_is(self, ByteClass.alnum) } }
    var isWord: Bool { @inline(__always) get { tracefwd_is(self, ByteClass.word) } }
    var isHex: Bool { @inline(__always) get { tracefwd_is(self, ByteClass.hex) } }
    /// The value of a decimal digit.
    var digit: Int { @inline(__always) get { Int(self) - 0x30 } }
}
