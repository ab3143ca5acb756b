/// Attributes whose names hold an index (`gen_ai.prompt.0.role`), by index. Indices may come in any order and leave gaps; only their order
/// counts.
struct IndexedNames {
    /// The rest of a name behind its index, and the value.
    typealias Member = (name: UnsafeRawBufferPointer, value: RawValue)

    private var members: [(index: Int, member: Member)] = []

    /// No member yet.
    init() {}

    /// The attributes that begin with `prefix` and an index.
    init(_ prefix: StaticString, in attributes: KeyValues) {
        for (key, value) in attributes where key.starts(with: prefix) {
            add(UnsafeRawBufferPointer(rebasing: key[prefix.utf8CodeUnitCount...]), value)
        }
    }

    /// The members of one index that begin with `prefix` and an index of their own.
    init(_ prefix: StaticString, in members: [Member]) {
        for (name, value) in members where name.starts(with: prefix) {
            add(UnsafeRawBufferPointer(rebasing: name[prefix.utf8CodeUnitCount...]), value)
        }
    }

    /// `name` begins with its index.
    private mutating func add(_ name: UnsafeRawBufferPointer, _ value: RawValue) {
        var (index, at) = (0, 0)
        while at < name.count, at < 9, name[at] &- UInt8(ascii: "0") < 10 {
            index = index * 10 + Int(name[at] - UInt8(ascii: "0"))
            at += 1
        }
        guard at > 0, at == name.count || name[at] == UInt8(ascii: ".") else { return }
        members.append((index, (UnsafeRawBufferPointer(rebasing: name[min(at + 1, name.count)...]), value)))
    }

    /// The members of each index, in the order of the indices.
    var groups: [[Member]] {
        var groups: [[Member]] = []
        var last: Int?
        // By index, then as they stand in the span: of a repeated name the last counts.
        let order = members.indices.sorted { (members[$0].index, $0) < (members[$1].index, $1) }
        for (index, member) in order.lazy.map({ members[$0] }) {
            if index == last { groups[groups.count - 1].append(member) } else { groups.append([member]) }
            last = index
        }
        return groups
    }

    /// The last value of `name` among members.
    static func value(_ name: StaticString, in members: [Member]) -> ContentValue? {
        guard let value = members.last(where: { $0.name.equals(name) })?.value else { return nil }
        if case .null = value { return nil }
        return .raw(value)
    }
}
