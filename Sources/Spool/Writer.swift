import CSQLite
import Synchronization
import Threading

/// What others put down for the writer.
struct WriterQueue: Sendable {
    /// What is asked of the writer and cannot be said as a settlement. It is refused where the commit of what was settled before it has
    /// failed. What it returns tells the one who waits, and is called once `status` shows what was done.
    typealias Job = @Sendable (LogFile, SQLiteError?) -> @Sendable () -> Void

    var commits: CommitQueue
    var jobs: [Job] = []
    var refusal: Refusal?
    /// Until when a destination that was asked for space may take to give it (monotonic nanoseconds); before, writers wait.
    var givesWayUntil: UInt64 = 0
    var stopping = false
    var backlog: [Int64: BacklogLimit] = [:]
    /// A person says that the wall clock is right.
    var trustsClock = false
    /// A page that a reader found damaged.
    var damage: SQLiteError?
    /// Whether somebody tells when the files are taken away; and whether he has, and nobody has looked since.
    var isWatched = false
    var isTouched = false
    /// Whether a pass of the checkpointer has ended.
    var hasCopied = false
}

/// What the writer shows to other threads.
final class WriterShared: Sendable {
    let status = Mutex(SpoolStatus())
    let observers = Mutex<[@Sendable (SpoolEvent) -> Void]>([])
    let cache: SegmentCache
    let generation = Generation()
    let gate = ReaderGate()

    init(cacheBytesMax: Int) { cache = SegmentCache(bytesMax: cacheBytesMax) }

    func tell(_ event: SpoolEvent) {
        for observer in observers.withLock({ $0 }) { observer(event) }
    }
}

/// What a turn of the writer did.
enum WriterTurn: Sendable {
    case acted
    /// Nothing is due, or not before this time (monotonic nanoseconds).
    case idle(until: UInt64?)
}

/// Takes due commits from the queue and makes them, checkpoints, trims, and finds its way back after trouble.
final class Writer {
    private let file: LogFile
    private let queue: Monitor<WriterQueue>
    private let shared: WriterShared
    private let clock: Clock
    private let beat: @Sendable () -> Void
    private var trouble: Trouble?
    /// What jobs are told that are refused while nothing may be written.
    private var lastFailure: SQLiteError?
    /// As in the queue; and whether those who listen know that the spool is full.
    private var givesWayUntil: UInt64 = 0
    private var isFullTold = false
    private var guardian = WallClockGuard()
    private var commits: Int64 = 0
    private var pressedAt: UInt64 = 0
    /// When dead letters were aged, and when they will be again; nil while there is nothing to age.
    private var agedAt: UInt64 = 0
    private var agesAt: UInt64? = 0
    private var lookedAt: UInt64 = 0
    private var checkpointAt: UInt64 = 0
    /// Bytes of the WAL in use when the checkpointer was last asked to copy it.
    private var followedTo = 0
    /// When there is something to do though nobody asks, as the last turn saw it.
    private var wakesAt: UInt64?

    /// Why no spans are taken.
    private enum Trouble {
        /// A commit failed; nothing is acknowledged before a checkpoint has succeeded.
        case failing(SQLiteError)
        /// The file system is full: it refused a commit, or the reserve.
        case diskFull
        /// `max_size` is used up, and nobody may give way.
        case sizeFull
        /// The file is damaged or gone, for a reason, and a fresh one could not be made yet, for another: tried again at this time.
        case damaged(String, problem: String = "", retryAt: UInt64 = 0)

        var refusal: Refusal {
            switch self {
            case .failing, .damaged: .ioError
            case .diskFull, .sizeFull: .full
            }
        }

        /// Whether nothing may be written now.
        var forbidsCommits: Bool {
            switch self {
            case .failing, .damaged: true
            case .diskFull, .sizeFull: false
            }
        }
    }

    static let second: UInt64 = 1_000_000_000
    /// Milliseconds that acks may wait for those who read the WAL, once in `checkpointBytes`.
    private static let readersWait: Int32 = 20
    /// How often a writer looks after what nobody tells it of.
    private static let idleLook: UInt64 = 30 * second
    /// WAL bytes at which the writer copies it into the file; fewer in a small spool, which they count in, and no more than the reserve has
    /// room for: on a full disk the copy must still be possible.
    private let checkpointBytes: Int

