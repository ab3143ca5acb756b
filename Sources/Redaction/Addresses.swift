// Addresses of networks: IPv4, IPv6 in every spelling of RFC 4291 with zones (RFC 4007), and hardware addresses.
import CShim

extension Scan {
    // MARK: IPv4

    /// Looks for an IPv4 address whose first number is the run of digits [begin, end).
    mutating func findIPv4(_ begin: Int, _ end: Int) {
        guard text.beginsWord(begin), text.byte(begin - 1) != UInt8(ascii: "."), let address = ipv4(begin) else { return }
        guard text.endsWord(address.end), !(text.byte(address.end) == UInt8(ascii: ".") && text.byte(address.end + 1).isDigit),
            address.value >> 24 != 127, address.value != 0, !isVersion(before: begin)
        else { return }
        add(begin, address.end, detectors.ipAddress)
    }

    /// Reads four numbers up to 255, without leading zeros, with dots between.
    private mutating func ipv4(_ begin: Int) -> (value: UInt32, end: Int)? {
        var value: UInt32 = 0
        var at = begin
        for index in 0..<4 {
            if index > 0 {
                guard text.byte(at) == UInt8(ascii: ".") else { return nil }
                at += 1
            }
            let end = text.runEnd(ByteClass.digit, from: at, limit: 4)
            work += end - at + 1
            guard end > at, end - at < 4, end - at == 1 || text[at] != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for digit in at..<end { number = number * 10 + UInt32(text[digit].digit) }
            guard number <= 255 else { return nil }
            value = value << 8 | number
            at = end
        }
        return (value, at)
    }

