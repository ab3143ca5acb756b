// One pass over a passage for all entities: candidates come from CShim's loop, each is given to the matchers that it may begin. A matcher
// may look back and ahead; how far it looked is counted in `work`, which tests hold linear.
import CShim

/// What was found: a stretch of the text, and the rule that wants it.
struct Match: BitwiseCopyable, Equatable {
    let start: Int
    let end: Int
    let rule: Int
}

/// The search of one passage.
struct Scan: ~Copyable {
    let text: Passage
    let detectors: Detectors
    /// In the order in which they were found; they may overlap.
    var found: [Match]
    /// Bytes that matchers looked at.
    var work = 0
    /// Up to here colons need no second look.
    var colonsRead = 0

    init(_ text: Passage, _ detectors: Detectors, into found: consuming [Match]) {
        self.text = text
        self.detectors = detectors
        self.found = found
    }

    mutating func add(_ start: Int, _ end: Int, _ rule: Int) {
        if rule >= 0 { found.append(Match(start: start, end: end, rule: rule)) }
    }

    /// Looks for all entities.
    mutating func run() {
        if text.floor < text.start, detectors.bearerToken >= 0 { findBearerTokenBehindKey() }
        let end = text.base + text.end, limit = text.base + text.limit
        var block = text.base + text.start
        withUnsafePointer(to: detectors.fingerprints) { fingerprints in
            while block < end {
                let candidates = tracefwd_next_candidates(block, end, limit, fingerprints)
                guard candidates.mask != 0 else { return }
                block = candidates.block
                var mask = candidates.mask
                while mask != 0 {
                    let at = block + mask.trailingZeroBitCount - text.base
                    mask &= mask - 1
                    let next = look(at: at) - (block - text.base)
                    if next >= 64 {
                        mask = 0
                        block += next - 64
                    } else {
                        mask &= ~0 << UInt64(next)
                    }
                }
                block += 64
            }
        }
    }

    /// Looks for what has its candidate at `at`, and gives where to go on.
    @inline(__always)
    private mutating func look(at: Int) -> Int {
        switch text[at] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return digits(from: at)
        case UInt8(ascii: ":"): colon(at)
        case UInt8(ascii: "-"): return hyphen(at)
        case UInt8(ascii: "@"): if detectors.email >= 0 { findEmail(around: at) }
        case UInt8(ascii: "."): if detectors.macAddress >= 0 { findDottedMAC(firstDot: at) }
        default: letter(at)
        }
        return at + 1
    }

    private mutating func letter(_ at: Int) {
        switch text.byte(at + 1) {
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: "a"), UInt8(ascii: "G"): findKey(anchor: at + 1)
        case UInt8(ascii: "A"): findKey(anchor: at)
        case UInt8(ascii: "z"), UInt8(ascii: "Z"):
            findKey(anchor: at)
            if detectors.bearerToken >= 0 { findBearerToken(letter: at) }
        case UInt8(ascii: "o"): if detectors.slackToken >= 0 { findSlackToken(at) }
        case UInt8(ascii: "y"): if detectors.jwt >= 0 { findJWT(at) }
        default: break  // The groups' sets take in more than they list.
        }
    }

    private mutating func hyphen(_ at: Int) -> Int {
        if detectors.privateKey >= 0, text.byte(at + 1) == UInt8(ascii: "B") { return findPrivateKey(lastHyphen: at) }
        if detectors.macAddress >= 0 { findHyphenMAC(firstHyphen: at) }
        return at + 1
    }

    private mutating func colon(_ at: Int) {
        if text.byte(at + 1) == UInt8(ascii: "/") {
            findKey(anchor: at)
            if detectors.basicAuth >= 0 { findPassword(colon: at) }
        } else if at + 1 < text.end, detectors.ipAddress >= 0 || detectors.macAddress >= 0 {
            findColonAddress(around: at)
        }
    }

    /// Looks for what a run of digits may be part of. Gives the run's end.
    private mutating func digits(from begin: Int) -> Int {
        let end = text.runEnd(ByteClass.digit, from: begin)
        let length = end - begin
        let next = text.byte(end)
        work += length
        let before = text.byte(begin - 1)
        if before == UInt8(ascii: "+"), detectors.phone >= 0 { findInternationalPhone(from: begin) }
        if length >= 2, before.isLetter, text.byte(begin - 2).isLetter, detectors.iban >= 0 { findIBAN(digits: begin) }
        switch length {
        case 1...3:
            if next == UInt8(ascii: "."), detectors.ipAddress >= 0, text.byte(end + 1).isDigit { findIPv4(begin, end) }
            guard length == 3, !next.isAlnum else { break }
            if detectors.phone >= 0 { findGroupedPhone(area: begin) }
            if detectors.usSSN >= 0 { findGroupedSSN(begin) }
        case 4: if detectors.creditCard >= 0 { findGroupedCard(begin) }
        case 9: if detectors.usSSN >= 0 { findBareSSN(begin) }
        case 13...19: if detectors.creditCard >= 0 { findBareCard(begin, end) }
        default: break
        }
        if next == UInt8(ascii: ":"), detectors.telegramToken >= 0 { findTelegramToken(colon: end) }
        if next == UInt8(ascii: "_") { findKey(anchor: end) }
        return end
    }
}
