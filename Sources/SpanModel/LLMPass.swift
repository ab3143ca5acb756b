/// The one pass over a span that `LLMFields` reads from: it notes where the values of known names lie and decodes none.
@usableFromInline
struct LLMPass {
    @usableFromInline private(set) var span: SpanFields
    @usableFromInline let parts: SpanParts
    private(set) var families = NameFamilies()
    /// For each known name where its `AnyValue` lies in the span's message (offset in the low half, length in the high); 0 where it is not.
    /// Behind them, for each attribute of no known name, up to `othersMax`: where its key lies, and where its value.
    let notes: UnsafeMutablePointer<UInt64>
    /// How many attributes have no known name.
    private(set) var otherCount = 0
    let resource: UnsafeMutablePointer<ResourceMembers>

    /// As many attributes of other names are noted.
    static let othersMax = 32
    /// The notes of known names.
    @usableFromInline static let knownCount = KnownName.count
    /// All notes.
    @usableFromInline static let noteCount = knownCount + 2 * othersMax

    /// `notes` has room for `noteCount` of them, the first `knownCount` 0; `resource` is that of this span. Both outlive the pass.
    @usableFromInline
    init(_ parts: SpanParts, notes: UnsafeMutablePointer<UInt64>, resource: UnsafeMutablePointer<ResourceMembers>) {
        span = SpanFields(unread: parts.span)
        (self.parts, self.notes, self.resource) = (parts, notes, resource)
        let names = KnownNameTable.shared
        var reader = ProtobufReader(parts.span)
        while true {
            if let (key, value) = reader.nextUsualPair(of: 9) {
                take(key, value, names)
            } else if let field = reader.next() {
                if field.number == 9, field.type == .bytes {
                    let (key, value) = RawPair.read(field.bytes)
                    take(key, value, names)
                } else {
                    span.take(field)
                }
            } else {
                return
            }
        }
    }

    @inline(__always)
    private mutating func take(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ names: KnownNameTable) {
        span.countAttribute()
        if let ordinal = names.find(key) {
            notes[ordinal] = Self.note(value, in: parts.span)
        } else {
            families.note(key)
            if otherCount < Self.othersMax {
                let place = Self.knownCount + 2 * otherCount
                notes[place] = Self.note(key, in: parts.span)
                notes[place + 1] = Self.note(value, in: parts.span)
            }
            otherCount += 1
        }
    }

    /// Where `value` lies in `message`; 0 for an empty value, which is null, and for what lies beyond 32 bits.
    @inline(__always)
    private static func note(_ value: UnsafeRawBufferPointer, in message: UnsafeRawBufferPointer) -> UInt64 {
        guard let from = message.baseAddress, let to = value.baseAddress, !value.isEmpty, message.count <= UInt32.max else { return 0 }
        return UInt64(truncatingIfNeeded: value.count) << 32 | UInt64(truncatingIfNeeded: to - from)
    }
}

extension SpanView {
    /// What the span says as an LLM span, read in one pass; nothing of it where the message is malformed. Good inside `body` only.
    @inlinable
    public func withLLM<Result>(_ body: (LLMFields) throws -> Result) rethrows -> Result {
        try withBytes { try (SpanParts($0, entry) ?? .empty).withLLM(body) }
    }
}

extension Segment {
    /// As `SpanView.withLLM` for one span after the other, with its place and its row of the directory. What adjacent spans share, the
    /// reference to the segment and what the resource says, is looked at once for all of them.
    @inlinable
    public func forEachLLM(_ body: (Int, SpanEntry, LLMFields) -> Void) {
        var resource = ResourceMembers()
        payload.withUnsafeBytes { all in
            for (index, entry) in entries.enumerated() {
                (SpanParts(all.message(of: entry), entry) ?? .empty).withLLM(&resource) { body(index, entry, $0) }
            }
        }
    }
}

extension SpanParts {
    /// What the span says as an LLM span. Good inside `body` only.
    @inlinable
    public func withLLM<Result>(_ body: (LLMFields) throws -> Result) rethrows -> Result {
        var resource = ResourceMembers()
        return try withLLM(&resource, body)
    }

    @inlinable
    func withLLM<Result>(_ members: inout ResourceMembers, _ body: (LLMFields) throws -> Result) rethrows -> Result {
        members.enter(resource)
        return try withUnsafeMutablePointer(to: &members) { members in
            try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: LLMPass.noteCount) { notes in
                guard let base = notes.baseAddress else { preconditionFailure("an allocation without an address") }
                base.initialize(repeating: 0, count: LLMPass.knownCount)
                var pass = LLMPass(self, notes: base, resource: members)
                return try withUnsafePointer(to: &pass) { try body(LLMFields($0)) }
            }
        }
    }
}
