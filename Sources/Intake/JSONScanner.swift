// RFC 8259, exactly, over one line: no value is made, the caller is handed text and numbers as it asks for them. Unsafe because it walks
// pointers; every read stands behind a comparison with `end`, here or in tracefwd_scan.h.
import CShim

/// A number as it stands in the line, and what it means.
struct Number {
    enum Value {
        case integer(Int64)
        /// With a fraction or an exponent, or -0.
        case double(Double)
        /// Beyond int64 or the largest double: only its text says it.
        case text
    }

    let token: Text
    let value: Value
}

/// Reads JSON tokens in order. Wherever a value begins, `at` stands on its first byte and is before `end`.
struct JSONScanner: ~Copyable {
    private(set) var at: UnsafePointer<UInt8>
    private(set) var end: UnsafePointer<UInt8>
    /// Where the key that was read last begins.
    private(set) var keyAt: UnsafePointer<UInt8>
    private(set) var depth = 0
    let depthMax: Int
    /// Strings with escapes, decoded. Never longer than the line, so room is made once a line and pointers into it stay good.
    private var decoded = Buffer<UInt8>(capacity: 4_096)
    private var familiar = FamiliarKeys()

    init(depthMax: Int) {
        self.depthMax = depthMax
        (at, end, keyAt) = (Text("").base, Text("").base, Text("").base)
    }

    /// Starts a line. The line must outlive all that is handed out for it.
    mutating func begin(_ line: Text) {
        decoded.empty(keeping: 1 << 20)
        _ = decoded.end(room: line.count)
        at = line.base
        end = line.base + line.count
        depth = 0
        familiar.begin()
    }

    /// A place to come back to, with all that was decoded behind it forgotten.
    struct Mark: BitwiseCopyable {
        let at: UnsafePointer<UInt8>
        let depth: Int
        let decoded: Int
        let turn: UnsafeMutablePointer<tracefwd_key>
    }

    var mark: Mark { Mark(at: at, depth: depth, decoded: decoded.count, turn: familiar.turn) }

    mutating func rewind(to mark: Mark) {
        at = mark.at
        depth = mark.depth
        decoded.count = mark.decoded
        familiar.rewind(to: mark.turn)
    }

    /// The byte on which a value begins.
    var byte: UInt8 { @inline(__always) get { at.pointee } }

    /// Whether an object's first key can be `key`: false for most that it is not, without reading it.
    func mayBegin(with key: StaticString) -> Bool {
        guard end - at >= 3, at[0] == UInt8(ascii: "{"), at[1] == UInt8(ascii: "\"") else { return true }
        return at[2] == key.utf8Start[0] || at[2] == UInt8(ascii: "\\")
    }

    // MARK: Structure

    /// Goes to the next byte that is no white space, and gives it.
    @inline(__always)
    mutating func next() throws(Fault) -> UInt8 {
        if at < end, at.pointee > 0x20 { return at.pointee }
        return try nextBehindSpace()
    }

    @inline(never)
    private mutating func nextBehindSpace() throws(Fault) -> UInt8 {
        while at < end {
            switch at.pointee {
            case 0x20, 0x09, 0x0a, 0x0d: at += 1
            default: return at.pointee
            }
        }
        throw .malformed(.invalidJSON)
    }

    /// The end of the line, behind the only value.
    mutating func finish() throws(Fault) {
        while at < end {
            switch at.pointee {
            case 0x20, 0x09, 0x0a, 0x0d: at += 1
            default: throw unexpected()
            }
        }
    }

    /// From `{` to its first value, giving its key; nil behind the `}` of an empty object.
    mutating func firstKey() throws(Fault) -> Key? {
        try enter()
        if let key = familiarKey() { return key }
        if try next() == UInt8(ascii: "}") { return leave() }
        return try newKey(from: at)
    }

    /// From behind a value of an object to the next one, giving its key; nil behind the object's `}`.
    @inline(__always)
    mutating func nextKey() throws(Fault) -> Key? {
        if at < end, at.pointee == UInt8(ascii: ",") {
            at += 1
            if let key = familiarKey() { return key }
            return try newKey(from: at)
        }
        return try endOrNewKey()
    }

    @inline(never)
    private mutating func endOrNewKey() throws(Fault) -> Key? {
        switch try next() {
        case UInt8(ascii: ","):
            at += 1
            return try newKey(from: at)
        case UInt8(ascii: "}"): return leave()
        default: throw unexpected()
        }
    }

