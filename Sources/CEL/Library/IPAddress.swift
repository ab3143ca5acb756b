/// An address of version 4 or 6, without a zone (RFC 4291; written as RFC 5952 has it).
struct IPAddress: Hashable {
    /// An address of version 4 as the version 6 address that stands for it, ::ffff:a.b.c.d: so both compare equal.
    let bits: UInt128

    private static let mapped = UInt128(0xFFFF) << 32

    var isV4: Bool { bits >> 32 == 0xFFFF }

    /// Reads the usual ways to write one; a version 6 address with a dotted part at its end is not one of them.
    init?(_ text: UnsafeRawBufferPointer) {
        guard 2...39 ~= text.count else { return nil }
        let string = Text.string(text)
        guard let bits = string.contains(":") ? IPAddress.six(string) : IPAddress.four(string) else { return nil }
        self.bits = bits
    }

    init(bits: UInt128) { self.bits = bits }

    private static func four(_ text: String) -> UInt128? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt128 = 0
        for part in parts {
            guard 1...3 ~= part.utf8.count, part.utf8.allSatisfy(\.isDigit), part == "0" || !part.hasPrefix("0"), let byte = UInt8(part)
            else {
                return nil
            }
            bits = bits << 8 | UInt128(byte)
        }
        return mapped | bits
    }

    private static func six(_ text: String) -> UInt128? {
        guard let gap = text.firstRange(of: "::") else {
            guard let groups = groups(text[...]), groups.count == 8 else { return nil }
            return join(groups)
        }
        guard let before = groups(text[..<gap.lowerBound]), let after = groups(text[gap.upperBound...]), before.count + after.count < 8
        else {
            return nil
        }
        return join(before + Array(repeating: 0, count: 8 - before.count - after.count) + after)
    }

    private static func groups(_ text: Substring) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard 1...4 ~= part.utf8.count, part.utf8.allSatisfy(\.isHex), let group = UInt16(part, radix: 16) else { return nil }
            groups.append(group)
        }
        return groups
    }

    private static func join(_ groups: [UInt16]) -> UInt128 { groups.reduce(0) { $0 << 16 | UInt128($1) } }

    /// In lower case, the longest run of two or more zero groups left out.
    var text: String {
        if isV4 {
            return stride(from: 24, through: 0, by: -8).map { "\(UInt8(truncatingIfNeeded: bits >> UInt128($0)))" }.joined(separator: ".")
        }
        let groups = stride(from: 112, through: 0, by: -16).map { UInt16(truncatingIfNeeded: bits >> UInt128($0)) }
        var run = 0..<0
        for start in 0..<8 {
            let end = groups[start...].firstIndex { $0 != 0 } ?? 8
            if end - start > max(run.count, 1) { run = start..<end }
        }
        func written(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        return run.isEmpty ? written(groups[...]) : "\(written(groups[..<run.lowerBound]))::\(written(groups[run.upperBound...]))"
    }

    private var v4: UInt32 { UInt32(truncatingIfNeeded: bits) }

    var isUnspecified: Bool { isV4 ? v4 == 0 : bits == 0 }
    var isLoopback: Bool { isV4 ? v4 >> 24 == 127 : bits == 1 }
    var isLinkLocalUnicast: Bool { isV4 ? v4 >> 16 == 0xA9FE : bits >> 118 == 0x3FA }
    var isLinkLocalMulticast: Bool { isV4 ? v4 >> 8 == 0xE0_0000 : bits >> 112 & 0xFF0F == 0xFF02 }
    var isMulticast: Bool { isV4 ? v4 >> 28 == 0xE : bits >> 120 == 0xFF }
    var isGlobalUnicast: Bool { !isUnspecified && !isLoopback && !isMulticast && !isLinkLocalUnicast && !(isV4 && v4 == .max) }
}

/// A range of addresses: `10.0.0.0/8`.
struct IPRange: Hashable {
    let address: IPAddress
    let prefixLength: Int

    init?(_ text: UnsafeRawBufferPointer) {
        guard let slash = text.lastIndex(of: UInt8(ascii: "/")), let address = IPAddress(Text.slice(text, 0, slash)) else { return nil }
        let digits = text[(slash + 1)...]
        guard 1...3 ~= digits.count, digits.allSatisfy(\.isDigit), let length = Int(String(decoding: digits, as: UTF8.self)),
            length <= (address.isV4 ? 32 : 128), digits.count == String(length).utf8.count
        else { return nil }
        (self.address, prefixLength) = (address, length)
    }

    private init(_ address: IPAddress, _ prefixLength: Int) { (self.address, self.prefixLength) = (address, prefixLength) }

    private var mask: UInt128 {
        let free = (address.isV4 ? 32 : 128) - prefixLength
        return free == 128 ? 0 : UInt128.max << UInt128(free)
    }

    var masked: IPRange { IPRange(IPAddress(bits: address.bits & mask), prefixLength) }

    func contains(_ other: IPAddress) -> Bool { other.isV4 == address.isV4 && other.bits & mask == address.bits & mask }

    func contains(_ other: IPRange) -> Bool { other.prefixLength >= prefixLength && contains(other.address) }
}
