// The search of one text: as JSON where it is a document, else as it stands.
import CShim
import Patterns

/// A text on its way through a redactor, and the memory that this takes.
struct Redaction: ~Copyable {
    /// How deep JSON within the strings of JSON is read. Deeper down a string is searched as it reads.
    static let nestingMax = 8
    /// No entity is shorter: a@b.de, fd00::
    private static let shortest = 6
    /// Larger buffers are given back after each text.
    private static let keptBytesMax = 1 << 20

    /// What is to be changed, in the order of the text.
    var edits: [Edit] = []
    private var matches: [Match] = []
    /// What is open in a document, for all levels.
    var open: [UInt8] = []
    /// Decoded strings, one for each level.
    var decoded: [[UInt8]] = []
    /// Bytes that were looked at, beyond the candidates' loop. For tests of linear time.
    var work = 0

    init() {}

    /// Searches a text: `edits` says what was found.
    mutating func search(_ text: UnsafeBufferPointer<UInt8>, _ redactor: Redactor) {
        edits.removeAll(keepingCapacity: true)
        work = 0
        guard let base = text.baseAddress else { return }
        search(Passage(base: base, floor: 0, start: 0, end: text.count, limit: text.count), level: 0, redactor)
    }

    /// Gives back what an unusually large text needed.
    mutating func shrink(after textLength: Int) {
        guard textLength > Self.keptBytesMax / 32 else { return }
        if matches.capacity * MemoryLayout<Match>.stride > Self.keptBytesMax { matches = [] }
        if edits.capacity * MemoryLayout<Edit>.stride > Self.keptBytesMax { edits = [] }
        if open.capacity > Self.keptBytesMax { open = [] }
        for level in decoded.indices where decoded[level].capacity > Self.keptBytesMax { decoded[level] = [] }
    }

    /// Searches a text that lies in `level` JSON strings.
    mutating func search(_ text: Passage, level: Int, _ redactor: Redactor) {
        if level < Self.nestingMax, isDocumentLike(text) {
            guard level > 0 || mayHoldAny(text, redactor.detectors) else { return }
            let mark = edits.count
            if searchDocument(text, level: level, redactor) { return }
            edits.removeLast(edits.count - mark)
        }
        searchPlain(text, level: level, redactor)
    }

