import Delivery
import Destinations
import Foundation
import Glibc
import Settings
import Threading

extension DoctorCheck {
    /// Whether each destination can be reached, as the daemon would reach it, without sending it anything.
    static let destinations = DoctorCheck(name: "destinations") { subject in
        guard let settings = subject.settings else {
            return subject.mistakes.isEmpty
                ? [.unknown("their addresses need what only the daemon has", "run doctor as root while the daemon runs")] : []
        }
        // All at once: one that does not answer takes its whole time.
        let found = Monitor([Int: [Finding]]())
        let threads = settings.destinations.enumerated().map { index, one in
            startThread(name: "doctor") {
                let findings = look(at: one).map { $0.of("destination \(one.name)") }
                found.withLock { $0[index] = findings }
            }
        }
        for thread in threads { thread.join() }
        return found.withLock { found in found.sorted { $0.key < $1.key }.flatMap(\.value) }
    }

    private static func look(at one: DestinationSettings) -> [Finding] {
        let destination = makeDestination(one)
        switch destination.outlet {
        case .http(let options): return files(options) + connection(destination.target, options, one)
        case .sink: return one.type == "file" ? [file(one.section.string("path"))] : [.ok("\(destination.target)")]
        }
    }

    /// Certificates that the configuration names.
    private static func files(_ options: HTTPOptions) -> [Finding] {
        [options.caFile, options.certificateFile, options.keyFile].compactMap(\.self).compactMap { file in
            guard access(file, R_OK) != 0 else { return nil }
            let reason = String(cString: strerror(errno))
            return errno == EACCES
                ? .unknown("\(file): \(reason)", "run doctor as root, or as the daemon's user")
                : .wrong("\(file): \(reason)", "put the certificate there, or correct its path under tls:")
        }
    }

    private static func connection(_ target: String, _ options: HTTPOptions, _ one: DestinationSettings) -> [Finding] {
        guard !target.contains(DoctorSubject.unset) else {
            return [.unknown("its address needs what only the daemon has", "run doctor as root while the daemon runs")]
        }
        let probe = ConnectionProbe(to: target, options: options, patience: one.http?.connectTimeout ?? .seconds(5))
        let host = URL(string: target)?.host() ?? target
        switch probe.failedAt {
        case .name?:
            return [
                .wrong(
                    "\(host): its name has no address: \(probe.detail)", "correct the name, or see /etc/resolv.conf: getent hosts \(host)")
            ]
        case .connection?:
            return [
                .wrong(
                    "\(target): no connection: \(probe.detail)",
                    "is it running, and does a firewall let this machine through? curl -v \(target)")
            ]
        case .tls?: return [.wrong("\(target): TLS fails: \(probe.detail)", tlsRemedy(probe.detail, options))]
        case nil: break
        }
        var findings: [Finding] = []
        var text = "\(target): connected (\(probe.address))"
        if let expires = probe.certificateExpires, let days = days(until: expires) {
            text += ", TLS, certificate valid for \(counted(days, "day"))"
            if days < 14 {
                findings.append(.warning("\(target): its certificate ends in \(counted(days, "day")) (\(expires))", "have it renewed"))
            }
        }
        if !options.verify {
            findings.append(.warning("\(target): tls.verify is false, so anybody can pose as it", "leave that out, or name its ca_file"))
        }
        return [.ok(text)] + findings
    }

    private static func tlsRemedy(_ detail: String, _ options: HTTPOptions) -> String {
        let words = detail.lowercased()
        if words.contains("expired") { return "the server's certificate must be renewed; see this machine's clock too" }
        if words.contains("not yet valid") { return "see this machine's clock" }
        if words.contains("does not match") || words.contains("no alternative") || words.contains("subject name") {
            return "the certificate is for another name: use the name that stands in it"
        }
        if options.caFile != nil { return "tls.ca_file does not hold the authority that signed it" }
        return "where an authority of your own signed it, name that under tls.ca_file"
    }

    /// Whole days from now; nil where the date is in no form that is known.
    private static func days(until text: String) -> Int? {
        // Nov 26 12:00:00 2027 GMT, as OpenSSL writes it.
        let fields = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard fields.count >= 4, let month = months.firstIndex(of: String(fields[0])), let day = Int32(fields[1]),
            let year = Int32(fields[3])
        else { return nil }
        var date = tm()
        (date.tm_mon, date.tm_mday, date.tm_year) = (Int32(month), day, year - 1900)
        let clock = fields[2].split(separator: ":").compactMap { Int32($0) }
        if clock.count == 3 { (date.tm_hour, date.tm_min, date.tm_sec) = (clock[0], clock[1], clock[2]) }
        return Int(((Double(timegm(&date)) - Date().timeIntervalSince1970) / 86400).rounded(.down))
    }

    /// Whether a file can be appended to.
    private static func file(_ path: String) -> Finding {
        let folder = directory(of: path)
        if access(path, F_OK) == 0 {
            guard access(path, W_OK) != 0 else { return .ok("\(path) may be written") }
        } else if access(folder, W_OK | X_OK) == 0 {
            return .ok("\(path) is not there yet; \(folder) may be written to")
        } else if access(folder, F_OK) != 0 {
            let parent = directory(of: folder)
            if access(parent, W_OK | X_OK) == 0 { return .ok("\(path) is not there yet; \(folder) is made with it") }
            return .wrong("\(path): there is no \(folder), and no \(parent) to make it in", "mkdir -p \(folder)")
        }
        return .unknown("\(path) may not be written by whoever runs doctor: the daemon's user must", "run doctor as the daemon's user")
    }
}
