import CShim

/// Writes JSON (RFC 8259) into bytes: commas are put by itself, strings are escaped minimally, and text that is no UTF-8 is repaired
/// (U+FFFD), so that what comes out is always JSON. It does not watch that keys and values alternate: that is the caller's part.
///
///     var json = JSONBytes()
///     json.object { json in
///         json.member("name", span.name)
///         json.key("start")
///         json.time(nanoseconds: start)
///     }
public struct JSONBytes: Sendable {
    /// What has been written.
    public private(set) var bytes: [UInt8]
    private var needsComma = false

    /// Writes from the start.
    public init() { bytes = [] }

    /// Writes at the end of `bytes`, without a copy of what stands there.
    public static func append<Failure: Error>(
        to bytes: inout [UInt8], _ write: (inout JSONBytes) throws(Failure) -> Void
    ) throws(Failure) {
        var json = JSONBytes()
        swap(&json.bytes, &bytes)
        defer { swap(&json.bytes, &bytes) }
        try write(&json)
    }

    // MARK: Structure

    /// `{`, what `body` writes (keys and values), `}`.
    public mutating func object<Failure: Error>(_ body: (inout JSONBytes) throws(Failure) -> Void) throws(Failure) {
        open(UInt8(ascii: "{"))
        try body(&self)
        close(UInt8(ascii: "}"))
    }

    /// `[`, what `body` writes (values), `]`.
    public mutating func array<Failure: Error>(_ body: (inout JSONBytes) throws(Failure) -> Void) throws(Failure) {
        open(UInt8(ascii: "["))
        try body(&self)
        close(UInt8(ascii: "]"))
    }

    /// An array with what `body` writes for each element.
    public mutating func array<Element>(of elements: some Sequence<Element>, _ body: (inout JSONBytes, Element) -> Void) {
        open(UInt8(ascii: "["))
        for element in elements { body(&self, element) }
        close(UInt8(ascii: "]"))
    }

