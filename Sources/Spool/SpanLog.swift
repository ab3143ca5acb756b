// The spool: where an accepted span lives until every destination has settled it.
// Promises: the commit that holds a span is on disk before anybody is told so. Ids are dense, grow, and are never used twice. Cursor, ledger
// and dead letters change in one transaction. Readers never block the writer. Does not know: what a destination is, what is in a payload.
// Start here, then CommitQueue.swift (when a commit is due), LogFile.swift (what it writes), Schema.swift (tables), LogReader.swift.
public import SpanModel
import Synchronization
public import Threading

/// What became of spans that were offered to the spool.
public enum Admission: Sendable, Equatable {
    /// They gather in the commit of this number.
    case taken(commit: UInt64)
    /// They were not taken.
    case refused(Refusal)
}

/// Why the spool takes no spans.
public enum Refusal: String, Sendable {
    /// No space: `spool_full` of the ingest contract.
    case full = "spool_full"
    /// The disk cannot be written: `io_error` of the ingest contract.
    case ioError = "io_error"
}

/// What the spool tells those who listen, in order, from its writer's thread: be quick.
public enum SpoolEvent: Sendable {
    /// Commit `number` has ended. `refusal` is nil where its spans are durable; the log now ends at `lastID`.
    case committed(number: UInt64, refusal: Refusal?, lastID: Int64)
    /// The disk failed a commit.
    case trouble(SQLiteError)
    /// No spans are taken until there is space: of the disk itself, or of `max_size`.
    case full(disk: Bool)
    /// Spans are taken again.
    case recovered
    /// Space is needed, and this consumer is to give up its ids up to `through` (DESIGN.md section 3, "Space").
    case pressure(consumer: Int64, through: Int64, dropOldest: Bool)
    /// Dead letters were let go by age or size.
    case agedOut(letters: Int64)
}

/// The spool as it was after the last commit.
public struct SpoolStatus: Sendable {
    /// A UUID-like name of this file.
    public var spoolID = ""
    /// The id that the next span will get.
    public var nextID: Int64 = 1
    /// The oldest id that can still be read.
    public var oldestID: Int64 = 1
    /// Bytes of used pages and WAL.
    public var usedBytes = 0
    /// Bytes of the WAL.
    public var walBytes = 0
    /// Stored bytes of all spans ever accepted.
    public var acceptedBytes: Int64 = 0
    /// Every consumer with its books.
    public var consumers: [Int64: Consumer] = [:]
    /// Lines that were rejected, by source and reason.
    public var rejections: [RejectionKey: Int64] = [:]
    /// Why no spans are taken; nil where they are.
    public var refusal: Refusal?
    /// In words, where `refusal` is set.
    public var trouble = ""
    /// Commits made since the start.
    public var commits: Int64 = 0

    /// Spans ever accepted: the ids are dense.
    public var accepted: Int64 { nextID - 1 }
}

/// What a destination may hold in the spool, as far as the spool must know it.
public struct BacklogLimit: Sendable, Equatable {
    /// Stored bytes of undelivered spans it may keep.
    public var bytes: Int64
    /// Whether it gives up its oldest spans when the spool is full (`expire`) or not (`hold`).
    public var expires: Bool

    /// A limit.
    public init(bytes: Int64, expires: Bool) {
        self.bytes = bytes
        self.expires = expires
    }
}

/// The log of spans on disk. One thread owns the connection that writes; every method may be called from any thread.
public final class SpanLog: Sendable {
    /// What the log was opened with.
    public let options: SpoolOptions
    private let clock: Clock
    private let queue: Monitor<Queue>
    private let shared: Shared
    private let thread: ThreadHandle

    /// What is asked of the writer's thread and cannot be said as a settlement. It is refused where the commit of what was settled before it
    /// has failed. What it returns tells the one who waits, and is called once `status` shows what was done.
    private typealias Job = @Sendable (LogFile, SQLiteError?) -> @Sendable () -> Void

    private struct Queue: Sendable {
        var commits: CommitQueue
        var jobs: [Job] = []
        var refusal: Refusal?
        /// Until when a destination that was asked for space may take to give it (monotonic nanoseconds); before, writers wait.
        var givesWayUntil: UInt64 = 0
        var stopping = false
        var backlog: [Int64: BacklogLimit] = [:]
    }

    /// What the writer shows to other threads.
    private final class Shared: Sendable {
        let status = Mutex(SpoolStatus())
        let observers = Mutex<[@Sendable (SpoolEvent) -> Void]>([])
        let cache: SegmentCache
        init(cacheBytesMax: Int) { cache = SegmentCache(bytesMax: cacheBytesMax) }

