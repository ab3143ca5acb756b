/// A dictionary of bounded size: over it what was put in first is forgotten first. An entry that is put in anew is as old as it was.
struct RecentMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Most entries.
    let entriesMax: Int
    private var values: [Key: (value: Value, serial: UInt64)] = [:]
    /// Keys in the order in which they came, from `head` on; one whose serial is another's has been taken out since.
    private var order: [(key: Key, serial: UInt64)] = []
    private var head = 0
    private var nextSerial: UInt64 = 0

    /// Room for so many entries, at least one.
    init(entriesMax: Int) { self.entriesMax = max(1, entriesMax) }

    /// How many there are.
    var count: Int { values.count }

    /// The value of a key. To set one that is not there may take the oldest out; `insert` tells.
    subscript(key: Key) -> Value? { values[key]?.value }

    /// The oldest entry.
    var oldest: (key: Key, value: Value)? {
        // Removal keeps the head of the order alive, so this looks at one entry.
        order[head...].lazy.compactMap { entry in self.live(entry).map { (entry.key, $0) } }.first
    }

    /// Sets the value of a key, and gives back what was taken out for it.
    @discardableResult
    mutating func insert(_ key: Key, _ value: Value) -> (key: Key, value: Value)? {
        if let serial = values[key]?.serial {
            values[key] = (value, serial)
            return nil
        }
        let evicted = values.count == entriesMax ? removeOldest() : nil
        values[key] = (value, nextSerial)
        order.append((key, nextSerial))
        nextSerial += 1
        return evicted
    }

    /// Takes an entry out.
    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard let value = values.removeValue(forKey: key)?.value else { return nil }
        compact()
        return value
    }

    /// Takes the oldest entry out.
    @discardableResult
    mutating func removeOldest() -> (key: Key, value: Value)? {
        guard let oldest else { return nil }
        remove(oldest.key)
        return oldest
    }

    private func live(_ entry: (key: Key, serial: UInt64)) -> Value? {
        values[entry.key].flatMap { $0.serial == entry.serial ? $0.value : nil }
    }

    /// Steps over what has gone at the head, and drops it all where it is more than what is there.
    private mutating func compact() {
        while head < order.count, live(order[head]) == nil { head += 1 }
        guard order.count > 2 * values.count + 64 else { return }
        order = order[head...].filter { live($0) != nil }
        head = 0
    }
}