    /// Opens the file, with the checkpoint that every start begins with. `checkpointer` is nil where this thread is to do all by itself.
    init(
        _ options: SpoolOptions, queue: Monitor<WriterQueue>, shared: WriterShared, clock: Clock, beat: @escaping @Sendable () -> Void,
        checkpointer: Checkpointer? = nil
    ) throws(SpoolError) {
        (self.queue, self.shared, self.clock, self.beat) = (queue, shared, clock, beat)
        file = try LogFile(options, beat: beat, checkpointer: checkpointer)
        checkpointBytes = min(16 << 20, options.maxSize / 16, max(options.reserveBytes / 2, 1 << 20))
        let lastReceived = file.lastReceived
        queue.withLock { $0.commits = CommitQueue(lastReceived: lastReceived) }
        _ = guardian.observe(wall: clock.wall(), boot: clock.boot(), synchronised: clock.synchronised())
        set(troubleOfOpening)
        lookedAt = clock.monotonic()
        wakesAt = nextWake()
    }

    /// What stands in the way after the file was opened: a reader, who keeps its WAL from being copied, or no room for the reserve.
    private var troubleOfOpening: Trouble? {
        guard file.isCheckpointed else {
            return .failing(
                SQLiteError(code: SQLITE_BUSY, message: "its WAL cannot be copied into it", during: "the checkpoint of the start"))
        }
        return file.hasReserve ? nil : .diskFull
    }

    /// Turns until the log is closed.
    func run() {
        while act(queue.wait { self.look(&$0) }) {}
        if case .damaged = trouble { return }
        // What is left is what a broken disk would not take; after a clean stop the WAL is empty.
        _ = try? file.checkpoint(.truncate)
    }

    /// Does what is due now, and does not wait.
    func turn() -> WriterTurn {
        switch queue.withLock({ self.look(&$0) }) {
        case .go(let due):
            _ = act(due)
            return .acted
        case .sleep: return .idle(until: nil)
        case .sleepFor(let time): return .idle(until: clock.monotonic() + time.nanosecondsClamped)
        }
    }

    /// Whether anything may be written now.
    private var mayCommit: Bool { !(trouble?.forbidsCommits ?? false) }

    private struct Due: Sendable {
        var work: Work?
        var jobs: [WriterQueue.Job]
        var stopping: Bool
        var trustsClock: Bool
        var damage: SQLiteError?
    }

    private func look(_ queue: inout WriterQueue) -> Look<Due> {
        let now = clock.monotonic()
        let all = queue.stopping || !queue.jobs.isEmpty
        // Nothing is committed, however long it is due, before a checkpoint has succeeded.
        let work = mayCommit ? queue.commits.take(now: now, all: all) : nil
        if work != nil || all || queue.trustsClock || queue.damage != nil || queue.hasCopied {
            defer { (queue.jobs, queue.trustsClock, queue.damage, queue.hasCopied) = ([], false, nil, false) }
            return .go(
                Due(work: work, jobs: queue.jobs, stopping: queue.stopping, trustsClock: queue.trustsClock, damage: queue.damage))
        }
        guard let due = [mayCommit ? queue.commits.dueAt() : nil, wakesAt, looksAt(queue, now)].compactMap(\.self).min() else {
            return .sleep
        }
        return due <= now ? .go(Due(work: nil, jobs: [], stopping: false, trustsClock: false)) : .sleepFor(.nanoseconds(Int64(due - now)))
    }

    /// When to look after the files. Though nobody writes, somebody may take them away: what they hold must not wait for the next span to be
    /// safe again. Where the disk tells of that, an idle writer sleeps; woken for anything, by the watchdog say, it looks all the same.
    private func looksAt(_ queue: WriterQueue, _ now: UInt64) -> UInt64? {
        guard trouble == nil else { return nil }
        if queue.isTouched { return lookedAt + Self.second }
        let at = lookedAt + Self.idleLook
        return at <= now || !queue.isWatched ? at : nil
    }

