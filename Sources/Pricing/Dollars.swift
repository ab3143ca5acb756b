/// An amount of US dollars as a decimal: a whole number of attodollars (10^-18). Sums are exact; beyond 1.7 * 10^20 dollars they stay at the
/// end of the range.
public struct Dollars: Sendable, Hashable, Comparable, AdditiveArithmetic, CustomStringConvertible {
    /// The amount times 10^18.
    public let attodollars: Int128

    /// Digits behind the point.
    public static let fractionDigits = 18
    /// Nothing.
    public static let zero = Dollars(attodollars: 0)

    /// An amount.
    public init(attodollars: Int128) { self.attodollars = attodollars }

    /// The amount that a number in decimal says (`12`, `0.0075`, `1.5E-7`). Nil where the text is no number, is finer than 10^-18 or is out
    /// of range.
    public init?(_ text: String) {
        guard let value = Self.read(text, cutting: false) else { return nil }
        attodollars = value
    }

    /// The amount of a cost that came as a double: its shortest decimal, cut at 10^-18. Nil where it is not finite or out of range.
    public init?(_ double: Double) {
        guard double.isFinite, let value = Self.read(double.description, cutting: true) else { return nil }
        attodollars = value
    }

    /// The nearest double, for where a cost is written.
    public var double: Double {
        // In 64 bits, which hold nine dollars, as far as they go: of 128 both conversion and division are slow.
        guard attodollars.magnitude <= Int64.max else { return Double(description) ?? .infinity }
        var value = Int64(truncatingIfNeeded: attodollars)
        var digits = Self.fractionDigits
        while value.magnitude > 1 << 53, digits > 0, value % 10 == 0 { (value, digits) = (value / 10, digits - 1) }
        // Both exact, so their quotient is the nearest (Clinger, "How to Read Floating Point Numbers Accurately", 1990).
        if value.magnitude <= 1 << 53 { return Double(value) / Self.powersOfTen[digits] }
        return Double(description) ?? .infinity
    }

    /// The decimal, without exponent or needless zeros: `0.0075`.
    public var description: String {
        let (whole, rest) = attodollars.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000_000_000_000)
        var text = (attodollars < 0 ? "-" : "") + String(whole)
        guard rest > 0 else { return text }
        let digits = String(rest)
        text += "." + String(repeating: "0", count: Self.fractionDigits - digits.utf8.count) + digits
        while text.utf8.last == UInt8(ascii: "0") { text.removeLast() }
        return text
    }

    /// The sum.
    public static func + (a: Dollars, b: Dollars) -> Dollars {
        let (sum, isOver) = a.attodollars.addingReportingOverflow(b.attodollars)
        return Dollars(attodollars: isOver ? (a.attodollars < 0 ? .min : .max) : sum)
    }

    /// The difference.
    public static func - (a: Dollars, b: Dollars) -> Dollars {
        let (difference, isOver) = a.attodollars.subtractingReportingOverflow(b.attodollars)
        return Dollars(attodollars: isOver ? (a.attodollars < 0 ? .min : .max) : difference)
    }

    /// The order of amounts.
    public static func < (a: Dollars, b: Dollars) -> Bool { a.attodollars < b.attodollars }

    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    ]

    private static func read(_ text: String, cutting: Bool) -> Int128? {
        let parts = text.utf8.split(separator: UInt8(ascii: "e"), maxSplits: 1, omittingEmptySubsequences: false)
            .flatMap { $0.split(separator: UInt8(ascii: "E"), maxSplits: 1, omittingEmptySubsequences: false) }
        guard let number = parts.first, parts.count <= 2 else { return nil }
        var exponent = 0
        if parts.count == 2 {
            guard let written = Int(String(parts[1]) ?? ""), abs(written) <= 1_000 else { return nil }
            exponent = written
        }
        let isNegative = number.first == UInt8(ascii: "-")
        var digits: [Int128] = []
        var point: Int?
        for byte in isNegative ? number.dropFirst() : number {
            if byte == UInt8(ascii: "."), point == nil {
                point = digits.count
            } else if isDigit(byte) {
                digits.append(Int128(byte - UInt8(ascii: "0")))
            } else {
                return nil
            }
        }
        guard !digits.isEmpty, point != 0, point != digits.count else { return nil }
        // The digits before this place are whole attodollars.
        let end = (point ?? digits.count) + exponent + fractionDigits
        guard cutting || digits.dropFirst(max(0, end)).allSatisfy({ $0 == 0 }) else { return nil }
        guard digits.contains(where: { $0 != 0 }) else { return 0 }
        var value: Int128 = 0
        for place in 0..<max(0, end) {
            let (tens, isOver) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = tens.addingReportingOverflow(place < digits.count ? digits[place] : 0)
            if isOver || isOverToo { return nil }
            value = sum
        }
        return isNegative ? -value : value
    }
}
