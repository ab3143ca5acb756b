// local@domain. The local part is looked for backwards from the sign, the domain forwards.
import CShim

extension Scan {
    /// Looks for an address around the `@` at `sign`.
    mutating func findEmail(around sign: Int) {
        let begin = localPart(before: sign)
        guard begin < sign, let end = domainEnd(from: sign + 1), !isPath(from: end), !isImage(from: sign + 1, to: end) else { return }
        add(begin, end, detectors.email)
    }

    /// Where the local part before `sign` begins; `sign` where there is none.
    private mutating func localPart(before sign: Int) -> Int {
        var first = sign
        scan: while first > text.start {
            let byte = text[first - 1]
            switch byte {
            case _ where byte.isWord: first -= 1
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "%"): first -= 1
            case UInt8(ascii: "'"):  // o'brien, but not a quote
                guard first < sign, text[first].isAlnum, text.byte(first - 2).isAlnum else { break scan }
                first -= 1
            case UInt8(ascii: "="):  // part of the address unless something is set by it: email=jane@example.com
                guard first < sign, !text.byte(first - 2).isWord else { break scan }
                first -= 1
            case 0x80...0xBF:
                guard first - 2 >= text.start, Self.isLetter(text[first - 2], byte) else { break scan }
                first -= 2
            default: break scan
            }
        }
        work += sign - first
        if first < sign, text.isEscapeLetter(first) { first += 1 }
        while first < sign, text[first] == UInt8(ascii: ".") || text[first] == UInt8(ascii: "-") { first += 1 }
        return first
    }

    /// The end of the longest domain from `begin` on whose last label can be a top-level domain; nil where there is none.
    private mutating func domainEnd(from begin: Int) -> Int? {
        var at = begin
        var found: Int?
        defer { work += at - begin }
        while at - begin < 255 {
            let label = at
            at = labelEnd(from: label)
            guard at > label, text[label] != UInt8(ascii: "-") else { break }
            if label > begin, let end = topLevelEnd(from: label, to: at) { found = end }
            guard text.byte(at) == UInt8(ascii: ".") else { break }
            at += 1
        }
        return found
    }

    private func labelEnd(from label: Int) -> Int {
        var at = label
        while at < text.end {
            if tracefwd_is(text[at], ByteClass.alnum | UInt8(TRACEFWD_HYPHEN)) {
                at += 1
            } else if at + 1 < text.end, Self.isLetter(text[at], text[at + 1]) {
                at += 2
            } else {
                break
            }
        }
        return at
    }

    /// The end of a top-level domain that the label is or, before a hyphen, begins with: letters, at least two, or an A-label.
    private func topLevelEnd(from label: Int, to end: Int) -> Int? {
        if end - label > 4, text.hasWord("xn", at: label), text[label + 2] == 0x2D, text[label + 3] == 0x2D {
            return text[end - 1] == 0x2D ? nil : end
        }
        var at = label
        var letters = 0
        while at < end {
            guard text[at].isLetter || text[at] >= 0x80 else { break }
            at += text[at] >= 0x80 ? 2 : 1
            letters += 1
        }
        guard letters >= 2 else { return nil }
        return at < end ? (text[at] == 0x2D ? at : nil) : (text.endsWord(at) ? at : nil)
    }

    /// Whether an scp address goes on: `:` and a path with a slash in it.
    private mutating func isPath(from colon: Int) -> Bool {
        guard text.byte(colon) == UInt8(ascii: ":") else { return false }
        var at = colon + 1
        while at < min(text.end, colon + 256) {
            switch text[at] {
            case UInt8(ascii: "/"): return at > colon + 1 || text.byte(at + 1).isWord
            case UInt8(ascii: "~"), UInt8(ascii: "."), UInt8(ascii: "-"): at += 1
            case let byte where byte.isWord: at += 1
            default: return false
            }
            work += 1
        }
        return false
    }

    /// Whether the domain is the rest of a picture's name: `logo@2x.png`.
    private func isImage(from begin: Int, to end: Int) -> Bool {
        let scale = text.runEnd(ByteClass.digit, from: begin, limit: 3)
        guard scale > begin, text.byte(scale) | 0x20 == UInt8(ascii: "x"), text.byte(scale + 1) == UInt8(ascii: ".") else { return false }
        let suffix = scale + 2
        switch end - suffix {
        case 3:
            return text.hasWord("png", at: suffix) || text.hasWord("jpg", at: suffix) || text.hasWord("gif", at: suffix)
                || text.hasWord("svg", at: suffix) || text.hasWord("ico", at: suffix) || text.hasWord("bmp", at: suffix)
        case 4:
            return text.hasWord("webp", at: suffix) || text.hasWord("jpeg", at: suffix) || text.hasWord("avif", at: suffix)
                || text.hasWord("heic", at: suffix)
        default: return false
        }
    }

    /// Whether two bytes are a letter of Latin, Greek, Cyrillic or Armenian (U+00C0 to U+058F, with what is combined with them).
    @inline(__always)
    private static func isLetter(_ lead: UInt8, _ next: UInt8) -> Bool {
        lead >= 0xC3 && lead <= 0xD6 && next & 0xC0 == 0x80 && !(lead == 0xC3 && (next == 0x97 || next == 0xB7))
    }
}
