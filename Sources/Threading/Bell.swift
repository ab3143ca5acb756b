import CShim
import Glibc

/// What other threads ring to wake one that sleeps in `poll` or `epoll_wait`. Rung too early it is heard at the next sleep.
public final class Bell: Sendable {
    /// Readable from `ring` to `silence`.
    public let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))

    /// A bell that nobody has rung.
    public init() {}

    deinit { close(descriptor) }

    /// Wakes the sleeper.
    public func ring() {
        var one: UInt64 = 1
        write(descriptor, &one, 8)
    }

    /// The sleeper is awake.
    public func silence() {
        var count: UInt64 = 0
        read(descriptor, &count, 8)
    }
}
