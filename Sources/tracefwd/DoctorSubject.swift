import Destinations
import Foundation
import Glibc
import Settings

/// What all checks look at: the configuration as far as it can be read here, and the daemon as far as it answers.
struct DoctorSubject: Sendable {
    let configPath: String
    /// What is wrong in the configuration, whoever reads it.
    let mistakes: [Mistake]
    /// What only the daemon has: variables that are not set here, credentials, files that may not be read.
    let unseen: [String]
    /// nil where there are mistakes. A value that is unseen is `Self.unset` in it.
    let settings: LoadedSettings?
    /// Files that secrets were read from.
    let secretFiles: [String]
    /// nil where the configuration does not even say that.
    let paths: DaemonPaths?
    /// The running daemon's report, or in words why there is none.
    let daemon: Result<StatusReport, Silence>

    /// Why the daemon does not say how it is.
    struct Silence: Error {
        let reason: String
        /// Whether there is somebody who listens: it runs, but may not be asked, or hangs.
        let isRunning: Bool
    }

    /// Stands for what only the daemon can read. It has the form of a webhook's secret too, so that it passes where one is checked.
    static let unset = "whsec_dHJhY2Vmd2QgZG9jdG9yOiB1bnNlZW4="

    init(configPath: String) {
        self.configPath = configPath
        paths = try? daemonPaths(file: configPath, destinationTypes: destinationTypes)
        daemon =
            paths.map { Self.ask($0.control) }
            ?? .failure(Silence(reason: "the configuration does not say where it listens", isRunning: false))
        let pid = (try? daemon.get())?.pid
        // The daemon's own environment says what its variables and credentials are; root and its user may read it.
        let environment = pid.flatMap(Self.environment) ?? ProcessInfo.processInfo.environment
        Self.takeProxies(environment)
        let reading = Reading(configPath, environment)
        (mistakes, unseen, settings, secretFiles) = (reading.mistakes, reading.unseen, reading.settings, reading.secretFiles)
    }

    private static func ask(_ control: String) -> Result<StatusReport, Silence> {
        do {
            let peer = try UnixClient(path: control, patience: .seconds(5))
            try peer.write(try encoder().encode(ControlRequest(.status)) + Data("\n".utf8))
            guard let line = try peer.readLine() else {
                let words = "\(control): somebody listens and gives no answer within 5 s: you may not use it, or the daemon hangs"
                return .failure(Silence(reason: words, isRunning: true))
            }
            guard let report = try decoder().decode(ControlAnswer<StatusReport>.self, from: Data(line.utf8)).result else {
                return .failure(Silence(reason: "\(control): the daemon is of another version", isRunning: true))
            }
            return .success(report)
        } catch is DecodingError {
            return .failure(Silence(reason: "\(control): the daemon is of another version", isRunning: true))
        } catch {
            return .failure(Silence(reason: "\(error)", isRunning: false))
        }
    }

    private static func environment(_ pid: Int32) -> [String: String]? {
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return nil }
        let pairs = bytes.split(separator: 0).compactMap { pair -> (String, String)? in
            let text = String(decoding: pair, as: UTF8.self)
            return text.firstIndex(of: "=").map { (String(text[..<$0]), String(text[text.index(after: $0)...])) }
        }
        return Dictionary(pairs) { first, _ in first }
    }

    /// libcurl asks the process for its proxies: those of the daemon.
    private static func takeProxies(_ environment: [String: String]) {
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
            if let value = environment[name] { setenv(name, value, 1) } else { unsetenv(name) }
        }
    }

    /// The rights, owner and kind of a file; nil where it cannot be seen.
    static func status(_ path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }
}

/// The configuration read twice: as it is, and with a stand-in for what only the daemon can read. A mistake of both is one.
private struct Reading {
    var mistakes: [Mistake] = []
    var unseen: [String] = []
    var settings: LoadedSettings?
    var secretFiles: [String] = []

    init(_ configPath: String, _ environment: [String: String]) {
        let record = Record()
        let real = Surroundings.process
        let plain = Surroundings(
            environment: environment, read: { path throws(ReadError) in try record.read(path, real) }, names: real.names)
        do throws(SettingsError) {
            settings = try load(file: configPath, destinationTypes: destinationTypes, surroundings: plain)
        } catch {
            mistakes = error.mistakes
        }
        secretFiles = record.paths.filter { $0 != configPath && !$0.hasSuffix(".yaml") }
        guard settings == nil else { return }

        var filled = environment
        for text in record.texts {
            // Those without a default.
            for match in text.matches(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/) where environment[String(match.1)] == nil {
                filled[String(match.1)] = DoctorSubject.unset
                if !unseen.contains("${\(match.1)}") { unseen.append("${\(match.1)}") }
            }
        }
        let credentials = "/tracefwd-doctor-credentials/"
        if environment["CREDENTIALS_DIRECTORY"] == nil { filled["CREDENTIALS_DIRECTORY"] = credentials }
        let standIn = Surroundings(
            environment: filled,
            read: { path throws(ReadError) in
                if path.hasPrefix(credentials) {
                    record.miss("credential \(path.dropFirst(credentials.count).drop { $0 == "/" })")
                    return Array(DoctorSubject.unset.utf8)
                }
                guard access(path, R_OK) != 0, errno == EACCES, !record.isConfiguration(path, configPath) else {
                    return try real.read(path)
                }
                record.miss("file \(path)")
                return Array(DoctorSubject.unset.utf8)
            }, names: real.names)
        do throws(SettingsError) {
            settings = try load(file: configPath, destinationTypes: destinationTypes, surroundings: standIn)
            mistakes = []
        } catch {
            let again = error.mistakes
            mistakes = mistakes.filter { again.contains($0) }
        }
        unseen += record.missed
    }

    /// What was read, as the reading goes on; on one thread.
    private final class Record: @unchecked Sendable {
        // Unchecked: loading calls its surroundings on the thread that it was called on, and the record goes no further.
        var paths: [String] = []
        var texts: [String] = []
        var missed: [String] = []

        func read(_ path: String, _ real: Surroundings) throws(ReadError) -> [UInt8] {
            paths.append(path)
            let bytes = try real.read(path)
            texts.append(String(decoding: bytes, as: UTF8.self))
            return bytes
        }

        func miss(_ what: String) { if !missed.contains(what) { missed.append(what) } }

        func isConfiguration(_ path: String, _ configPath: String) -> Bool { path == configPath || path.hasSuffix(".yaml") }
    }
}
