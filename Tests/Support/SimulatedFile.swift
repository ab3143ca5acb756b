/// A file as three things: what who reads it sees, what a power cut leaves, and what lies between.
final class File {
    /// A change that no sync has made durable yet.
    enum Change {
        case write(offset: Int, bytes: [UInt8])
        case truncate(Int)
        /// A sync failed, and the kernel took the page for clean: it reaches the disk never.
        case dropped
    }

    let inode: UInt64
    var view: [UInt8] = []
    var durable: [UInt8] = []
    var pending: [Change] = []
    /// Whether the directory that holds its name was synced.
    var isEntryDurable = false
    /// The WAL's index, shared by the connections of a process: no process, no index.
    let index = SharedIndex()
    /// SQLite's lock levels by connection.
    var locks: [ObjectIdentifier: Int32] = [:]

    init(inode: UInt64) { self.inode = inode }

    func copy() -> File {
        let copy = File(inode: inode)
        (copy.view, copy.durable, copy.pending, copy.isEntryDurable) = (view, durable, pending, isEntryDurable)
        return copy
    }

    func write(_ bytes: [UInt8], at offset: Int) {
        Self.apply(.write(offset: offset, bytes: bytes), to: &view)
        pending.append(.write(offset: offset, bytes: bytes))
    }

    func truncate(_ size: Int) {
        Self.apply(.truncate(size), to: &view)
        pending.append(.truncate(size))
    }

    func sync() {
        for change in pending { Self.apply(change, to: &durable) }
        pending = []
        isEntryDurable = true
    }

    func failSync(_ random: inout SeededRandom) {
        for index in pending.indices where random.chance(2) { pending[index] = .dropped }
    }

    private static let sector = 512

    func afterPowerCut(_ random: inout SeededRandom) -> File {
        let after = File(inode: inode)
        after.durable = durable
        // Now and then nothing of it, or all of it, is there; else each change as chance has it.
        let way = random.below(4)
        for change in pending {
            switch (change, way == 0 ? 0 : way == 1 ? 1 : random.below(3)) {
            case (_, 0): break
            case (.write(let offset, let bytes), 2):
                for at in stride(from: 0, to: bytes.count, by: Self.sector) where random.chance(2) {
                    Self.apply(
                        .write(offset: offset + at, bytes: Array(bytes[at..<min(bytes.count, at + Self.sector)])), to: &after.durable)
                }
            default: Self.apply(change, to: &after.durable)
            }
        }
        after.view = after.durable
        after.isEntryDurable = true
        return after
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let new):
            if bytes.count < offset + new.count { bytes += [UInt8](repeating: 0, count: offset + new.count - bytes.count) }
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        case .truncate(let size):
            if size <= bytes.count {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
        case .dropped: break
        }
    }
}

/// The memory that the connections to one database share (SQLite's `-shm`), and its eight locks.
final class SharedIndex {
    private var regions: [UnsafeMutableRawPointer] = []
    private var sizes: [Int] = []
    private var shared = [Int](repeating: 0, count: 8)
    private var exclusive = [Bool](repeating: false, count: 8)

    deinit { for region in regions { region.deallocate() } }

    func region(_ number: Int, bytes: Int, extend: Bool) -> UnsafeMutableRawPointer? {
        while regions.count <= number {
            guard extend else { return nil }
            let region = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 8)
            region.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            regions.append(region)
        }
        return regions[number]
    }

    /// `mine` are the locks that this connection holds: bit n shared, bit n + 8 exclusive.
    func lock(_ range: Range<Int>, exclusive wanted: Bool, mine: inout UInt16) -> Bool {
        for slot in range {
            let myShared = mine & 1 << UInt16(slot) != 0 ? 1 : 0
            let myExclusive = mine & 1 << UInt16(slot + 8) != 0
            if exclusive[slot], !myExclusive { return false }
            if wanted, shared[slot] > myShared { return false }
        }
        for slot in range {
            if wanted {
                exclusive[slot] = true
                mine |= 1 << UInt16(slot + 8)
            } else if mine & 1 << UInt16(slot) == 0 {
                shared[slot] += 1
                mine |= 1 << UInt16(slot)
            }
        }
        return true
    }

    func unlock(_ range: Range<Int>, mine: inout UInt16) {
        for slot in range {
            if mine & 1 << UInt16(slot) != 0 { shared[slot] -= 1 }
            if mine & 1 << UInt16(slot + 8) != 0 { exclusive[slot] = false }
            mine &= ~(1 << UInt16(slot) | 1 << UInt16(slot + 8))
        }
    }
}
