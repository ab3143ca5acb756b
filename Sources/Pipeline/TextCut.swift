/// A text that is cut says by how much.
enum TextCut {
    /// The text with at most so many bytes of it left, at a character's boundary, and ` [+N bytes]` behind; nil where it is short enough.
    static func cut(_ text: UnsafeRawBufferPointer, to bytesMax: Int) -> [UInt8]? {
        guard text.count > bytesMax else { return nil }
        var end = max(0, bytesMax)
        while end > 0, text[end] & 0xc0 == 0x80 { end -= 1 }
        return Array(text[..<end]) + Array(" [+\(text.count - end) bytes]".utf8)
    }
}
