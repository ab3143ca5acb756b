import Destinations
import Foundation
import Glibc
import Settings

extension DoctorCheck {
    /// Whether the configuration can be read and has no mistake.
    static let configuration = DoctorCheck(name: "configuration") { subject in
        guard subject.mistakes.isEmpty else {
            return [.wrong(subject.mistakes.map { "\($0)" }.joined(separator: "\n"), "correct it; tracefwd check tells when it is right")]
        }
        var findings: [Finding] = []
        if let settings = subject.settings {
            let count = settings.destinations.count
            findings.append(.ok("\(settings.files.joined(separator: ", ")): no mistakes; \(counted(count, "destination"))"))
            if count == 0 { findings.append(.warning("no destination: spans are kept and go nowhere", "add one under destinations:")) }
        }
        if !subject.unseen.isEmpty {
            findings.append(
                .unknown(
                    "what only the daemon has could not be seen: \(subject.unseen.joined(separator: ", "))",
                    "run doctor as root while the daemon runs"))
        }
        return findings
    }

    /// Whether others may read secrets that are written in files.
    static let secrets = DoctorCheck(name: "secrets") { subject in
        guard let settings = subject.settings else { return [] }
        var findings: [Finding] = []
        let written = secretsInText(subject)
        for file in settings.files {
            guard let status = DoctorSubject.status(file) else { continue }
            let mode = mode(status)
            if status.st_mode & 0o002 != 0 {
                findings.append(.wrong("\(file) (\(mode)) may be changed by everybody", "chmod o-w \(file)"))
            }
            if status.st_mode & 0o004 != 0, !written.isEmpty {
                findings.append(
                    .wrong(
                        "\(file) (\(mode)) may be read by everybody, and secrets are written in the configuration: \(written.joined(separator: ", "))",
                        "chmod o-r \(file), or write {credential: NAME} or {file: PATH} in their place"))
            }
        }
        for file in subject.secretFiles {
            guard let status = DoctorSubject.status(file), status.st_mode & 0o007 != 0 else { continue }
            findings.append(.wrong("\(file) (\(mode(status))) holds a secret and is open to everybody", "chmod o= \(file)"))
        }
        guard findings.isEmpty else { return findings }
        let held = settings.secrets.contains { !$0.isHeader || mayBeSecret($0.path) }
        return [.ok(held ? "nobody but their owners and groups may read the files that hold them" : "none is configured")]
    }

    /// The keys whose secret is neither a variable nor in a file of its own. Found by reading with a stand-in for both.
    private static func secretsInText(_ subject: DoctorSubject) -> [String] {
        let real = Surroundings.process
        var environment: [String: String] = ["CREDENTIALS_DIRECTORY": "/"]
        for file in subject.settings?.files ?? [] {
            let text = String(decoding: (try? real.read(file)) ?? [], as: UTF8.self)
            for match in text.matches(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)/) { environment[String(match.1)] = DoctorSubject.unset }
        }
        let files = Set(subject.settings?.files ?? [])
        let standIn = Surroundings(
            environment: environment,
            read: { path throws(ReadError) in files.contains(path) ? try real.read(path) : Array(DoctorSubject.unset.utf8) },
            names: real.names)
        // Where a stand-in is no value that its key takes, what can be said of the real ones is said.
        let settings = (try? load(file: subject.configPath, destinationTypes: destinationTypes, surroundings: standIn)) ?? subject.settings
        return (settings?.secrets ?? []).filter {
            !$0.value.reveal().contains(DoctorSubject.unset) && (!$0.isHeader || mayBeSecret($0.path))
        }.map(\.path)
    }

    /// Whether a header's name is one that carries a secret.
    private static func mayBeSecret(_ path: String) -> Bool {
        let name = path.lowercased()
        return ["auth", "key", "token", "secret", "cookie", "password"].contains { name.contains($0) }
    }

    /// As chmod takes it.
    static func mode(_ status: stat) -> String { String(format: "%04o", Int(status.st_mode & 0o7777)) }
}
