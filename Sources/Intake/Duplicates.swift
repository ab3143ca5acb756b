/// Members that a later one of the same key replaces, in objects whose members are read as they come (the span, an event, ...). That a member
/// stands twice shows only at the second, when the first has had its effect; or the first was refused and the second would do. So the object
/// is read again: surveyed first, to find the members that do not count, then as if these were not there. Slow, bounded and rare.
struct Duplicates {
    /// Where the keys of the members begin.
    private var dead: Set<UnsafePointer<UInt8>> = []

    mutating func empty() {
        if !dead.isEmpty { dead.removeAll() }
    }

    @inline(__always)
    func isDead(_ key: UnsafePointer<UInt8>) -> Bool { !dead.isEmpty && dead.contains(key) }

    /// Reads the object that `json` stands on; whether members in it have been found that do not count.
    mutating func survey(_ json: inout JSONScanner) throws(Fault) -> Bool {
        var keys: [(name: Text, at: UnsafePointer<UInt8>)] = []
        var key = try json.firstKey()
        while let name = key {
            keys.append((name.text, json.keyAt))
            try json.skip()
            key = try json.nextKey()
        }
        keys.sort { left, right in left.name == right.name ? left.at < right.at : left.name < right.name }
        let before = dead.count
        for (earlier, later) in zip(keys, keys.dropFirst()) where earlier.name == later.name { dead.insert(earlier.at) }
        return dead.count > before
    }
}