    /// A key that needs no escape; its value is written next.
    public mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        colon()
    }

    /// A key of any UTF-8 text; its value is written next.
    public mutating func key(utf8 name: UnsafeRawBufferPointer) {
        separate()
        quote(name)
        colon()
    }

    /// A key and a string.
    public mutating func member(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
    }

    /// A key and a string, unless the string is empty.
    public mutating func member(_ name: StaticString, utf8 value: UnsafeRawBufferPointer) {
        guard !value.isEmpty else { return }
        key(name)
        string(utf8: value)
    }

    /// A key and a number, unless it is 0.
    public mutating func member(_ name: StaticString, count: UInt32) {
        guard count != 0 else { return }
        key(name)
        integer(count)
    }

    /// The end of a line of NDJSON.
    public mutating func newline() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    // MARK: Values

    /// `null`.
    public mutating func null() { literal("null") }
    /// `true` or `false`.
    public mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }

    /// A string.
    public mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { string(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// A string that needs no escape.
    public mutating func string(_ text: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A string from UTF-8.
    public mutating func string(utf8 text: UnsafeRawBufferPointer) {
        separate()
        quote(text)
    }

    /// A string from what stands between the quotes of another JSON string, its escapes as they are. What is no escape of JSON, or half of
    /// a surrogate pair, is U+FFFD.
    public mutating func string(escaped text: UnsafeRawBufferPointer) {
        separate()
        quote(text, isEscaped: true)
    }

    /// A string of several texts, one behind the other, with `separator` between them.
    public mutating func string(joining texts: some Sequence<SpanText>, separator: StaticString = "") {
        separate()
        bytes.append(UInt8(ascii: "\""))
        var isFirst = true
        for text in texts {
            if !isFirst { quoteInside(UnsafeRawBufferPointer(start: separator.utf8Start, count: separator.utf8CodeUnitCount)) }
            isFirst = false
            switch text {
            case .utf8(let utf8): quoteInside(utf8)
            case .escaped(let escaped): quoteInside(escaped, isEscaped: true)
            case .digits(let value): digits(value)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// One JSON value that was written elsewhere and is sound, without the white space in it; its strings are repaired like all others.
    public mutating func value(json text: UnsafeRawBufferPointer) {
        separate()
        var (run, at) = (0, 0)  // what stands in run..<at is copied as it is
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\""):
                at += 1
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[run..<at]))
                run = at
                at = JSONText.closingQuote(text, from: at)
                quoteInside(UnsafeRawBufferPointer(rebasing: text[run..<at]), isEscaped: true)
                run = at
                at += 1
            case 0x20, 0x0a, 0x0d, 0x09:
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[run..<at]))
                at += 1
                run = at
            default: at += 1
            }
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[min(run, text.count)...]))
    }

    /// A number.
    public mutating func integer(_ value: some FixedWidthInteger) {
        separate()
        digits(value)
    }

    /// An integer as a string, for readers whose numbers are doubles.
    public mutating func quoted(_ value: some FixedWidthInteger) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        digits(value)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A number with the fewest digits that read back as the same double, always with a point or an exponent. What JSON has no number for
    /// is a string: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    public mutating func double(_ value: Double) {
        if value.isFinite {
            var text = value.description
            separate()
            text.withUTF8 { bytes.append(contentsOf: $0) }
        } else {
            string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
        }
    }

    /// A string of lower-case hex digits.
    public mutating func hex(_ value: UnsafeRawBufferPointer) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        for byte in value {
            bytes.append(hexDigit(byte >> 4))
            bytes.append(hexDigit(byte & 15))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A string of base64 with padding (RFC 4648, section 4).
    public mutating func base64(_ value: UnsafeRawBufferPointer) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.appendBase64(value)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A string: a time of the Unix epoch as RFC 3339 in UTC with nine digits of fraction.
    public mutating func time(nanoseconds: UInt64) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.appendRFC3339(nanoseconds: nanoseconds, fraction: 9)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A number of milliseconds, exact to the nanosecond: `1000`, `0.5`, `-1234.567891`.
    public mutating func milliseconds(nanoseconds: UInt64, negative: Bool) {
        separate()
        if negative { bytes.append(UInt8(ascii: "-")) }
        digits(nanoseconds / 1_000_000)
        var rest = Int(nanoseconds % 1_000_000)
        guard rest != 0 else { return }
        bytes.append(UInt8(ascii: "."))
        var width = 6
        while rest % 10 == 0 { (rest, width) = (rest / 10, width - 1) }
        bytes.appendDigits(rest, width: width)
    }

    // MARK: Parts

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func colon() {
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func literal(_ text: StaticString) {
        separate()
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func digits(_ value: some FixedWidthInteger) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { buffer in
            var (at, rest) = (buffer.count, value.magnitude)
            repeat {
                at -= 1
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                buffer[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
                rest = quotient
            } while rest != 0
            if value < 0 {
                at -= 1
                buffer[at] = UInt8(ascii: "-")
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[at...]))
        }
    }

    private mutating func quote(_ text: UnsafeRawBufferPointer, isEscaped: Bool = false) {
        bytes.append(UInt8(ascii: "\""))
        quoteInside(text, isEscaped: isEscaped)
        bytes.append(UInt8(ascii: "\""))
    }

    /// What stands between the quotes of a string.
    private mutating func quoteInside(_ text: UnsafeRawBufferPointer, isEscaped: Bool = false) {
        var (run, at) = (0, 0)  // what stands in run..<at is copied as it is
        while true {
            at = plainEnd(text, from: at)
            guard at < text.count else { break }
            let byte = text[at]
            let isEscape = isEscaped && byte == UInt8(ascii: "\\")
            let length = byte >= 0x80 ? utf8Length(text, at: at) : isEscape ? JSONText.escapeLength(text, at: at) : 0
            if length > 0 {
                at += length
                continue
            }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[run..<at]))
            if byte < 0x80, !isEscape { escape(byte) } else { bytes.append(contentsOf: [0xef, 0xbf, 0xbd]) }
            at += isEscape ? JSONText.brokenEscapeLength(text, at: at) : 1
            run = at
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[run...]))
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0a: bytes.append(UInt8(ascii: "n"))
        case 0x0c: bytes.append(UInt8(ascii: "f"))
        case 0x0d: bytes.append(UInt8(ascii: "r"))
        case 0..<0x20: bytes.append(contentsOf: [0x75, 0x30, 0x30, hexDigit(byte >> 4), hexDigit(byte & 15)])
        default: bytes.append(byte)
        }
    }
}

