/// The text of a decimal number (of the JSON grammar, or digits alone), taken apart: its value is 0.d1d2d3... times ten to the `magnitude`.
/// Scales exactly, without a double between.
struct Decimal {
    let isNegative: Bool
    /// The digits from the first that is not zero on; a point may stand among them.
    private let digits: Text
    /// Ten to this is the first power of ten above the value. Nil for zero.
    let magnitude: Int?
    private let text: Text

    /// An exponent beyond this is as good as this: no number of digits that a line can hold makes up for it.
    private static let exponentMax = 1 << 40

    init(_ text: Text) {
        self.text = text
        var at = 0
        isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
        if isNegative { at = 1 }
        var first: Int?
        var point: Int?
        while at < text.count, text[at] | 0x20 != UInt8(ascii: "e") {
            if text[at] == UInt8(ascii: ".") {
                point = at
            } else if first == nil, text[at] != UInt8(ascii: "0") {
                first = at
            }
            at += 1
        }
        let digitsEnd = at
        guard let first else {
            digits = Text(text.base, 0)
            magnitude = nil
            return
        }
        digits = Text(text.base + first, digitsEnd - first)
        let units = point ?? digitsEnd  // the place behind the ones
        magnitude = (first < units ? units - first : units + 1 - first) + Self.exponent(text.dropFirst(min(at + 1, text.count)))
    }

    private static func exponent(_ text: Text) -> Int {
        var value = 0
        for index in 0..<text.count {
            guard let digit = decimalDigit(text[index]) else { continue }
            value = min(value * 10 + Int(digit), exponentMax)
        }
        return text.count > 0 && text[0] == UInt8(ascii: "-") ? -value : value
    }

    /// The absolute value times ten to the `power`, cut off below one. Nil where that is beyond 64 bits.
    func scaled(by power: Int) -> UInt64? {
        guard let magnitude else { return 0 }
        let wanted = magnitude + power
        guard wanted > 0 else { return 0 }
        guard wanted <= 20 else { return nil }
        var value: UInt64 = 0
        var at = 0
        for _ in 0..<wanted {
            if at < digits.count, digits[at] == UInt8(ascii: ".") { at += 1 }
            let digit = at < digits.count ? digits[at] - UInt8(ascii: "0") : 0
            at += 1
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = tens.addingReportingOverflow(UInt64(digit))
            if over || carried { return nil }
            value = sum
        }
        return value
    }

    /// The nearest double. Exact by one multiplication or division where both operands are (Clinger, "How to Read Floating Point Numbers
    /// Accurately", 1990: up to 2^53 and 10^22), by the standard library's reading of the text elsewhere.
    var double: Double {
        guard let magnitude else { return isNegative ? -0.0 : 0 }
        var mantissa: UInt64 = 0
        var count = 0
        for index in 0..<digits.count where digits[index] != UInt8(ascii: ".") {
            count += 1
            guard count <= 19 else { return slowDouble }
            mantissa = mantissa * 10 + UInt64(digits[index] - UInt8(ascii: "0"))
        }
        let power = magnitude - count
        guard mantissa <= 1 << 53, -22...22 ~= power else { return slowDouble }
        let value = power < 0 ? Double(mantissa) / Self.powers[-power] : Double(mantissa) * Self.powers[power]
        return isNegative ? -value : value
    }

    /// The double nearest to `mantissa`, of 15 digits at most, with its last `places` digits behind the point: exact, see `double`.
    static func double(_ mantissa: UInt64, places: Int, isNegative: Bool) -> Double {
        let value = Double(mantissa) / powers[places]
        return isNegative ? -value : value
    }

    private var slowDouble: Double {
        let token = String(decoding: UnsafeBufferPointer(start: text.base, count: text.count), as: UTF8.self)
        return Double(token) ?? .infinity
    }

    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
