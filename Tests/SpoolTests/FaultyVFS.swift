import CSQLite
import Glibc
import Synchronization

/// SQLite's own VFS with faults a test switches on: a seam below the spool, so that what fails is what fails on a real disk. Files are the
/// real ones; only the answers to write and fsync are played.
final class FaultyVFS: Sendable {
    /// What is played now, and what was counted.
    struct State: Sendable {
        /// The result of every fsync, or of so many of them.
        var syncFails: (code: Int32, times: Int)?
        /// The result of every fsync of the database file itself.
        var databaseSyncFails: Int32?
        /// The result of every write.
        var writeFails: Int32?
        /// The result of opening a database read-only, and of reading pages of one that was.
        var readOnlyOpenFails: Int32?
        var readOnlyReadFails: Int32?
        /// How long each read of a database that was opened read-only takes, as on a slow disk.
        var readOnlyReadMicroseconds: useconds_t = 0
        /// Fsyncs of any file so far.
        var syncs = 0
        /// Fsyncs of the database file itself: a checkpoint makes one.
        var databaseSyncs = 0
    }

    /// What SQLite's file object points to: its methods, and where ours find the state and the original.
    private struct Methods {
        var methods: sqlite3_io_methods
        var original: UnsafePointer<sqlite3_io_methods>
        var faults: Unmanaged<FaultyVFS>
    }

    /// SQLITE_IOERR_FSYNC and SQLITE_IOERR_WRITE, macros that Swift cannot import.
    static let fsyncFailed = SQLITE_IOERR | 4 << 8
    static let writeFailed = SQLITE_IOERR | 3 << 8
    /// SQLITE_IOERR_READ, as for a sector that cannot be read; SQLITE_IOERR_SHMSIZE, as where there is no room for `-shm`.
    static let readFailed = SQLITE_IOERR | 1 << 8
    static let noIndex = SQLITE_IOERR | 19 << 8

    let name = "faulty-\(UInt64.random(in: 0 ... .max))"
    private let state = Mutex(State())

    /// Registered for the life of the process: connections may outlive the test that asked for it.
    init() {
        guard let base = sqlite3_vfs_find(nil) else { preconditionFailure("SQLite has no VFS") }
        let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        vfs.initialize(to: base.pointee)
        vfs.pointee.zName = UnsafePointer(strdup(name))
        vfs.pointee.pNext = nil
        // `pAppData` is the base's own (how unix files are found), so the faults are found by the name.
        vfs.pointee.xOpen = { vfs, path, file, flags, outFlags in
            guard let vfs, let file, let base = sqlite3_vfs_find(nil), let open = base.pointee.xOpen else { return SQLITE_ERROR }
            let isReadOnly = flags & SQLITE_OPEN_READONLY != 0 && flags & SQLITE_OPEN_MAIN_DB != 0
            if isReadOnly, let failure = FaultyVFS.found(vfs)?.now.readOnlyOpenFails {
                file.pointee.pMethods = nil
                return failure
            }
            let code = open(vfs, path, file, flags, outFlags)
            guard code == SQLITE_OK, let original = file.pointee.pMethods, let faults = FaultyVFS.found(vfs) else { return code }
            file.pointee.pMethods = faults.methods(
                over: original, isDatabase: flags & SQLITE_OPEN_MAIN_DB != 0, isReadOnly: isReadOnly)
            return code
        }
        Self.known.withLock { $0[name] = self }
        sqlite3_vfs_register(vfs, 0)
    }

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    var now: State { state.withLock { $0 } }

    private static let known = Mutex<[String: FaultyVFS]>([:])

    private static func found(_ vfs: UnsafeMutablePointer<sqlite3_vfs>) -> FaultyVFS? {
        known.withLock { $0[String(cString: vfs.pointee.zName)] }
    }

    private func methods(
        over original: UnsafePointer<sqlite3_io_methods>, isDatabase: Bool, isReadOnly: Bool
    ) -> UnsafePointer<sqlite3_io_methods> {
        let methods = UnsafeMutablePointer<Methods>.allocate(capacity: 1)
        methods.initialize(to: Methods(methods: original.pointee, original: original, faults: .passUnretained(self)))
        methods.pointee.methods.xWrite = { file, bytes, count, offset in
            guard let mine = FaultyVFS.of(file) else { return SQLITE_ERROR }
            if let failure = mine.faults.takeUnretainedValue().writeFailure() { return failure }
            return mine.original.pointee.xWrite(file, bytes, count, offset)
        }
        if isReadOnly {
            methods.pointee.methods.xRead = { file, bytes, count, offset in
                guard let mine = FaultyVFS.of(file) else { return SQLITE_ERROR }
                let faults = mine.faults.takeUnretainedValue().now
                if faults.readOnlyReadMicroseconds > 0 { usleep(faults.readOnlyReadMicroseconds) }
                if count > 100, let failure = faults.readOnlyReadFails { return failure }
                return mine.original.pointee.xRead(file, bytes, count, offset)
            }
        }
        if isDatabase {
            methods.pointee.methods.xSync = { file, flags in FaultyVFS.sync(file, flags, isDatabase: true) }
        } else {
            methods.pointee.methods.xSync = { file, flags in FaultyVFS.sync(file, flags, isDatabase: false) }
        }
        return UnsafeRawPointer(methods).assumingMemoryBound(to: sqlite3_io_methods.self)
    }

    private static func of(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Methods? {
        file?.pointee.pMethods.map { UnsafeRawPointer($0).assumingMemoryBound(to: Methods.self).pointee }
    }

    private static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32, isDatabase: Bool) -> Int32 {
        guard let mine = of(file) else { return SQLITE_ERROR }
        if let failure = mine.faults.takeUnretainedValue().syncFailure(isDatabase: isDatabase) { return failure }
        return mine.original.pointee.xSync(file, flags)
    }

    private func writeFailure() -> Int32? {
        state.withLock { $0.writeFails }
    }

    private func syncFailure(isDatabase: Bool) -> Int32? {
        state.withLock { state in
            state.syncs += 1
            if isDatabase { state.databaseSyncs += 1 }
            if isDatabase, let code = state.databaseSyncFails { return code }
            guard let (code, times) = state.syncFails, times > 0 else { return nil }
            state.syncFails = (code, times - 1)
            return code
        }
    }
}
