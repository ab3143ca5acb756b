// Numbers as a person reads them at three in the morning.

extension Int {
    /// `1,234,567`
    public var grouped: String {
        let digits = String(magnitude)
        var text = self < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// `512 B`, `1.5 KiB`, `10 GiB`: at most one decimal, none where it would be zero.
    public var humanBytes: String {
        var value = Double(self)
        var units = ["B", "KiB", "MiB", "GiB", "TiB"][...]
        while value >= 1023.95, units.count > 1 {
            value /= 1024
            units.removeFirst()
        }
        return "\(oneDecimal(value)) \(units.first ?? "B")"
    }
}

extension Duration {
    /// `0.4 ms`, `200 ms`, `4 s`, `1.5 s`, `2 min 5 s`, `2 h 5 min`, `3 d 4 h`: two units at most, none that is zero.
    public var human: String {
        if self < .zero { return "-" + (.zero - self).human }
        let (whole, attoseconds) = components
        let seconds = Double(whole) + Double(attoseconds) * 1e-18
        switch seconds {
        case 0: return "0 s"
        case ..<0.010: return "\(oneDecimal(seconds * 1_000)) ms"
        case ..<0.9995: return "\(Int((seconds * 1_000).rounded())) ms"
        case ..<9.95: return "\(oneDecimal(seconds)) s"
        case ..<59.5: return "\(Int(seconds.rounded())) s"
        case ..<3_599.5: return twoUnits(Int(seconds.rounded()), 60, "min", "s")
        case ..<172_770: return twoUnits(Int((seconds / 60).rounded()), 60, "h", "min")
        default: return twoUnits(Int((seconds / 3_600).rounded()), 24, "d", "h")
        }
    }
}

/// `1 span`, `1,234 spans`
func counted(_ number: Int, _ noun: String, plural: String? = nil) -> String {
    "\(number.grouped) \(number == 1 ? noun : plural ?? noun + "s")"
}

private func oneDecimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? (tenths / 10).grouped : "\((tenths / 10).grouped).\(tenths % 10)"
}

private func twoUnits(_ value: Int, _ size: Int, _ large: String, _ small: String) -> String {
    let rest = value % size
    return "\(value / size) \(large)" + (rest == 0 ? "" : " \(rest) \(small)")
}
