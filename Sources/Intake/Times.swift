/// Times as the contract takes them, as nanoseconds of the Unix epoch. Nil is `bad_timestamp`: no time, or none from 1970 to 2554.
enum Times {
    /// A number: seconds, milliseconds, microseconds or nanoseconds, told by the magnitude.
    static func epoch(_ text: Text) -> UInt64? {
        let decimal = Decimal(text)
        guard let magnitude = decimal.magnitude else { return 0 }
        let power =
            switch magnitude {
            case 18...: 0
            case 15...: 3
            case 12...: 6
            default: 9
            }
        return decimal.isNegative ? nil : decimal.scaled(by: power)
    }

    /// The same for a whole number, at once.
    static func epoch(_ value: Int64) -> UInt64? {
        let unit: UInt64 =
            switch value {
            case 100_000_000_000_000_000...: 1
            case 100_000_000_000_000...: 1_000
            case 100_000_000_000...: 1_000_000
            default: 1_000_000_000
            }
        let (result, over) = value.magnitude.multipliedReportingOverflow(by: unit)
        return value < 0 || over ? nil : result
    }

    /// A number of nanoseconds, of whatever magnitude.
    static func nanoseconds(_ text: Text) -> UInt64? {
        let decimal = Decimal(text)
        if decimal.magnitude == nil { return 0 }
        return decimal.isNegative ? nil : decimal.scaled(by: 0)
    }

    static func isDigits(_ text: Text) -> Bool {
        for index in 0..<text.count where decimalDigit(text[index]) == nil { return false }
        return !text.isEmpty
    }

    /// RFC 3339, section 5.6, with what its notes allow: lower case `t` and `z`, a blank for the `T`. A leap second is the first second of
    /// the next minute, as in POSIX time. Digits of the fraction beyond the ninth are cut off.
    static func rfc3339(_ text: Text) -> UInt64? {
        guard text.count >= 20, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[13] == UInt8(ascii: ":"),
            text[16] == UInt8(ascii: ":"), text[10] | 0x20 == UInt8(ascii: "t") || text[10] == UInt8(ascii: " "),
            let century = two(text, 0), let yearOfCentury = two(text, 2), let month = two(text, 5), let day = two(text, 8),
            let hour = two(text, 11), let minute = two(text, 14), let second = two(text, 17)
        else { return nil }
        let year = century * 100 + yearOfCentury
        guard 1...12 ~= month, day >= 1, day <= days(in: month, of: year), hour < 24, minute < 60, second <= 60 else { return nil }

        var at = 19
        var fraction: UInt64 = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            var unit: UInt64 = 100_000_000
            guard at < text.count, decimalDigit(text[at]) != nil else { return nil }
            while at < text.count, let digit = decimalDigit(text[at]) {
                fraction += UInt64(digit) * unit
                unit /= 10
                at += 1
            }
        }
        guard let offset = offset(text.dropFirst(at)) else { return nil }
        let seconds = daysSinceEpoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        guard seconds >= 0 else { return nil }
        let (whole, over) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = whole.addingReportingOverflow(fraction)
        return over || carried ? nil : sum
    }

    /// Seconds that local time is ahead of UTC.
    private static func offset(_ text: Text) -> Int? {
        guard text.count > 0 else { return nil }
        if text[0] | 0x20 == UInt8(ascii: "z") { return text.count == 1 ? 0 : nil }
        guard text.count == 6, text[0] == UInt8(ascii: "+") || text[0] == UInt8(ascii: "-"), text[3] == UInt8(ascii: ":"),
            let hours = two(text, 1), let minutes = two(text, 4), hours < 24, minutes < 60
        else { return nil }
        return (hours * 3_600 + minutes * 60) * (text[0] == UInt8(ascii: "-") ? -1 : 1)
    }

    private static func two(_ text: Text, _ at: Int) -> Int? {
        guard let tens = decimalDigit(text[at]), let ones = decimalDigit(text[at + 1]) else { return nil }
        return Int(tens) * 10 + Int(ones)
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the Gregorian calendar, by eras of 400 years that begin in March (Hinnant, "chrono-Compatible Low-Level Date
    /// Algorithms", days_from_civil).
    private static func daysSinceEpoch(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
