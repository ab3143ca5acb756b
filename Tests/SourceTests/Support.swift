import CShim
import Foundation
import Glibc
import Intake
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Source
@testable import Spool

/// Repeatable chance (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014: SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }
}

/// The seeds of this run: the ones that are kept, or the one that is asked for (`TRACEFWD_SEED=7 make test`).
enum Seeds {
    static let thisRun: [UInt64] =
        ProcessInfo.processInfo.environment["TRACEFWD_SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(1...12)
}

/// A directory that goes with the object.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/source-XXXXXX").utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A gate that holds a thread, and a count of how often it came by.
final class Gate: Sendable {
    private let state = Monitor((isShut: false, passed: 0))

    func shut() { state.withLock { $0.isShut = true } }
    func open() {
        state.withLock { $0.isShut = false }
        state.broadcast()
    }
    var passed: Int { state.withLock { $0.passed } }
    func pass() {
        state.wait { state -> Look<Void> in
            guard !state.isShut else { return .sleep }
            state.passed += 1
            return .go(())
        }
    }
}

/// What a source told.
final class Told: Sendable {
    private let events = Mutex([SourceEvent]())
    var all: [SourceEvent] { events.withLock { $0 } }
    func tell(_ event: SourceEvent) { events.withLock { $0.append(event) } }
}

/// True as soon as `condition` holds; false after a time that is much too long.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<2_000 {
        if try condition() { return true }
        usleep(5_000)
    }
    return try condition()
}

/// A real log, a real source and its socket, in a directory of their own.
final class TestSource {
    let directory: TemporaryDirectory
    let path: String
    let log: SpanLog
    let source: StreamSource
    let told = Told()
    /// Holds the source's thread at a turn of its loop; counts the turns.
    let turns = Gate()
    /// Holds the spool's thread after a commit.
    let commits = Gate()
    private var isStopped = false

    init(
        limits: IntakeLimits = IntakeLimits(), allow: PeerRule? = nil, connectionsMax: Int = Descriptors.unixConnectionsMax,
        _ change: (inout SpoolOptions) -> Void = { _ in }
    ) throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/tracefwd.sock"
        var options = SpoolOptions(path: directory.path + "/spool.db")
        options.reserveBytes = 0
        change(&options)
        log = try SpanLog(options)
        let commits = commits
        log.observe { if case .committed = $0 { commits.pass() } }
        let (turns, told) = (turns, told)
        source = StreamSource(
            try Sockets.unix(.stream, path: path, mode: 0o600), log: log, limits: limits, allow: allow, connectionsMax: connectionsMax,
            turned: { turns.pass() }, tell: { told.tell($0) })
    }

    func stop(drain: Duration = .seconds(5)) {
        guard !isStopped else { return }
        isStopped = true
        turns.open()
        commits.open()
        source.stop(drain: drain)
        log.close()
    }

    deinit { stop() }

    func client() throws -> Client { try Client(path) }

    /// The entries of all spans in the log.
    func entries() throws -> [SpanEntry] {
        let reader = try LogReader.open(path: log.options.path)
        var (found, next): ([SpanEntry], Int64) = ([], 1)
        while let segment = try reader.segment(holding: next) {
            found += segment.entries
            next = segment.lastID + 1
        }
        return found
    }
}

/// A peer of a Unix stream socket that writes and reads as a program does, without helpers of ours.
final class Client {
    let descriptor: Int32
    private var received: [UInt8] = []

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Sockets.Kind.stream.type, 0)
        guard withUnixAddress(path, { connect(descriptor, $0, $1) }) == 0 else { throw Failure(code: errno) }
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    struct Failure: Error { let code: Int32 }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var at = 0
            while at < bytes.count {
                let sent = tracefwd_send(descriptor, bytes.baseAddress.map { $0 + at }, bytes.count - at, true)
                guard sent > 0 else { return }
                at += sent
            }
        }
    }

    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next line, without its newline; nil at the end of the stream, or when nothing came for much too long.
    func line() -> String? {
        while true {
            if let newline = received.firstIndex(of: 0x0a) {
                defer { received.removeSubrange(...newline) }
                return String(decoding: received[..<newline], as: UTF8.self)
            }
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return nil }
            received += buffer[..<count]
        }
    }

    /// The next answer.
    func answer() throws -> Answer { try JSONDecoder().decode(Answer.self, from: Data(try #require(line()).utf8)) }

    /// Bytes that are left of a line that did not end: part of an answer.
    var rest: Int { received.count }

    deinit { close(descriptor) }
}

/// An answer of the ingest contract, section 2.
struct Answer: Decodable, Equatable {
    struct Mistake: Decodable, Equatable {
        var line: Int
        var reason: String
    }
    enum Value: Decodable, Equatable {
        case text(String), number(Double), null

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else {
                self = .number(try value.decode(Double.self))
            }
        }
    }
    var ack: Value
    var accepted: Int
    var rejected: Int
    var errors: [Mistake]
    var durable: String?
}

func withUnixAddress<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
}
