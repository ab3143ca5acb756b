import Glibc

/// The signals that steer a daemon: SIGTERM and SIGINT stop it, SIGHUP lets it read its configuration again.
///
/// A thread takes them by waiting for them; no handler runs between two instructions of another one, and while none comes nothing wakes.
struct Signals {
    private let steering: sigset_t

    /// Holds them back from now on, for this thread and those that it will start: before it starts any that would take them.
    init() {
        var steering = sigset_t()
        sigemptyset(&steering)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&steering, signal) }
        pthread_sigmask(SIG_BLOCK, &steering, nil)
        self.steering = steering
    }

    /// Waits for the next one; one that was held back comes at once.
    func next() -> Int32 {
        var (steering, signal) = (steering, Int32(0))
        while sigwait(&steering, &signal) != 0 {}
        return signal
    }

    /// As if somebody had sent SIGTERM.
    static func stop() { kill(getpid(), SIGTERM) }
}