    /// Whether the first byte is one that a document begins with. A bare number or literal is a text.
    private func isDocumentLike(_ text: Passage) -> Bool {
        for at in text.start..<text.end {
            switch text[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""): return true
            case let byte where Self.isSpace(byte): continue
            default: return false
            }
        }
        return false
    }

    /// Whether a candidate stands in JSON as it is written, or an escape that may hide one. Most strings hold none, and are not decoded then.
    func mayHoldAny(_ text: Passage, _ detectors: Detectors) -> Bool {
        guard detectors.patterns.isEmpty, text.floor == text.start || !text.isValue(ofKey: "authorization") else { return true }
        let end = text.base + text.end
        var at = text.base + text.start
        let mask = withUnsafePointer(to: detectors.fingerprints) { tracefwd_next_candidates(at, end, text.base + text.limit, $0).mask }
        if mask != 0 { return true }
        while true {
            // In JSON within JSON backslashes stand in rows.
            at = tracefwd_find_byte(at, end, 0x5C)
            while at < end, at.pointee == 0x5C { at += 1 }
            guard at < end else { return false }
            if at.pointee == UInt8(ascii: "u") || at.pointee == UInt8(ascii: "/") { return true }
        }
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// Searches a text as it stands.
    mutating func searchPlain(_ text: Passage, level: Int, _ redactor: Redactor) {
        if redactor.detectors.wantsEntities { scan(text, redactor.detectors) }
        for (pattern, rule) in redactor.detectors.patterns { search(text, for: pattern, rule) }
        guard !matches.isEmpty else { return }
        resolveOverlaps(&matches)
        searchGaps(of: text, redactor.detectors)
        for match in matches {
            let replacement = redactor.replacements[match.rule]
            var hash: UInt32 = 0
            if replacement.hasHash, let function = redactor.hash {
                hash = replacement.hash(UnsafeRawBufferPointer(start: text.base + match.start, count: match.end - match.start), function)
            }
            edits.append(Edit(start: match.start, end: match.end, rule: match.rule, hash: hash, level: level))
        }
        matches.removeAll(keepingCapacity: true)
    }

    private mutating func scan(_ text: Passage, _ detectors: Detectors) {
        guard text.end - text.start >= Self.shortest else { return }
        var scan = Scan(text, detectors, into: matches)
        matches = []
        scan.run()
        work += scan.work
        matches = scan.found
    }

    /// Looks again between what was found, as if each stretch stood alone: a value may have been hidden by its neighbour, as `fe80::` in
    /// `fe80::jane@example.com`. What is found here may have hidden something again; a short text is looked at until nothing is found, a long
    /// one a few times, since a long row of values that hide each other would have been built on purpose.
    private mutating func searchGaps(of text: Passage, _ detectors: Detectors) {
        guard detectors.wantsEntities else { return }
        var budget = 3 * (text.end - text.start) + 4_096
        while budget > 0 {
            budget -= text.end - text.start
            let known = matches
            matches.removeAll(keepingCapacity: true)
            var begin = text.start
            for index in 0...known.count {
                let end = index < known.count ? known[index].start : text.end
                scan(text.part(begin, end, floor: index == 0 ? text.floor : begin), detectors)
                if index < known.count { begin = known[index].end }
            }
            let isDone = matches.isEmpty
            matches.append(contentsOf: known)
            if isDone { return }
            resolveOverlaps(&matches)
        }
    }

    /// Finds an own pattern. A search for all matches is quadratic for some patterns (`a.*b|a` on many `a`), since each match may be looked
    /// for up to the end of the text. So that it stays linear, the searches that come after much was looked at see 4 KiB each, or as much as
    /// a match needs that goes on; a longer match of which no part is a match is found in the first searches only.
    private mutating func search(_ text: Passage, for pattern: Pattern, _ rule: Int) {
        let bytes = UnsafeRawBufferPointer(start: text.base + text.start, count: text.end - text.start)
        var budget = 64 * bytes.count
        var at = 0
        func first(from start: Int, in window: Int) -> Range<Int>? {
            work += window - start
            budget -= window - start
            return pattern.firstMatch(in: UnsafeRawBufferPointer(rebasing: bytes[..<window]), from: start)
        }
        while at <= bytes.count {
            var window = budget > 0 ? bytes.count : min(bytes.count, at + 4_096)
            guard var match = first(from: at, in: window) else {
                if window == bytes.count { return }
                at = text.characterStart(text.start + window - 2_048) - text.start
                continue
            }
            while match.upperBound == window, window < bytes.count {
                window = min(bytes.count, match.lowerBound + max(4_096, 2 * match.count))
                guard let whole = first(from: match.lowerBound, in: window) else { break }
                match = whole
            }
            let begin = text.characterStart(text.start + match.lowerBound)
            let end = text.characterEnd(text.start + match.upperBound)
            if end > begin { matches.append(Match(start: begin, end: end, rule: rule)) }
            at = end - text.start
            if match.isEmpty { at = text.characterEnd(end + 1) - text.start }
        }
    }
}

extension Passage {
    /// The begin of the character at the index.
    func characterStart(_ index: Int) -> Int {
        var at = index
        while at > start, at < end, self[at] & 0xC0 == 0x80 { at -= 1 }
        return at
    }

    /// The end of the character before the index.
    func characterEnd(_ index: Int) -> Int {
        var at = index
        while at < end, self[at] & 0xC0 == 0x80 { at += 1 }
        return at
    }
}