        func tell(_ event: SpoolEvent) {
            for observer in observers.withLock({ $0 }) { observer(event) }
        }
    }

    /// Opens or makes the spool and starts its writer. Returns after the checkpoint that every start begins with.
    public init(_ options: SpoolOptions, clock: Clock = .system, beat: @escaping @Sendable () -> Void = {}) throws(SpoolError) {
        self.options = options
        self.clock = clock
        let shared = Shared(cacheBytesMax: options.cacheBytesMax)
        let queue = Monitor(Queue(commits: CommitQueue(lastReceived: 0)))
        let opened = Monitor<Result<Void, SpoolError>?>(nil)
        let thread = startThread(name: "spool", stackBytes: 1 << 20) {
            let file: LogFile
            do throws(SpoolError) {
                file = try LogFile(options)
            } catch {
                opened.withLock { $0 = .failure(error) }
                opened.broadcast()
                return
            }
            queue.withLock { $0.commits = CommitQueue(lastReceived: file.lastReceived) }
            let writer = Writer(file: file, queue: queue, shared: shared, clock: clock, beat: beat)
            opened.withLock { $0 = .success(()) }
            opened.broadcast()
            writer.run()
        }
        let result = opened.wait { state in state.map { Look.go($0) } ?? .sleep }
        if case .failure(let error) = result {
            thread.join()
            throw error
        }
        (self.queue, self.shared, self.thread) = (queue, shared, thread)
    }

    /// Adds a listener; it stays as long as the log.
    public func observe(_ observer: @escaping @Sendable (SpoolEvent) -> Void) { shared.observers.withLock { $0.append(observer) } }

    /// The spool as it was after the last commit.
    public var status: SpoolStatus { shared.status.withLock { $0 } }

    /// The last id that is durable.
    public var lastID: Int64 { shared.status.withLock { $0.nextID - 1 } }

    // MARK: In

    /// Offers spans; empties `batch` where they were taken. Waits while more gathers than the disk takes away: that is flow control. Waits
    /// too, for the time configured, while the spool is full and the policy is `block`.
    public func append(_ batch: inout SpanBatch, wantsAck: Bool) -> Admission {
        guard !batch.isEmpty else {
            return .taken(commit: wantsAck ? wantAck() : queue.withLock { $0.commits.number })
        }
        let began = clock.monotonic()
        let admission = queue.wait { (queue: inout Queue) -> Look<Admission> in
            let now = clock.monotonic()
            if queue.stopping { return .go(.refused(.ioError)) }
            if let refusal = queue.refusal {
                // Somebody who was asked gives way just now: that is flow control, not a full spool.
                var until = refusal == .full ? queue.givesWayUntil : 0
                if refusal == .full, case .block(let patience) = options.whenFull {
                    until = max(until, began + patience.nanosecondsClamped)
                }
                guard now < until else { return .go(.refused(refusal)) }
                return .sleepFor(.nanoseconds(Int64(until - now)))
            }
            guard queue.commits.bytes < options.gatherBytesMax else { return .sleep }
            queue.commits.append(batch, ackWanted: wantsAck, now: now)
            return .go(.taken(commit: queue.commits.number))
        }
        if case .taken = admission { batch.removeAll() }
        queue.broadcast()
        return admission
    }

    /// Hastens the commit that gathers now, and returns its number.
    @discardableResult
    public func wantAck() -> UInt64 {
        let number = queue.withLock { queue in
            queue.commits.wantAck()
            return queue.commits.number
        }
        queue.broadcast()
        return number
    }

    /// Counts lines that never became spans.
    public func reject(_ key: RejectionKey, count: Int64) {
        let now = clock.monotonic()
        queue.withLock { $0.commits.reject(key, count, now: now) }
        queue.broadcast()
    }

    // MARK: Fates

    /// Writes what became of spans, within 100 ms. It cannot fail: where the disk does, it is kept and written when the disk is back.
    public func settle(_ settlement: Settlement) {
        let now = clock.monotonic()
        queue.withLock { $0.commits.settle(settlement, now: now) }
        queue.broadcast()
    }

    /// The consumer of this name, made where it is new: at the end of the log, or at its begin on a fresh spool, or after `start`.
    public func register(_ name: String, renamed: String? = nil, from start: Int64? = nil, backlog: BacklogLimit) throws(SpoolError)
        -> Consumer
    {
        let consumer = try perform { file throws(SQLiteError) in try file.register(name, renamed: renamed, from: start) }
        queue.withLock { $0.backlog[consumer.id] = backlog }
        return consumer
    }

