import CSystemd
import Glibc

/// What tracefwd tells systemd, sd_notify(3). Without a service manager (no `NOTIFY_SOCKET`) all of it does nothing.
public struct ServiceManager: Sendable {
    /// The service manager of this process.
    public init() {}

    /// Whether someone listens.
    public var isPresent: Bool { getenv("NOTIFY_SOCKET") != nil }

    /// The daemon serves: units that are ordered after it may start.
    public func ready(status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

    /// A reload has begun; `ready` ends it.
    public func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        // The time is what Type=notify-reload (systemd 253) waits for; older ones pass over it.
        notify("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000)")
    }

    /// The stop has begun.
    public func stopping(status: String) { notify("STOPPING=1\nSTATUS=\(oneLine(status))") }

    /// What `systemctl status` shows.
    public func status(_ text: String) { notify("STATUS=\(oneLine(text))") }

    /// The start, or the stop, needs this much longer from now on: a spool is recovered, a batch in flight ends.
    public func extendTimeout(by time: Duration) { notify("EXTEND_TIMEOUT_USEC=\(time.microseconds)") }

    /// The daemon is alive. To be sent only when every part is (`Heartbeats`).
    public func feedWatchdog() { notify("WATCHDOG=1") }

    /// The unit's WatchdogSec=: without `feedWatchdog` for this long, systemd ends the process. Nil: there is no watchdog.
    public var watchdogInterval: Duration? {
        var microseconds: UInt64 = 0
        return sd_watchdog_enabled(0, &microseconds) > 0 ? .microseconds(microseconds) : nil
    }

    private func notify(_ state: String) { sd_notify(0, state) }

    /// A line end would begin another assignment.
    private func oneLine(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }
}

extension Duration {
    fileprivate var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