    /// From `[` to its first value; false behind the `]` of an empty array.
    mutating func firstElement() throws(Fault) -> Bool {
        try enter()
        if try next() != UInt8(ascii: "]") { return true }
        _ = leave()
        return false
    }

    /// From behind a value of an array to the next one; false behind the array's `]`.
    mutating func nextElement() throws(Fault) -> Bool {
        switch try next() {
        case UInt8(ascii: ","):
            at += 1
            _ = try next()
            return true
        case UInt8(ascii: "]"):
            _ = leave()
            return false
        default: throw unexpected()
        }
    }

    @inline(__always)
    private mutating func enter() throws(Fault) {
        at += 1
        depth += 1
        if depth > depthMax { throw .malformed(.tooDeep) }
    }

    @inline(__always)
    private mutating func leave() -> Key? {
        at += 1
        depth -= 1
        return nil
    }

    /// The key at `at`, behind a brace or comma, and on to its value, where all that stands there is familiar.
    @inline(__always)
    private mutating func familiarKey() -> Key? {
        guard let known = familiar.find(at, before: end) else { return nil }
        let value = at + Int(known.pointee.length)
        guard value.pointee > 0x20 else { return nil }
        let text = known.pointee.text(at)
        keyAt = text.base - 1
        at = value
        return Key(text: text, known: known)
    }

    /// The key behind the brace or comma before `start`, and on to its value.
    @inline(never)
    private mutating func newKey(from start: UnsafePointer<UInt8>) throws(Fault) -> Key {
        guard try next() == UInt8(ascii: "\"") else { throw unexpected() }
        keyAt = at
        let text = try string()
        let isAsWritten = text.base == keyAt + 1
        guard try next() == UInt8(ascii: ":") else { throw unexpected() }
        at += 1
        _ = try next()
        let known = familiar.learn(Text(start, at - start), key: isAsWritten ? text : nil, hash: KeyPrint(text).hash)
        return Key(text: text, known: known)
    }

    // MARK: Values

