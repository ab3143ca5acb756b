import CShim
import Glibc
public import Intake
import SpanModel
public import Spool
import Synchronization
public import Threading

/// NDJSON over a Unix stream socket, with acks: section 2 of the ingest contract. One thread, one epoll, one read buffer for all peers: a
/// peer that sends nothing costs a descriptor and some hundred bytes.
///
/// Own sockets instead of SwiftNIO: Docs/architecture/0002.
public final class StreamSource: Sendable {
    /// What was counted since the start.
    public let counters = SourceCounters()
    private let socket: BoundSocket
    private let inbox: Inbox
    private let thread = Mutex<ThreadHandle?>(nil)

    /// What other threads tell this one.
    private final class Inbox: Sendable {
        struct State {
            var commits: [(number: UInt64, refusal: Refusal?)] = []
            /// Monotonic nanoseconds until which a stop reads on.
            var stopAt: UInt64?
            var isSignalled = false
        }
        let state = Mutex(State())
        let bell = Bell()

        func tell(_ change: (inout State) -> Void) {
            let wake = state.withLock { state in
                change(&state)
                defer { state.isSignalled = true }
                return !state.isSignalled
            }
            if wake { bell.ring() }
        }

        func take() -> State {
            bell.silence()
            return state.withLock { state in
                defer { (state.commits, state.isSignalled) = ([], false) }
                return state
            }
        }
    }

    /// Serves the socket. `heartbeat` is the part that its thread is; `turned` is called at each turn of the loop.
    public init(
        _ socket: BoundSocket, log: SpanLog, limits: IntakeLimits, allow: PeerRule? = nil, rejects: RejectsFile? = nil,
        connectionsMax: Int = Descriptors.unixConnectionsMax, budget: MemoryBudget = MemoryBudget(bytes: 64 << 20),
        cleaner: @escaping SpanCleaner = { nil }, clock: Clock = .system, heartbeat: Heartbeat? = nil,
        turned: @escaping @Sendable () -> Void = {},
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        self.socket = socket
        let inbox = Inbox()
        self.inbox = inbox
        let counters = counters
        let handle = startThread(name: "source-unix", stackBytes: 1 << 20, heartbeat: heartbeat) {
            let intake = LineIntake(
                source: .unix, limits: limits, log: log, rejects: rejects, counters: counters, clean: cleaner(), tell: tell)
            Loop(
                socket: socket, inbox: inbox, log: log, intake: intake, limits: limits, allow: allow, connectionsMax: connectionsMax,
                budget: budget, clock: clock, turned: turned, tell: tell, counters
            )
            .run()
        }
        thread.withLock { $0 = handle }
        log.observe { event in
            guard case .committed(let number, let refusal, _) = event else { return }
            inbox.tell { $0.commits.append((number, refusal)) }
        }
    }

    /// Takes no new connection, reads what the peers have sent, answers them, and closes; `drain` at most.
    public func stop(drain: Duration) {
        let stopAt = Clock.system.monotonic() + drain.nanosecondsClamped
        inbox.tell { $0.stopAt = stopAt }
        thread.withLock { $0 }?.join()
    }

    // MARK: The source's thread

    private final class Loop {
        private let socket: BoundSocket
        private let inbox: Inbox
        private let log: SpanLog
        private let limits: IntakeLimits
        private let allow: PeerRule?
        private let connectionsMax: Int
        private let clock: Clock
        private let counters: SourceCounters
        private let turned: @Sendable () -> Void
        private let tell: @Sendable (SourceEvent) -> Void
        private let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        private let intake: LineIntake
        private var connections: [Int32: Connection] = [:]
        /// Peers whose spans or acks wait for a commit.
        private var waiting: Set<Int32> = []
        /// For lines whose end has not come, of all peers.
        private let budget: MemoryBudget
        private var stopAt: UInt64?
        private var acceptAgainAt: UInt64?

        init(
            socket: BoundSocket, inbox: Inbox, log: SpanLog, intake: LineIntake, limits: IntakeLimits, allow: PeerRule?,
            connectionsMax: Int, budget: MemoryBudget, clock: Clock, turned: @escaping @Sendable () -> Void,
            tell: @escaping @Sendable (SourceEvent) -> Void,
            _ counters: SourceCounters
        ) {
            (self.socket, self.inbox, self.log, self.limits, self.allow) = (socket, inbox, log, limits, allow)
            (self.connectionsMax, self.intake, self.clock, self.counters) = (connectionsMax, intake, clock, counters)
            (self.turned, self.tell, self.budget) = (turned, tell, budget)
            control(EPOLL_CTL_ADD, socket.descriptor, EPOLLIN.rawValue)
            control(EPOLL_CTL_ADD, inbox.bell.descriptor, EPOLLIN.rawValue)
        }

        deinit {
            close(poll)
            buffer.deallocate()
        }

        func run() {
            var events = [epoll_event](repeating: epoll_event(), count: 128)
            let inbox = inbox
            let wake: @Sendable () -> Void = { inbox.tell { _ in } }
            while true {
                let time = timeout()
                let count = Heartbeat.asleepHere(wake: wake) { epoll_wait(poll, &events, Int32(events.count), time) }
                turned()
                for event in events.prefix(Int(max(0, count))) {
                    switch event.data.fd {
                    case socket.descriptor: accept()
                    case inbox.bell.descriptor: heard()
                    case let descriptor: serve(descriptor, event.events)
                    }
                }
                let now = clock.monotonic()
                if let again = acceptAgainAt, now >= again, stopAt == nil {
                    acceptAgainAt = nil
                    control(EPOLL_CTL_ADD, socket.descriptor, EPOLLIN.rawValue)
                    accept()
                }
                if let stopAt, connections.isEmpty || now >= stopAt { return }
            }
        }

