import CSQLite
import Foundation
import Spool

/// A disk in memory, below SQLite and the spool, that does what disks do at their worst: it fails a call, tears a write, forgets at a power
/// cut what was not synced, says that a sync has failed and drops the pages (as Linux does), and runs full. Nothing of it is real time, so a
/// run can happen again.
///
/// @unchecked Sendable: all that changes is touched inside `lock`, by the methods here and by the C functions in SimulatedVFS.swift.
package final class SimulatedDisk: Disk, @unchecked Sendable {
    /// What SQLite asks of the disk.
    package enum Operation: String, Sendable, CaseIterable { case open, read, write, truncate, sync, size, delete, access, shared }

    /// Which file it is for.
    package enum Role: String, Sendable { case database, wal, other }

    /// One call. `number` counts all of them.
    package struct Call: Sendable {
        package var operation: Operation
        package var role: Role
        package var number: Int
    }

    let lock = NSRecursiveLock()
    private let name = "simulated-\(UUID().uuidString)"
    private var files: [String: File] = [:]
    private var locked: Set<String> = []
    private var random: SeededRandom
    private var calls = 0
    private var inodes: UInt64 = 0
    private var fault: (Call) -> Int32? = { _ in nil }
    private var capacityBytes = Int.max
    private var registered: UnsafeMutablePointer<sqlite3_vfs>?

    package init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        registered = register(name)
    }

    deinit { if let registered { Self.unregister(registered) } }

    package var vfs: String? { name }

    // MARK: What a test does

    /// Decides of each call whether it fails, and with which code of SQLite's.
    package func setFault(_ decide: @escaping (Call) -> Int32?) { lock.withLock { fault = decide } }

    /// For whoever looks, and is no part of what is tested.
    package func withoutFaults(_ body: () -> Void) {
        let held = lock.withLock {
            defer { fault = { _ in nil } }
            return fault
        }
        body()
        lock.withLock { fault = held }
    }

    /// Bytes of all files together, beyond which it is full.
    package var capacity: Int {
        get { lock.withLock { capacityBytes } }
        set { lock.withLock { capacityBytes = newValue } }
    }

    /// Calls so far.
    package var callCount: Int { lock.withLock { calls } }

    /// The process is killed: what it wrote is in the kernel, and may still be lost at a later power cut. Who has a file open goes on with a
    /// copy that nobody else sees.
    package func kill() {
        lock.withLock {
            for (path, file) in files { files[path] = file.copy() }
            locked = []
        }
    }

    /// The power fails: of what was not synced any part is there, torn at sectors, in any order, or none of it.
    package func cutPower() {
        lock.withLock {
            for (path, file) in files.sorted(by: { $0.key < $1.key }) {
                files[path] = file.isEntryDurable || random.chance(2) ? file.afterPowerCut(&random) : nil
            }
            locked = []
        }
    }

    /// Bits that change on the disk by themselves, in one page of a file. False where there is nothing to spoil.
    @discardableResult
    package func rot(_ path: String, from offset: Int = 0) -> Bool {
        lock.withLock {
            guard let file = files[path], file.view.count > offset else { return false }
            let at = offset + random.below(file.view.count - offset)
            for place in at..<min(file.view.count, at + 1 + random.below(300)) {
                let byte = UInt8.random(in: .min ... .max, using: &random)
                file.view[place] = byte
                if place < file.durable.count { file.durable[place] = byte }
            }
            return true
        }
    }

    /// Cuts a file short behind the daemon's back.
    package func shorten(_ path: String, to size: Int) {
        lock.withLock {
            guard let file = files[path] else { return }
            file.view.removeLast(max(0, file.view.count - size))
            file.durable.removeLast(max(0, file.durable.count - size))
            file.pending = []
        }
    }

    package func contents(_ path: String) -> [UInt8] { lock.withLock { files[path]?.view ?? [] } }
    package var paths: [String] { lock.withLock { files.keys.sorted() } }

    // MARK: Disk

    package func prepare(_ path: String) throws(SpoolError) { lock.withLock { _ = made(path) } }

    package func lock(_ path: String, of spool: String) throws(SpoolError) -> any DiskLock {
        guard lock.withLock({ locked.insert(path).inserted }) else { throw .locked(path: spool) }
        return Lock(self, path)
    }

    /// A lock that the kernel gives back where the process ends: `kill` and `cutPower` do.
    private final class Lock: DiskLock {
        private let disk: SimulatedDisk
        private let path: String
        /// As it was taken: after a kill the name leads to another, and this one says no more.
        private let file: File

        init(_ disk: SimulatedDisk, _ path: String) {
            (self.disk, self.path) = (disk, path)
            file = disk.lock.withLock {
                let file = disk.made(path)
                // It is made once in the life of a spool, long before any power cut.
                file.isEntryDurable = true
                return file
            }
        }

        deinit { disk.lock.withLock { if disk.files[path] === file { disk.locked.remove(path) } } }

        func read() -> [UInt8] { disk.lock.withLock { Array(file.view.prefix(200)) } }

        func write(_ bytes: [UInt8]) {
            disk.lock.withLock {
                // Never synced, but written back now and then.
                if disk.random.chance(4) { file.sync() }
                file.write(bytes, at: 0)
            }
        }
    }

    package func size(_ path: String) -> Int? { lock.withLock { files[path]?.view.count } }

    package func identity(_ path: String) -> FileIdentity? {
        lock.withLock { files[path].map { FileIdentity(device: 1, inode: $0.inode) } }
    }

    package func freeBytes(_ path: String) -> Int { lock.withLock { max(0, capacityBytes - used) } }

    package func rename(_ path: String, to other: String) throws(SpoolError) {
        lock.withLock {
            files[other] = files.removeValue(forKey: path)
            files[other]?.isEntryDurable = true
        }
    }

    package func remove(_ path: String) { lock.withLock { _ = files.removeValue(forKey: path) } }

    package func isAllocated(_ path: String, bytes: Int) -> Bool { size(path) == bytes }

    package func allocate(_ path: String, bytes: Int) -> Bool {
        lock.withLock {
            guard capacityBytes - used >= bytes else { return false }
            let file = made(path)
            file.write([UInt8](repeating: 0, count: bytes), at: 0)
            file.sync()
            return true
        }
    }

    // MARK: What SQLite does, inside the lock

    private var used: Int { files.values.reduce(0) { $0 + $1.view.count } }

    private func made(_ path: String) -> File {
        if let file = files[path] { return file }
        inodes += 1
        let file = File(inode: inodes)
        files[path] = file
        return file
    }

    /// The code that this call is to fail with.
    func failure(_ operation: Operation, _ role: Role) -> Int32? {
        calls += 1
        return fault(Call(operation: operation, role: role, number: calls))
    }

    func open(_ path: String, create: Bool) -> File? { create ? made(path) : files[path] }
    func exists(_ path: String) -> Bool { files[path] != nil }
    func delete(_ path: String) -> Bool { files.removeValue(forKey: path) != nil }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, to file: File, failing: Int32?) -> Int32 {
        if let failing {
            // A part of it may have come through.
            if random.chance(2) { file.write(Array(bytes[..<random.below(bytes.count + 1)]), at: offset) }
            return failing
        }
        guard max(0, offset + bytes.count - file.view.count) <= capacityBytes - used else { return SQLITE_FULL }
        file.write(Array(bytes), at: offset)
        return SQLITE_OK
    }

    func sync(_ file: File, failing: Int32?) -> Int32 {
        guard let failing else {
            file.sync()
            return SQLITE_OK
        }
        file.failSync(&random)
        return failing
    }
}
