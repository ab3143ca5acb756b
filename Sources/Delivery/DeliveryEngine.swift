public import Pipeline
public import Spool
import Synchronization
public import Threading

/// Delivery's front door: starts its thread, and hands it what others want of it.
public final class DeliveryEngine: Sendable {
    /// What is asked of the thread.
    private typealias Command = @Sendable (Loop) -> Void

    private struct Inbox: Sendable {
        var commands: [Command] = []
        var waker: HTTPSender.Waker?
        var woken = false
        /// Monotonic nanoseconds at which a stop waits no longer for what is in flight.
        var stopAt: UInt64?
    }

    private let inbox = Mutex(Inbox())
    private let clock: Clock
    private let ended = Monitor(false)

    /// Delivery over a log. `tell` is called on its thread: be quick. `heartbeat` is the part that the thread is.
    public init(
        log: SpanLog, clock: Clock = .system, budget: MemoryBudget = MemoryBudget(bytes: 64 << 20),
        heartbeat: Heartbeat? = nil,
        tell: @escaping @Sendable (DeliveryEvent) -> Void
    ) throws(SpoolError) {
        self.clock = clock
        let opened = Monitor<Result<Void, SpoolError>?>(nil)
        _ = startThread(name: "delivery", stackBytes: 1 << 20, heartbeat: heartbeat) { [self] in
            let http = HTTPSender(folder: log.options.folder)
            let loop: Loop
            do throws(SpoolError) {
                loop = try Loop(
                    log: log, http: http, clock: clock, random: SystemRandomNumberGenerator(), budget: budget,
                    sinkDone: { [weak self] token, error in self?.post { $0.sinkEnded(token, error) } },
                    programNews: { [weak self] program, news in self?.post { $0.heard(news, from: program) } }, tell: tell)
            } catch {
                opened.withLock { $0 = .failure(error) }
                opened.broadcast()
                return
            }
            // What cannot be settled is not sent: a start may find the disk failing.
            loop.spoolFails = log.status.refusal == .ioError
            inbox.withLock { $0.waker = http.waker }
            opened.withLock { $0 = .success(()) }
            opened.broadcast()
            run(loop, http)
            inbox.withLock { $0.waker = nil }
            loop.abort()
            ended.withLock { $0 = true }
            ended.broadcast()
        }
        if case .failure(let error) = opened.wait({ state in state.map { Look.go($0) } ?? .sleep }) { throw error }
        log.observe { [weak self] event in self?.heard(event) }
    }

    private func run(_ loop: Loop, _ http: HTTPSender) {
        // Only while the waker is there: the watchdog may ask when this has ended.
        let wake: @Sendable () -> Void = { [weak self] in self?.inbox.withLock { $0.waker?.wake() } }
        while true {
            Heartbeat.beatHere()
            let (commands, stopAt) = inbox.withLock { inbox in
                defer { (inbox.commands, inbox.woken) = ([], false) }
                return (inbox.commands, inbox.stopAt)
            }
            for command in commands { command(loop) }
            var deadline = loop.step()
            let now = clock.monotonic()
            if let stopAt {
                loop.stopping = true
                if loop.inFlight == 0 || now >= stopAt { return }
                deadline = min(deadline ?? stopAt, stopAt)
            }
            // What has arrived since waits in the waker: a wake before the wait ends it at once.
            Heartbeat.asleepHere(wake: wake) { http.wait(deadline.map { .nanoseconds(Int64($0 > now ? $0 - now : 0)) }) }
        }
    }

    private func post(_ command: @escaping Command) {
        inbox.withLock { inbox in
            inbox.commands.append(command)
            Self.wake(&inbox)
        }
    }

    private static func wake(_ inbox: inout Inbox) {
        guard !inbox.woken else { return }
        inbox.woken = true
        inbox.waker?.wake()
    }

    private func heard(_ event: SpoolEvent) {
        switch event {
        case .committed: inbox.withLock { Self.wake(&$0) }
        case .trouble, .damaged: post { $0.spoolFails = true }
        case .recovered, .repaired: post { $0.spoolFails = false }
        case .pressure(let consumer, let through, let dropOldest):
            post { loop in
                guard let lane = loop.lane(consumer: consumer) else { return }
                loop.giveWay(lane, through: through, reason: dropOldest ? "drop_oldest" : "backlog")
            }
        case .full, .agedOut, .walReplaced: break
        }
    }

    /// Asks the thread and waits for its answer; nil where it does not answer within `patience` or has ended.
    private func ask<Answer: Sendable>(
        patience: Duration = .seconds(10), _ question: @escaping @Sendable (Loop) -> Answer
    ) -> Answer? {
        let answer = Monitor<Answer?>(nil)
        post { loop in
            let result = question(loop)
            answer.withLock { $0 = result }
            answer.broadcast()
        }
        return answer.wait(for: patience) { $0 }
    }

    // MARK: What others want

    /// Takes over the destinations and the rules of a configuration. `summaryEvery` is the time that one line of summary covers.
    public func apply(_ specs: [DestinationSpec], rules: Rules, summaryEvery: Duration = .seconds(10)) throws(SpoolError) {
        let result = ask(patience: .seconds(60)) { loop -> Result<Void, SpoolError> in
            loop.summaryEvery = summaryEvery.nanosecondsClamped
            do throws(SpoolError) { return .success(try loop.apply(specs, rules: rules)) } catch { return .failure(error) }
        }
        guard let result else { throw .notWritable(reason: "delivery does not answer") }
        try result.get()
    }

    /// Every destination as it is now; nil where delivery does not answer.
    public func status() -> [DestinationStatus]? { ask(patience: .seconds(2)) { $0.status() } }

    /// What the rules have counted since the start; nil where delivery does not answer.
    public func ruleCounters() -> RuleCounters? { ask(patience: .seconds(2)) { $0.router.counters } }

    /// What a person may ask of one destination.
    public enum Order: Sendable, Equatable {
        /// Sends nothing until `resume`, over restarts too.
        case pause
        /// Goes on at once.
        case resume
        /// Gives up its backlog: counted as expired, reason `skipped`.
        case skip
        /// Goes on after this id: forward skips, back delivers again.
        case seek(position: Int64)
    }

    /// Carries an order out. False where no destination has this name.
    public func carryOut(_ order: Order, on destination: String) throws(SpoolError) -> Bool {
        let result = ask { loop -> Result<Bool, SpoolError> in
            guard let lane = loop.lane(destination) else { return .success(false) }
            do throws(SpoolError) {
                switch order {
                case .pause: try loop.pause(lane)
                case .resume: try loop.resume(lane)
                case .skip: loop.seek(lane, to: loop.log.lastID)
                case .seek(let position): loop.seek(lane, to: position)
                }
                return .success(true)
            } catch {
                return .failure(error)
            }
        }
        guard let result else { throw .notWritable(reason: "delivery does not answer") }
        return try result.get()
    }

    /// Dead letters of this consumer were marked for replay.
    public func lettersChanged(consumer: Int64) { post { $0.lettersChanged(consumer) } }

    /// A person says that the wall clock is right, after it had jumped.
    public func trustClock() { post { $0.trustClock() } }

    /// Starts nothing more, waits for what is in flight, `drain` at most, and ends the thread. What had no answer is sent again at the next
    /// start.
    public func stop(drain: Duration) {
        let stopAt = clock.monotonic() + drain.nanosecondsClamped
        inbox.withLock { inbox in
            inbox.stopAt = stopAt
            Self.wake(&inbox)
        }
        _ = ended.wait(for: drain + .seconds(5)) { $0 ? true : nil }
    }
}
