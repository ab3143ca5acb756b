// Secrets: what SecretForms.swift lists, and what needs a look of its own. A placeholder is no secret.
import CShim

extension Scan {
    // MARK: With a fixed beginning

    /// Looks for a key whose fixed beginning has its anchor at `anchor`.
    mutating func findKey(anchor: Int) {
        for index in detectors.forms.indices(after: text.byte(anchor - 1)) {
            let (form, rule) = detectors.forms[index]
            let begin = anchor - form.anchor
            work += 1
            if text.has(form.beginning, at: begin), addKey(form, begin, rule) { return }
        }
    }

    private mutating func addKey(_ form: SecretForm, _ begin: Int, _ rule: Int) -> Bool {
        let before = text.byte(begin - 1)
        switch form.bounds {
        case .begins: guard !tracefwd_is(before, ByteClass.base64URL) || text.isEscapeLetter(begin - 1) else { return false }
        case .alone: guard !before.isAlnum || text.isEscapeLetter(begin - 1) else { return false }
        case .ends, .any: break
        }
        let body = begin + form.beginning.count
        var end = body
        for part in form.parts {
            switch part {
            case .literal(let bytes):
                guard text.has(bytes, at: end) else { return false }
                end += bytes.count
            case .run(let mask, let count):
                let stop = text.runEnd(mask, from: end, limit: count.upperBound)
                work += stop - end
                guard stop - end >= count.lowerBound else { return false }
                end = stop
            }
        }
        switch form.bounds {
        case .alone, .ends: guard !text.byte(end).isAlnum else { return false }
        case .begins, .any: break
        }
        if form.entity == .databricksToken, text.byte(end) == UInt8(ascii: "-"), text.byte(end + 1).isDigit { end += 2 }
        guard !isPlaceholder(body, end) else { return false }
        add(form.keepsBeginning ? body : begin, end, rule)
        return true
    }

