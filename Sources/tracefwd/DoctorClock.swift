import CShim
import Foundation
import Glibc
import Spool
import Threading

extension DoctorCheck {
    /// Whether the wall clock can be believed: spans expire by it.
    static let clock = DoctorCheck(name: "clock") { subject in
        let now = Date()
        var findings: [Finding] = []
        let remedy = "set it and keep it right: timedatectl set-ntp true, or chrony"
        // A package's file bears the time of its build.
        if let built = DoctorSubject.status("/proc/self/exe")?.st_mtim.tv_sec, now.timeIntervalSince1970 < Double(built) - 86400 {
            let day = Date(timeIntervalSince1970: Double(built)).ISO8601Format().prefix(10)
            findings.append(.wrong("the clock says \(now.ISO8601Format()), before this tracefwd was built (\(day))", remedy))
        }
        if let ahead = newestSpan(subject).map({ Double($0) / 1e9 - now.timeIntervalSince1970 }), ahead > 5 {
            findings.append(
                .wrong(
                    "the newest span in the spool was received \(human(seconds: ahead)) from now: the clock was set back",
                    "set it right; received_at stands still until the clock has caught up"))
        }
        if let jump = jump() {
            findings.append(.warning("the wall clock moves against the boot clock: \(jump) s while doctor looked", remedy))
        }
        if case .success(let report) = subject.daemon, !report.spool.clockTrusted {
            findings.append(
                .warning(
                    "the daemon saw the clock jump and does not trust it yet: nothing expires by its age",
                    "see that it is right, then tracefwd trust-clock; after an hour without a jump it is trusted again"))
        }
        switch tracefwd_clock_is_synchronised() {
        case 1: if findings.isEmpty { findings.append(.ok("\(now.ISO8601Format()), synchronised")) }
        case 0: findings.append(.warning("\(now.ISO8601Format()); the kernel says that nothing keeps the clock right", remedy))
        default: findings.append(.unknown("\(now.ISO8601Format()); the kernel does not say whether it is synchronised"))
        }
        return findings
    }

    /// When the newest span was received, nanoseconds of the Unix epoch.
    private static func newestSpan(_ subject: DoctorSubject) -> UInt64? {
        guard let path = subject.paths?.spool, access(path, R_OK) == 0, let reader = try? LogReader.open(path: path),
            let id = try? reader.info().first(where: { $0.name == "newest_id" }).flatMap({ Int64($0.value) }), id > 0
        else { return nil }
        return try? reader.receivedAt(id)
    }

    /// By how many seconds wall and boot clock came apart in a quarter of a second.
    private static func jump() -> Int64? {
        func offset() -> Int64 { Int64(bitPattern: Clock.system.wall() &- Clock.system.boot()) }
        let before = offset()
        usleep(250_000)
        let moved = (offset() &- before) / 1_000_000_000
        return abs(moved) > 0 ? moved : nil
    }
}
