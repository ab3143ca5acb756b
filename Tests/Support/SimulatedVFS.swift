import CSQLite
import Foundation

// SQLite's side of the simulated disk: a VFS and the methods of its files (sqlite.org/c3ref/vfs.html, io_methods.html).

extension SimulatedDisk {
    /// Makes SQLite know the disk by this name, until `unregister`.
    func register(_ name: String) -> UnsafeMutablePointer<sqlite3_vfs> {
        guard let base = sqlite3_vfs_find(nil) else { preconditionFailure("SQLite has no VFS") }
        let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        vfs.initialize(to: base.pointee)
        vfs.pointee.iVersion = 2
        vfs.pointee.szOsFile = Int32(MemoryLayout<OpenFile>.stride)
        vfs.pointee.zName = UnsafePointer(strdup(name))
        vfs.pointee.pNext = nil
        vfs.pointee.pAppData = Unmanaged.passUnretained(self).toOpaque()
        vfs.pointee.xOpen = { vfs, path, file, flags, outFlags in
            guard let vfs, let file, let disk = SimulatedDisk.of(vfs) else { return SQLITE_CANTOPEN }
            file.pointee.pMethods = nil
            let path = path.map { String(cString: $0) }
            let role: SimulatedDisk.Role =
                flags & SQLITE_OPEN_MAIN_DB != 0 ? .database : flags & SQLITE_OPEN_WAL != 0 ? .wal : .other
            return disk.lock.withLock {
                if let failure = disk.failure(.open, role) { return failure }
                let found = path.map { disk.open($0, create: flags & SQLITE_OPEN_CREATE != 0) } ?? File(inode: 0)
                guard let found else { return SQLITE_CANTOPEN }
                outFlags?.pointee = flags
                UnsafeMutableRawPointer(file).assumingMemoryBound(to: OpenFile.self).initialize(
                    to: OpenFile(
                        base: sqlite3_file(pMethods: fileMethods), connection: .passRetained(Connection(disk, found, role))))
                return SQLITE_OK
            }
        }
        vfs.pointee.xDelete = { vfs, path, _ in
            guard let vfs, let path, let disk = SimulatedDisk.of(vfs) else { return SQLITE_ERROR }
            return disk.lock.withLock {
                if let failure = disk.failure(.delete, .other) { return failure }
                // SQLITE_IOERR_DELETE_NOENT.
                return disk.delete(String(cString: path)) ? SQLITE_OK : SQLITE_IOERR | 23 << 8
            }
        }
        vfs.pointee.xAccess = { vfs, path, flags, answer in
            guard let vfs, let path, let answer, let disk = SimulatedDisk.of(vfs) else { return SQLITE_ERROR }
            return disk.lock.withLock {
                if let failure = disk.failure(.access, .other) { return failure }
                let path = String(cString: path)
                // As the system's: an empty file is none where only its being there is asked.
                answer.pointee = disk.exists(path) && (flags != SQLITE_ACCESS_EXISTS || disk.size(path) ?? 0 > 0) ? 1 : 0
                return SQLITE_OK
            }
        }
        vfs.pointee.xFullPathname = { _, path, size, out in
            guard let path, let out, strlen(path) < size else { return SQLITE_CANTOPEN }
            strcpy(out, path)
            return SQLITE_OK
        }
        // Nobody else runs while one waits.
        vfs.pointee.xSleep = { _, microseconds in microseconds }
        vfs.pointee.xGetLastError = { _, _, _ in 0 }
        sqlite3_vfs_register(vfs, 0)
        return vfs
    }

    /// At the disk's end. Connections may outlive the test, but not the disk: each holds it.
    static func unregister(_ vfs: UnsafeMutablePointer<sqlite3_vfs>) {
        sqlite3_vfs_unregister(vfs)
        free(UnsafeMutablePointer(mutating: vfs.pointee.zName))
        vfs.deallocate()
    }

