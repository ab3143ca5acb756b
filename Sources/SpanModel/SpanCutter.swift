/// Smaller spans of large ones, for platforms with limits. What is taken out leaves a marker, ` [+N bytes]`, where it stood; JSON stays JSON:
/// in a text that is a JSON object or array, the strings in it are cut and not the text. Keys, numbers, ids, times and the resource stay.
extension SpanView {
    /// This span with its longest texts cut to one length, so that it takes `size` bytes at most; nil where that cannot be.
    public func cut(to size: Int) -> SpanView? {
        let excess = Int(entry.length) - size
        guard excess > 0 else { return self }
        var lengths: [Int] = []
        _ = changingTexts { text, _ in
            lengths.append(text.count)
            return nil
        }
        guard let limit = TextCut.limit(saving: excess, of: lengths), limit >= Self.shortestCut else { return nil }
        guard let cut = changingTexts({ $0.count > limit ? TextCut.cut($0, withMarkerTo: limit, isEscaped: $1) : nil }),
            cut.entry.length <= size
        else {
            return nil
        }
        return cut
    }

    /// This span without media: base64 data in texts (data URIs, and texts that are nothing else), and attributes that are bytes. Nil where
    /// it holds none.
    public func withoutMedia() -> SpanView? {
        changingTexts(changesBytes: true) { text, _ in text.withoutMedia() }
    }

    /// No text is cut to less.
    private static let shortestCut = 64

    /// This span with other texts: `change` gets each (and whether it has JSON's escapes) and gives the new one, nil for the same. Nil where
    /// nothing was changed, or the stored bytes are malformed.
    private func changingTexts(
        changesBytes: Bool = false, _ change: @escaping (UnsafeRawBufferPointer, Bool) -> [UInt8]?
    ) -> SpanView? {
        withParts { parts in
            guard let parts else { return nil }
            var walk = TextWalk(changesBytes: changesBytes, change: change)
            let span = walk.span(parts.span)
            guard walk.hasChanged else { return nil }
            var payload = [UInt8](parts.resource)
            payload.appendField(2, size: parts.scope.count + fieldSize(span.count))
            payload.append(contentsOf: parts.scope)
            payload.appendField(2, size: span.count)
            payload.append(contentsOf: span)
            var new = entry
            (new.offset, new.length) = (0, UInt32(payload.count))
            return SpanView(segment: Segment(firstID: id, payload: payload, entries: [new]), index: 0)
        }
    }
}

/// Walks over the texts of a span and writes the span anew.
private struct TextWalk {
    let changesBytes: Bool
    let change: (UnsafeRawBufferPointer, Bool) -> [UInt8]?
    private(set) var hasChanged = false

    init(changesBytes: Bool, change: @escaping (UnsafeRawBufferPointer, Bool) -> [UInt8]?) {
        (self.changesBytes, self.change) = (changesBytes, change)
    }

    /// A `Span` message: its attributes, those of its events, and what its status says.
    mutating func span(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        fields(of: message) { walk, field in
            switch field.number {
            case 9: walk.pair(field.bytes, depth: 0)
            case 11: walk.fields(of: field.bytes) { $1.number == 3 ? $0.pair($1.bytes, depth: 0) : nil }
            case 15: walk.fields(of: field.bytes) { $1.number == 2 ? $0.changed($1.bytes, isEscaped: false) : nil }
            default: nil
            }
        }
    }

    /// A message whose length-delimited fields `new` may replace.
    private mutating func fields(
        of message: UnsafeRawBufferPointer, _ new: (inout TextWalk, ProtobufField) -> [UInt8]?
    ) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(message.count)
        var reader = ProtobufReader(message)
        var (run, at) = (0, 0)  // what stands in run..<at is copied as it is
        while let field = reader.next() {
            if field.type == .bytes, field.number < 16, let value = new(&self, field) {
                out.append(contentsOf: message[run..<at])
                out.appendField(UInt8(field.number), size: value.count)
                out.append(contentsOf: value)
                run = reader.position
            }
            at = reader.position
        }
        out.append(contentsOf: message[run...])
        return out
    }

    private mutating func pair(_ pair: UnsafeRawBufferPointer, depth: Int) -> [UInt8]? {
        fields(of: pair) { $1.number == 2 ? $0.value($1.bytes, depth: depth) : nil }
    }

    private mutating func value(_ message: UnsafeRawBufferPointer, depth: Int) -> [UInt8]? {
        guard depth < RawValue.depthMax else { return nil }
        switch RawValue(anyValue: message) {
        case .string: return fields(of: message) { $1.number == 1 ? $0.text($1.bytes) : nil }
        case .array:
            return fields(of: message) { walk, field in
                guard field.number == 5 else { return nil }
                return walk.fields(of: field.bytes) { $1.number == 1 ? $0.value($1.bytes, depth: depth + 1) : nil }
            }
        case .map:
            return fields(of: message) { walk, field in
                guard field.number == 6 else { return nil }
                return walk.fields(of: field.bytes) { $1.number == 1 ? $0.pair($1.bytes, depth: depth + 1) : nil }
            }
        case .bytes(let bytes) where changesBytes && bytes.count >= Media.shortest:
            hasChanged = true
            let marker = Array("[+\(bytes.count) bytes]".utf8)
            var out: [UInt8] = []
            out.appendField(1, size: marker.count)
            return out + marker
        default: return nil
        }
    }

    private mutating func text(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard JSONText.container(text) != nil else { return changed(text, isEscaped: false) }
        return JSONText.mapStrings(of: text) { changed($0, isEscaped: true) }
    }

    private mutating func changed(_ text: UnsafeRawBufferPointer, isEscaped: Bool) -> [UInt8]? {
        guard let new = change(text, isEscaped) else { return nil }
        hasChanged = true
        return new
    }
}

/// What counts as media in a text.
private enum Media {
    /// Less is left where it is.
    static let shortest = 1024
    static let mark: StaticString = ";base64,"

    static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: "\\"):
            true  // the backslash: some writers of JSON escape the slash
        default: false
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The text without its media; nil where it has none.
    fileprivate func withoutMedia() -> [UInt8]? {
        guard count >= Media.shortest else { return nil }
        if allSatisfy(Media.isBase64) { return Array("[+\(count) bytes]".utf8) }
        var out: [UInt8] = []
        var (run, at) = (0, 0)
        while let mark = find(Media.mark, from: at) {
            let data = mark + Media.mark.utf8CodeUnitCount
            let end = self[data...].firstIndex { !Media.isBase64($0) } ?? count
            at = end
            guard end - data >= Media.shortest, let start = dataURI(endingAt: mark, from: run) else { continue }
            out.append(contentsOf: self[run..<start])
            let type = String(decoding: self[start + 5..<mark], as: UTF8.self)
            out.append(contentsOf: "[\(type) +\(end - data) bytes]".utf8)
            run = end
        }
        guard run > 0 else { return nil }
        out.append(contentsOf: self[run...])
        return out
    }

    /// Where the `data:` is that the mark at `mark` belongs to.
    private func dataURI(endingAt mark: Int, from start: Int) -> Int? {
        (Swift.max(start, mark - 100)..<Swift.max(start, mark - 4)).last {
            UnsafeRawBufferPointer(rebasing: self[$0...]).starts(with: "data:" as StaticString)
        }
    }

    private func find(_ text: StaticString, from start: Int) -> Int? {
        var at = start
        while let found = self[Swift.min(at, count)...].firstIndex(of: text.utf8Start.pointee) {
            if UnsafeRawBufferPointer(rebasing: self[found...]).starts(with: text) { return found }
            at = found + 1
        }
        return nil
    }
}
