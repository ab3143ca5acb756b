// A JSON document (RFC 8259): its strings are searched as they read, keys included, and what is found is replaced where it is written, so
// that every other byte stays; two keys may become equal by it, which the RFC allows. A number in which something is found becomes a string.
// A key is context for its value ("ssn": 123456789). A document that is cut off is searched as far as it goes. Between quotation marks
// anything is taken as it comes; what is no JSON in other ways is searched as plain text by the caller.
import CShim

extension Redaction {
    private enum Expected {
        case value, elementOrEnd, keyOrEnd, key, colon, next
    }

    /// Searches a document that lies in `level` JSON strings. False where it is none; then the edits so far mean nothing.
    mutating func searchDocument(_ text: Passage, level: Int, _ redactor: Redactor) -> Bool {
        let bottom = open.count
        defer { open.removeLast(open.count - bottom) }
        var expected = Expected.value
        var at = text.start
        var key = -1  // where the key of the value to come begins
        while true {
            while at < text.end, Self.isSpace(text[at]) { at += 1 }
            guard at < text.end else { return true }
            let byte = text[at]
            switch (expected, byte) {
            case (.value, UInt8(ascii: "{")), (.elementOrEnd, UInt8(ascii: "{")):
                open.append(byte)
                (expected, key) = (.keyOrEnd, -1)
                at += 1
            case (.value, UInt8(ascii: "[")), (.elementOrEnd, UInt8(ascii: "[")):
                open.append(byte)
                (expected, key) = (.elementOrEnd, -1)
                at += 1
            case (.value, _),
                (.elementOrEnd, _) where byte != UInt8(ascii: "]"):
                guard let end = searchScalar(text, at, key: key, level: level, redactor) else { return false }
                (at, key, expected) = (end, -1, .next)
            case (.keyOrEnd, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")):
                key = at + 1
                at = searchString(text, at, floor: at + 1, level: level, redactor)
                expected = .colon
            case (.colon, UInt8(ascii: ":")):
                at += 1
                expected = .value
            case (.next, UInt8(ascii: ",")) where open.count > bottom:
                at += 1
                expected = open.last == UInt8(ascii: "{") ? .key : .value
            case (.next, UInt8(ascii: "}")), (.keyOrEnd, UInt8(ascii: "}")), (.next, UInt8(ascii: "]")), (.elementOrEnd, UInt8(ascii: "]")):
                // The signs of one pair differ by two.
                guard open.count > bottom, open.popLast() == byte - 2 else { return false }
                at += 1
                expected = .next
            default: return false
            }
        }
    }

    /// Searches a string or number, or passes over a literal. Gives its end; nil where it is no value.
    private mutating func searchScalar(_ text: Passage, _ at: Int, key: Int, level: Int, _ redactor: Redactor) -> Int? {
        switch text[at] {
        case UInt8(ascii: "\""): return searchString(text, at, floor: key >= 0 ? key : at + 1, level: level, redactor)
        case UInt8(ascii: "t"): return literalEnd("true", text, at)
        case UInt8(ascii: "f"): return literalEnd("false", text, at)
        case UInt8(ascii: "n"): return literalEnd("null", text, at)
        default:
            guard let end = numberEnd(text, at) else { return nil }
            searchNumber(text, at, end, floor: key >= 0 ? key : at, level: level, redactor)
            return end
        }
    }

    private func literalEnd(_ word: StaticString, _ text: Passage, _ at: Int) -> Int? {
        let end = min(text.end, at + word.utf8CodeUnitCount)
        for index in at..<end where text[index] != word.utf8Start[index - at] { return nil }
        return end
    }

    /// The end of a number, which may be cut off by the end of the text.
    private func numberEnd(_ text: Passage, _ start: Int) -> Int? {
        var at = text[start] == UInt8(ascii: "-") ? start + 1 : start
        func digits() -> Bool {
            let begin = at
            at = text.runEnd(ByteClass.digit, from: at)
            return at > begin || at == text.end
        }
        if text.byte(at) == UInt8(ascii: "0") { at += 1 } else if !digits() { return nil }
        if text.byte(at) == UInt8(ascii: ".") {
            at += 1
            guard digits() else { return nil }
        }
        if text.byte(at) | 0x20 == UInt8(ascii: "e") {
            at += 1
            if text.byte(at) == UInt8(ascii: "+") || text.byte(at) == UInt8(ascii: "-") { at += 1 }
            guard digits() else { return nil }
        }
        return at
    }

    private mutating func searchNumber(_ text: Passage, _ start: Int, _ end: Int, floor: Int, level: Int, _ redactor: Redactor) {
        // No entity has fewer digits than a social security number.
        guard end - start >= 9 || !redactor.detectors.patterns.isEmpty else { return }
        let mark = edits.count
        searchPlain(text.part(start, end, floor: floor), level: level + 1, redactor)
        guard edits.count > mark else { return }
        edits.insert(Edit(start: start, end: start, rule: -1, hash: 0, level: level), at: mark)
        edits.append(Edit(start: end, end: end, rule: -1, hash: 0, level: level))
    }

    /// Searches the string whose quotation mark is at `quote`, and gives its end. From `floor` on there is context.
    private mutating func searchString(_ text: Passage, _ quote: Int, floor: Int, level: Int, _ redactor: Redactor) -> Int {
        let begin = quote + 1
        let end = text.base + text.end
        var stop = text.base + begin
        var hasEscapes = false
        while true {
            stop = tracefwd_json_run_end(stop, end)
            guard stop < end, stop.pointee == UInt8(ascii: "\\") else { break }
            hasEscapes = true
            stop = end - stop > 2 ? stop + 2 : end
        }
        let close = stop - text.base
        let content = text.part(begin, close, floor: floor)
        if !hasEscapes {
            search(content, level: level + 1, redactor)
        } else if mayHoldAny(content, redactor.detectors) {
            searchDecoded(content, level: level + 1, redactor)
        }
        return close < text.end ? close + 1 : close
    }

    /// Searches a string with escapes: its decoded form, with the context before it as it is written.
    private mutating func searchDecoded(_ raw: Passage, level: Int, _ redactor: Redactor) {
        let context = min(64, raw.start - raw.floor)
        while decoded.count <= level { decoded.append([]) }
        var buffer = decoded[level]
        decoded[level] = []
        defer { decoded[level] = buffer }
        let room = context + raw.end - raw.start + 128  // some behind it, for those that look at many bytes at once
        if buffer.count < room { buffer = [UInt8](repeating: 0, count: max(room, 2 * buffer.count)) }
        let mark = edits.count
        buffer.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            base.update(from: raw.base + raw.start - context, count: context)
            let count = JSONString.decode(raw.base + raw.start, raw.base + raw.end, to: base + context)
            work += count
            let text = Passage(base: UnsafePointer(base), floor: 0, start: context, end: context + count, limit: room)
            search(text, level: level, redactor)
        }
        guard edits.count > mark else { return }
        var ruler = JSONString.Ruler(raw.base + raw.start, raw.base + raw.end)
        for index in mark..<edits.count {
            edits[index].start = ruler.place(edits[index].start - context) - raw.base
            edits[index].end = ruler.place(edits[index].end - context) - raw.base
        }
    }
}