    /// False when it was the last turn.
    private func act(_ due: Due) -> Bool {
        beat()
        if due.trustsClock { guardian.trust() }
        // Room was made: those who were held up by flow control may go on while this commit is written.
        if due.work != nil { queue.broadcast() }
        if let damage = due.damage, mayCommit { fail(damage) }
        var failure: SQLiteError? = if mayCommit { nil } else { lastFailure }
        if let work = due.work { failure = commit(work) }
        let answers = due.jobs.map { $0(file, failure) }
        if !due.jobs.isEmpty { publish() }
        for answer in answers { answer() }
        if due.work != nil || !due.jobs.isEmpty { agesAt = agedAt + 60 * Self.second }
        if trouble != nil { recover() }
        maintain()
        wakesAt = nextWake()
        return !(due.stopping && (due.work == nil || failure != nil))
    }

    /// When there is something to do though nobody asks: trouble to look after, history to trim, letters to age.
    private func nextWake() -> UInt64? {
        let now = clock.monotonic()
        if let trouble {
            if case .damaged(_, _, let retryAt) = trouble { return retryAt }
            // Where trimming may lead out of it, it goes on at once, though not in a circle; where a destination may, it is asked again.
            if trouble.refusal == .full, file.canTrim(now: clock.wall(), pressed: true) { return now + Self.second / 50 }
            if case .sizeFull = trouble { return now + Self.second / 10 }
            return now + Self.second
        }
        var times: [UInt64] = []
        if let agesAt { times.append(agesAt) }
        // Until the wall clock is trusted nothing goes by its age, unless space is short.
        if let trustsAt = guardian.trustsAt { times.append(now + (trustsAt - min(trustsAt, clock.boot()))) }
        if let trimAt = file.nextTrimAt, guardian.isTrusted || isPressed { times.append(now + (trimAt - min(trimAt, clock.wall()))) }
        // What was left undone, which nobody tells of when it can be done.
        if isPressed || checkpointAt > 0 { times.append(lookedAt + Self.idleLook) }
        return times.min().map { max($0, now + Self.second) }
    }

    /// Whether space is short: history makes room, and destinations are asked to.
    private var isPressed: Bool { file.usedBytes > file.options.maxSize / 10 * 9 }

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
        lastFailure = error
        if error.isCorrupt {
            set(.damaged("\(error)"))
            shared.tell(.trouble(error))
        } else if error.isFull {
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
            case .damaged(let reason, let problem, let retryAt): return repair(reason, problem, retryAt: retryAt)
            case .failing: guard try file.checkpoint(.truncate) else { return }
            case .diskFull: guard try file.checkpoint(.truncate), file.retakeReserve() else { return }
            case .sizeFull:
                guard try file.checkpoint(.truncate), file.usedBytes < file.options.maxSize / 100 * 95 else {
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
            if error.isCorrupt { fail(error) } else { set(error.isFull ? .diskFull : .failing(error)) }
        }
    }

    /// Makes a fresh file of the damaged one. Where that fails (no space for it, above all) it is tried again, not too often: it reads all.
    private func repair(_ reason: String, _ before: String, retryAt: UInt64) {
        guard clock.monotonic() >= retryAt else { return }
        do throws(SpoolError) {
            let report = try file.rebuild(reason: reason, beat: beat)
            queue.withLock {
                shared.generation.next()
                $0.damage = nil
            }
            set(troubleOfOpening)
            shared.tell(.repaired(report))
        } catch {
            // The old file stays beside the new one, so it takes twice the space.
            if case .sqlite(_, let inner) = error, inner.isFull { file.releaseReserve() }
            let problem =
                "no fresh file could be made of it: \(error.finding). It needs \(file.usedBytes) bytes of space beside the old one"
            set(.damaged(reason, problem: problem, retryAt: clock.monotonic() + 30 * Self.second))
            if problem != before { shared.tell(.damaged("\(reason); \(problem)")) }
        }
    }

