/// A piece of an expression: what it is and which bytes it covers.
struct Token {
    enum Kind: Equatable {
        case identifier(String)
        /// A name in backquotes, which is allowed behind a dot only.
        case quoted(String)
        /// Without its sign, so 2^63 can be told from its negative.
        case int(UInt64)
        case uint(UInt64)
        case double(Double)
        case string([UInt8])
        case bytes([UInt8])
        /// Punctuation, an operator, or the word `in`.
        case symbol(String)
        /// Something that a message already stands for.
        case invalid
        case end
    }

    let kind: Kind
    let range: Range<Int>

    func isSymbol(_ text: String) -> Bool { kind == .symbol(text) }
}
