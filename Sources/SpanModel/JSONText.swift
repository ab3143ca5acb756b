// JSON (RFC 8259) as it stands in an attribute's text: checked once, then read in place. Nothing is decoded but what is asked for; a text
// that is no JSON to its last byte is a text like any other.

/// Reading JSON where it lies.
enum JSONText {
    /// How deep values may be nested: what is deeper is no JSON to us, so that no stored bytes exhaust the stack.
    static let depthMax = 128

    /// The one JSON value that `text` is, without the white space around it; nil where it is none.
    static func value(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let start = skipSpace(text, from: 0)
        guard let end = end(of: text, from: start, depth: 0), skipSpace(text, from: end) == text.count else { return nil }
        return UnsafeRawBufferPointer(rebasing: text[start..<end])
    }

    /// As `value`, where the text begins like an object or an array: a number or a word alone is rather a text.
    static func container(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let start = skipSpace(text, from: 0)
        guard start < text.count, text[start] == UInt8(ascii: "{") || text[start] == UInt8(ascii: "[") else { return nil }
        return value(text)
    }

    // MARK: Walking

    /// Gives the elements of an array that has been checked, until `body` answers false.
    static func forEachElement(of array: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Bool) {
        var at = skipSpace(array, from: 1)
        while at < array.count, array[at] != UInt8(ascii: "]"), let end = end(of: array, from: at, depth: 0) {
            guard body(UnsafeRawBufferPointer(rebasing: array[at..<end])) else { return }
            at = nextItem(array, from: end)
        }
    }

    /// Gives the members of an object that has been checked, in their order, until `body` answers false. A key is what stands between its
    /// quotes.
    static func forEachMember(
        of object: UnsafeRawBufferPointer, _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) {
        var at = skipSpace(object, from: 1)
        while at < object.count, object[at] == UInt8(ascii: "\""), let keyEnd = stringEnd(object, from: at) {
            let key = UnsafeRawBufferPointer(rebasing: object[at + 1..<keyEnd - 1])
            at = skipSpace(object, from: skipSpace(object, from: keyEnd) + 1)
            guard let end = end(of: object, from: at, depth: 0) else { return }
            guard body(key, UnsafeRawBufferPointer(rebasing: object[at..<end])) else { return }
            at = nextItem(object, from: end)
        }
    }

    /// JSON that has been checked, with its strings but the keys changed by `change`, which gets what stands between the quotes and gives the
    /// new, escaped as JSON wants it, or nil for the same. Nil where nothing is changed.
    static func mapStrings(
        of json: UnsafeRawBufferPointer, _ change: (UnsafeRawBufferPointer) -> [UInt8]?
    ) -> [UInt8]? {
        var out: [UInt8] = []
        var (run, at) = (0, 0)  // what stands before run has been written
        while let start = json[at...].firstIndex(of: UInt8(ascii: "\"")) {
            let end = closingQuote(json, from: start + 1)
            at = end + 1
            let next = skipSpace(json, from: at)
            let isKey = next < json.count && json[next] == UInt8(ascii: ":")
            guard !isKey, let new = change(UnsafeRawBufferPointer(rebasing: json[start + 1..<end])) else { continue }
            out.append(contentsOf: json[run...start])
            out.append(contentsOf: new)
            run = end
        }
        guard run > 0 else { return nil }
        out.append(contentsOf: json[run...])
        return out
    }

    /// From behind an item over its comma to the next one.
    private static func nextItem(_ text: UnsafeRawBufferPointer, from end: Int) -> Int {
        let at = skipSpace(text, from: end)
        return at < text.count && text[at] == UInt8(ascii: ",") ? skipSpace(text, from: at + 1) : at
    }

    // MARK: Checking

    private static func skipSpace(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start
        while at < text.count, text[at] == 0x20 || text[at] == 0x0a || text[at] == 0x0d || text[at] == 0x09 { at += 1 }
        return at
    }

    /// The end of the value that begins at `start`; nil where none does.
    private static func end(of text: UnsafeRawBufferPointer, from start: Int, depth: Int) -> Int? {
        guard start < text.count, depth < depthMax else { return nil }
        switch text[start] {
        case UInt8(ascii: "\""): return stringEnd(text, from: start)
        case UInt8(ascii: "{"): return containerEnd(text, from: start, close: UInt8(ascii: "}"), depth: depth)
        case UInt8(ascii: "["): return containerEnd(text, from: start, close: UInt8(ascii: "]"), depth: depth)
        case UInt8(ascii: "t"): return wordEnd("true", text, from: start)
        case UInt8(ascii: "f"): return wordEnd("false", text, from: start)
        case UInt8(ascii: "n"): return wordEnd("null", text, from: start)
        default: return numberEnd(text, from: start)
        }
    }

    private static func containerEnd(_ text: UnsafeRawBufferPointer, from start: Int, close: UInt8, depth: Int) -> Int? {
        var at = skipSpace(text, from: start + 1)
        if at < text.count, text[at] == close { return at + 1 }
        while true {
            if close == UInt8(ascii: "}") {
                guard at < text.count, text[at] == UInt8(ascii: "\""), let keyEnd = stringEnd(text, from: at) else { return nil }
                at = skipSpace(text, from: keyEnd)
                guard at < text.count, text[at] == UInt8(ascii: ":") else { return nil }
                at = skipSpace(text, from: at + 1)
            }
            guard let end = end(of: text, from: at, depth: depth + 1) else { return nil }
            at = skipSpace(text, from: end)
            guard at < text.count else { return nil }
            if text[at] == close { return at + 1 }
            guard text[at] == UInt8(ascii: ",") else { return nil }
            at = skipSpace(text, from: at + 1)
        }
    }