extension [UInt8] {
    /// Appends base64 with padding (RFC 4648, section 4).
    public mutating func appendBase64(_ value: UnsafeRawBufferPointer) {
        var at = 0
        while at < value.count {
            let there = Swift.min(value.count - at, 3)
            var group = UInt32(value[at]) << 16
            if there > 1 { group |= UInt32(value[at + 1]) << 8 }
            if there > 2 { group |= UInt32(value[at + 2]) }
            append(base64Digit(group >> 18))
            append(base64Digit(group >> 12))
            append(there > 1 ? base64Digit(group >> 6) : UInt8(ascii: "="))
            append(there > 2 ? base64Digit(group) : UInt8(ascii: "="))
            at += 3
        }
    }

    /// Appends a time of the Unix epoch as RFC 3339 in UTC, with `fraction` digits (0 to 9, cut, not rounded).
    public mutating func appendRFC3339(nanoseconds: UInt64, fraction: Int) {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let ofDay = Int(seconds % 86_400)
        let (year, month, day) = civilDate(daysSinceEpoch: Int(seconds / 86_400))
        appendDigits(year, width: 4)
        append(UInt8(ascii: "-"))
        appendDigits(month, width: 2)
        append(UInt8(ascii: "-"))
        appendDigits(day, width: 2)
        append(UInt8(ascii: "T"))
        appendDigits(ofDay / 3_600, width: 2)
        append(UInt8(ascii: ":"))
        appendDigits(ofDay / 60 % 60, width: 2)
        append(UInt8(ascii: ":"))
        appendDigits(ofDay % 60, width: 2)
        if fraction > 0 {
            append(UInt8(ascii: "."))
            appendDigits(Int(rest), width: 9)
            removeLast(9 - fraction)
        }
        append(UInt8(ascii: "Z"))
    }

    /// Appends the last `width` decimal digits of a number that is not negative.
    mutating func appendDigits(_ value: Int, width: Int) {
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: width))
        var rest = UInt(value)
        for at in indices.suffix(width).reversed() where rest > 0 {
            self[at] += UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}

func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value }

private func base64Digit(_ bits: UInt32) -> UInt8 {
    switch UInt8(truncatingIfNeeded: bits & 63) {
    case let value where value < 26: UInt8(ascii: "A") + value
    case let value where value < 52: UInt8(ascii: "a") + value - 26
    case let value where value < 62: UInt8(ascii: "0") + value - 52
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
}

/// Year, month and day of a day number (Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days, for days from 1970 on).
private func civilDate(daysSinceEpoch: Int) -> (year: Int, month: Int, day: Int) {
    let days = daysSinceEpoch + 719_468  // since 0000-03-01: a year that begins in March has its leap day last
    let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
}

/// The first byte from `start` on that is a quote, a backslash, a control or no ASCII; the end where there is none.
func plainEnd(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    guard let bytes = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return start }
    return tracefwd_plain_end(bytes + start, bytes + text.count) - bytes
}

/// The length of the well-formed UTF-8 sequence (The Unicode Standard, table 3-7) that begins with the byte `at`, no ASCII; 0 where it is
/// ill-formed.
func utf8Length(_ text: UnsafeRawBufferPointer, at: Int) -> Int {
    let lead = text[at]
    let (length, second): (Int, ClosedRange<UInt8>) =
        switch lead {
        case 0xc2...0xdf: (2, 0x80...0xbf)
        case 0xe0: (3, 0xa0...0xbf)
        case 0xed: (3, 0x80...0x9f)
        case 0xe1...0xef: (3, 0x80...0xbf)
        case 0xf0: (4, 0x90...0xbf)
        case 0xf1...0xf3: (4, 0x80...0xbf)
        case 0xf4: (4, 0x80...0x8f)
        default: (0, 0...0)
        }
    guard length > 0, text.count - at >= length, second ~= text[at + 1] else { return 0 }
    for offset in 2..<max(length, 2) where text[at + offset] & 0xc0 != 0x80 { return 0 }
    return length
}
