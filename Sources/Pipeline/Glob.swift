/// Names with `*`, which stands for any bytes, none included. Everything else stands for itself.
enum Glob {
    /// Time is at most text times pattern; no recursion.
    static func matches(_ text: UnsafeRawBufferPointer, _ pattern: UnsafeRawBufferPointer) -> Bool {
        var (at, wanted) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while at < text.count {
            if wanted < pattern.count, pattern[wanted] == UInt8(ascii: "*") {
                star = (wanted, at)
                wanted += 1
            } else if wanted < pattern.count, pattern[wanted] == text[at] {
                at += 1
                wanted += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                (at, wanted) = (last.text + 1, last.pattern + 1)
            } else {
                return false
            }
        }
        while wanted < pattern.count, pattern[wanted] == UInt8(ascii: "*") { wanted += 1 }
        return wanted == pattern.count
    }

    /// As above, for a pattern that is kept.
    static func matches(_ text: UnsafeRawBufferPointer, _ pattern: [UInt8]) -> Bool {
        pattern.withUnsafeBytes { matches(text, $0) }
    }
}

extension Glob {
    /// As above, for a text that is kept too.
    static func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool { text.withUnsafeBytes { matches($0, pattern) } }

    /// What each `*` of the pattern stands for, shortest first; nil where the text does not match.
    static func captures(_ text: [UInt8], _ pattern: [UInt8]) -> [ArraySlice<UInt8>]? {
        let pieces = pattern.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        guard pieces.count > 1 else { return text == pattern ? [] : nil }
        guard text.starts(with: pieces[0]) else { return nil }
        var at = pieces[0].count
        var found: [ArraySlice<UInt8>] = []
        for piece in pieces[1..<pieces.count - 1] {
            guard let place = text.firstPlace(of: piece, from: at) else { return nil }
            found.append(text[at..<place])
            at = place + piece.count
        }
        let last = pieces[pieces.count - 1]
        guard text.count - last.count >= at, text.suffix(last.count).elementsEqual(last) else { return nil }
        found.append(text[at..<text.count - last.count])
        return found
    }

    /// The pattern with each `*` replaced by a part; what has no part stays empty.
    static func filled(_ pattern: [UInt8], with parts: [ArraySlice<UInt8>]) -> [UInt8] {
        var (text, next) = ([UInt8](), 0)
        for byte in pattern {
            guard byte == UInt8(ascii: "*") else {
                text.append(byte)
                continue
            }
            if next < parts.count { text += parts[next] }
            next += 1
        }
        return text
    }
}

extension [UInt8] {
    fileprivate func firstPlace(of piece: ArraySlice<UInt8>, from: Int) -> Int? {
        guard count - piece.count >= from else { return nil }
        return (from...count - piece.count).first { self[$0..<$0 + piece.count].elementsEqual(piece) }
    }
}