    /// Sets whether a consumer moves; it is remembered over restarts.
    public func set(_ state: ConsumerState, of consumer: Int64) throws(SpoolError) {
        try perform { file throws(SQLiteError) in try file.set(state, of: consumer) }
    }

    /// Moves a cursor back to `position`, after all settlements made before this call. The consumer must have nothing in flight.
    public func seekBack(_ consumer: Int64, to position: Int64) throws(SpoolError) -> Consumer? {
        try perform { file throws(SQLiteError) in try file.seekBack(consumer, to: position) }
    }

    /// Marks dead letters to be sent again; returns how many.
    public func replay(consumer: Int64, _ filter: DeadLetterFilter) throws(SpoolError) -> Int {
        let now = clock.wall()
        return try perform { file throws(SQLiteError) in try file.replay(consumer: consumer, filter: filter, now: now) }
    }

    /// Deletes dead letters; returns how many spans they stood for.
    public func purge(consumer: Int64, _ filter: DeadLetterFilter) throws(SpoolError) -> Int64 {
        try perform { file throws(SQLiteError) in try file.remove(consumer: consumer, filter: filter, as: .purged) }
    }

    /// Waits until all that was appended and settled before is on disk. False where the disk fails.
    public func flush() -> Bool {
        (try? perform { _ throws(SQLiteError) in true }) ?? false
    }

    /// Runs `body` on the writer's thread, after what waits there.
    private func perform<Answer: Sendable>(
        _ body: @escaping @Sendable (LogFile) throws(SQLiteError) -> Answer
    ) throws(SpoolError) -> Answer {
        let answer = Monitor<Result<Answer, SpoolError>?>(nil)
        let path = options.path
        let accepted = queue.withLock { queue -> Bool in
            guard !queue.stopping else { return false }
            queue.jobs.append { file, failure in
                let result: Result<Answer, SpoolError>
                do throws(SQLiteError) {
                    if let failure { throw failure }
                    result = .success(try body(file))
                } catch {
                    result = .failure(.sqlite(path: path, error))
                }
                return {
                    answer.withLock { $0 = result }
                    answer.broadcast()
                }
            }
            return true
        }
        guard accepted else { throw .notWritable(reason: "the spool is closed") }
        queue.broadcast()
        return try answer.wait { state in state.map { Look.go($0) } ?? .sleep }.get()
    }

    // MARK: Out

    /// A reader for one thread, on a connection of its own that cannot write.
    public func reader() throws(SpoolError) -> LogReader { try LogReader(path: options.path, vfs: options.vfs, cache: shared.cache) }

    /// Commits what has gathered, stops the writer, and lets the file go.
    public func close() {
        queue.withLock { $0.stopping = true }
        queue.broadcast()
        thread.join()
    }

    // MARK: The writer's thread

    /// Takes due commits from the queue and makes them, checkpoints, trims, and finds its way back after trouble.
    private final class Writer {
        private let file: LogFile
        private let queue: Monitor<Queue>
        private let shared: Shared
        private let clock: Clock
        private let beat: @Sendable () -> Void
        private var trouble: Trouble?
        /// As in the queue; and whether those who listen know that the spool is full.
        private var givesWayUntil: UInt64 = 0
        private var isFullTold = false
        private var guardian = WallClockGuard()
        private var commits: Int64 = 0
        private var pressedAt: UInt64 = 0
        private var agedAt: UInt64 = 0

        /// Why no spans are taken.
        private enum Trouble {
            /// A commit failed; nothing is acknowledged before a checkpoint has succeeded.
            case failing(SQLiteError)
            /// The file system is full: it refused a commit, or the reserve.
            case diskFull
            /// `max_size` is used up, and nobody may give way.
            case sizeFull

            var refusal: Refusal {
                switch self {
                case .failing: .ioError
                case .diskFull, .sizeFull: .full
                }
            }
        }

        static let second: UInt64 = 1_000_000_000
        /// WAL bytes at which the writer copies it into the file; fewer in a small spool, which they count in.
        private let checkpointBytes: Int
        /// WAL bytes over which it waits for readers to let go.
        static let walBytesMax = 256 << 20

        init(file: LogFile, queue: Monitor<Queue>, shared: Shared, clock: Clock, beat: @escaping @Sendable () -> Void) {
            (self.file, self.queue, self.shared, self.clock, self.beat) = (file, queue, shared, clock, beat)
            checkpointBytes = min(16 << 20, file.options.maxSize / 16)
            set(file.hasReserve ? nil : .diskFull)
        }