    /// Whether what stands before says that the numbers are a version: `version 1.2.3.4`, `Chrome/120.0.0.0`. The key of a JSON value counts.
    private mutating func isVersion(before begin: Int) -> Bool {
        if text.byte(begin - 1) == UInt8(ascii: "/") {
            var first = begin - 1
            while begin - first < 40, text.byte(first - 1).isWord || text.byte(first - 1) == UInt8(ascii: "-") { first -= 1 }
            work += begin - first
            // A product begins a word of its own; behind another slash it is a path.
            let lead = text.byte(first - 1)
            return text.byte(first).isLetter && lead != UInt8(ascii: "/") && lead != UInt8(ascii: ".") && lead != UInt8(ascii: ":")
        }
        var last = begin
        while begin - last < 6 {
            switch text.context(last - 1) {
            case UInt8(ascii: " "), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "."),
                UInt8(ascii: "\\"):
                last -= 1
                continue
            default: break
            }
            break
        }
        guard last < begin else { return false }
        var first = last
        while last - first < 9, text.context(first - 1).isLetter { first -= 1 }
        work += begin - first
        switch last - first {
        case 1: return text.hasWord("v", at: first)
        case 3: return text.hasWord("ver", at: first)
        case 7: return text.hasWord("version", at: first)
        case 8: return text.hasWord("versions", at: first)
        default: return false
        }
    }

    // MARK: With colons

    /// Looks for an IPv6 or a hardware address around the colon.
    mutating func findColonAddress(around colon: Int) {
        let before = text.byte(colon - 1), behind = text.byte(colon + 1)
        guard before.isHex || before == UInt8(ascii: ":") || behind == UInt8(ascii: ":"), colon >= colonsRead else { return }
        var begin = colon
        while begin > text.start, begin > colonsRead, Self.isAddressByte(text[begin - 1]) { begin -= 1 }
        var end = colon + 1
        while end < text.end, Self.isAddressByte(text[end]) { end += 1 }
        work += end - begin
        colonsRead = end
        guard end - begin >= 4, end - begin < 64 else { return }
        if !text.beginsWord(begin) {
            // Glued to a word; where the word is a key (`mac:00:1a:…`), what follows its colon may be an address.
            var head = begin
            while text[head].isLetter { head += 1 }
            guard text[head] == UInt8(ascii: ":"), text.byte(head + 1) != UInt8(ascii: ":") else { return }
            begin = head + 1
        } else if text[begin] == UInt8(ascii: "."), !text.byte(begin - 1).isWord {
            begin += 1
        }
        // The end of a sentence or of a clause.
        while end > begin, text[end - 1] == UInt8(ascii: ".") { end -= 1 }
        if end - begin > 2, text[end - 1] == UInt8(ascii: ":"), text[end - 2] != UInt8(ascii: ":") { end -= 1 }
        guard end - begin >= 4 else { return }
        if detectors.macAddress >= 0, end - begin == 17 { findMAC(begin, end) }
        if detectors.ipAddress >= 0 { findIPv6(begin, end) }
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool { byte.isHex || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") }

    private mutating func findIPv6(_ begin: Int, _ end: Int) {
        guard text.endsWord(end), isIPv6(begin, end) else { return }
        var end = end
        if text.byte(end) == UInt8(ascii: "%") {
            var zone = end + 1
            while zone < end + 32, text.byte(zone).isWord || text.byte(zone) == UInt8(ascii: "-") { zone += 1 }
            if zone > end + 1 { end = zone }
        }
        add(begin, end, detectors.ipAddress)
    }

    /// Whether the bytes spell an IPv6 address that names somebody.
    private mutating func isIPv6(_ begin: Int, _ end: Int) -> Bool {
        var at = begin
        var groups = 0
        var gap = -1
        var hexDigits = 0
        var hasDecimal = false
        if text[at] == UInt8(ascii: ":") {
            guard text.byte(at + 1) == UInt8(ascii: ":") else { return false }
            gap = 0
            at += 2
        }
        while at < end {
            let group = at
            while at < end, text[at].isHex {
                if text[at].isDigit { hasDecimal = true }
                at += 1
            }
            if at < end, text[at] == UInt8(ascii: ".") {
                guard let address = ipv4(group), address.end == end, groups <= 6 else { return false }
                return gap >= 0 ? groups + 2 <= 7 : groups == 6
            }
            guard at > group, at - group <= 4 else { return false }
            groups += 1
            hexDigits += at - group
            guard at < end else { break }
            guard text[at] == UInt8(ascii: ":") else { return false }
            at += 1
            if at < end, text[at] == UInt8(ascii: ":") {
                guard gap < 0 else { return false }
                gap = groups
                at += 1
            } else if at == end {
                return false
            }
        }
        guard gap >= 0 else { return groups == 8 && !isZero(begin, end) }
        // Short ones are slices and names of programs (`[1::2]`, `ab::cd`), loopback and unspecified among them.
        return groups <= 7 && hexDigits >= 4 && (hasDecimal || groups > 2) && !isZero(begin, end)
    }

    /// Whether all digits are zeros, but for the last, which may be a one: unspecified and loopback.
    private func isZero(_ begin: Int, _ end: Int) -> Bool {
        for at in begin..<end where text[at] != UInt8(ascii: ":") && text[at] != UInt8(ascii: "0") {
            if at != end - 1 || text[at] != UInt8(ascii: "1") { return false }
        }
        return true
    }

    // MARK: Hardware addresses

    /// Looks for six pairs with hyphens, the first of them before `hyphen`.
    mutating func findHyphenMAC(firstHyphen hyphen: Int) {
        guard text.byte(hyphen + 3) == UInt8(ascii: "-"), hyphen - 2 >= text.start, hyphen + 15 <= text.end else { return }
        findMAC(hyphen - 2, hyphen + 15)
    }

    /// Looks for three groups of four with dots, the first of them before `dot`.
    mutating func findDottedMAC(firstDot dot: Int) {
        let begin = dot - 4, end = dot + 10
        guard text.byte(dot + 5) == UInt8(ascii: "."), begin >= text.start, end <= text.end, text.beginsWord(begin), text.endsWord(end)
        else { return }
        var hasDigit = false
        var isZero = true
        var isBroadcast = true
        for at in begin..<end where (at - begin) % 5 != 4 {
            guard text[at].isHex else { return }
            if text[at].isDigit { hasDigit = true }
            if text[at] != UInt8(ascii: "0") { isZero = false }
            if text[at] | 0x20 != UInt8(ascii: "f") { isBroadcast = false }
        }
        work += end - begin
        // Without a digit it is a row of words, and inside a longer row of numbers something else.
        guard hasDigit, !isZero, !isBroadcast, text.byte(begin - 1) != UInt8(ascii: "."), !text.continuesNumber(end) else { return }
        add(begin, end, detectors.macAddress)
    }

    private mutating func findMAC(_ begin: Int, _ end: Int) {
        let separator = text[begin + 2]
        guard separator == UInt8(ascii: ":") || separator == UInt8(ascii: "-") else { return }
        var isZero = true
        var isBroadcast = true
        work += end - begin
        for at in begin..<end {
            if (at - begin) % 3 == 2 {
                guard text[at] == separator else { return }
            } else {
                guard text[at].isHex else { return }
                if text[at] != UInt8(ascii: "0") { isZero = false }
                if text[at] | 0x20 != UInt8(ascii: "f") { isBroadcast = false }
            }
        }
        guard !isZero, !isBroadcast, text.beginsWord(begin), text.endsWord(end) else { return }
        if separator == UInt8(ascii: "-") {
            guard text.byte(begin - 1) != separator, !(text.byte(end) == separator && text.byte(end + 1).isHex) else { return }
        }
        add(begin, end, detectors.macAddress)
    }
}
