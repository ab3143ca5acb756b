import Glibc
import Intake
public import SpanModel
import Synchronization

/// Rejected lines, kept for a person who wonders what is wrong with them: `rejects:` of the configuration. One JSON object a line, in a file
/// that only the daemon's user may read, since a line may hold a prompt. Two files of half the size allowed, the older as `.1`.
///
/// It is a help, not a promise: what cannot be written is not kept, and nothing else changes by that.
public final class RejectsFile: Sendable {
    /// Which lines are kept.
    public enum Keep: Sendable, Equatable {
        /// Of each source and reason one in ten seconds.
        case sample
        /// Every one.
        case all
    }

    private struct State {
        var descriptor: Int32 = -1
        var bytes = 0
        var sampledAt: [String: UInt64] = [:]
    }

    private let path: String
    private let bytesMax: Int
    private let keep: Keep
    private let state = Mutex(State())
    /// Of a line no more is kept than this.
    private static let lineBytesMax = 64 << 10
    private static let sampleNanoseconds: UInt64 = 10_000_000_000

    /// Keeps lines in `path`, at most `bytesMax` bytes of them.
    public init(path: String, bytesMax: Int, keep: Keep) { (self.path, self.bytesMax, self.keep) = (path, bytesMax, keep) }

    deinit { state.withLock { if $0.descriptor >= 0 { close($0.descriptor) } } }

    /// Keeps a line, as it was sent. `now` is in nanoseconds of the Unix epoch.
    func add(_ line: UnsafeRawBufferPointer, source: SourceID, reason: Rejection, now: UInt64) {
        state.withLock { state in
            let key = "\(source) \(reason.code)"
            if keep == .sample, let last = state.sampledAt[key], now < last &+ Self.sampleNanoseconds { return }
            state.sampledAt[key] = now
            write(record(line, source, reason, now), &state)
        }
    }

    private func record(_ line: UnsafeRawBufferPointer, _ source: SourceID, _ reason: Rejection, _ now: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        JSONBytes.append(to: &bytes) { json in
            json.object { json in
                json.key("at")
                json.time(nanoseconds: now)
                json.member("source", "\(source)")
                json.member("reason", reason.code)
                json.key("bytes")
                json.integer(line.count)
                // What is no UTF-8 is shown with replacement characters: this is to be looked at, not to be sent again.
                json.member("line", String(decoding: line.prefix(Self.lineBytesMax), as: UTF8.self))
            }
            json.newline()
        }
        return bytes
    }

    private func write(_ record: [UInt8], _ state: inout State) {
        if state.descriptor >= 0, state.bytes + record.count > bytesMax / 2 {
            close(state.descriptor)
            state.descriptor = -1
            rename(path, path + ".1")
        }
        if state.descriptor < 0 {
            state.descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            var status = stat()
            state.bytes = fstat(state.descriptor, &status) == 0 ? Int(status.st_size) : 0
        }
        guard state.descriptor >= 0, Glibc.write(state.descriptor, record, record.count) == record.count else { return }
        state.bytes += record.count
    }
}
