/// Texts cut short: for rules (`truncate`), and for platforms with limits (SpanCutter.swift). What is gone leaves a marker, ` [+N bytes]`, and
/// nothing is cut inside a character or an escape.
public enum TextCut {
    /// The text with at most so many bytes of it left, and the marker behind. A text that is a JSON object or array stays one: its longest
    /// strings are cut to one length, so that it takes so many bytes, or as few as short strings allow; keys and numbers stay. Nil where the
    /// text is short enough, or has nothing that can be cut.
    public static func cut(_ text: UnsafeRawBufferPointer, to bytesMax: Int) -> [UInt8]? {
        guard text.count > bytesMax else { return nil }
        guard JSONText.container(text) != nil else {
            let end = boundary(in: text, upTo: max(0, bytesMax))
            return Array(text[..<end]) + marker(text.count - end)
        }
        var lengths: [Int] = []
        _ = JSONText.mapStrings(of: text) { string in
            lengths.append(string.count)
            return nil
        }
        let limit = max(shortest, limit(saving: text.count - bytesMax, of: lengths) ?? 0)
        return JSONText.mapStrings(of: text) { $0.count > limit ? cut($0, withMarkerTo: limit, isEscaped: true) : nil }
    }

    /// No string is cut to less: as much as its marker takes.
    private static let shortest = 24

    /// The length to which the longest texts are cut so that all take `excess` bytes less; nil where they are not that long.
    static func limit(saving excess: Int, of lengths: [Int]) -> Int? {
        let sorted = lengths.sorted(by: >)
        var sum = 0
        for (index, length) in sorted.enumerated() {
            sum += length
            let limit = (sum - excess) / (index + 1)
            let next = index + 1 < sorted.count ? sorted[index + 1] : 0
            if limit >= next { return limit }
        }
        return nil
    }

    /// The text in `limit` bytes at most, its marker included. `isEscaped`: it stands between the quotes of a JSON string.
    static func cut(_ text: UnsafeRawBufferPointer, withMarkerTo limit: Int, isEscaped: Bool) -> [UInt8] {
        let room = max(0, limit - marker(text.count).count)
        let end = isEscaped ? escapedBoundary(in: text, upTo: room) : boundary(in: text, upTo: room)
        return Array(text[..<end]) + marker(text.count - end)
    }

    private static func marker(_ bytes: Int) -> [UInt8] { Array(" [+\(bytes) bytes]".utf8) }

    /// The last place up to `end` that is not inside of a character.
    private static func boundary(in text: UnsafeRawBufferPointer, upTo end: Int) -> Int {
        var at = end
        while at > 0, at < text.count, text[at] & 0xc0 == 0x80 { at -= 1 }
        return at
    }

    /// The same, and not inside of an escape.
    private static func escapedBoundary(in text: UnsafeRawBufferPointer, upTo end: Int) -> Int {
        var at = 0
        while let slash = text[at..<end].firstIndex(of: UInt8(ascii: "\\")) {
            let length = max(2, JSONText.escapeLength(text, at: slash))
            guard slash + length <= end else { return slash }
            at = slash + length
        }
        return boundary(in: text, upTo: end)
    }
}
