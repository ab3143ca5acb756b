// Credentials that are known by what stands before them: a password in a URL, a token behind `Authorization:`.
import CShim

extension Scan {
    /// Looks for the password behind `://`, whose colon is given.
    mutating func findPassword(colon: Int) {
        guard text.byte(colon + 1) == UInt8(ascii: "/"), text.byte(colon + 2) == UInt8(ascii: "/") else { return }
        var at = colon + 3
        while at < text.end, Self.isUserInfo(text[at]), text[at] != UInt8(ascii: ":"), text[at] != UInt8(ascii: "[") { at += 1 }
        let begin = at + 1
        defer { work += at - colon }
        guard text.byte(at) == UInt8(ascii: ":") else { return }
        at = begin
        while at < text.end, Self.isUserInfo(text[at]) { at += 1 }
        guard at > begin, text.byte(at) == UInt8(ascii: "@"), isHost(at + 1), !isPlaceholder(begin, at), !isVariable(begin, at) else {
            return
        }
        add(begin, at, detectors.basicAuth)
    }

    /// Whether a host begins: a name, a number, or an IPv6 address in brackets.
    private func isHost(_ index: Int) -> Bool {
        guard text.byte(index) == UInt8(ascii: "[") else { return text.byte(index).isAlnum }
        return text.byte(text.runEnd(ByteClass.hex, from: index + 1, limit: 4)) == UInt8(ascii: ":")
    }

    private static func isUserInfo(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09...0x0D, 0x20, UInt8(ascii: "/"), UInt8(ascii: "@"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "<"),
            UInt8(ascii: ">"):
            false
        default: true
        }
    }

    /// Looks for a token behind the word "authorization", whose seventh letter is at `letter`.
    mutating func findBearerToken(letter: Int) {
        let begin = letter - 6
        guard begin >= text.start, text.hasWord("authorization", at: begin), text.beginsWord(begin), text.endsWord(begin + 13) else {
            return
        }
        var at = skipQuote(begin + 13)
        at = skipBlanks(at)
        guard text.byte(at) == UInt8(ascii: ":") || text.byte(at) == UInt8(ascii: "=") else { return }
        at = skipQuote(skipBlanks(at + 1))
        findBearerValue(at)
    }

    /// Looks for a token at the begin of a JSON value whose key is "authorization".
    mutating func findBearerTokenBehindKey() {
        work += text.start - text.floor
        if text.isValue(ofKey: "authorization") { findBearerValue(text.start) }
    }

    private mutating func findBearerValue(_ scheme: Int) {
        let behind: Int
        if text.hasWord("bearer", at: scheme) {
            behind = scheme + 6
        } else if text.hasWord("token", at: scheme) {
            behind = scheme + 5
        } else {
            return
        }
        let begin = skipBlanks(behind)
        guard begin > behind else { return }
        var end = begin
        while end < text.end, isBearerByte(text[end]) { end += 1 }
        work += end - scheme
        guard end - begin >= 16, !isPlaceholder(begin, end) else { return }
        add(begin, end, detectors.bearerToken)
    }

    private func isBearerByte(_ byte: UInt8) -> Bool {
        tracefwd_is(byte, ByteClass.base64URL | ByteClass.base64) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "~")
    }

    /// Behind a quote, which may be escaped.
    private func skipQuote(_ index: Int) -> Int {
        var at = index
        if text.byte(at) == UInt8(ascii: "\\") { at += 1 }
        return text.byte(at) == UInt8(ascii: "\"") || text.byte(at) == UInt8(ascii: "'") ? at + 1 : index
    }

    private func skipBlanks(_ index: Int) -> Int {
        var at = index
        while at - index < 32, text.byte(at) == 0x20 || (0x09...0x0D).contains(text.byte(at)) { at += 1 }
        return at
    }
}