    /// Whether the value is null, which is then read.
    mutating func null() throws(Fault) -> Bool {
        guard byte == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    mutating func bool() throws(Fault) -> Bool {
        let value = byte == UInt8(ascii: "t")
        try literal(value ? "true" : "false")
        return value
    }

    private mutating func literal(_ word: StaticString) throws(Fault) {
        let word = Text(word)
        for index in 0..<word.count {
            guard at < end, at.pointee == word[index] else { throw unexpected() }
            at += 1
        }
    }

    /// Reads a value of any kind and makes nothing of it.
    mutating func skip() throws(Fault) {
        switch byte {
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "{"):
            var more = try firstKey() != nil
            while more {
                try skip()
                more = try nextKey() != nil
            }
        case UInt8(ascii: "["):
            var more = try firstElement()
            while more {
                try skip()
                more = try nextElement()
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"): _ = try null()
        default: _ = try number()
        }
    }

    /// What to say of the byte at `at`, which may not stand there.
    private func unexpected() -> Fault {
        let isBroken = at < end && at.pointee >= 0x80 && utf8Length(at) == 0
        return .malformed(isBroken ? .invalidUTF8 : .invalidJSON)
    }

    // MARK: Strings

    /// The string at `at`, decoded. Good until the next line begins.
    mutating func string() throws(Fault) -> Text {
        let start = at + 1
        let stop = tracefwd_plain_end(start, end)
        if stop < end, stop.pointee == UInt8(ascii: "\"") {
            at = stop + 1
            return Text(start, stop - start)
        }
        return try string(from: start, plainTo: stop)
    }

    /// A string with more than plain text in it: it stays where it is as long as it has no escapes.
    private mutating func string(from start: UnsafePointer<UInt8>, plainTo stop: UnsafePointer<UInt8>) throws(Fault) -> Text {
        at = stop
        while at < end {
            switch at.pointee {
            case UInt8(ascii: "\""):
                let text = Text(start, at - start)
                at += 1
                return text
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            case 0x80...: try passUTF8()
            default: throw .malformed(.invalidJSON)
            }
            at = tracefwd_plain_end(at, end)
        }
        throw .malformed(.invalidJSON)
    }

    /// The rest of a string whose first escape is at `at`.
    private mutating func escapedString(from start: UnsafePointer<UInt8>) throws(Fault) -> Text {
        let first = decoded.end(room: end - start)
        var pen = Pen(at: first)
        pen.bytes(start, at - start)
        while at < end {
            switch at.pointee {
            case UInt8(ascii: "\""):
                at += 1
                decoded.close(pen)
                return Text(first, pen.at - first)
            case UInt8(ascii: "\\"): try escape(&pen)
            case 0x80...:
                let run = at
                try passUTF8()
                pen.bytes(run, at - run)
            default: throw .malformed(.invalidJSON)
            }
            let stop = tracefwd_plain_copy(pen.at, at, end)
            pen.at += stop - at
            at = stop
        }
        throw .malformed(.invalidJSON)
    }

    private mutating func escape(_ pen: inout Pen) throws(Fault) {
        guard end - at >= 2 else { throw .malformed(.invalidJSON) }
        let kind = at[1]
        at += 2
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): pen.byte(kind)
        case UInt8(ascii: "n"): pen.byte(0x0a)
        case UInt8(ascii: "t"): pen.byte(0x09)
        case UInt8(ascii: "r"): pen.byte(0x0d)
        case UInt8(ascii: "b"): pen.byte(0x08)
        case UInt8(ascii: "f"): pen.byte(0x0c)
        case UInt8(ascii: "u"): pen.scalar(try escapedScalar())
        default: throw .malformed(.invalidJSON)
        }
    }

    /// The scalar of a `\u` escape, the second half of a surrogate pair included. `at` is behind the `u`.
    private mutating func escapedScalar() throws(Fault) -> UInt32 {
        let unit = try fourDigits()
        switch unit {
        case 0xd800..<0xdc00:
            guard end - at >= 2, at[0] == UInt8(ascii: "\\"), at[1] == UInt8(ascii: "u") else { throw .malformed(.invalidJSON) }
            at += 2
            let low = try fourDigits()
            guard 0xdc00..<0xe000 ~= low else { throw .malformed(.invalidJSON) }
            return 0x1_0000 + (unit - 0xd800) << 10 + (low - 0xdc00)
        case 0xdc00..<0xe000: throw .malformed(.invalidJSON)
        default: return unit
        }
    }

    private mutating func fourDigits() throws(Fault) -> UInt32 {
        guard end - at >= 4 else { throw .malformed(.invalidJSON) }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = hexDigit(at.pointee) else { throw .malformed(.invalidJSON) }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    /// Passes over a run of characters beyond ASCII.
    private mutating func passUTF8() throws(Fault) {
        repeat {
            let length = utf8Length(at)
            guard length > 0 else { throw .malformed(.invalidUTF8) }
            at += length
        } while at < end && at.pointee >= 0x80
    }

    /// Bytes of the character beyond ASCII that begins at `start`; 0 where it is no UTF-8 (RFC 3629: the table of its section 4).
    @inline(__always)
    private func utf8Length(_ start: UnsafePointer<UInt8>) -> Int {
        let room = end - start
        let lead = start[0]
        switch lead {
        case 0xc2...0xdf: return room >= 2 && start[1] & 0xc0 == 0x80 ? 2 : 0
        case 0xe0...0xef:
            guard room >= 3, start[1] & 0xc0 == 0x80, start[2] & 0xc0 == 0x80 else { return 0 }
            if lead == 0xe0, start[1] < 0xa0 { return 0 }  // overlong
            if lead == 0xed, start[1] >= 0xa0 { return 0 }  // a surrogate
            return 3
        case 0xf0...0xf4:
            guard room >= 4, start[1] & 0xc0 == 0x80, start[2] & 0xc0 == 0x80, start[3] & 0xc0 == 0x80 else { return 0 }
            if lead == 0xf0, start[1] < 0x90 { return 0 }  // overlong
            if lead == 0xf4, start[1] >= 0x90 { return 0 }  // beyond U+10FFFF
            return 4
        default: return 0
        }
    }

    // MARK: Numbers

    /// The number at `at`.
    mutating func number() throws(Fault) -> Number {
        let start = at
        var here = at
        let isNegative = here.pointee == UInt8(ascii: "-")
        if isNegative { here += 1 }
        guard here < end, let first = decimalDigit(here.pointee) else {
            at = here
            throw unexpected()
        }
        var value = UInt64(first)
        let digits = here
        here += 1
        if first != 0 {
            while end - here >= 8, let digits = eightDigits(here) {
                value = value &* 100_000_000 &+ digits
                here += 8
            }
            while here < end, let digit = decimalDigit(here.pointee) {
                value = value &* 10 &+ UInt64(digit)
                here += 1
            }
        }
        if here < end, here.pointee == UInt8(ascii: ".") || here.pointee | 0x20 == UInt8(ascii: "e") {
            at = here
            if let number = shortFraction(from: start, units: value, isNegative: isNegative) { return number }
            return try decimal(from: start)
        }
        at = here
        let token = Text(start, here - start)
        // 19 digits always fit 64 bits; 20 never fit 63.
        guard here - digits <= 19, value <= UInt64(Int64.max) + (isNegative ? 1 : 0) else { return Number(token: token, value: .text) }
        if isNegative {
            return Number(token: token, value: value == 0 ? .double(-0.0) : .integer(0 &- Int64(truncatingIfNeeded: value)))
        }
        return Number(token: token, value: .integer(Int64(truncatingIfNeeded: value)))
    }

    /// A number with few digits behind the point at `at` and no exponent, as most are; nil, and `at` as it was, where it is another.
    private mutating func shortFraction(from start: UnsafePointer<UInt8>, units: UInt64, isNegative: Bool) -> Number? {
        var mantissa = units
        var here = at + 1
        guard at.pointee == UInt8(ascii: "."), here - start < 16 else { return nil }
        while here < end, let digit = decimalDigit(here.pointee) {
            mantissa = mantissa &* 10 &+ UInt64(digit)
            here += 1
        }
        let places = here - at - 1
        guard places > 0, here - start <= 16, here == end || here.pointee | 0x20 != UInt8(ascii: "e") else { return nil }
        at = here
        return Number(token: Text(start, here - start), value: .double(Decimal.double(mantissa, places: places, isNegative: isNegative)))
    }

    /// The rest of a number whose point or exponent is at `at`.
    private mutating func decimal(from start: UnsafePointer<UInt8>) throws(Fault) -> Number {
        if at.pointee == UInt8(ascii: ".") {
            at += 1
            try someDigits()
        }
        if at < end, at.pointee | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < end, at.pointee == UInt8(ascii: "+") || at.pointee == UInt8(ascii: "-") { at += 1 }
            try someDigits()
        }
        let token = Text(start, at - start)
        let value = Decimal(token).double
        return Number(token: token, value: value.isFinite ? .double(value) : .text)
    }

    private mutating func someDigits() throws(Fault) {
        guard at < end, decimalDigit(at.pointee) != nil else { throw unexpected() }
        repeat { at += 1 } while at < end && decimalDigit(at.pointee) != nil
    }
}

