// Numbers with a checksum: cards (Luhn, ISO/IEC 7812-1) and IBAN (mod 97, ISO 13616).
import CShim

extension Scan {
    /// Looks for a card in the run of digits [begin, end), 13 to 19 of them.
    mutating func findBareCard(_ begin: Int, _ end: Int) {
        work += end - begin
        guard text.beginsWord(begin), text.endsWord(end), !text.continuesNumber(end), beginsCard(begin) else { return }
        guard let digits = Digits(text, begin, end), digits.isCard else { return }
        add(begin, end, detectors.creditCard)
    }

    /// Looks for a card in groups whose first is the run of four digits at `begin`: 4-4-4-4, 4-4-4-4-3, 4-6-5 or 4-6-4.
    mutating func findGroupedCard(_ begin: Int) {
        let separator = text.byte(begin + 4)
        guard separator == UInt8(ascii: " ") || separator == UInt8(ascii: "-"), text.byte(begin + 5).isDigit else { return }
        var groups: (Int, Int, Int, Int) = (0, 0, 0, 0)
        var ends: (Int, Int, Int) = (0, 0, 0)
        var at = begin + 4
        var count = 0
        while count < 4, text.byte(at) == separator {
            let group = at + 1
            at = text.runEnd(ByteClass.digit, from: group, limit: 7)
            guard at > group else { break }
            switch count {
            case 0: (groups.0, ends.0) = (at - group, at)
            case 1: (groups.1, ends.1) = (at - group, at)
            case 2: (groups.2, ends.2) = (at - group, at)
            default: groups.3 = at - group
            }
            count += 1
        }
        work += at - begin
        switch (groups.0, groups.1, groups.2) {
        case (4, 4, 4):
            if groups.3 == 3, addCard(begin, at, separator) { return }
            // Four digits more are a longer number; three may be the card's verification code, two a date.
            if groups.3 < 4 { _ = addCard(begin, ends.2, separator) }
        case (6, 4...5, _): _ = addCard(begin, ends.1, separator)
        default: return
        }
    }

    private mutating func addCard(_ begin: Int, _ end: Int, _ separator: UInt8) -> Bool {
        guard text.beginsWord(begin), text.endsWord(end), !text.continuesNumber(end), beginsCard(begin) else { return false }
        // Behind four digits and the same sign it is the middle of a longer number.
        if text.byte(begin - 1) == separator, text.byte(begin - 2).isDigit, text.byte(begin - 3).isDigit, text.byte(begin - 4).isDigit,
            text.byte(begin - 5).isDigit, !text.byte(begin - 6).isDigit
        {
            return false
        }
        guard let digits = Digits(text, begin, end), digits.isCard else { return false }
        add(begin, end, detectors.creditCard)
        return true
    }

    /// Whether no fraction, sign or group of digits stands before.
    private func beginsCard(_ begin: Int) -> Bool {
        switch text.byte(begin - 1) {
        case UInt8(ascii: "."): !text.byte(begin - 2).isDigit
        case UInt8(ascii: "-"): text.byte(begin - 2).isLetter
        default: true
        }
    }

    /// Looks for an IBAN that begins two letters before the run of digits at `digits`.
    mutating func findIBAN(digits: Int) {
        let begin = digits - 2
        guard let length = detectors.ibanLengths.length(text[begin], text[begin + 1]), text.beginsWord(begin) else { return }
        let sign = text.byte(begin + 4)
        let separator = sign == UInt8(ascii: " ") || sign == UInt8(ascii: "-") ? sign : 0
        let end = begin + length + (separator == 0 ? 0 : (length - 1) / 4)
        work += length
        guard end <= text.end, text.endsWord(end) else { return }
        // The first four characters count last.
        var remainder = 0
        for index in 4..<length + 4 {
            let place = index < length ? index : index - length
            let at = begin + place + (separator == 0 ? 0 : place / 4)
            if separator != 0, place % 4 == 0, place > 0, text[at - 1] != separator { return }
            let byte = text[at]
            if byte.isDigit {
                remainder = (remainder * 10 + byte.digit) % 97
            } else if byte.isLetter {
                remainder = (remainder * 100 + Int(byte | 0x20) - 87) % 97
            } else {
                return
            }
        }
        if remainder == 1 { add(begin, end, detectors.iban) }
    }
}

/// The digits of a card, without what stands between.
private struct Digits {
    private var bytes: InlineArray<19, UInt8> = .init(repeating: 0)
    private var count = 0

    /// Nil where there are too many.
    init?(_ text: Passage, _ begin: Int, _ end: Int) {
        for at in begin..<end where text[at].isDigit {
            guard count < 19 else { return nil }
            bytes[count] = text[at] - 0x30
            count += 1
        }
    }

    private func prefix(_ length: Int) -> Int {
        var value = 0
        for index in 0..<length { value = value * 10 + Int(bytes[index]) }
        return value
    }

    /// Whether a network gives out numbers of this length and prefix, and the check digit is right.
    var isCard: Bool { count >= 13 && isOfNetwork && isLuhn }

    private var isOfNetwork: Bool {
        switch prefix(4) {
        case 4000...4999: count == 13 || count == 16 || count == 19  // Visa
        case 5100...5599, 2221...2720: count == 16  // Mastercard
        case 3400...3499, 3700...3799: count == 15  // American Express
        case 6011, 6440...6599: count >= 16  // Discover
        case 3528...3589: count >= 16  // JCB
        case 3000...3059, 3095, 3600...3699, 3800...3999: count >= 14  // Diners Club
        case 6200...6299, 8100...8171: count >= 16  // UnionPay
        default: false
        }
    }

    private var isLuhn: Bool {
        var sum = 0
        for index in 0..<count {
            let digit = Int(bytes[count - 1 - index])
            let doubled = digit * 2
            sum += index % 2 == 0 ? digit : (doubled > 9 ? doubled - 9 : doubled)
        }
        return sum % 10 == 0
    }
}

/// How long an IBAN is in each country (the registry of ISO 13616).
struct IBANLengths {
    private static let registry = """
        AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29
        ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
        LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25
        QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
        """
    private var lengths = [UInt8](repeating: 0, count: 26 * 26)

    init() {
        for entry in Self.registry.split(whereSeparator: \.isWhitespace) {
            let bytes = Array(entry.utf8)
            lengths[Self.index(bytes[0], bytes[1])] = UInt8(bytes[2].digit * 10 + bytes[3].digit)
        }
    }

    /// The length for a country's two letters in either case; nil where the country has no IBAN.
    func length(_ first: UInt8, _ second: UInt8) -> Int? {
        guard first.isLetter, second.isLetter else { return nil }
        let length = lengths[Self.index(first, second)]
        return length > 0 ? Int(length) : nil
    }

    private static func index(_ first: UInt8, _ second: UInt8) -> Int { Int(first & 0x1F) * 26 + Int(second & 0x1F) - 27 }
}