        func run() {
            while true {
                let (work, jobs, stopping) = next()
                beat()
                // Room was made: those who were held up by flow control may go on while this commit is written.
                if work != nil { queue.broadcast() }
                var failure: SQLiteError? = if case .failing(let error) = trouble { error } else { nil }
                if let work { failure = commit(work) }
                let answers = jobs.map { $0(file, failure) }
                if !jobs.isEmpty { publish() }
                for answer in answers { answer() }
                if trouble != nil { recover() }
                maintain()
                if stopping, work == nil || failure != nil { break }
            }
            // What is left is what a broken disk would not take; after a clean stop the WAL is empty.
            _ = try? file.checkpoint(truncate: true)
        }

        private func next() -> (Work?, [Job], Bool) {
            let wake = wakeAt()
            // Nothing is committed, however long it is due, before a checkpoint has succeeded.
            let mayCommit = if case .failing = trouble { false } else { true }
            return queue.wait { (queue: inout Queue) -> Look<(Work?, [Job], Bool)> in
                let now = clock.monotonic()
                let all = queue.stopping || !queue.jobs.isEmpty
                let work = mayCommit ? queue.commits.take(now: now, all: all) : nil
                if work != nil || all {
                    let jobs = queue.jobs
                    queue.jobs = []
                    return .go((work, jobs, queue.stopping))
                }
                guard let due = [mayCommit ? queue.commits.dueAt() : nil, wake].compactMap(\.self).min() else { return .sleep }
                return due <= now ? .go((nil, [], false)) : .sleepFor(.nanoseconds(Int64(due - now)))
            }
        }

        /// When there is something to do though nobody asks: trouble to look after, history to trim, letters to age.
        private func wakeAt() -> UInt64? {
            let now = clock.monotonic()
            if let trouble {
                // Where trimming may lead out of it, it goes on at once, though not in a circle; where a destination may, it is asked again.
                if trouble.refusal == .full, file.canTrim(now: clock.wall(), pressed: true) { return now + Self.second / 50 }
                if case .sizeFull = trouble { return now + Self.second / 10 }
                return now + Self.second
            }
            guard let trimAt = file.nextTrimAt else { return nil }
            let wall = clock.wall()
            return now + max(trimAt > wall ? trimAt - wall : 0, Self.second)
        }

        /// The error, where it failed.
        private func commit(_ work: Work) -> SQLiteError? {
            do throws(SQLiteError) {
                let segments = work.isEmpty ? [] : try file.commit(work, now: clock.wall())
                for segment in segments { shared.cache.insert(segment) }
                commits += 1
                publish()
                shared.tell(.committed(number: work.number, refusal: nil, lastID: file.nextID - 1))
                return nil
            } catch {
                let now = clock.monotonic()
                fail(error)
                queue.withLock { $0.commits.putBack(work, now: now) }
                shared.tell(.committed(number: work.number, refusal: trouble?.refusal ?? .ioError, lastID: file.nextID - 1))
                return error
            }
        }

        private func fail(_ error: SQLiteError) {
            if error.isFull {
                file.releaseReserve()
                // Told once: settlements that the disk does not take either are tried ten times a second.
                let isNew = if case .diskFull = trouble { false } else { true }
                set(.diskFull)
                if isNew { shared.tell(.full(disk: true)) }
            } else {
                set(.failing(error))
                shared.tell(.trouble(error))
            }
        }

        private func set(_ new: Trouble?) {
            trouble = new
            queue.withLock { $0.refusal = new?.refusal }
            publish()
            queue.broadcast()
        }

        /// Looks whether the trouble has gone. Nothing is taken before a truncating checkpoint has succeeded.
        private func recover() {
            do throws(SQLiteError) {
                switch trouble {
                case .failing: guard try file.checkpoint(truncate: true) else { return }
                case .diskFull: guard try file.checkpoint(truncate: true), file.retakeReserve() else { return }
                case .sizeFull:
                    guard try file.checkpoint(truncate: true), file.usedBytes < file.options.maxSize / 100 * 95 else {
                        // Who was asked has not given way in time: now it is full in earnest.
                        if !isFullTold, clock.monotonic() >= givesWayUntil {
                            isFullTold = true
                            shared.tell(.full(disk: false))
                        }
                        return
                    }
                    set(nil)
                    if isFullTold { shared.tell(.recovered) }
                    return
                case nil: return
                }
                set(nil)
                shared.tell(.recovered)
            } catch {
                set(error.isFull ? .diskFull : .failing(error))
            }
        }