    private static func of(_ vfs: UnsafeMutablePointer<sqlite3_vfs>) -> SimulatedDisk? {
        vfs.pointee.pAppData.map { Unmanaged<SimulatedDisk>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// What SQLite's file object points to.
private struct OpenFile {
    var base: sqlite3_file
    var connection: Unmanaged<Connection>
}

/// A file that one connection has open.
private final class Connection {
    let disk: SimulatedDisk
    let file: File
    let role: SimulatedDisk.Role
    var sharedLocks: UInt16 = 0

    init(_ disk: SimulatedDisk, _ file: File, _ role: SimulatedDisk.Role) { (self.disk, self.file, self.role) = (disk, file, role) }

    /// Takes SQLite's lock of this level, or says that another connection is in the way.
    func raise(_ level: Int32) -> Bool {
        let me = ObjectIdentifier(self)
        let others = file.locks.filter { $0.key != me }.values
        if file.locks[me] ?? 0 >= level { return true }
        let free =
            switch level {
            case SQLITE_LOCK_SHARED: others.allSatisfy { $0 < SQLITE_LOCK_PENDING }
            case SQLITE_LOCK_RESERVED: others.allSatisfy { $0 < SQLITE_LOCK_RESERVED }
            default: others.allSatisfy { $0 < SQLITE_LOCK_SHARED }
            }
        if free { file.locks[me] = level }
        return free
    }
}

/// Runs `body` with the connection, inside the disk's lock.
private func with(_ file: UnsafeMutablePointer<sqlite3_file>?, _ body: (Connection) -> Int32) -> Int32 {
    guard let file else { return SQLITE_ERROR }
    let connection = UnsafeMutableRawPointer(file).assumingMemoryBound(to: OpenFile.self).pointee.connection.takeUnretainedValue()
    return connection.disk.lock.withLock { body(connection) }
}

// Written once, before any file is opened, and only read after that.
nonisolated(unsafe) private let fileMethods: UnsafePointer<sqlite3_io_methods> = {
    let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
    methods.initialize(to: sqlite3_io_methods())
    methods.pointee.iVersion = 2
    methods.pointee.xClose = { file in
        let code = with(file) { connection in
            connection.file.locks[ObjectIdentifier(connection)] = nil
            connection.file.index.unlock(0..<8, mine: &connection.sharedLocks)
            return SQLITE_OK
        }
        if let file { UnsafeMutableRawPointer(file).assumingMemoryBound(to: OpenFile.self).pointee.connection.release() }
        return code
    }
    methods.pointee.xRead = { file, bytes, count, offset in
        with(file) { connection in
            guard let bytes else { return SQLITE_ERROR }
            if let failure = connection.disk.failure(.read, connection.role) { return failure }
            let (count, offset) = (Int(count), Int(offset))
            let there = max(0, min(count, connection.file.view.count - offset))
            connection.file.view.withUnsafeBytes { view in
                if there > 0, let base = view.baseAddress { memcpy(bytes, base + offset, there) }
            }
            guard there < count else { return SQLITE_OK }
            memset(bytes + there, 0, count - there)
            // SQLITE_IOERR_SHORT_READ.
            return SQLITE_IOERR | 2 << 8
        }
    }
    methods.pointee.xWrite = { file, bytes, count, offset in
        with(file) { connection in
            let failure = connection.disk.failure(.write, connection.role)
            return connection.disk.write(
                UnsafeRawBufferPointer(start: bytes, count: Int(count)), at: Int(offset), to: connection.file, failing: failure)
        }
    }
    methods.pointee.xTruncate = { file, size in
        with(file) { connection in
            if let failure = connection.disk.failure(.truncate, connection.role) { return failure }
            connection.file.truncate(Int(size))
            return SQLITE_OK
        }
    }
    methods.pointee.xSync = { file, _ in
        with(file) { connection in
            let failure = connection.disk.failure(.sync, connection.role)
            return connection.disk.sync(connection.file, failing: failure)
        }
    }
    methods.pointee.xFileSize = { file, size in
        with(file) { connection in
            if let failure = connection.disk.failure(.size, connection.role) { return failure }
            size?.pointee = sqlite3_int64(connection.file.view.count)
            return SQLITE_OK
        }
    }
    methods.pointee.xLock = { file, level in with(file) { $0.raise(level) ? SQLITE_OK : SQLITE_BUSY } }
    methods.pointee.xUnlock = { file, level in
        with(file) { connection in
            connection.file.locks[ObjectIdentifier(connection)] = level
            return SQLITE_OK
        }
    }
    methods.pointee.xCheckReservedLock = { file, answer in
        with(file) { connection in
            answer?.pointee = connection.file.locks.contains { $0.value >= SQLITE_LOCK_RESERVED } ? 1 : 0
            return SQLITE_OK
        }
    }
    methods.pointee.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
    methods.pointee.xSectorSize = { _ in 4096 }
    // SQLITE_IOCAP_POWERSAFE_OVERWRITE: bytes beside a torn write stay.
    methods.pointee.xDeviceCharacteristics = { _ in 0x1000 }
    methods.pointee.xShmMap = { file, region, size, extend, out in
        with(file) { connection in
            if let failure = connection.disk.failure(.shared, connection.role) { return failure }
            out?.pointee = connection.file.index.region(Int(region), bytes: Int(size), extend: extend != 0)
            return SQLITE_OK
        }
    }
    methods.pointee.xShmLock = { file, first, count, flags in
        with(file) { connection in
            let range = Int(first)..<Int(first + count)
            if flags & SQLITE_SHM_UNLOCK != 0 {
                connection.file.index.unlock(range, mine: &connection.sharedLocks)
                return SQLITE_OK
            }
            let exclusive = flags & SQLITE_SHM_EXCLUSIVE != 0
            return connection.file.index.lock(range, exclusive: exclusive, mine: &connection.sharedLocks) ? SQLITE_OK : SQLITE_BUSY
        }
    }
    methods.pointee.xShmBarrier = { _ in }
    methods.pointee.xShmUnmap = { file, _ in
        with(file) { connection in
            connection.file.index.unlock(0..<8, mine: &connection.sharedLocks)
            return SQLITE_OK
        }
    }
    return UnsafePointer(methods)
}()
