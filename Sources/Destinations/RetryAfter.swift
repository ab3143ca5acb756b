import Delivery

/// The wait that a server asks for (RFC 9110, 10.2.3): seconds, or a date, which is compared with the answer's own `Date`, so that neither
/// this machine's clock nor a wrong one over there matters. Nil where it asks for none, or for something that is none.
func retryAfter(_ response: Response) -> Duration? {
    guard let value = response.headers["retry-after"] else { return nil }
    if let seconds = secondsValue(value) { return .seconds(seconds) }
    guard let then = httpDate(value), let now = response.headers["date"].flatMap(httpDate) else { return nil }
    return .seconds(max(0, then - now))
}

/// Digits only; more than a year is a year.
private func secondsValue(_ text: String) -> Int? {
    let digits = text.utf8.drop { $0 == 0x20 }.reversed().drop { $0 == 0x20 }.reversed()
    guard !digits.isEmpty, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
    let year = 366 * 86_400
    return min(Int(String(decoding: digits, as: UTF8.self)) ?? year, year)
}

/// Seconds of the Unix epoch of an HTTP-date (RFC 9110, 5.6.7) in any of its three forms: `Sun, 06 Nov 1994 08:49:37 GMT`,
/// `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
func httpDate(_ text: String) -> Int? {
    let words = text.split { " ,-".contains($0) }.map(String.init)
    let clock = words.firstIndex { $0.contains(":") }
    guard let clock, clock >= 3 else { return nil }
    // The last form has the month before the day, and the year behind the time.
    let (day, month, year) =
        clock == 3 ? (words[2], words[1], words.last ?? "") : (words[clock - 3], words[clock - 2], words[clock - 1])
    let time = words[clock].split(separator: ":").map { Int($0) ?? -1 }
    guard let day = Int(day), let monthIndex = months.firstIndex(of: month), var year = Int(year), time.count == 3, 1...31 ~= day,
        0..<24 ~= time[0], 0..<60 ~= time[1], 0...60 ~= time[2]
    else { return nil }
    if year < 100 { year += year < 70 ? 2000 : 1900 }
    guard 1970...9999 ~= year else { return nil }
    return daysSinceEpoch(year: year, month: monthIndex + 1, day: day) * 86_400 + time[0] * 3_600 + time[1] * 60 + time[2]
}

private let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/// Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil, for years from 1970 on.
private func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
    let marchYear = month > 2 ? year : year - 1
    let (era, yearOfEra) = marchYear.quotientAndRemainder(dividingBy: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
