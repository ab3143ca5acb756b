/// A name as up to three words of its bytes and its length. For names of up to 24 bytes that is the name itself, so comparing prints
/// compares names; longer ones may share a print.
struct KeyPrint: Equatable, BitwiseCopyable {
    let first: UInt64
    let middle: UInt64
    let last: UInt64
    let count: Int

    @inline(__always)
    init(_ text: Text) {
        let raw = UnsafeRawPointer(text.base)
        count = text.count
        if count >= 8 {
            first = raw.loadUnaligned(as: UInt64.self)
            last = (raw + (count - 8)).loadUnaligned(as: UInt64.self)
            middle = count > 16 ? (raw + (count / 2 - 4)).loadUnaligned(as: UInt64.self) : 0
        } else if count >= 4 {
            first = UInt64(raw.loadUnaligned(as: UInt32.self))
            last = UInt64((raw + (count - 4)).loadUnaligned(as: UInt32.self))
            middle = 0
        } else {
            first = count == 0 ? 0 : UInt64(text[0]) | UInt64(text[count / 2]) << 8 | UInt64(text[count - 1]) << 16
            last = 0
            middle = 0
        }
    }

    /// Whether equal prints mean equal names.
    @inline(__always)
    var isWhole: Bool { count <= 24 }

    /// Well spread in the usual case. Nothing depends on it but speed, and no more than a factor of it, whoever chose the names.
    @inline(__always)
    var hash: UInt32 {
        var mixed = (first &* 0x9e37_79b9_7f4a_7c15) ^ (last &* 0xc2b2_ae3d_27d4_eb4f)
        mixed ^= (middle &* 0x1656_67b1_9e37_79f9) &+ UInt64(truncatingIfNeeded: count)
        mixed = (mixed ^ (mixed >> 29)) &* 0xbf58_476d_1ce4_e5b9
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }
}

/// A fixed set of known names, found by print, or by what is remembered of a familiar key.
struct NameTable<Name: RawRepresentable & CaseIterable & BitwiseCopyable>: ~Copyable where Name.RawValue == String {
    /// A name of the set.
    struct Entry: BitwiseCopyable {
        let name: Name
        /// One bit of 64, its own: whether the name has been seen.
        let bit: UInt64
    }

    /// Not private: Swift 6.3 fails to compile that in a debug build.
    struct Place: BitwiseCopyable {
        let print: KeyPrint
        let text: Text
        let entry: Entry
    }

    private let places: Buffer<Place>
    /// The numbers of places by hash; `vacant` where there is none.
    private let slots: Buffer<UInt8>
    private let letters: Buffer<UInt8>
    /// Which of the parser's tables this is: what a familiar key remembers of one is asked of no other. Not 0.
    private let number: UInt8
    private static var slotCount: Int { 256 }
    private static var lettersMax: Int { 1_024 }
    private static var vacant: UInt8 { 0xff }

    init(number: UInt8) {
        self.number = number
        var letters = Buffer<UInt8>(capacity: Self.lettersMax)
        var places = Buffer<Place>(capacity: Name.allCases.count)
        slots = Buffer(capacity: Self.slotCount)
        slots.base.initialize(repeating: Self.vacant, count: Self.slotCount)
        precondition(Name.allCases.count < 64)
        for (index, name) in Name.allCases.enumerated() {
            let text = Text(letters.base + letters.count, name.rawValue.utf8.count)
            precondition(letters.count + text.count <= Self.lettersMax)
            for byte in name.rawValue.utf8 { letters.append(byte) }
            let print = KeyPrint(text)
            places.append(Place(print: print, text: text, entry: Entry(name: name, bit: 1 << UInt64(index))))
            var slot = Int(print.hash) & (Self.slotCount - 1)
            while slots[slot] != Self.vacant { slot = (slot + 1) & (Self.slotCount - 1) }
            slots[slot] = UInt8(truncatingIfNeeded: index)
        }
        self.places = places
        self.letters = letters
    }

    @inline(__always)
    func find(_ key: Key) -> Entry? {
        if key.known.pointee.asked != number {
            key.known.pointee.answer = Self.answer(key.text, places.base, slots.base)
            key.known.pointee.asked = number
        }
        let answer = key.known.pointee.answer
        return answer == Self.vacant ? nil : places[Int(answer)].entry
    }

    /// The place of a name. It takes pointers: a method would have the table copied before each call that might come to pass.
    @inline(never)
    private static func answer(_ name: Text, _ places: UnsafePointer<Place>, _ slots: UnsafePointer<UInt8>) -> UInt8 {
        let print = KeyPrint(name)
        var slot = Int(print.hash) & (slotCount - 1)
        while slots[slot] != vacant {
            let place = places + Int(slots[slot])
            if place.pointee.print == print, print.isWhole || place.pointee.text == name { break }
            slot = (slot + 1) & (slotCount - 1)
        }
        return slots[slot]
    }
}

/// What the objects within a span may hold: events, links, scope, status, error.
enum Word: String, CaseIterable, BitwiseCopyable {
    case name
    case version
    case time
    case attributes
    case droppedAttributesCount = "dropped_attributes_count"
    case traceID = "trace_id"
    case spanID = "span_id"
    case traceState = "trace_state"
    case flags
    case code
    case message
    case type
}

/// What a `usage` object may hold: the contract's own names, OpenAI's (chat, responses) and Anthropic's.
enum UsageName: String, CaseIterable, BitwiseCopyable {
    case inputTokens = "input_tokens"
    case promptTokens = "prompt_tokens"
    case outputTokens = "output_tokens"
    case completionTokens = "completion_tokens"
    case cacheReadTokens = "cache_read_tokens"
    case cacheReadInputTokens = "cache_read_input_tokens"
    case cacheWriteTokens = "cache_write_tokens"
    case cacheCreationInputTokens = "cache_creation_input_tokens"
    case reasoningTokens = "reasoning_tokens"
    case inputTokensDetails = "input_tokens_details"
    case promptTokensDetails = "prompt_tokens_details"
    case outputTokensDetails = "output_tokens_details"
    case completionTokensDetails = "completion_tokens_details"
    case cachedTokens = "cached_tokens"
}
