import Glibc

/// What a look at a monitor's state decided.
public enum Look<Result> {
    /// It is time: leave the monitor with this.
    case go(Result)
    /// Look again after the next `signal` or `broadcast`.
    case sleep
    /// Look again after the next `signal` or `broadcast`, or after this time.
    case sleepFor(Duration)
}

extension Look: Sendable where Result: Sendable {}

/// A value behind a lock, and a place to sleep until it changes: a mutex and a condition variable for threads that may block.
///
/// ```swift
/// let queue = Monitor([Row]())
/// queue.withLock { $0.append(row) }  // a producer
/// queue.signal()
/// let rows = queue.wait(for: .milliseconds(20)) { $0.isEmpty ? nil : $0.takeAll() }  // the consumer; nil: 20 ms have passed
/// ```
///
/// Not for Swift concurrency's threads: `wait` blocks the one it is called on. A thread that is a part under the watchdog sleeps here as one
/// that may: asked by the watchdog, it looks at the state again.
public final class Monitor<State: ~Copyable>: @unchecked Sendable {
    // Unchecked: `state` is touched only while the condition's lock is held, by `withLock` and `wait` alone.
    private var state: State
    private let condition = Condition()

    /// A monitor over `state`, which nobody else may reach from now on.
    public init(_ state: consuming sending State) { self.state = state }

    /// Reads or changes the state. Wakes nobody: `signal` or `broadcast` afterwards, outside the lock, where someone may wait for it.
    public func withLock<Result, Failure: Error>(
        _ body: (inout sending State) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        condition.lock()
        defer { condition.unlock() }
        return try body(&state)
    }

    /// Wakes one thread that waits: for a change that one alone can use.
    public func signal() { condition.signal() }

    /// Wakes every thread that waits: for a change that concerns all, as a stop does.
    public func broadcast() { condition.broadcast() }

    /// Looks at the state, inside the lock, again and again until `look` says `.go`; between two looks the lock is free and the thread
    /// sleeps. A thread may wake without a reason, so `look` decides from the state and the clock, never from having been woken.
    public func wait<Result>(_ look: (inout sending State) -> sending Look<Result>) -> sending Result {
        condition.lock()
        defer { condition.unlock() }
        while true {
            switch look(&state) {
            case .go(let result): return result
            case .sleep: condition.sleep(until: nil)
            case .sleepFor(let time): condition.sleep(until: monotonicNow() + time)
            }
        }
    }

    /// Sleeps until `take` gives something, `timeout` at most; nil when it gave nothing in time. It is asked once more at the very end.
    public func wait<Result>(for timeout: Duration, until take: (inout sending State) -> sending Result?) -> sending Result? {
        let end = monotonicNow() + timeout
        return wait { state in
            if let result = take(&state) { return .go(result) }
            let left = end - monotonicNow()
            return left > .zero ? .sleepFor(left) : .go(nil)
        }
    }
}

/// The lock and the place to sleep.
private final class Condition: @unchecked Sendable {
    // Unchecked: the two C objects are made for sharing and stay at one address from init to deinit.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    func lock() { pthread_mutex_lock(mutex) }

    func unlock() { pthread_mutex_unlock(mutex) }

    func signal() { pthread_cond_signal(changed) }

    func broadcast() { pthread_cond_broadcast(changed) }

    /// The caller holds the lock. Nil: as long as nobody wakes it.
    func sleep(until end: Duration?) {
        Heartbeat.asleepHere(wake: { self.wakeAll() }) {
            guard let end else {
                pthread_cond_wait(changed, mutex)
                return
            }
            var time = timespec(end)
            pthread_cond_timedwait(changed, mutex, &time)
        }
    }

    /// Who falls asleep holds the lock until it sleeps: once it was free, nobody is on the way and misses this.
    private func wakeAll() {
        lock()
        unlock()
        broadcast()
    }
}

private func monotonicNow() -> Duration {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
}

extension timespec {
    /// A time before the clock's zero, as a negative timeout may give, is the zero: over at once.
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = max(duration, .zero).components
        self.init(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    }
}
