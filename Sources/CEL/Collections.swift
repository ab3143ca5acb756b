/// A list that an expression reads. The host subclasses it to show a list of its own without copying: an element is asked for when it is
/// needed. Whoever hands one out keeps it alive while the program runs.
open class ListValue {
    /// For subclasses.
    public init() {}

    /// How many elements there are.
    open var count: Int { 0 }

    /// The list as a value; it holds as long as the list.
    public final var view: Value { .list(Unmanaged.passUnretained(self)) }

    /// The element at an index from 0 to `count` - 1. What must be made for it can be made in the arena.
    open func element(at index: Int, in arena: inout Arena) -> Value { .null }
}

/// A map that an expression reads, as `ListValue` is a list.
open class MapValue {
    /// For subclasses.
    public init() {}

    /// How many entries there are.
    open var count: Int { 0 }

    /// The map as a value; it holds as long as the map.
    public final var view: Value { .map(Unmanaged.passUnretained(self)) }

    /// The value under a key, or nil. Keys are bool, int, uint or string; a double asks for the whole number that it equals.
    open func value(for key: Value, in arena: inout Arena) -> Value? { nil }

    /// The key of an entry, from 0 to `count` - 1, in an order of the map's own that does not change.
    open func key(at index: Int, in arena: inout Arena) -> Value { .null }

    /// The value of an entry.
    open func value(at index: Int, in arena: inout Arena) -> Value { .null }
}

/// What `optional.of(x)` holds.
public final class OptionalValue {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A value of a type that the host defines, with functions of its own over it.
open class OpaqueValue {
    /// The type's name, as `type(x)` gives it: `net.IP`.
    public let typeName: StaticString

    /// A value of a type.
    public init(typeName: StaticString) { self.typeName = typeName }

    /// Whether another value of the same type is equal.
    open func equals(_ other: OpaqueValue) -> Bool { self === other }

    /// What `string(x)` gives.
    open var text: String { "\(typeName)" }
}

/// A list that an evaluation or a constant made.
final class ArrayList: ListValue {
    let elements: [Value]
    init(_ elements: [Value]) { self.elements = elements }

    override var count: Int { elements.count }
    override func element(at index: Int, in arena: inout Arena) -> Value { elements[index] }
}

/// A map that an evaluation or a constant made: entries in their order, and a table of where each key stands.
final class EntryMap: MapValue {
    private let keys: [Value]
    private let values: [Value]
    private let places: [MapKey: Int]

    /// Fails with the reason where a key is of no type for a key or stands twice.
    init(keys: [Value], values: [Value]) throws(EvaluationError) {
        var places: [MapKey: Int] = [:]
        for (place, key) in keys.enumerated() {
            guard let entry = MapKey(key, isNew: true) else { throw EvaluationError(.unsupportedKey) }
            guard places.updateValue(place, forKey: entry) == nil else { throw EvaluationError(.duplicateKey) }
        }
        self.keys = keys
        self.values = values
        self.places = places
    }

    override var count: Int { keys.count }
    override func value(for key: Value, in arena: inout Arena) -> Value? { MapKey(key).flatMap { places[$0] }.map { values[$0] } }
    override func key(at index: Int, in arena: inout Arena) -> Value { keys[index] }
    override func value(at index: Int, in arena: inout Arena) -> Value { values[index] }
}

/// A key as a table holds it: numbers that are equal are one key, whatever their types.
enum MapKey: Hashable {
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)  // above Int64.max only
    case text(ByteKey)

    /// nil where the value cannot be a key; a new key may not be a double, one that is looked up may.
    init?(_ value: Value, isNew: Bool = false) {
        switch value {
        case .bool(let bool): self = .bool(bool)
        case .int(let int): self = .int(int)
        case .uint(let uint): self = Int64(exactly: uint).map { .int($0) } ?? .uint(uint)
        case .double(let double) where !isNew:
            if let int = Int64(exactly: double) {
                self = .int(int)
            } else if let uint = UInt64(exactly: double) {
                self = .uint(uint)
            } else {
                return nil
            }
        case .string(let text): self = .text(ByteKey(text))
        default: return nil
        }
    }
}

/// Bytes that a table looks up without copying them; whoever owns the table keeps them alive.
struct ByteKey: Hashable {
    let bytes: UnsafeRawBufferPointer
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    static func == (left: ByteKey, right: ByteKey) -> Bool { Text.equal(left.bytes, right.bytes) }
    func hash(into hasher: inout Hasher) { hasher.combine(bytes: bytes) }
}