    /// Behind the closing quote of the string whose opening one is at `start`.
    private static func stringEnd(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var at = start + 1
        while true {
            at = plainEnd(text, from: at)
            guard at < text.count else { return nil }
            switch text[at] {
            case UInt8(ascii: "\""): return at + 1
            case UInt8(ascii: "\\"):
                guard isEscape(text, at: at) else { return nil }
                at += 2
            case 0x80...: repeat { at += 1 } while at < text.count && text[at] >= 0x80
            default: return nil
            }
        }
    }

    /// The closing quote of the string of sound JSON whose inside begins at `start`.
    static func closingQuote(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        stringEnd(text, from: start - 1).map { $0 - 1 } ?? text.count
    }

    private static func wordEnd(_ word: StaticString, _ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        let rest = UnsafeRawBufferPointer(rebasing: text[start...])
        return rest.starts(with: word) ? start + word.utf8CodeUnitCount : nil
    }

    private static func numberEnd(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var at = start
        func digits() -> Int {
            let first = at
            while at < text.count, text[at] &- UInt8(ascii: "0") < 10 { at += 1 }
            return at - first
        }
        if text[at] == UInt8(ascii: "-") { at += 1 }
        let whole = at
        guard digits() > 0, text[whole] != UInt8(ascii: "0") || at == whole + 1 else { return nil }
        if at < text.count, text[at] == UInt8(ascii: ".") {
            at += 1
            guard digits() > 0 else { return nil }
        }
        if at < text.count, text[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < text.count, text[at] == UInt8(ascii: "+") || text[at] == UInt8(ascii: "-") { at += 1 }
            guard digits() > 0 else { return nil }
        }
        return at
    }

    // MARK: Escapes

    /// Whether the backslash at `at` begins an escape by RFC 8259's grammar, which lets half a surrogate pair pass.
    private static func isEscape(_ text: UnsafeRawBufferPointer, at: Int) -> Bool {
        guard at + 1 < text.count else { return false }
        switch text[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"): return unit(text, at: at) != nil
        default: return false
        }
    }

    /// The UTF-16 code unit of the `\u` escape at `at`.
    private static func unit(_ text: UnsafeRawBufferPointer, at: Int) -> UInt32? {
        guard at + 6 <= text.count, text[at] == UInt8(ascii: "\\"), text[at + 1] == UInt8(ascii: "u") else { return nil }
        var value: UInt32 = 0
        for byte in text[at + 2..<at + 6] {
            let digit = hexValue(byte)
            guard digit < 16 else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func hexValue(_ byte: UInt8) -> UInt8 {
        let digit = byte &- UInt8(ascii: "0")
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter + 10 : 255
    }

    /// Bytes of the escape at `at`, a whole surrogate pair being one; 0 where it means no character.
    static func escapeLength(_ text: UnsafeRawBufferPointer, at: Int) -> Int {
        guard isEscape(text, at: at) else { return 0 }
        guard let unit = unit(text, at: at) else { return 2 }
        switch unit {
        case 0xd800..<0xdc00:
            guard let low = self.unit(text, at: at + 6), 0xdc00..<0xe000 ~= low else { return 0 }
            return 12
        case 0xdc00..<0xe000: return 0
        default: return 6
        }
    }

    /// Bytes to pass over where the escape at `at` means no character.
    static func brokenEscapeLength(_ text: UnsafeRawBufferPointer, at: Int) -> Int { unit(text, at: at) == nil ? 1 : 6 }

    /// What stands between the quotes of a JSON string, as UTF-8.
    static func decoded(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        decode(text, to: &bytes)
        return bytes
    }

    /// Appends what stands between the quotes of a JSON string, as UTF-8.
    static func decode(_ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        var (run, at) = (0, 0)
        while at < text.count {
            guard text[at] == UInt8(ascii: "\\") else {
                at = Swift.max(plainEnd(text, from: at), at + 1)
                continue
            }
            bytes.append(contentsOf: text[run..<at])
            let length = escapeLength(text, at: at)
            bytes.append(contentsOf: String(length > 0 ? scalar(text, at: at, length: length) : "\u{fffd}").utf8)
            at += length > 0 ? length : brokenEscapeLength(text, at: at)
            run = at
        }
        bytes.append(contentsOf: text[run...])
    }

    private static func scalar(_ text: UnsafeRawBufferPointer, at: Int, length: Int) -> Unicode.Scalar {
        switch text[at + 1] {
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = unit(text, at: at) else { return "\u{fffd}" }
            guard length == 12, let low = unit(text, at: at + 6) else { return Unicode.Scalar(first) ?? "\u{fffd}" }
            return Unicode.Scalar(0x1_0000 + (first - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{fffd}"
        default: return Unicode.Scalar(text[at + 1])
        }
    }
}
