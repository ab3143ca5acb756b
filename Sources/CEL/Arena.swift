/// What one evaluation may spend and what it makes on the way. Texts, lists and maps made here live as long as the arena; an evaluation
/// that makes none allocates nothing.
public struct Arena: ~Copyable {
    // Below zero the evaluation is over, whatever its parts still say.
    private(set) var budget: Int
    // Made with the first thing that needs keeping: most evaluations need none.
    private var contents: Contents?

    /// An arena with a budget, in units: a step, an iteration, or 16 bytes looked at or made.
    public init(budget: Int) { self.budget = budget }

    /// Lets go what was made, for an evaluation to begin anew.
    mutating func restart(budget: Int) {
        self.budget = budget
        if contents != nil { contents = nil }
    }

    /// Keeps what was made, and lets it go with the arena.
    private final class Contents {
        var buffers: [UnsafeMutableRawBufferPointer] = []
        var objects: [AnyObject] = []

        deinit {
            for buffer in buffers { buffer.deallocate() }
        }
    }

    private mutating func kept() -> Contents {
        if let contents { return contents }
        let new = Contents()
        contents = new
        return new
    }

    var isExhausted: Bool { budget < 0 }

    /// Takes units from the budget; false once there are none left, and then the function gives `.failure(.tooExpensive)`.
    @discardableResult public mutating func spend(_ units: Int) -> Bool {
        budget &-= units
        if budget < 0 { budget = -1 }
        return budget >= 0
    }

    /// Takes the price of looking at so many bytes.
    @discardableResult public mutating func spend(bytes count: Int) -> Bool { spend(count >> 4) }

    /// Room for so many bytes that `fill` writes, as a string; `fill` returns how many it wrote.
    public mutating func string(capacity: Int, fill: (UnsafeMutableRawBufferPointer) -> Int) -> Value {
        room(capacity, fill).map { .string($0) } ?? .failure(.tooExpensive)
    }

    /// As `string(capacity:fill:)`, for bytes.
    public mutating func bytes(capacity: Int, fill: (UnsafeMutableRawBufferPointer) -> Int) -> Value {
        room(capacity, fill).map { .bytes($0) } ?? .failure(.tooExpensive)
    }

    /// A copy of a text.
    public mutating func string(_ text: String) -> Value {
        var copy = text
        return copy.withUTF8 { source in
            string(capacity: source.count) {
                $0.copyMemory(from: UnsafeRawBufferPointer(source))
                return source.count
            }
        }
    }

    /// A list of values that live at least as long as the arena.
    public mutating func list(_ elements: [Value]) -> Value {
        guard spend(elements.count + 1) else { return .failure(.tooExpensive) }
        return .list(keep(ArrayList(elements)))
    }

    /// A map of values that live at least as long as the arena; an error where a key stands twice or can be none.
    public mutating func map(keys: [Value], values: [Value]) -> Value {
        guard spend(2 * keys.count + 1) else { return .failure(.tooExpensive) }
        do {
            return .map(keep(try EntryMap(keys: keys, values: values)))
        } catch {
            return .error(error)
        }
    }

    /// `optional.of(value)`.
    public mutating func optional(_ value: Value) -> Value {
        guard spend(1) else { return .failure(.tooExpensive) }
        return .optional(keep(OptionalValue(value)))
    }

    /// A value of a type of the host's.
    public mutating func opaque(_ object: OpaqueValue) -> Value {
        guard spend(1) else { return .failure(.tooExpensive) }
        return .opaque(keep(object))
    }

    /// Keeps an object alive as long as the arena.
    public mutating func keep<Object: AnyObject>(_ object: Object) -> Unmanaged<Object> {
        kept().objects.append(object)
        return Unmanaged.passUnretained(object)
    }

    /// A copy of a literal's bytes; the source's size bounds them, so they cost nothing.
    mutating func literal(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        guard !bytes.isEmpty else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        kept().buffers.append(buffer)
        buffer.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(buffer)
    }

    private mutating func room(_ capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) -> UnsafeRawBufferPointer? {
        guard spend(1 + capacity >> 4) else { return nil }
        guard capacity > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
        kept().buffers.append(buffer)
        return UnsafeRawBufferPointer(rebasing: buffer[..<fill(buffer)])
    }
}
