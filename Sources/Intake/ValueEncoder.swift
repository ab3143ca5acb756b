// JSON values to OTLP's AnyValue (otlp contract, A.1), one behind the other. Every length but those of arrays and objects is known before a
// byte of it is written; for these, room for the length is left that fitted the last container of the same depth, and where it does not
// fit this time, the content is moved by the byte or two in question: lengths are always as short as can be.
import Glibc

/// The field that a value is written to: a KeyValue with a key, or an element of an array.
struct Slot {
    let tag: UInt8
    let key: Text?

    /// A KeyValue in the message that has this tag for attributes.
    @inline(__always)
    static func keyed(_ tag: UInt8, _ key: Text) -> Slot { Slot(tag: tag, key: key) }
    /// `ArrayValue.values`.
    static var element: Slot { @inline(__always) get { Slot(tag: 0x0a, key: nil) } }

    /// Bytes that are enough for all that stands before a value.
    @inline(__always)
    var room: Int { (key?.count ?? 0) + 3 * Text.lengthRoom }
}

extension Text {
    /// Bytes that are enough for a tag and a length.
    static var lengthRoom: Int { 1 + 10 }
    /// Bytes that are enough for this as a field.
    @inline(__always)
    var room: Int { count + Self.lengthRoom }
}

extension Pen {
    /// Writes all that stands before an AnyValue of `size` bytes.
    @inline(__always)
    mutating func open(_ slot: Slot, _ size: Int) {
        guard let key = slot.key else { return head(slot.tag, size) }
        if !key.isEmpty, key.count + size < 0x80 - 4 {  // mostly: each length takes a byte
            heads(slot.tag, 2 + key.count + 2 + size, 0x0a, key.count)
            text(key)
        } else {
            head(slot.tag, (key.isEmpty ? 0 : fieldSize(key.count)) + fieldSize(size))
            field(0x0a, key)
        }
        head(0x12, size)
    }

    /// Writes a string.
    @inline(__always)
    mutating func write(_ slot: Slot, string: Text) {
        open(slot, fieldSize(string.count))
        head(ValueEncoder.Tag.string, string.count)
        text(string)
    }
}

struct ValueEncoder: ~Copyable {
    /// Where `Container` marks are offsets into.
    var output = Buffer<UInt8>(capacity: 16 << 10)
    var keys = KeyIndex()
    /// Bytes that the length of the last container took, by depth.
    private let lengthBytes = Buffer<UInt8>(capacity: IntakeLimits.depthMax + 1)

    /// Fields of AnyValue, and of KeyValueList.
    enum Tag {
        static let string: UInt8 = 0x0a
        static let bool: UInt8 = 0x10
        static let int: UInt8 = 0x18
        static let double: UInt8 = 0x21
        static let array: UInt8 = 0x2a
        static let kvlist: UInt8 = 0x32
        static let kvlistValues: UInt8 = 0x0a
    }

    init() { lengthBytes.base.initialize(repeating: 1, count: lengthBytes.capacity) }

    mutating func empty() {
        output.empty(keeping: 1 << 20)
        keys.empty()
    }

    // MARK: Values that are known whole

    /// Writes all that stands before an AnyValue of `size` bytes; the pen has room for these too.
    @inline(__always)
    private mutating func open(_ slot: Slot, _ size: Int) -> Pen {
        var pen = output.pen(room: slot.room + size)
        pen.open(slot, size)
        return pen
    }

    @inline(__always)
    mutating func write(_ slot: Slot, string: Text) {
        var pen = output.pen(room: slot.room + string.room)
        pen.write(slot, string: string)
        output.close(pen)
    }

    mutating func write(_ slot: Slot, bool: Bool) {
        var pen = open(slot, 2)
        pen.byte(Tag.bool)
        pen.byte(bool ? 1 : 0)
        output.close(pen)
    }

    mutating func write(_ slot: Slot, int: Int64) {
        let bits = UInt64(bitPattern: int)
        var pen = open(slot, 1 + (bits == 0 ? 1 : (70 - bits.leadingZeroBitCount) / 7))
        pen.byte(Tag.int)
        pen.varint(bits)
        output.close(pen)
    }

    mutating func write(_ slot: Slot, double: Double) {
        var pen = open(slot, 9)
        pen.byte(Tag.double)
        pen.fixed64(double.bitPattern)
        output.close(pen)
    }

