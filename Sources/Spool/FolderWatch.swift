import Glibc
import Synchronization
import Threading

/// Tells when somebody removes, moves or replaces a file, or one beside it whose name begins with its own (its WAL, its lock): inotify(7), so
/// that nobody has to wake up now and then to look.
final class FolderWatch: Sendable {
    private let descriptor: Int32
    private let watch: Int32
    private let isStopping = Atomic(false)
    private let thread = Mutex<ThreadHandle?>(nil)

    /// What is said of the file's folder, and of what stands in it.
    private static let folderGone = UInt32(IN_DELETE_SELF | IN_MOVE_SELF)
    private static let changes = UInt32(IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

    /// Nil where the kernel watches no more for this user (fs.inotify.max_user_instances). `changed` is called on a thread of its own.
    /// Where `goesOn` is false that was the last time: the folder itself has gone, and who wants to know must look.
    init?(_ path: String, changed: @escaping @Sendable (_ goesOn: Bool) -> Void) {
        // A link's target is what may go; what stands beside it is what SQLite put there.
        let real = realpath(path, nil)
        defer { free(real) }
        let file = real.map { String(cString: $0) } ?? path
        let name = file.utf8.split(separator: UInt8(ascii: "/")).last.map { Array($0) } ?? []
        descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return nil }
        watch = inotify_add_watch(descriptor, SystemDisk.directory(of: file), Self.changes | Self.folderGone | UInt32(IN_ONLYDIR))
        // `deinit` closes it from here on, where there is none too.
        guard watch >= 0 else { return nil }
        let handle = startThread(name: "spool-folder") { [self] in
            while true {
                let seen = look(for: name)
                if isStopping.load(ordering: .acquiring) { return }
                if seen != .nothing { changed(seen == .file) }
                if seen == .end { return }
            }
        }
        thread.withLock { $0 = handle }
    }

    deinit { close(descriptor) }

    /// Returns when the thread has ended.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        // Its end is an event too, so the thread wakes.
        inotify_rm_watch(descriptor, watch)
        thread.withLock { $0 }?.join()
    }

    private enum Seen {
        case nothing, file, end
    }

    /// Waits for events, and says the most of what they tell.
    private func look(for name: [UInt8]) -> Seen {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: MemoryLayout<inotify_event>.alignment) { buffer in
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            guard count > 0 else { return .end }
            var (seen, at) = (Seen.nothing, 0)
            while at < count {
                let event = buffer.loadUnaligned(fromByteOffset: at, as: inotify_event.self)
                let begin = at + MemoryLayout<inotify_event>.size
                if event.mask & (Self.folderGone | UInt32(IN_IGNORED | IN_UNMOUNT)) != 0 { return .end }
                let isOurs = buffer[begin..<begin + Int(event.len)].starts(with: name)
                if isOurs || event.mask & UInt32(IN_Q_OVERFLOW) != 0 { seen = .file }
                at = begin + Int(event.len)
            }
            return seen
        }
    }
}