    /// Looks whether the files still are where they were, now and then. Whoever removes them means well or not: what they held is still
    /// open, and goes on under the old name.
    private func lookAfterFiles() throws(SQLiteError) {
        guard clock.monotonic() >= lookedAt + Self.second else { return }
        lookedAt = clock.monotonic()
        queue.withLock { $0.isTouched = false }
        switch file.gone {
        case nil: return
        case .database: set(.damaged("somebody took its file away"))
        case .wal:
            do throws(SpoolError) {
                guard try file.replaceWAL() else { return set(.damaged("somebody took its WAL away while somebody else reads it")) }
                shared.generation.next()
                shared.tell(.walReplaced)
                if !file.isCheckpointed { set(troubleOfOpening) }
            } catch {
                set(.damaged("somebody took its WAL away: \(error.finding)"))
            }
        case .lock:
            do throws(SpoolError) { try file.renewLock() } catch { set(.damaged("somebody took its lock away: \(error.finding)")) }
        }
        // What was just found is mended before anything else is taken.
        if case .damaged = trouble { recover() }
    }

    /// Between commits: keeps the WAL short, and takes space back in the order of DESIGN.md section 3.
    private func maintain() {
        guard mayCommit else { return }
        do throws(SQLiteError) {
            try lookAfterFiles()
            guard mayCommit else { return }
            if file.supersedeLate() { publish() }
            try keepWALShort()
            let now = clock.wall()
            let pressed = isPressed
            let diskFull = if case .diskFull = trouble { true } else { false }
            _ = guardian.observe(wall: now, boot: clock.boot(), synchronised: clock.synchronised())
            if guardian.isTrusted != shared.status.withLock({ $0.clockTrusted }) {
                publish()
                agesAt = 0
            }
            // After the wall clock jumped nothing goes by its age, as at delivery; what space asks for goes all the same.
            let trusted = guardian.isTrusted ? now : 0
            if file.canTrim(now: trusted, pressed: pressed || diskFull) {
                try file.trim(now: trusted, pressed: pressed || diskFull)
                publish()
            } else if pressed {
                try press()
            }
            // The reserve needs room on the disk, not inside the file.
            if diskFull, try file.freePages() > 0 { try file.vacuum(pages: min(1024, checkpointBytes / 2 / 16384)) }
            if let agesAt, clock.monotonic() >= agesAt { try age(wall: now) }
        } catch {
            fail(error)
        }
    }

    /// Copies the WAL into the file, and has the next commit begin it anew, over pages that the kernel has already. That takes a moment in which
    /// nobody writes and nobody reads the WAL, so the checkpointer follows the commits, and little is left to copy then.
    private func keepWALShort() throws(SQLiteError) {
        guard !file.isCopying else { return }
        try file.noteCopy()
        let (used, left) = (file.usedWALBytes, file.uncopiedBytes)
        if used < followedTo { followedTo = 0 }
        guard used >= checkpointBytes else { return }
        // A disk that is slower than those who write would be followed for ever.
        let isFollowed = file.isCopiedBeside && left <= 2 * checkpointBytes
        let isNear = !isFollowed || left <= checkpointBytes / 4 || used >= 2 * checkpointBytes
        guard isNear, clock.monotonic() >= checkpointAt else {
            // By what was written since, not by what is left: that may be held by somebody who reads. Each pass has its fsyncs, so not for less.
            if isFollowed, used - followedTo >= checkpointBytes / 2 {
                followedTo = used
                file.beginCopy()
            }
            return
        }
        // Those who read just now are waited for, a millisecond or less as a rule. Who reads for longer is not (another process, above all): a try
        // now and then is enough, and a WAL that grew long meanwhile is cut.
        let all = try shared.gate.close(waiting: .milliseconds(Self.readersWait)) { () throws(SQLiteError) in
            try file.checkpoint(.restart, waitingFor: Self.readersWait)
        }
        if all, file.walBytes > 4 * checkpointBytes { _ = try file.checkpoint(.truncate) }
        let wasHeld = checkpointAt > 0
        checkpointAt = all ? 0 : clock.monotonic() + Self.second
        if wasHeld == all { publish() }
    }