    mutating func write(_ slot: Slot, number: Number) {
        switch number.value {
        case .integer(let value): write(slot, int: value)
        case .double(let value): write(slot, double: value)
        case .text: write(slot, string: number.token)
        }
    }

    /// The null of OTLP: an AnyValue with nothing in it.
    mutating func writeNull(_ slot: Slot) { output.close(open(slot, 0)) }

    /// Writes `[{"role": role, "parts": [{"type": "text", "content": text}]}]`. All lengths follow from the text's, inside out.
    mutating func write(_ slot: Slot, message text: Text, role: StaticString) {
        // The usual text makes every length around it take two bytes, and then they are mere sums.
        if 0x80..<16_000 ~= text.count {
            write(slot, message: text, role, lengthBytes: 2)
        } else {
            write(slot, message: text, role, lengthBytes: nil)
        }
    }

    /// `lengthBytes`: how many bytes the text's length and all around it take, where that is known.
    @inline(__always)
    private mutating func write(_ slot: Slot, message text: Text, _ role: StaticString, lengthBytes: Int?) {
        func size(_ content: Int) -> Int { 1 + (lengthBytes ?? lengthSize(content)) + content }
        let role = Text(role)
        let contentAny = size(text.count)
        let contentMember = fieldSize(7) + size(contentAny)
        let part = 16 + size(contentMember)  // the type's member takes 16
        let partAny = size(part)
        let partsAny = size(size(partAny))
        let partsMember = fieldSize(5) + size(partsAny)
        let roleMember = fieldSize(4) + fieldSize(fieldSize(role.count))
        let message = fieldSize(roleMember) + size(partsMember)
        let messageAny = size(message)
        let messages = size(messageAny)

        var pen = open(slot, size(messages))
        pen.head(Tag.array, messages, bytes: lengthBytes)
        pen.head(Slot.element.tag, messageAny, bytes: lengthBytes)
        pen.head(Tag.kvlist, message, bytes: lengthBytes)
        pen.head(Tag.kvlistValues, roleMember)
        pen.field(0x0a, Text("role"))
        pen.head(0x12, fieldSize(role.count))
        pen.field(Tag.string, role)
        pen.head(Tag.kvlistValues, partsMember, bytes: lengthBytes)
        pen.field(0x0a, Text("parts"))
        pen.head(0x12, partsAny, bytes: lengthBytes)
        pen.head(Tag.array, size(partAny), bytes: lengthBytes)
        pen.head(Slot.element.tag, partAny, bytes: lengthBytes)
        pen.head(Tag.kvlist, part, bytes: lengthBytes)
        pen.text(Text("\n\u{0e}\n\u{04}type\u{12}\u{06}\n\u{04}text"))
        pen.head(Tag.kvlistValues, contentMember, bytes: lengthBytes)
        pen.field(0x0a, Text("content"))
        pen.head(0x12, contentAny, bytes: lengthBytes)
        pen.head(Tag.string, text.count, bytes: lengthBytes)
        pen.text(text)
        output.close(pen)
    }

    // MARK: Containers

    /// An array or object that is being written.
    struct Container {
        /// Where the length of the KeyValue is to stand, and how long key and value tag behind it are. Nil for an element.
        fileprivate let outer: (at: Int, headBytes: Int)?
        fileprivate let anyAt: Int
        fileprivate let lengthBytes: Int
        fileprivate let depth: Int
    }

    mutating func open(_ slot: Slot, container tag: UInt8, depth: Int) -> Container {
        let bytes = Int(lengthBytes[depth])
        var pen = output.pen(room: (slot.key?.count ?? 0) + 32)
        var outer: (at: Int, headBytes: Int)?
        pen.byte(slot.tag)
        if let key = slot.key {
            let at = pen.at - output.base
            pen.at += bytes
            pen.field(0x0a, key)
            pen.byte(0x12)
            outer = (at, pen.at - output.base - at - bytes)
        }
        let anyAt = pen.at - output.base
        pen.at += bytes
        pen.byte(tag)
        pen.at += bytes
        output.close(pen)
        return Container(outer: outer, anyAt: anyAt, lengthBytes: bytes, depth: depth)
    }