    /// Looks for a Slack token that begins at `begin`: `xox` and a letter, groups of digits, then the token.
    mutating func findSlackToken(_ begin: Int) {
        guard text.end - begin > 4, text[begin] == UInt8(ascii: "x"), text[begin + 1] == UInt8(ascii: "o"),
            text[begin + 2] == UInt8(ascii: "x"), text[begin + 4] == UInt8(ascii: "-"),
            !tracefwd_is(text.byte(begin - 1), ByteClass.base64URL) || text.isEscapeLetter(begin - 1)
        else { return }
        switch text[begin + 3] {
        case UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "e"), UInt8(ascii: "o"), UInt8(ascii: "p"), UInt8(ascii: "r"),
            UInt8(ascii: "s"):
            break
        default: return
        }
        var at = begin + 5
        var best: Int?
        for _ in 0..<4 {
            let group = text.runEnd(ByteClass.digit, from: at)
            work += group - at
            guard group > at, text.byte(group) == UInt8(ascii: "-") else { break }
            at = group + 1
            let end = text.runEnd(ByteClass.alnum, from: at, limit: 64)
            work += end - at
            if end - at >= 16, !isPlaceholder(at, end) { best = end }
        }
        if let best { add(begin, best, detectors.slackToken) }
    }

    // MARK: Between signs

    /// Looks for a Telegram bot's token around the colon: eight to ten digits before, 35 bytes behind.
    mutating func findTelegramToken(colon: Int) {
        var begin = colon
        while colon - begin < 11, text.byte(begin - 1).isDigit { begin -= 1 }
        let end = text.runEnd(ByteClass.base64URL, from: colon + 1, limit: 35)
        work += end - begin
        guard 8...10 ~= colon - begin, end - colon == 36, !isPlaceholder(colon + 1, end),
            !tracefwd_is(text.byte(begin - 1), ByteClass.base64URL) || text.isEscapeLetter(begin - 1)
        else { return }
        add(begin, end, detectors.telegramToken)
    }

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

    // MARK: Authorization

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

    // MARK: JSON web tokens (RFC 7515, compact serialization)

    /// Looks for a token that begins with the `e` at `begin`.
    mutating func findJWT(_ begin: Int) {
        guard text.byte(begin) == UInt8(ascii: "e"),
            !tracefwd_is(text.byte(begin - 1), ByteClass.base64URL) || text.isEscapeLetter(begin - 1)
        else { return }
        let header = text.runEnd(ByteClass.base64URL, from: begin)
        work += header - begin
        guard text.byte(header) == UInt8(ascii: ".") else { return }
        let claims = text.runEnd(ByteClass.base64URL, from: header + 1)
        work += claims - header
        guard claims > header + 1, text.byte(claims) == UInt8(ascii: "."), isHeader(begin, header) else { return }
        let end = text.runEnd(ByteClass.base64URL, from: claims + 1)
        work += end - claims
        add(begin, end, detectors.jwt)
    }

    /// Whether the bytes decode to a JSON object with a member `alg`.
    private mutating func isHeader(_ begin: Int, _ end: Int) -> Bool {
        work += end - begin
        var bits: UInt32 = 0
        var bitCount = 0
        var window: UInt64 = 0  // the last eight bytes
        var count = 0
        var hasName = false  // "alg" was the last token
        var hasMember = false
        for at in begin..<end {
            bits = bits << 6 | UInt32(Self.sextet(text[at]))
            bitCount += 6
            guard bitCount >= 8 else { continue }
            bitCount -= 8
            let byte = UInt8(truncatingIfNeeded: bits >> UInt32(bitCount))
            window = window << 8 | UInt64(byte)
            if count == 0, byte != UInt8(ascii: "{") { return false }
            count += 1
            if hasName, byte == UInt8(ascii: ":") { hasMember = true }
            if byte != UInt8(ascii: " ") { hasName = window & 0xFF_FFFF_FFFF == 0x22_616C_6722 }
        }
        return hasMember && UInt8(truncatingIfNeeded: window) == UInt8(ascii: "}")
    }

    private static func sextet(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        default: 63
        }
    }

    // MARK: Private keys (RFC 7468, and OpenPGP's armour)

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

    // MARK: Placeholders

    /// Whether it is one byte repeated: `xxxxxxxx`, `********`.
    private mutating func isPlaceholder(_ begin: Int, _ end: Int) -> Bool {
        guard begin < end else { return false }
        var at = begin + 1
        while at < end, text[at] == text[begin] { at += 1 }
        work += at - begin
        // One letter alone may be a password.
        return at == end && (end - begin > 1 || !text[begin].isAlnum)
    }

    /// Whether a template puts the value here, or redaction took it: `${PASSWORD}`, `$PASSWORD`, `{password}`, `%s`, `[secret]`.
    private mutating func isVariable(_ begin: Int, _ end: Int) -> Bool {
        work += end - begin
        if hasReplacement(begin, end) { return true }
        switch text[begin] {
        case UInt8(ascii: "{"): return text[end - 1] == UInt8(ascii: "}")
        case UInt8(ascii: "$"):
            if text.byte(begin + 1) == UInt8(ascii: "{") { return text[end - 1] == UInt8(ascii: "}") }
            var at = begin + 1
            while at < end, tracefwd_is(text[at], UInt8(TRACEFWD_UPPER | TRACEFWD_UNDERSCORE)) { at += 1 }
            return at == end
        case UInt8(ascii: "%"): return end - begin == 2 && text[end - 1].isLetter
        default: return false
        }
    }

    /// Whether what redaction writes stands in it: `[secret]`, `[email:3f9a1b2c]`.
    private func hasReplacement(_ begin: Int, _ end: Int) -> Bool {
        var open = -1
        for at in begin..<end {
            switch text[at] {
            case UInt8(ascii: "["): open = at
            case UInt8(ascii: "]"): if open >= 0, at > open + 2 { return true }
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"):
                continue
            default: open = -1
            }
        }
        return false
    }
}
