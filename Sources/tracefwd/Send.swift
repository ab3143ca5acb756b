import ArgumentParser
import CShim
import Foundation
import Glibc
import Settings

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends spans (NDJSON) from files or standard input, and waits until they are durable.",
        discussion: "Exit status 0 where each was accepted, 1 where one was rejected or the daemon does not answer.")
    @OptionGroup var config: ConfigOption
    @Option(help: "The socket, in place of the configuration's.", completion: .file()) var socket: String?
    @Argument(help: "Files; standard input where there are none.", completion: .file()) var files: [String] = []
    @Flag(help: "Print the daemon's answer as JSON.") var json = false
    @Flag(help: "Send one marked span straight to the platforms, past the daemon, and tell what they answer.") var test = false
    @Option(help: "With --test: to this destination alone.") var to: String?

    func validate() throws {
        if to != nil, !test { throw ValidationError("--to goes with --test; where spans go is said by the routes") }
        if test, !files.isEmpty || socket != nil { throw ValidationError("--test sends a span of its own, and past the daemon") }
    }

    func run() throws {
        if test { return try sendTest() }
        let path = try socket ?? config.senders()
        guard let path else { throw Failure("the configuration has no sources.unix; name a socket with --socket") }
        let peer = try UnixClient(path: path)
        var progress = Progress(shows: isatty(2) != 0)
        let names = files.isEmpty ? ["-"] : files
        for name in names {
            guard let file = name == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: name) else {
                throw Failure("\(name): \(String(cString: strerror(errno)))")
            }
            while let piece = try file.read(upToCount: 256 << 10), !piece.isEmpty {
                try peer.write(piece)
                progress.sent(piece)
            }
        }
        progress.end()
        peer.endWriting()
        var sum = Answer()
        // What is sent may hold control lines of its own, so answers are added up until the one that ends the stream.
        repeat {
            guard let line = try peer.readLine() else {
                throw Failure("\(path): the daemon closed the connection without an answer; see its journal")
            }
            sum.add(try JSONDecoder().decode(Answer.self, from: Data(line.utf8)))
        } while !sum.isLast
        print(json ? String(decoding: try encoder().encode(sum), as: UTF8.self) : sum.text)
        if sum.rejected > 0 { throw ExitCode(1) }
    }

    private func sendTest() throws {
        let report: TestSpanReport
        do {
            report = try TestSpanReport(try loadSettings(config.path), to: to)
        } catch let error as SettingsError {
            complain("\(error)")
            throw ExitCode(1)
        }
        print(report.text)
        if !report.arrived { throw ExitCode(1) }
    }

    private struct Answer: Codable {
        struct Mistake: Codable {
            var line: Int
            var reason: String
        }
        var accepted = 0
        var rejected = 0
        var errors: [Mistake] = []
        var durable: String?
        var isLast = false

        init() {}

        private enum CodingKeys: CodingKey { case ack, accepted, rejected, errors, durable }

        init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: CodingKeys.self)
            accepted = try members.decode(Int.self, forKey: .accepted)
            rejected = try members.decode(Int.self, forKey: .rejected)
            errors = try members.decode([Mistake].self, forKey: .errors)
            durable = try members.decodeIfPresent(String.self, forKey: .durable)
            isLast = try members.decodeNil(forKey: .ack)
        }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encodeNil(forKey: .ack)
            try members.encode(accepted, forKey: .accepted)
            try members.encode(rejected, forKey: .rejected)
            try members.encode(errors, forKey: .errors)
            try members.encodeIfPresent(durable, forKey: .durable)
        }

        mutating func add(_ other: Answer) {
            accepted += other.accepted
            rejected += other.rejected
            errors = Array((errors + other.errors).prefix(20))
            durable = other.durable
            isLast = other.isLast
        }

        var text: String {
            let what =
                "\(accepted) span\(accepted == 1 ? "" : "s") accepted\(durable.map { " (durable: \($0))" } ?? ""), \(rejected) rejected"
            return ([what] + errors.map { "line \($0.line): \($0.reason)" }).joined(separator: "\n")
        }
    }

    private struct Progress {
        let shows: Bool
        private var lines = 0
        private var bytes = 0
        private var told = Date.distantPast

        init(shows: Bool) { self.shows = shows }

        mutating func sent(_ piece: Data) {
            guard shows else { return }
            lines += piece.reduce(0) { $1 == 0x0a ? $0 + 1 : $0 }
            bytes += piece.count
            guard Date().timeIntervalSince(told) > 0.2 else { return }
            told = Date()
            FileHandle.standardError.write(Data("\r\(lines) lines, \(bytes >> 10) KiB".utf8))
        }

        func end() { if shows { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) } }
    }
}

extension ConfigOption {
    /// The package's socket, and the default of `sources.unix.path`.
    private static let packaged = "/run/tracefwd.sock"

    /// Where spans are sent; nil where the configuration has no such source. Members of the socket's group may send and not read the
    /// configuration: where nobody has named one, and the usual one is not to be read, it is the usual socket.
    fileprivate func senders() throws -> String? {
        if isUsual, access(path, R_OK) != 0 { return Self.packaged }
        return try pathsOrExit(path).unix
    }
}

/// A blocking Unix stream socket, for the command line.
final class UnixClient {
    private let descriptor: Int32
    private let path: String
    private var held = Data()

    /// `patience` is how long an answer may take; nil is as long as it likes.
    init(path: String, patience: Duration? = nil) throws {
        self.path = path
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { throw Failure("\(path): too long for a socket's path") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard code == 0 else {
            // `deinit` closes it.
            let reason = String(cString: strerror(errno))
            throw Failure(
                "\(path): \(reason); is the daemon running (tracefwd run, systemctl status tracefwd), and may you use its socket?")
        }
        if let patience {
            var limit = timeval(tv_sec: Int(patience.components.seconds), tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    deinit { close(descriptor) }

    func write(_ data: Data) throws {
        try data.withUnsafeBytes { bytes in
            var at = 0
            while at < bytes.count {
                let sent = tracefwd_send(descriptor, bytes.baseAddress.map { $0 + at }, bytes.count - at, true)
                if sent < 0, errno == EINTR { continue }
                guard sent > 0 else { throw Failure("\(path): the daemon closed the connection (\(String(cString: strerror(errno))))") }
                at += sent
            }
        }
    }

    func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next line, without its newline; nil at the end.
    func readLine() throws -> String? {
        while true {
            if let end = held.firstIndex(of: 0x0a) {
                defer { held.removeSubrange(...end) }
                return String(decoding: held[..<end], as: UTF8.self)
            }
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            held.append(contentsOf: chunk[..<count])
        }
    }
}
