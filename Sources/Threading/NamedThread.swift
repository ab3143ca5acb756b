// Threads that own a blocking thing (a SQLite connection, a curl handle, the journal's socket), and the monitor they sleep on.
// Promises: a thread bears its name in ps and gdb, takes no signal that was meant for the process, and can be joined any number
// of times. A wait is measured on the monotonic clock: a wall clock that jumps neither shortens nor lengthens it.
// Start here, then Monitor.swift, and Heartbeats.swift for who is watched.
import CShim
import Glibc

/// Starts a thread of its own for `body`. `name` stands in ps and gdb, cut to the kernel's 15 bytes.
///
/// Threads begin while the daemon starts; where the system refuses one (TasksMax=, no memory) nothing can be done without it, so the
/// process ends with a sentence. The spool is made for that.
///
/// `heartbeat` is the part that this thread is, where the watchdog is to look at it: it beats by itself whenever the thread sleeps on a
/// monitor, and ends with the thread.
public func startThread(
    name: String, stackBytes: Int = 512 << 10, heartbeat: Heartbeat? = nil, _ body: @escaping @Sendable () -> Void
) -> ThreadHandle {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    precondition(pthread_attr_setstacksize(&attributes, stackBytes) == 0, "a stack of \(stackBytes) bytes is too small for a thread")

    // A thread inherits its creator's mask: blocked around the creation, no signal can slip in before the thread could block it.
    var blocked = asynchronousSignals()
    var before = sigset_t()
    pthread_sigmask(SIG_SETMASK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

    let start = Unmanaged.passRetained(Start(name: name, heartbeat: heartbeat, body: body))
    var thread = pthread_t()
    let code = pthread_create(&thread, &attributes, run, start.toOpaque())
    guard code == 0 else {
        fatalError("cannot start the thread \"\(name)\": \(String(cString: strerror(code))); is TasksMax= or the memory limit reached?")
    }
    return ThreadHandle(thread)
}

/// A thread that was started. To let go of the handle lets the thread go on alone.
public final class ThreadHandle: Sendable {
    /// Nil once it has been joined.
    private let thread: Monitor<pthread_t?>

    init(_ thread: pthread_t) { self.thread = Monitor(thread) }

    deinit {
        thread.withLock { if let thread = $0 { pthread_detach(thread) } }
    }

    /// Returns when the thread has ended. Any number of threads may call it, any number of times; not the thread itself.
    public func join() {
        // Inside the lock: a second caller waits there, and returns after the end as the first one does.
        thread.withLock {
            guard let thread = $0 else { return }
            let code = pthread_join(thread, nil)
            precondition(code == 0, "a thread cannot wait for its own end")
            $0 = nil
        }
    }
}

private final class Start: Sendable {
    let name: String
    let heartbeat: Heartbeat?
    let body: @Sendable () -> Void

    init(name: String, heartbeat: Heartbeat?, body: @escaping @Sendable () -> Void) {
        (self.name, self.heartbeat, self.body) = (name, heartbeat, body)
    }
}

private func run(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
    tracefwd_name_thread(String(decoding: start.name.utf8.prefix(15), as: UTF8.self))
    if let heartbeat = start.heartbeat { heartbeat.run(start.body) } else { start.body() }
    return nil
}

/// All signals but those that a thread raises by its own fault: were they blocked, a crash would leave no backtrace.
private func asynchronousSignals() -> sigset_t {
    var signals = sigset_t()
    sigfillset(&signals)
    for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] { sigdelset(&signals, fault) }
    return signals
}