        /// Between commits: keeps the WAL short, and takes space back in the order of DESIGN.md section 3.
        private func maintain() {
            if case .failing = trouble { return }
            do throws(SQLiteError) {
                if file.uncopiedBytes >= checkpointBytes {
                    // A passive checkpoint lets the next commit begin the WAL anew; a reader in the way costs a try, nothing else.
                    _ = try file.checkpoint(truncate: file.walBytes >= Self.walBytesMax)
                }
                let now = clock.wall()
                let pressed = file.usedBytes > file.options.maxSize / 10 * 9
                let diskFull = if case .diskFull = trouble { true } else { false }
                _ = guardian.observe(wall: now, boot: clock.boot())
                // After the wall clock jumped nothing goes by its age, as at delivery; what space asks for goes all the same.
                let trusted = guardian.isTrusted ? now : 0
                if file.canTrim(now: trusted, pressed: pressed || diskFull) {
                    try file.trim(now: trusted, pressed: pressed || diskFull)
                    publish()
                } else if pressed {
                    try press()
                }
                // The reserve needs room on the disk, not inside the file.
                if diskFull, try file.freePages() > 0 { try file.vacuum(pages: 1024) }
                if clock.monotonic() >= agedAt + 60 * Self.second {
                    agedAt = clock.monotonic()
                    let letters = guardian.isTrusted ? try file.ageDeadLetters(now: now) : 0
                    if letters > 0 { shared.tell(.agedOut(letters: letters)) }
                    if try file.freePages() > 4096 { try file.vacuum(pages: 1024) }
                }
            } catch {
                fail(error)
            }
        }

        /// All history is gone and space is still short. Of the destinations whose spans lie where the space must come from, the one furthest
        /// over its backlog gives way, no further than one that holds its own. Where nobody does in time, the spool is full.
        private func press() throws(SQLiteError) {
            let limits = queue.withLock { $0.backlog }
            let dropOldest = file.options.whenFull == .dropOldest
            let need = Int64(file.usedBytes - file.options.maxSize / 100 * 85)
            guard var through = try file.id(freeing: max(need, 1)) else { return }
            var mayGiveWay: [(consumer: Consumer, bytes: Int64)] = []
            for consumer in file.consumers.values where consumer.state != .retired {
                if dropOldest {
                    mayGiveWay.append((consumer, 0))
                } else if let limit = limits[consumer.id], limit.expires {
                    mayGiveWay.append((consumer, limit.bytes))
                } else {
                    through = min(through, consumer.cursor.position)
                }
            }
            var victim: (consumer: Consumer, over: Int64)?
            for (consumer, bytes) in mayGiveWay where consumer.cursor.position < through {
                let over = try file.bytes(beyond: consumer.cursor.position) - bytes
                if over > (victim?.over ?? 0) { victim = (consumer, over) }
            }
            if let victim, clock.monotonic() >= pressedAt + Self.second / 10 {
                pressedAt = clock.monotonic()
                shared.tell(.pressure(consumer: victim.consumer.id, through: through, dropOldest: dropOldest))
            }
            // It was asked at nine tenths and gives way in its own time; until it has, `max_size` holds.
            if file.usedBytes >= file.options.maxSize, trouble == nil {
                givesWayUntil = clock.monotonic() + (victim == nil ? 0 : 2 * Self.second)
                let until = givesWayUntil
                queue.withLock { $0.givesWayUntil = until }
                isFullTold = victim == nil
                set(.sizeFull)
                if isFullTold { shared.tell(.full(disk: false)) }
            }
        }

        private func publish() {
            let file = file
            let status = SpoolStatus(
                spoolID: file.spoolID, nextID: file.nextID, oldestID: file.oldest?.first ?? file.nextID, usedBytes: file.usedBytes,
                walBytes: file.walBytes, acceptedBytes: file.logOffset, consumers: file.consumers, rejections: file.rejections,
                refusal: trouble?.refusal, trouble: words, commits: commits)
            shared.status.withLock { $0 = status }
        }

        private var words: String {
            switch trouble {
            case nil: ""
            case .failing(let error): "the disk failed a commit: \(error)"
            case .diskFull: "the disk is full: free some space where the spool lies"
            case .sizeFull:
                "spool.max_size (\(file.options.maxSize) bytes) is used up and no destination may give way: raise it, or see why they do not deliver"
            }
        }
    }
}