        private func timeout() -> Int32 {
            guard let at = [stopAt, acceptAgainAt].compactMap(\.self).min() else { return -1 }
            let now = clock.monotonic()
            return at > now ? Int32(clamping: (at - now) / 1_000_000 + 1) : 0
        }

        /// False where nobody waits any more.
        @discardableResult
        private func accept() -> Bool {
            // As many as a turn may take, so that a flood of connections does not starve those that are there.
            for _ in 0..<64 {
                guard connections.count < connectionsMax || stopAt != nil else {
                    pauseAccepting("\(connections.count) are open, which is the share of writers")
                    return false
                }
                let descriptor = tracefwd_accept(socket.descriptor)
                guard descriptor >= 0 else {
                    if descriptor == -EAGAIN {
                        if counters.isCrowded.exchange(false, ordering: .relaxed) { tell(.acceptsAgain(.unix)) }
                    } else if stopAt == nil, descriptor != -EINTR, descriptor != -ECONNABORTED {
                        pauseAccepting(String(cString: strerror(-descriptor)))
                    }
                    return false
                }
                var (uid, gid, pid) = (UInt32.max, UInt32.max, Int32(0))
                _ = tracefwd_peer(descriptor, &uid, &gid, &pid)
                if let allow, !allow.admits(uid: uid, gid: gid) {
                    close(descriptor)
                    counters.connectionsRefused.wrappingAdd(1, ordering: .relaxed)
                    tell(.peerRefused(.unix, uid: uid, pid: pid, allowed: allow.text))
                    continue
                }
                let connection = Connection(descriptor: descriptor, uid: uid, spanBytesMax: limits.spanBytes)
                connections[descriptor] = connection
                counters.connections.wrappingAdd(1, ordering: .relaxed)
                counters.connectionsOpen.wrappingAdd(1, ordering: .relaxed)
                connection.interest = EPOLLIN.rawValue
                control(EPOLL_CTL_ADD, descriptor, connection.interest)
            }
            return true
        }

        /// No descriptor is left: the listener stays readable, so it is left alone for a while, not asked in a circle. Who has knocked waits.
        private func pauseAccepting(_ reason: String) {
            control(EPOLL_CTL_DEL, socket.descriptor, 0)
            acceptAgainAt = clock.monotonic() + 500_000_000
            counters.isCrowded.store(true, ordering: .relaxed)
            tell(.acceptFailed(.unix, reason: reason))
        }

        private func serve(_ descriptor: Int32, _ ready: UInt32) {
            guard let connection = connections[descriptor] else { return }
            if ready & (EPOLLOUT.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { connection.write(counters: counters) }
            if ready & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0, connection.mayRead {
                budget.giveBack(connection.heldBytes)
                connection.read(into: buffer, intake, now: clock.wall(), counters: counters)
                // All peers' unfinished lines share the budget; who passes it loses the line, the others nothing.
                if !budget.lease(connection.heldBytes) { connection.dropHeld() }
                waiting.insert(descriptor)
            }
            settle(connection)
        }

        /// Commits have ended, or the daemon stops.
        private func heard() {
            let news = inbox.take()
            if !news.commits.isEmpty {
                for descriptor in waiting {
                    guard let connection = connections[descriptor] else { continue }
                    for commit in news.commits { connection.ended(commit: commit.number, refusal: commit.refusal) }
                    settle(connection)
                }
            }
            if let stop = news.stopAt, stopAt == nil {
                (stopAt, acceptAgainAt) = (stop, nil)
                control(EPOLL_CTL_DEL, socket.descriptor, 0)
                // Who has connected is heard, and nobody can any more. An inherited socket is the next daemon's, with all who wait there.
                if !socket.inherited {
                    shutdown(socket.descriptor, Int32(SHUT_RD))
                    while accept() {}
                }
                for connection in connections.values { connection.stopReading() }
            }
        }

        /// Answers what can be answered, and tells epoll what is awaited of this peer now.
        private func settle(_ connection: Connection) {
            if connection.accounts.owes {
                let status = log.status
                connection.answer(
                    durability: log.options.durability.rawValue, fill: Double(status.usedBytes) / Double(max(1, log.options.maxSize)),
                    counters: counters)
            }
            if !connection.accounts.isPending, !connection.accounts.owes { waiting.remove(connection.descriptor) }
            // A stop waits for no peer to read.
            guard !connection.isDone, stopAt == nil || !connection.hasAnsweredLast else {
                waiting.remove(connection.descriptor)
                budget.giveBack(connection.heldBytes)
                connections[connection.descriptor] = nil
                counters.connectionsOpen.wrappingSubtract(1, ordering: .relaxed)
                // Its place is free for one who waits.
                if acceptAgainAt != nil { acceptAgainAt = 0 }
                return
            }
            let interest = (connection.mayRead ? EPOLLIN.rawValue : 0) | (connection.mayWrite ? EPOLLOUT.rawValue : 0)
            guard interest != connection.interest else { return }
            // A hang-up is told of everyone in the set, whatever was asked: who is waited for in nothing is taken out, or epoll never sleeps.
            let operation = interest == 0 ? EPOLL_CTL_DEL : connection.interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
            connection.interest = interest
            control(operation, connection.descriptor, interest)
        }

        private func control(_ operation: Int32, _ descriptor: Int32, _ events: UInt32) {
            var event = epoll_event(events: events, data: epoll_data_t(fd: descriptor))
            epoll_ctl(poll, operation, descriptor, &event)
        }
    }
}
