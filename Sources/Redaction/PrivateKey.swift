// Private keys (RFC 7468, and OpenPGP's armour), cut-off ones too.
import CShim

extension Scan {
    /// Looks for a private key behind the hyphen before `BEGIN`. Gives where to go on: behind the key.
    mutating func findPrivateKey(lastHyphen: Int) -> Int {
        let begin = lastHyphen - 4
        guard text.has(Self.hyphens, at: begin), let body = label("BEGIN ", at: lastHyphen + 1) else { return lastHyphen + 1 }
        var at = body
        var end = text.end
        while at < text.end {
            at = tracefwd_find_byte(text.base + at, text.base + text.end, 0x2D) - text.base
            let close = text.runEnd(UInt8(TRACEFWD_HYPHEN), from: at)
            if close - at >= 5, let behind = label("END ", at: close) {
                end = behind
                break
            }
            at = close
        }
        work += end - begin
        add(begin, end, detectors.privateKey)
        return end
    }

    /// The end of `BEGIN … PRIVATE KEY-----` at the index, the words between in capital letters; nil where it is none.
    private mutating func label(_ word: StaticString, at index: Int) -> Int? {
        guard text.end - index > word.utf8CodeUnitCount else { return nil }
        for offset in 0..<word.utf8CodeUnitCount where text[index + offset] != word.utf8Start[offset] { return nil }
        let begin = index + word.utf8CodeUnitCount
        var end = begin
        while end < min(text.end, begin + 64), tracefwd_is(text[end], ByteClass.upperOrDigit) || text[end] == 0x20 { end += 1 }
        work += end - index
        let name = end - Self.block.count >= begin && text.has(Self.block, at: end - Self.block.count) ? end - Self.block.count : end
        let key = name - Self.key.count
        guard key >= begin, text.has(Self.key, at: key), key == begin || text[key - 1] == 0x20, text.has(Self.hyphens, at: end) else {
            return nil
        }
        return end + 5
    }

    private static let key = Array("PRIVATE KEY".utf8)
    private static let block = Array(" BLOCK".utf8)
    private static let hyphens = Array("-----".utf8)
}