    mutating func close(_ container: Container) {
        let room = container.lengthBytes
        let content = output.count - container.anyAt - room - 1 - room
        let any = fieldSize(content)
        let whole = container.outer.map { $0.headBytes + lengthSize(any) + any } ?? 0
        if lengthSize(content) != room || lengthSize(any) != room || (whole > 0 && lengthSize(whole) != room) {
            move(container, content: content, any: any, whole: whole)
        }
        let start = container.outer?.at ?? container.anyAt
        var pen = Pen(at: output.base + start)
        if let outer = container.outer {
            pen.varint(whole)
            pen.at += outer.headBytes
        }
        pen.varint(any)
        pen.at += 1
        pen.varint(content)
    }

    /// Moves key and content to where they belong once the lengths between them are known.
    @inline(never)
    private mutating func move(_ container: Container, content: Int, any: Int, whole: Int) {
        let room = container.lengthBytes
        lengthBytes[container.depth] = UInt8(truncatingIfNeeded: lengthSize(content))
        let headShift = container.outer == nil ? 0 : lengthSize(whole) - room
        let tagShift = headShift + lengthSize(any) - room
        let contentShift = tagShift + lengthSize(content) - room
        let anyAt = container.anyAt
        let contentAt = anyAt + room + 1 + room
        _ = output.end(room: 16)
        let base = output.base
        let tag = base[anyAt + room]
        if contentShift > 0 { memmove(base + contentAt + contentShift, base + contentAt, content) }
        if let outer = container.outer { memmove(base + outer.at + room + headShift, base + outer.at + room, outer.headBytes) }
        if contentShift < 0 { memmove(base + contentAt + contentShift, base + contentAt, content) }
        base[anyAt + room + tagShift] = tag
        output.count += contentShift
    }

    // MARK: Values from JSON

    /// Writes the value that `json` stands on, and reads it.
    mutating func value(_ slot: Slot, from json: inout JSONScanner) throws(Fault) {
        switch json.byte {
        case UInt8(ascii: "\""): write(slot, string: try json.string())
        case UInt8(ascii: "{"):
            let container = open(slot, container: Tag.kvlist, depth: json.depth)
            try members(from: &json)
            close(container)
        case UInt8(ascii: "["):
            let container = open(slot, container: Tag.array, depth: json.depth)
            var more = try json.firstElement()
            while more {
                try value(.element, from: &json)
                more = try json.nextElement()
            }
            close(container)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): write(slot, bool: try json.bool())
        case UInt8(ascii: "n"):
            _ = try json.null()
            writeNull(slot)
        default: write(slot, number: try json.number())
        }
    }

    private mutating func members(from json: inout JSONScanner) throws(Fault) {
        var frame = keys.open()
        var key = try json.firstKey()
        while let name = key {
            try member(Tag.kvlistValues, AttributeKey(name), rank: .attribute, in: &frame, from: &json)
            key = try json.nextKey()
        }
        keys.close(&frame, output: &output)
    }

    /// Writes the value that `json` stands on under a key, and remembers the key.
    @inline(__always)
    private mutating func member(
        _ tag: UInt8, _ key: AttributeKey, rank: KeyRank, in frame: inout KeyIndex.Frame, from json: inout JSONScanner
    ) throws(Fault) {
        keys.admit(key, rank: rank, to: &frame, output: output)
        try value(.keyed(tag, key.text), from: &json)
        keys.complete(output: output)
    }

    // MARK: Attributes

    /// Writes the value that `json` stands on as an attribute.
    mutating func attribute(
        _ tag: UInt8, _ key: AttributeKey, rank: KeyRank, in frame: inout KeyIndex.Frame, from json: inout JSONScanner
    ) throws(Fault) {
        try member(tag, key, rank: rank, in: &frame, from: &json)
    }

    /// Writes the members of the object that `json` stands on as attributes.
    mutating func attributes(_ tag: UInt8, in frame: inout KeyIndex.Frame, from json: inout JSONScanner) throws(Fault) {
        var key = try json.firstKey()
        while let name = key {
            try member(tag, AttributeKey(name), rank: .attribute, in: &frame, from: &json)
            key = try json.nextKey()
        }
    }

    /// Writes an attribute whose value is known.
    @inline(__always)
    mutating func attribute(
        _ tag: UInt8, _ key: AttributeKey, rank: KeyRank, in frame: inout KeyIndex.Frame, _ write: (inout ValueEncoder, Slot) -> Void
    ) {
        let isBeaten = keys.isBeaten(key, rank: rank, in: &frame, output: output)
        let start = output.count
        write(&self, .keyed(tag, key.text))
        keys.append(KeyEntry(hash: key.hash, rank: rank, isDead: isBeaten, start: start, end: output.count))
    }
}
