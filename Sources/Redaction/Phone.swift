// Telephone numbers: E.164 with its plus, and North American ones in groups. Bare digits are none.
import CShim

extension Scan {
    /// Looks for `+` and a number; `digits` is where the digits behind the plus begin.
    mutating func findInternationalPhone(from digits: Int) {
        let plus = digits - 1
        guard text.beginsWord(plus), text.byte(plus - 1) != UInt8(ascii: "+"), let code = countryCodeLength(at: digits) else { return }
        let northAmerican = text[digits] == UInt8(ascii: "1")
        let most = northAmerican ? 11 : 15
        var at = digits
        var count = 0
        var groups = 0
        var trailing = 0  // digits of the last group
        var end = digits
        while at < text.end {
            let group = at
            at = text.runEnd(ByteClass.digit, from: at, limit: 17)
            guard at > group, count + at - group <= most else { break }
            count += at - group
            trailing = at - group
            groups += 1
            end = at
            // One sign between digits, or two different ones: `) `, ` (`.
            let first = text.byte(at)
            guard Self.isSeparator(first) else { break }
            at += 1
            let second = text.byte(at)
            if second != first, Self.isSeparator(second) { at += 1 }
        }
        work += at - plus
        guard count >= 8, endsPhone(end) else { return }
        // Two groups with a dot between are a decimal fraction, unless the first is the country code: +49.30901820.
        if groups == 2, text.runEnd(ByteClass.digit, from: digits) > digits + code, text.byte(end - trailing - 1) == UInt8(ascii: ".") {
            return
        }
        if northAmerican {
            guard count == 11, isNorthAmerican(from: digits + 1, to: end) else { return }
        }
        add(plus, end, detectors.phone)
    }

    /// Looks for a grouped North American number whose area code is the run of three digits at `area`.
    mutating func findGroupedPhone(area: Int) {
        guard text[area] >= UInt8(ascii: "2") else { return }
        var begin = area
        var exchange = area + 4
        var separator = text.byte(area + 3)
        if separator == UInt8(ascii: ")") {
            guard text.byte(area - 1) == UInt8(ascii: "(") else { return }
            begin -= 1
            if Self.isGroupSign(text.byte(exchange)) { exchange += 1 }
            separator = text.byte(exchange + 3)
        }
        guard Self.isGroupSign(separator), text.byte(exchange) >= UInt8(ascii: "2"), isDigits(3, at: exchange),
            text.byte(exchange + 3) == separator, isDigits(4, at: exchange + 4)
        else { return }
        let end = exchange + 8
        work += end - area
        let lead = text.byte(begin - 1)
        if text.byte(begin - 2) == UInt8(ascii: "1"), begin < area ? Self.isGroupSign(lead) : lead == separator { begin -= 2 }
        guard text.beginsWord(begin), endsPhone(end), !text.byte(end).isDigit, !text.continuesNumber(end) else { return }
        if separator == UInt8(ascii: " "), text.byte(end) == separator, text.byte(end + 1).isDigit { return }
        switch text.byte(begin - 1) {
        case UInt8(ascii: "$"), UInt8(ascii: "#"), UInt8(ascii: "+"): return
        case UInt8(ascii: "."), UInt8(ascii: "-"): if text.byte(begin - 2).isAlnum { return }
        case UInt8(ascii: " "): if separator == UInt8(ascii: " "), text.byte(begin - 2).isDigit { return }
        default: break
        }
        add(begin, end, detectors.phone)
    }

    /// Whether the digits behind the country code 1 are an area code and an exchange that can be.
    private func isNorthAmerican(from begin: Int, to end: Int) -> Bool {
        var index = 0
        for at in begin..<end where text[at].isDigit {
            if index == 0 || index == 3, text[at] < UInt8(ascii: "2") { return false }
            index += 1
        }
        return true
    }

    /// Whether a number may end here: before no letter but that of an extension.
    private func endsPhone(_ end: Int) -> Bool {
        text.endsWord(end) || text.hasWord("ext", at: end) || (text.byte(end) | 0x20 == UInt8(ascii: "x") && text.byte(end + 1).isDigit)
    }

    private func isDigits(_ count: Int, at index: Int) -> Bool {
        for offset in 0..<count where !text.byte(index + offset).isDigit { return false }
        return true
    }

    @inline(__always)
    private static func isGroupSign(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: " ")
    }

    @inline(__always)
    private static func isSeparator(_ byte: UInt8) -> Bool {
        isGroupSign(byte) || byte == UInt8(ascii: "(") || byte == UInt8(ascii: ")") || byte == UInt8(ascii: "/")
    }

    /// How many digits the assigned country code at the index has; nil where there is none. No code begins with another.
    private func countryCodeLength(at index: Int) -> Int? {
        var code = 0
        for length in 1...3 {
            guard text.byte(index + length - 1).isDigit else { return nil }
            code = code * 10 + text[index + length - 1].digit
            if code == 0 { return nil }
            if Self.isCountryCode(code) { return length }
        }
        return nil
    }

    /// Whether the country code is assigned (ITU-T E.164, list of assigned codes).
    private static func isCountryCode(_ code: Int) -> Bool {
        switch code {
        case 1, 7: true
        case 20, 27, 30...34, 36, 39...41, 43...49, 51...58, 60...66, 81, 82, 84, 86, 90...95, 98: true
        case 211...213, 216, 218, 220...258, 260...269, 290, 291, 297...299: true
        case 350...359, 370...378, 380...383, 385...387, 389, 420, 421, 423, 500...509, 590...599: true
        case 670, 672...683, 685...692, 800, 808, 850, 852, 853, 855, 856, 870, 878, 880...883, 886, 888: true
        case 960...968, 970...977, 979, 992...996, 998: true
        default: false
        }
    }
}