    /// Lets dead letters go that are old, and pages that are free; once a minute at most.
    private func age(wall: UInt64) throws(SQLiteError) {
        agedAt = clock.monotonic()
        // Where it fails too.
        agesAt = agedAt + 60 * Self.second
        let letters = guardian.isTrusted ? try file.ageDeadLetters(now: wall) : 0
        if letters > 0 {
            publish()
            shared.tell(.agedOut(letters: letters))
        }
        let isLoose = try file.freePages() > 4096
        if isLoose { try file.vacuum(pages: 1024) }
        // More may be left of either. When the clock is trusted is a time of its own.
        guard letters == 0, !isLoose else { return }
        let oldest = guardian.isTrusted ? try file.nextAgeing() : nil
        agesAt = oldest.map { agedAt + max($0 - min($0, wall), 60 * Self.second) }
    }

    /// All history is gone and space is still short. Of the destinations whose spans lie where the space must come from, those furthest
    /// over their backlog give way, no further than one that holds its own or is within its backlog: what lies behind that one would be given
    /// up, and free nothing. Where nobody does in time, the spool is full.
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
        var over: [(consumer: Consumer, bytes: Int64)] = []
        for (consumer, bytes) in mayGiveWay where consumer.cursor.position < through {
            let bytes = try file.bytes(beyond: consumer.cursor.position) - bytes
            if bytes > 0 { over.append((consumer, bytes)) } else { through = consumer.cursor.position }
        }
        over.removeAll { $0.consumer.cursor.position >= through }
        let furthest = over.map(\.bytes).max()
        if let furthest, clock.monotonic() >= pressedAt + Self.second / 10 {
            pressedAt = clock.monotonic()
            // Space comes when the last of them has given way: eleven that are down are asked at once, one that is a little behind is not yet.
            for one in over.sorted(by: { $0.bytes > $1.bytes }) where one.bytes > furthest / 2 {
                shared.tell(.pressure(consumer: one.consumer.id, through: through, dropOldest: dropOldest))
            }
        }
        // It was asked at nine tenths and gives way in its own time; until it has, `max_size` holds.
        if file.usedBytes >= file.options.maxSize, trouble == nil {
            // What the WAL takes and the file has too is space that nobody need give.
            if file.walBytes > checkpointBytes, try file.checkpoint(.truncate), file.usedBytes < file.options.maxSize { return }
            givesWayUntil = clock.monotonic() + (furthest == nil ? 0 : 2 * Self.second)
            let until = givesWayUntil
            queue.withLock { $0.givesWayUntil = until }
            isFullTold = furthest == nil
            set(.sizeFull)
            if isFullTold { shared.tell(.full(disk: false)) }
        }
    }

    private func publish() {
        let file = file
        let status = SpoolStatus(
            spoolID: file.spoolID, nextID: file.nextID, oldestID: file.oldest?.first ?? file.nextID, usedBytes: file.usedBytes,
            walBytes: file.walBytes, walIsHeld: checkpointAt > 0, acceptedBytes: file.logOffset, consumers: file.consumers,
            rejections: file.rejections,
            refusal: trouble?.refusal, trouble: words, commits: commits, repair: file.repair, clockTrusted: guardian.isTrusted)
        shared.status.withLock { $0 = status }
    }

    private var words: String {
        switch trouble {
        case nil: ""
        case .failing(let error) where error.primary == SQLITE_BUSY:
            "another process uses the spool's file (a sqlite3 shell? a backup?): \(error)"
        case .failing(let error): "the disk failed a commit: \(error)"
        case .damaged(let reason, let problem, _):
            "the spool's file is damaged: \(reason). "
                + (problem.isEmpty ? "What can be read of it will go on in a fresh file" : problem)
        case .diskFull: "the disk is full: free some space where the spool lies"
        case .sizeFull where file.walBytes > file.options.maxSize / 2:
            "somebody reads the spool's file in one long transaction (a sqlite3 shell?) and its WAL has grown to \(file.walBytes) bytes: end that"
        case .sizeFull:
            "spool.max_size (\(file.options.maxSize) bytes) is used up and no destination may give way: raise it, or see why they do not deliver"
        }
    }
}