extension Pen {
    /// A Unicode scalar as UTF-8.
    mutating func scalar(_ value: UInt32) {
        func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: value >> shift & 0x3f) }
        switch value {
        case 0..<0x80: byte(UInt8(truncatingIfNeeded: value))
        case 0x80..<0x800:
            byte(0xc0 | UInt8(truncatingIfNeeded: value >> 6))
            byte(tail(0))
        case 0x800..<0x1_0000:
            byte(0xe0 | UInt8(truncatingIfNeeded: value >> 12))
            byte(tail(6))
            byte(tail(0))
        default:
            byte(0xf0 | UInt8(truncatingIfNeeded: value >> 18))
            byte(tail(12))
            byte(tail(6))
            byte(tail(0))
        }
    }
}

@inline(__always)
func decimalDigit(_ byte: UInt8) -> UInt8? {
    let digit = byte &- UInt8(ascii: "0")
    return digit < 10 ? digit : nil
}

/// The number that 8 decimal digits are: pairs of them, pairs of these, and the two halves are joined by a multiplication each.
@inline(__always)
func eightDigits(_ at: UnsafePointer<UInt8>) -> UInt64? {
    let text = UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self))
    // A digit has 3 in its upper half, also with 6 added: nothing is carried, since 0x39 + 6 is 0x3f. Who has a carry was none.
    let ones: UInt64 = 0x0101_0101_0101_0101
    guard (text & (ones &* 0xf0)) | ((text &+ ones &* 6) & (ones &* 0xf0)) >> 4 == ones &* 0x33 else { return nil }
    let pairs = ((text & (ones &* 0x0f)) &* 0xa01) >> 8 & 0x00ff_00ff_00ff_00ff
    let fours = (pairs &* 0x64_0001) >> 16 & 0x0000_ffff_0000_ffff
    return (fours &* 0x2710_0000_0001) >> 32
}

func hexDigit(_ byte: UInt8) -> UInt8? {
    if let digit = decimalDigit(byte) { return digit }
    let letter = byte | 0x20
    return 0x61...0x66 ~= letter ? letter - 0x57 : nil
}
