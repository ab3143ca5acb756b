// Keys and tokens: what SecretForms.swift lists, and those of Slack and Telegram. A placeholder is none.
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

    // MARK: Behind digits

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

    // MARK: Placeholders

    /// Whether it is one byte repeated: `xxxxxxxx`, `********`.
    mutating func isPlaceholder(_ begin: Int, _ end: Int) -> Bool {
        guard begin < end else { return false }
        var at = begin + 1
        while at < end, text[at] == text[begin] { at += 1 }
        work += at - begin
        // One letter alone may be a password.
        return at == end && (end - begin > 1 || !text[begin].isAlnum)
    }

    /// Whether a template puts the value here, or redaction took it: `${PASSWORD}`, `$PASSWORD`, `{password}`, `%s`, `[secret]`.
    mutating func isVariable(_ begin: Int, _ end: Int) -> Bool {
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
