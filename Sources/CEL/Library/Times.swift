/// Durations and times: reading, writing, arithmetic within their ranges. Days are counted in the proleptic Gregorian calendar.
enum Times {
    static let nanosecondsPerSecond: Int64 = 1_000_000_000

    static func duration(_ result: (partialValue: Int64, overflow: Bool)) -> Value {
        result.overflow ? .failure(.outOfRange) : .duration(nanoseconds: result.partialValue)
    }

    static func add(_ nanoseconds: Int64, to time: Timestamp) -> Value {
        var seconds = time.seconds + nanoseconds / nanosecondsPerSecond
        var rest = Int64(time.nanoseconds) + nanoseconds % nanosecondsPerSecond
        if rest < 0 { (seconds, rest) = (seconds - 1, rest + nanosecondsPerSecond) }
        if rest >= nanosecondsPerSecond { (seconds, rest) = (seconds + 1, rest - nanosecondsPerSecond) }
        return Timestamp(seconds: seconds, nanoseconds: Int32(rest)).map { .timestamp($0) } ?? .failure(.outOfRange)
    }

    static func between(_ from: Timestamp, _ to: Timestamp) -> Value {
        let (whole, overflow) = (to.seconds - from.seconds).multipliedReportingOverflow(by: nanosecondsPerSecond)
        return overflow ? .failure(.outOfRange) : duration(whole.addingReportingOverflow(Int64(to.nanoseconds - from.nanoseconds)))
    }

    // MARK: Durations

    /// `1h30m`, `-1.5s`, `0`: units h, m, s, ms, us, ns. nil where it is none or does not fit.
    static func duration(of text: String) -> Int64? {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
        if rest == "0" { return 0 }
        var total: Int128 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isLetter || $0 == "µ" }
            rest = rest.dropFirst(unit.count)
            guard let size = units[String(unit)], let part = nanoseconds(number, size) else { return nil }
            total += part
            guard total <= 1 << 63 else { return nil }
        }
        return Int64(exactly: isNegative ? -total : total)
    }

    private static let units: [String: Int64] = [
        "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1,
    ]

    private static func nanoseconds(_ number: Substring, _ unit: Int64) -> Int128? {
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.contains(where: { !$0.isEmpty }), parts.allSatisfy({ $0.allSatisfy { $0 != "." } }) else { return nil }
        guard let whole = parts[0].isEmpty ? 0 : UInt64(parts[0]), let unsigned = Int128(exactly: whole) else { return nil }
        var result = unsigned * Int128(unit)
        // What is finer than a nanosecond is cut off.
        var scale = unit
        for digit in parts.count == 2 ? parts[1].utf8.prefix(18) : "".utf8.prefix(0) {
            scale /= 10
            result += Int128(digit - UInt8(ascii: "0")) * Int128(scale)
        }
        return result
    }

    /// `90s`, `0.25s`, `-1.000000001s`.
    static func text(nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        return "\(sign)\(magnitude / 1_000_000_000)\(fraction(magnitude % 1_000_000_000))s"
    }

    private static func fraction(_ nanoseconds: UInt64) -> String {
        guard nanoseconds > 0 else { return "" }
        var digits = String(nanoseconds)
        digits = String(repeating: "0", count: 9 - digits.utf8.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "." + digits
    }

    // MARK: Times

    /// RFC 3339: `2009-02-13T23:31:30.5Z`, `2009-02-13T23:31:30+01:00`.
    static func timestamp(of text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        func number(_ at: Int, _ count: Int) -> Int64? {
            guard at + count <= bytes.count, bytes[at..<at + count].allSatisfy(\.isDigit) else { return nil }
            return bytes[at..<at + count].reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        }
        guard bytes.count >= 20, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), bytes[10] | 0x20 == UInt8(ascii: "t"),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), let year = number(0, 4), let month = number(5, 2),
            let day = number(8, 2), let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2),
            1...12 ~= month, day >= 1, day <= days(inMonth: month, year), hour < 24, minute < 60, second < 60
        else { return nil }
        var at = 19
        var nanoseconds: Int64 = 0
        if bytes[at] == UInt8(ascii: ".") {
            let digits = bytes[(at + 1)...].prefix { $0.isDigit }
            guard 1...9 ~= digits.count else { return nil }
            nanoseconds = (digits + Array(repeating: UInt8(ascii: "0"), count: 9 - digits.count)).reduce(0) { $0 * 10 + Int64($1 - 48) }
            at += 1 + digits.count
        }
        guard let offset = offset(bytes[at...]) else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        return Timestamp(seconds: seconds, nanoseconds: Int32(nanoseconds))
    }

    /// `Z`, `+01:00` or `-02:30` in seconds; nil where it is none of them.
    static func offset(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let zone = Array(bytes)
        if zone.count == 1, zone[0] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard zone.count == 6, zone[0] == UInt8(ascii: "+") || zone[0] == UInt8(ascii: "-"), zone[3] == UInt8(ascii: ":"),
            [1, 2, 4, 5].allSatisfy({ zone[$0].isDigit })
        else { return nil }
        func two(_ at: Int) -> Int64 { Int64(zone[at] - 48) * 10 + Int64(zone[at + 1] - 48) }
        guard two(1) < 24, two(4) < 60 else { return nil }
        return (two(1) * 3_600 + two(4) * 60) * (zone[0] == UInt8(ascii: "-") ? -1 : 1)
    }

    /// RFC 3339 in UTC, with as many digits of a second as there are.
    static func text(_ time: Timestamp) -> String {
        let date = CivilTime(seconds: time.seconds)
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T\(padded(date.hour, 2)):\(padded(date.minute, 2)):"
            + "\(padded(date.second, 2))\(fraction(UInt64(time.nanoseconds)))Z"
    }

    /// Days since 1970-01-01. Years begin in March here, so that the leap day is a year's last.
    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func days(inMonth month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// A date and a time of day.
struct CivilTime {
    let year, month, day, hour, minute, second: Int64
    /// 0 is Sunday.
    let weekday: Int64
    /// 0 is the first of January.
    let dayOfYear: Int64

    /// From seconds since 1970-01-01T00:00:00 in the zone that is meant.
    init(seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let time = seconds - days * 86_400
        (hour, minute, second) = (time / 3_600, time % 3_600 / 60, time % 60)
        weekday = ((days + 4) % 7 + 7) % 7
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfShiftedYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfShiftedYear + 2) / 153
        day = dayOfShiftedYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        dayOfYear = days - Times.days(year, 1, 1)
    }
}
