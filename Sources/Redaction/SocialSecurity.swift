// US social security numbers: AAA-GG-SSSS, and nine bare digits behind a word for them.
import CShim

extension Scan {
    /// Looks for a grouped number whose area is the run of three digits at `begin`.
    mutating func findGroupedSSN(_ begin: Int) {
        let separator = text.byte(begin + 3)
        guard separator == UInt8(ascii: "-") || separator == UInt8(ascii: " "), text.byte(begin + 6) == separator else { return }
        let end = begin + 11
        guard end <= text.end, let area = number(begin, 3), let group = number(begin + 4, 2), let serial = number(begin + 7, 4),
            Self.isIssued(area, group, serial), text.beginsWord(begin), text.endsWord(end), !text.continuesNumber(end)
        else { return }
        let lead = text.byte(begin - 1)
        if lead == UInt8(ascii: ".") || lead == UInt8(ascii: "-") || lead == separator, text.byte(begin - 2).isDigit { return }
        if text.byte(end) == separator, text.byte(end + 1).isDigit { return }
        add(begin, end, detectors.usSSN)
    }

    /// Looks for a number in the run of nine digits at `begin`.
    mutating func findBareSSN(_ begin: Int) {
        guard text.beginsWord(begin), text.endsWord(begin + 9), let area = number(begin, 3), let group = number(begin + 3, 2),
            let serial = number(begin + 5, 4), Self.isIssued(area, group, serial), isNamed(before: begin)
        else { return }
        add(begin, begin + 9, detectors.usSSN)
    }

    private static func isIssued(_ area: Int, _ group: Int, _ serial: Int) -> Bool {
        area > 0 && area != 666 && area < 900 && group > 0 && serial > 0
    }

    /// The value of `count` digits at the index; nil where one is none.
    private func number(_ index: Int, _ count: Int) -> Int? {
        var value = 0
        for at in index..<index + count {
            guard text.byte(at).isDigit else { return nil }
            value = value * 10 + text[at].digit
        }
        return value
    }

    /// Whether "ssn" or "social security", with "number", "no", "num" and "is" allowed behind it, stands right before. The key of a JSON value
    /// counts.
    private mutating func isNamed(before begin: Int) -> Bool {
        var end = begin
        for _ in 0..<4 {
            let (first, last) = wordBefore(end)
            end = first
            switch last - first {
            case 2: if text.hasWord("is", at: first) || text.hasWord("no", at: first) { continue }
            case 3:
                if text.hasWord("ssn", at: first) { return true }
                if text.hasWord("num", at: first) { continue }
            case 6: if text.hasWord("number", at: first) { continue }
            case 8:
                let (before, behind) = wordBefore(first)
                return text.hasWord("security", at: first) && behind - before == 6 && text.hasWord("social", at: before)
            default: break
            }
            return false
        }
        return false
    }

    /// The word before `end`, with at most eight signs between; empty where there is none or one too long to matter.
    private mutating func wordBefore(_ end: Int) -> (Int, Int) {
        var last = end
        while end - last < 8 {
            switch text.context(last - 1) {
            case UInt8(ascii: " "), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "'"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "\\"), UInt8(ascii: "\t"), UInt8(ascii: "\n"):
                last -= 1
                continue
            default: break
            }
            break
        }
        var first = last
        while last - first < 16, text.context(first - 1).isLetter { first -= 1 }
        work += end - first
        return (first, last)
    }
}
