/// What a rule writes, ready to be appended.
struct Replacement: Sendable {
    /// What stands before the hash, and behind it: `[email:3f9a1b2c]`. Without a hash the first is all.
    private let before: [UInt8]
    private let behind: [UInt8]
    let hasHash: Bool
    /// Which bytes of a value its hash does not depend on.
    private let spelling: Spelling

    /// How a value may be written in several ways.
    private enum Spelling {
        case exact
        /// In upper or lower case.
        case anyCase
        /// In any case, with signs and blanks between.
        case grouped
    }

    init(_ rule: RedactionRule) {
        hasHash = rule.hash
        let text = Array(rule.replacement.utf8)
        let isBracketed = rule.hash && text.last == UInt8(ascii: "]")
        before = isBracketed ? Array(text.dropLast()) : text
        behind = isBracketed ? [UInt8(ascii: "]")] : []
        switch rule.target {
        case .entity(.creditCard), .entity(.iban), .entity(.phone), .entity(.usSSN), .entity(.macAddress): spelling = .grouped
        case .entity(.email), .entity(.ipAddress): spelling = .anyCase
        default: spelling = .exact
        }
    }

    /// The hash of a value: equal for two spellings of one card, address or number.
    func hash(_ value: UnsafeRawBufferPointer, _ hash: Redactor.Hash) -> UInt32 {
        if spelling == .exact { return hash(value) }
        var plain: [UInt8] = []
        plain.reserveCapacity(value.count)
        for byte in value {
            if byte.isLetter {
                plain.append(byte | 0x20)
            } else if spelling == .anyCase || byte.isDigit || byte >= 0x80 || byte == UInt8(ascii: "+") {
                plain.append(byte)
            }
        }
        return plain.withUnsafeBytes(hash)
    }

    /// Appends it, as the content of a JSON string within `level` others.
    func append(to bytes: inout [UInt8], hash: UInt32, level: Int) {
        JSONString.append(before, to: &bytes, level: level)
        guard hasHash else { return }
        bytes.append(UInt8(ascii: ":"))
        for shift in stride(from: UInt32(28), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: hash >> shift & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
        JSONString.append(behind, to: &bytes, level: level)
    }
}
