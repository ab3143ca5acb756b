// The spool: where an accepted span lives until every destination has settled it.
// Promises: the commit that holds a span is on disk before anybody is told so. Ids are dense, grow, and are never used twice. Cursor, ledger
// and dead letters change in one transaction. Readers never block the writer. Does not know: what a destination is, what is in a payload.
// Start here, then Writer.swift (its thread), CommitQueue.swift (when a commit is due), LogFile.swift (what it writes), Schema.swift
// (tables), LogReader.swift; Rebuild.swift where a file is damaged. Disk.swift is what a simulator plays.
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
    /// The file was damaged or taken away; what could be read goes on in a fresh one.
    case repaired(SpoolRepair)
    /// The file is damaged or gone, and no fresh one could be made yet, in words: told once for each reason.
    case damaged(String)
    /// Somebody took the WAL away; all that it held is in the file, and a new one is begun.
    case walReplaced
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
    /// Whether somebody who reads has kept the WAL from being begun anew.
    public var walIsHeld = false
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
    /// What was wrong with the file at the start, or since; nil where nothing was.
    public var repair: SpoolRepair?
    /// Whether anything goes by its age now: not for an hour after the wall clock has jumped.
    public var clockTrusted = false

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
    private let queue: Monitor<WriterQueue>
    private let shared: WriterShared
    private let turns: Turns
    /// Ends the watch over the files, where there is one.
    private let unwatch: (@Sendable () -> Void)?

    /// Who turns the writer.
    private enum Turns: Sendable {
        case thread(ThreadHandle)
        /// Whoever waits for it, on its own thread; a simulation.
        case caller(Held)
    }

    /// The writer that no thread turns; nil once it is closed.
    private final class Held: Sendable {
        let writer: Mutex<Writer?>
        init(_ writer: sending Writer) { self.writer = Mutex(writer) }
    }

    /// Opens or makes the spool and starts its writer. Returns after the checkpoint that every start begins with.
    /// `beat` is called on the writer's thread as it gets on, while it opens or mends a file too; `heartbeats` has the parts that the threads
    /// are registered with, by their names.
    public convenience init(
        _ options: SpoolOptions, clock: Clock = .system, heartbeats: Heartbeats? = nil, beat: @escaping @Sendable () -> Void = {}
    ) throws(SpoolError) {
        try self.init(options, clock: clock, heartbeats: heartbeats, beat: beat, turnedByCaller: false)
    }

    /// `turnedByCaller`: no thread is started. Whatever waits turns the writer instead, and `turn` does where nobody waits, so that all that
    /// happens is decided by who calls what, and can happen again.
    init(
        _ options: SpoolOptions, clock: Clock, heartbeats: Heartbeats? = nil, beat: @escaping @Sendable () -> Void, turnedByCaller: Bool
    ) throws(SpoolError) {
        (self.options, self.clock) = (options, clock)
        let shared = WriterShared(cacheBytesMax: options.cacheBytesMax)
        let queue = Monitor(WriterQueue(commits: CommitQueue(lastReceived: 0)))
        (self.shared, self.queue) = (shared, queue)
        guard !turnedByCaller else {
            turns = .caller(Held(try Writer(options, queue: queue, shared: shared, clock: clock, beat: beat)))
            unwatch = Self.watch(options, queue)
            return
        }
        let opened = Monitor<Result<Void, SpoolError>?>(nil)
        let thread = startThread(name: "spool", stackBytes: 1 << 20, heartbeat: heartbeats?.register("spool")) {
            let writer: Writer
            do throws(SpoolError) {
                // Where nothing waits for the disk, a second thread would only take the pages to another core.
                let checkpointer =
                    options.durability == .none
                    ? nil
                    : Checkpointer(options, heartbeat: heartbeats?.register("checkpoint")) {
                        queue.withLock { $0.hasCopied = true }
                        queue.broadcast()
                    }
                writer = try Writer(options, queue: queue, shared: shared, clock: clock, beat: beat, checkpointer: checkpointer)
            } catch {
                opened.withLock { $0 = .failure(error) }
                opened.broadcast()
                return
            }
            opened.withLock { $0 = .success(()) }
            opened.broadcast()
            writer.run()
        }
        let result = opened.wait { state in state.map { Look.go($0) } ?? .sleep }
        if case .failure(let error) = result {
            thread.join()
            throw error
        }
        turns = .thread(thread)
        unwatch = Self.watch(options, queue)
    }

    /// Has the writer told when somebody takes its files away, where the disk can tell; where it cannot, the writer looks now and then.
    private static func watch(_ options: SpoolOptions, _ queue: Monitor<WriterQueue>) -> (@Sendable () -> Void)? {
        queue.withLock { $0.isWatched = true }
        let unwatch = options.disk.watch(options.path) { goesOn in
            queue.withLock { ($0.isWatched, $0.isTouched) = (goesOn, true) }
            queue.broadcast()
        }
        if unwatch == nil { queue.withLock { $0.isWatched = false } }
        return unwatch
    }

    /// In a simulation: does what is due now. Otherwise nothing.
    @discardableResult
    func turn() -> WriterTurn {
        guard case .caller(let held) = turns else { return .idle(until: nil) }
        return held.writer.withLock { $0?.turn() } ?? .idle(until: nil)
    }

    /// Waits until `look` decides. In a simulation nobody else acts meanwhile: where the writer has nothing to do either, this is nil.
    private func wait<State: Sendable, Answer: Sendable>(
        on monitor: Monitor<State>, _ look: (inout sending State) -> sending Look<Answer>
    ) -> Answer? {
        guard case .caller = turns else { return monitor.wait(look) }
        while true {
            if case .go(let answer) = monitor.withLock({ look(&$0) }) { return answer }
            guard case .acted = turn() else { return nil }
        }
    }

    /// Adds a listener; it stays as long as the log.
    public func observe(_ observer: @escaping @Sendable (SpoolEvent) -> Void) { shared.observers.withLock { $0.append(observer) } }

    /// The spool as it was after the last commit.
    public var status: SpoolStatus { shared.status.withLock { $0 } }

    /// The last id that is durable.
    public var lastID: Int64 { shared.status.withLock { $0.nextID - 1 } }

    /// The number of the last settlement of a consumer's with decisions over traces that is on disk.
    public func decisionsSaved(of consumer: Int64) -> Int64 {
        shared.status.withLock { $0.consumers[consumer]?.decisionsNumber ?? 0 }
    }

    // MARK: In

    /// Offers spans; empties `batch` where they were taken. Waits while more gathers than the disk takes away: that is flow control. Waits
    /// too, for the time configured, while the spool is full and the policy is `block`.
    public func append(_ batch: inout SpanBatch, wantsAck: Bool) -> Admission {
        guard !batch.isEmpty else {
            return .taken(commit: wantsAck ? wantAck() : queue.withLock { $0.commits.number })
        }
        let began = clock.monotonic()
        let admission =
            wait(on: queue) { (queue: inout WriterQueue) -> Look<Admission> in
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
            } ?? .refused(.full)
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

    /// Moves a cursor back to `position`, after all settlements made before this call. The consumer must have nothing in flight. Dead
    /// letters of what is delivered again make way.
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
        try perform { file throws(SQLiteError) in try file.remove(consumer: consumer, filter: filter, as: LedgerKey(.purged)) }
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
        guard let result = wait(on: answer, { state in state.map { Look.go($0) } ?? .sleep }) else {
            throw .notWritable(reason: "the writer does not turn")
        }
        return try result.get()
    }

    /// A person says that the wall clock is right, after it had jumped.
    public func trustClock() {
        queue.withLock { $0.trustsClock = true }
        queue.broadcast()
    }

    // MARK: Out

    /// A reader for one thread, on a connection of its own that cannot write.
    public func reader() throws(SpoolError) -> LogReader {
        try LogReader(
            path: options.path, vfs: options.disk.vfs, cache: shared.cache, generation: shared.generation, gate: shared.gate,
            logged: { [shared] in shared.status.withLock { $0.acceptedBytes } }
        ) { [queue, shared] error, generation in
            // Not what is told of a file that was replaced since.
            queue.withLock { if generation == shared.generation.current { $0.damage = $0.damage ?? error } }
            queue.broadcast()
        }
    }

    /// Commits what has gathered, stops the writer, and lets the file go.
    public func close() {
        queue.withLock { $0.stopping = true }
        queue.broadcast()
        unwatch?()
        switch turns {
        case .thread(let thread): thread.join()
        case .caller(let held):
            held.writer.withLock { writer in
                writer?.run()
                writer = nil
            }
        }
    }
}
