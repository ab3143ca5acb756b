import CRegex

/// Plain texts, searched for as bytes.
public enum Literal {
    /// Where `part` first stands in the text at `from` or behind it; nil where it does not. Time is linear in the text whatever the two
    /// are.
    public static func find(_ part: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, from: Int = 0) -> Int? {
        let found = cregex_find_literal(text.baseAddress, text.count, max(0, from), part.baseAddress, part.count)
        return found < 0 ? nil : found
    }
}
