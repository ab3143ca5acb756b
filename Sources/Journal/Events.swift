// Every event that we tell a person, once: level, sentence and fields, for every destination and every source.
//
// Levels: debug each batch; info it began or recovered; warning it is dealt with; error a person must act, and the sentence says how.
// Values are plain, so this room knows none of the others. Nothing here is a secret or a prompt: a `detail` is what the caller has
// judged fit to be read by anyone who reads the journal.
public import Logging

// MARK: - The daemon

extension Logger {
    /// The daemon begins.
    public func daemonStarted(version: String, config: String, spool: String, durability: String) {
        tell(
            .info, "started", "tracefwd \(version) begins; configuration \(config), spool \(spool), durability \(durability)",
            ["version": version, "path": config, "spool": spool, "durability": durability])
    }

    /// Every source listens, every destination is read for.
    public func daemonReady(after time: Duration, sources: Int, destinations: Int) {
        tell(
            .info, "ready",
            "ready after \(time.human): \(counted(sources, "source")), \(counted(destinations, "destination"))",
            ["sources": sources, "destinations": destinations])
    }

    /// The daemon ends before it was ready. Where the configuration is why, its mistakes have been told each.
    public func startFailed(_ reason: String) { tell(.error, "start_failed", "tracefwd cannot start: \(reason)", ["reason": reason]) }

    /// The stop has begun; `why` is a signal's name or a cause.
    public func daemonStopping(why: String) {
        tell(
            .info, "stopping", "stopping (\(why)): what has come in is made durable, what is in flight ends or stays for the next start",
            ["reason": why])
    }

    /// The last line of a run.
    public func daemonStopped(accepted: Int, delivered: Int, spooled: Int, after time: Duration) {
        tell(
            .info, "stopped",
            """
            stopped after \(time.human); this run accepted \(counted(accepted, "span")) and delivered \(delivered.grouped); \
            \(spooled.grouped) wait in the spool for the next start
            """,
            ["accepted": accepted, "delivered": delivered, "spooled": spooled])
    }

    /// A part of the daemon has not turned its loop for too long. `killedIn` is nil where no watchdog is on.
    public func partHangs(_ part: String, silentFor time: Duration, killedIn left: Duration?) {
        let next = left.map { "unless it turns, systemd restarts tracefwd in \($0.human)" } ?? "if it stays so, restart tracefwd"
        tell(
            .error, "part_hangs", "the part \(part) has not turned its loop for \(time.human); \(next). No accepted span is lost by that",
            ["part": part, "reason": part])
    }

    /// A part that hung goes on.
    public func partTurnsAgain(_ part: String) {
        tell(.info, "part_turns", "the part \(part) turns its loop again", ["part": part, "reason": part])
    }

    /// The wall clock and the boot clock disagree by more than drift. `jump` is negative where it went back.
    public func clockJumped(by jump: Duration) {
        tell(
            .warning, "clock_jumped",
            """
            the wall clock jumped \(jump < .zero ? "back" : "ahead") by \((jump < .zero ? .zero - jump : jump).human); \
            nothing expires by age until the clocks have agreed for an hour
            """,
            ["jump_ms": jump.milliseconds])
    }
}

// MARK: - Configuration

extension Logger {
    /// A mistake in the configuration; `place` is file:line:column.
    public func configurationMistake(_ mistake: String, place: String) {
        tell(.error, "configuration_mistake", "\(place): \(mistake)", ["place": place])
    }

    /// What is no mistake, but hardly meant; `place` is file:line:column.
    public func configurationWarning(_ warning: String, place: String) {
        tell(.warning, "configuration_warning", "\(place): \(warning)", ["place": place])
    }

    /// A reload is in force. `changes` says what it changed, `needRestart` are the keys it could not.
    public func reloadApplied(_ changes: String, took time: Duration, needRestart: [String] = []) {
        tell(.info, "reload_applied", "reloaded in \(time.human): \(changes)", [:])
        guard !needRestart.isEmpty else { return }
        let keys = needRestart.joined(separator: ", ")
        tell(.error, "reload_needs_restart", "changed, but in force only after `systemctl restart tracefwd`: \(keys)", ["keys": keys])
    }

    /// A reload was refused; its mistakes have been told each.
    public func reloadRefused(mistakes: Int, path: String) {
        tell(
            .error, "reload_refused",
            "reload refused, \(counted(mistakes, "mistake")) in \(path): the configuration before it stays in force; try `tracefwd check`",
            ["path": path, "mistakes": mistakes])
    }
}

// MARK: - Sources

extension Logger {
    /// A source takes spans now. `inherited`: the socket is the service manager's.
    public func sourceListening(_ source: String, at address: String, inherited: Bool) {
        tell(
            .info, "source_listening", "\(source) listens at \(address)\(inherited ? ", handed over by systemd" : "")",
            ["source": source, "address": address])
    }

    /// A source takes no more spans, as it should.
    public func sourceClosed(_ source: String, why: String) {
        tell(.info, "source_closed", "\(source) takes no more spans: \(why)", ["source": source, "reason": why])
    }

    /// A source cannot take spans.
    public func sourceFailed(_ source: String, at address: String, error: String, remedy: String) {
        tell(
            .error, "source_failed", "\(source) cannot listen at \(address): \(error); \(remedy)",
            ["source": source, "address": address, "reason": error])
    }

    /// Peers wait that cannot be taken; `files` is how many the process may open.
    public func sourceCrowded(_ source: String, reason: String, files: Int) {
        tell(
            .error, "source_crowded",
            """
            \(source): no connection can be taken, who connects waits: \(reason); raise LimitNOFILE= in the unit (now \(files.grouped)), or \
            see who opens so many
            """,
            ["source": source, "reason": reason, "files": files])
    }

    /// Everyone who waited for that has been taken.
    public func sourceAcceptsAgain(_ source: String, after time: Duration) {
        tell(.info, "source_accepts_again", "\(source) takes connections again after \(time.human)", ["source": source])
    }

    /// systemd handed over a socket that no source takes: who connects there is never served.
    public func socketUnclaimed(_ name: String) {
        tell(
            .error, "socket_unclaimed",
            """
            systemd handed over a socket "\(name)" that no source takes, who connects there waits for ever: give its .socket unit \
            FileDescriptorName=unix, udp, unix_datagram or http (and that kind of socket), or stop it
            """,
            ["socket": name])
    }

    /// A peer may not connect; `allowed` says who may.
    public func peerRefused(_ source: String, uid: Int, pid: Int, allowed: String) {
        tell(
            .warning, "peer_refused", "\(source) refused process \(pid) of user \(uid): allowed is \(allowed)",
            ["source": source, "uid": uid, "pid": pid])
    }

    /// Spans were rejected, as `Rejections` reports them.
    public func spansRejected(_ report: Rejections.Report) {
        let time = report.within.map { " in the last \($0.human)" } ?? ""
        tell(
            .warning, "rejected", "\(report.source) rejected \(counted(report.spans, "span"))\(time): \(report.reason)",
            ["source": report.source, "spans": report.spans, "reason": report.reason])
    }

    /// The kernel granted less than the configuration asks for.
    public func smallReceiveBuffer(_ source: String, bytes: Int, asked: Int) {
        tell(
            .warning, "small_receive_buffer",
            """
            \(source) has a receive buffer of \(bytes.humanBytes), not of \(asked.humanBytes): a burst may be dropped; \
            raise net.core.rmem_max, or let systemd make the socket with ReceiveBuffer=
            """,
            ["source": source, "bytes": bytes])
    }

    /// The kernel dropped datagrams before we could read them.
    public func datagramsDropped(_ source: String, datagrams: Int, within time: Duration) {
        tell(
            .error, "datagrams_dropped",
            """
            the kernel dropped \(counted(datagrams, "datagram")) of \(source) in the last \(time.human): senders are faster than tracefwd; \
            raise net.core.rmem_max, or send over the Unix socket, which waits instead
            """,
            ["source": source, "datagrams": datagrams])
    }
}

// MARK: - Spool

extension Logger {
    /// The spool is open and its first checkpoint has succeeded.
    public func spoolOpened(path: String, spans: Int, bytes: Int, oldest: Duration?) {
        let age = oldest.map { ", the oldest \($0.human) old" } ?? ""
        tell(
            .info, "spool_opened", "spool \(path) is open: \(counted(spans, "span")) in \(bytes.humanBytes)\(age)",
            ["path": path, "spans": spans, "bytes": bytes])
    }

    /// A commit failed; its spans were answered `io_error`. `code` is SQLite's extended result code, `text` its message.
    public func commitFailed(path: String, code: Int, text: String, spans: Int) {
        tell(
            .error, "commit_failed",
            "spool \(path): a commit failed, \(counted(spans, "span")) answered io_error: \(text) (SQLite \(code)); \(remedy(code))",
            ["path": path, "spans": spans, "code": code, "reason": text])
    }

    /// Commits succeed again after a failure.
    public func commitsAgain(path: String, after time: Duration) {
        tell(.info, "commits_again", "spool \(path): commits succeed again after \(time.human)", ["path": path])
    }

    /// The write-ahead log is much longer than the writer leaves it: somebody reads an old state of the file.
    public func walHeld(path: String, bytes: Int) {
        tell(
            .warning, "wal_held",
            """
            spool \(path): the write-ahead log has grown to \(bytes.humanBytes): a reader holds a transaction open, a sqlite3 shell or a \
            backup, and it takes space until that ends; `fuser -v \(path)` shows who
            """,
            ["path": path, "bytes": bytes])
    }

    /// The write-ahead log is short again.
    public func walFree(path: String, bytes: Int) {
        tell(.info, "wal_free", "spool \(path): the write-ahead log is short again, \(bytes.humanBytes)", ["path": path, "bytes": bytes])
    }

    /// The spool was opened and takes nothing yet: `text` says who is in the way. It goes on by itself.
    public func spoolWaits(path: String, text: String) {
        tell(.warning, "spool_waits", "spool \(path): takes no spans yet, and goes on by itself when it can: \(text)", ["path": path])
    }

    /// The spool's file is damaged or gone, and it could not be mended yet: nothing is taken until it is.
    public func spoolDamaged(path: String, text: String) {
        tell(.error, "spool_damaged", "spool \(path): \(text)", ["path": path])
    }

    /// The file was damaged or taken away, and what could be read goes on; `sentence` says all of it.
    public func spoolRepaired(path: String, sentence: String, lost: Int) {
        tell(.error, "spool_repaired", "spool \(path): \(sentence)", ["path": path, "lost": lost])
    }

    /// Somebody removed the WAL while the daemon had it open; nothing is lost by that.
    public func walReplaced(path: String) {
        tell(
            .warning, "wal_replaced",
            "spool \(path): somebody took its WAL away while tracefwd runs; all that it held is in the file, nothing is lost",
            ["path": path])
    }

    /// Intake shuts: no space by `spool.max_size`, or none on the disk. `policy` is `when_full`; `walBytes` are those of a write-ahead log
    /// that a reader holds.
    public func spoolFull(path: String, bytes: Int, bytesMax: Int, policy: String, onDisk: Bool, walBytes: Int = 0) {
        let used = "\(bytes.humanBytes) of \(bytesMax.humanBytes) used"
        let (why, remedy) =
            if onDisk {
                ("the disk has no space left", "free some space there")
            } else if walBytes > 0 {
                ("\(used), \(walBytes.humanBytes) by the write-ahead log, which a reader holds", "end that, `fuser -v \(path)` shows who")
            } else {
                (used, "raise spool.max_size, or see `tracefwd status` for who is behind")
            }
        tell(
            .error, "spool_full", "spool \(path) is full, \(why): new spans meet when_full: \(policy); \(remedy)",
            ["path": path, "bytes": bytes, "reason": onDisk ? "disk" : "max_size"])
    }

    /// Intake is open again.
    public func spoolOpenAgain(path: String, after time: Duration, rejected: Int) {
        tell(
            .info, "spool_open_again",
            "spool \(path) has space again after \(time.human); \(counted(rejected, "span")) were rejected meanwhile",
            ["path": path, "rejected": rejected])
    }
}

// MARK: - Destinations

/// What a destination did in the last interval with traffic.
public struct DestinationSummary: Sendable, Equatable {
    /// The interval, 10 s as a rule.
    public var within: Duration
    /// Spans that were delivered.
    public var spans: Int
    /// Requests that delivered them.
    public var batches: Int
    /// 95th percentile of a request's time; nil where none ended.
    public var p95: Duration?
    /// Attempts that failed and are made again.
    public var retries: Int
    /// Requests that were sent, the spans in them, and the bytes of their bodies.
    public var (requests, requestSpans, requestBytes) = (0, 0, 0)
    /// Answers by class of status, as `2xx`, or `none` where there was none.
    public var answers: [String: Int] = [:]
    /// Spans that wait.
    public var backlog: Int
    /// Their stored bytes.
    public var backlogBytes = 0
    /// Age of the oldest that waits; nil where none does.
    public var oldest: Duration?
    /// Time since the last delivery; nil where there was none since the start.
    public var lastDelivered: Duration?
    /// The last failure in words, where it is news: of this interval, or nothing was delivered after it.
    public var lastError: String?

    /// The figures of an interval.
    public init(within: Duration, spans: Int, batches: Int, p95: Duration?, retries: Int, backlog: Int, oldest: Duration?) {
        (self.within, self.spans, self.batches, self.p95) = (within, spans, batches, p95)
        (self.retries, self.backlog, self.oldest) = (retries, backlog, oldest)
    }
}

extension Logger {
    /// The first batch that a destination took in this run.
    public func firstDelivery(_ destination: String, spans: Int, took time: Duration) {
        tell(
            .info, "first_delivery", "\(destination) took its first \(counted(spans, "span")) in \(time.human)",
            ["destination": destination, "spans": spans])
    }

    /// One batch was delivered.
    public func batchDelivered(_ destination: String, spans: Int, bytes: Int, attempt: Int, took time: Duration) {
        tell(
            .debug, "delivered",
            "\(destination) took \(counted(spans, "span")), \(bytes.humanBytes), in \(time.human)\(attempt > 1 ? ", attempt \(attempt)" : "")",
            ["destination": destination, "spans": spans, "bytes": bytes, "attempt": attempt, "ms": time.milliseconds])
    }

    /// What a destination did in an interval.
    public func summary(_ destination: String, _ figures: DestinationSummary) {
        let speed = figures.p95.map { ", p95 \($0.human)" } ?? ""
        let before = figures.spans == 0 ? figures.lastDelivered.map { ", the last \($0.human) ago" } ?? "" : ""
        let answers = figures.answers.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        let sent = "\(counted(figures.requests, "request")) of \(figures.requestBytes.humanBytes)\(answers.isEmpty ? "" : ": \(answers)")"
        let waiting = figures.backlog == 0 ? "none waits" : "\(figures.backlog.grouped) wait (\(figures.backlogBytes.humanBytes))"
        let age = figures.oldest.map { ", the oldest for \($0.human)" } ?? ""
        let error = figures.lastError.map { "; the last error: \($0)" } ?? ""
        tell(
            .info, "summary",
            """
            \(destination) took \(counted(figures.spans, "span")) in \(counted(figures.batches, "batch", plural: "batches")) in \
            \(figures.within.human)\(before)\(speed), \(counted(figures.retries, "retry", plural: "retries")); \(sent); \
            \(waiting)\(age)\(error)
            """,
            [
                "destination": destination, "spans": figures.spans, "batches": figures.batches, "retries": figures.retries,
                "p95_ms": figures.p95?.milliseconds, "requests": figures.requests, "request_spans": figures.requestSpans,
                "bytes": figures.requestBytes, "answers": answers.isEmpty ? nil : answers, "backlog": figures.backlog,
                "backlog_bytes": figures.backlogBytes, "oldest_s": figures.oldest?.components.seconds,
                "last_delivered_s": figures.lastDelivered?.components.seconds, "reason": figures.lastError,
            ])
    }

    /// A batch failed and will be sent again. `attempt` is the next one; `status` is nil where there was no answer; `reason` says
    /// why, or what the platform said besides.
    public func retrying(_ destination: String, spans: Int, status: Int?, reason: String, attempt: Int, after wait: Duration) {
        let failure =
            (status.map { "answered \($0) to " } ?? "gave no answer to ") + counted(spans, "span") + (reason.isEmpty ? "" : " (\(reason))")
        tell(
            .warning, "retry", "\(destination) \(failure); attempt \(attempt) in \(wait.human)",
            ["destination": destination, "spans": spans, "status": status, "reason": reason.isEmpty ? nil : reason, "attempt": attempt])
    }

    /// Too many failures in a row: nothing is sent but a probe.
    public func breakerOpened(_ destination: String, failures: Int, reason: String, probeIn wait: Duration, backlog: Int) {
        tell(
            .warning, "breaker_open",
            """
            \(destination) failed \(failures.grouped) times in a row (\(reason)): sending stops, a probe goes in \(wait.human); \
            \(counted(backlog, "span")) wait in the spool
            """,
            ["destination": destination, "reason": reason, "backlog": backlog])
    }

    /// One batch is sent to see whether the destination is back.
    public func breakerHalfOpen(_ destination: String, spans: Int) {
        tell(
            .info, "breaker_half_open", "\(destination) is probed with \(counted(spans, "span"))",
            ["destination": destination, "spans": spans])
    }

    /// The destination is back.
    public func breakerClosed(_ destination: String, after time: Duration, backlog: Int) {
        tell(
            .info, "breaker_closed", "\(destination) is back after \(time.human); \(counted(backlog, "span")) to catch up with",
            ["destination": destination, "backlog": backlog])
    }

    /// The destination does not want us (401, 403) or is not there (3xx, 404): nothing is sent but a probe, no attempt is counted.
    public func paused(_ destination: String, status: Int, detail: String?, probeIn wait: Duration) {
        let remedy =
            switch status {
            case 300..<400, 404: "check its endpoint in the configuration"
            default: "check its key in the configuration and that the key may write to this project"
            }
        tell(
            .error, "paused",
            """
            \(destination) is paused, it answered \(status)\(detail.map { " (\($0))" } ?? ""): \(remedy), then `tracefwd reload`; \
            next probe in \(wait.human), its spans wait in the spool
            """,
            ["destination": destination, "status": status, "reason": detail])
    }

    /// A person paused it.
    public func pausedByHand(_ destination: String, backlog: Int) {
        tell(
            .info, "paused_by_hand",
            "\(destination) was paused by hand with \(counted(backlog, "span")) to go; `tracefwd resume \(destination)`",
            ["destination": destination, "backlog": backlog])
    }

    /// A pause is over; `why` is a probe, a reload or a person.
    public func resumed(_ destination: String, why: String, backlog: Int) {
        tell(
            .info, "resumed", "\(destination) goes on (\(why)); \(counted(backlog, "span")) to catch up with",
            ["destination": destination, "reason": why, "backlog": backlog])
    }

    /// It answered 410: it asks to be sent nothing any more.
    public func disabled(_ destination: String, backlog: Int) {
        tell(
            .error, "disabled",
            """
            \(destination) answered 410, it is gone for good: nothing more is sent, \(counted(backlog, "span")) wait; \
            remove it from the configuration, or give its new address and `tracefwd reload`
            """,
            ["destination": destination, "status": 410, "backlog": backlog])
    }

    /// Spans that the destination refused for good, or without a status, that cannot be sent to it, are kept as dead letters.
    public func deadLetters(_ destination: String, spans: Int, status: Int?, reason: String) {
        let what = counted(spans, "span")
        let fate = status.map { "\(destination) refused \(what) for good with \($0)" } ?? "\(what) for \(destination) cannot be sent"
        tell(
            .error, "dead_letters", "\(fate) (\(reason)): kept as dead letters, see `tracefwd dead list \(destination)`",
            ["destination": destination, "spans": spans, "status": status, "reason": reason])
    }

    /// Spans that fail while their neighbours pass are put aside until their next attempt.
    public func parked(_ destination: String, spans: Int, reason: String, nextIn wait: Duration) {
        tell(
            .warning, "parked",
            """
            \(destination) fails on \(counted(spans, "span")) while others pass (\(reason)): put aside, next attempt in \(wait.human), \
            `tracefwd dead list \(destination)` shows them
            """,
            ["destination": destination, "spans": spans, "reason": reason])
    }

    /// Spans are given up undelivered: they are too old, or too many. `limit` is the key of the configuration that says so.
    public func expired(_ destination: String, spans: Int, reason: String, limit: String) {
        tell(
            .error, "expired",
            """
            \(counted(spans, "span")) for \(destination) expired undelivered (\(reason)); \
            to keep more, raise \(limit), and see `tracefwd status` for what holds it up
            """,
            ["destination": destination, "spans": spans, "reason": reason])
    }

    /// The destination took part of a batch, or all of it with a remark.
    public func partialSuccess(_ destination: String, spans: Int, refused: Int, detail: String) {
        let taken = refused == 0 ? "took all of \(counted(spans, "span"))" : "refused \(refused.grouped) of \(counted(spans, "span"))"
        tell(
            .warning, "partial_success", "\(destination) \(taken) and says: \(detail)",
            ["destination": destination, "spans": refused, "reason": detail])
    }

    /// Another destination took a batch in its place.
    public func handedOver(_ destination: String, spans: Int, to other: String) {
        tell(
            .warning, "handed_over", "\(destination) has failed for long: \(other) took \(counted(spans, "span")) in its place",
            ["destination": destination, "spans": spans, "reason": other])
    }

    /// Rows of the spool are gone that were still to be delivered.
    public func spansLost(_ destination: String, spans: Int) {
        tell(
            .error, "lost",
            """
            \(counted(spans, "span")) for \(destination) are not in the spool any more and count as lost: \
            check the disk, and run `tracefwd spool verify`
            """,
            ["destination": destination, "spans": spans])
    }

    /// A person moved its cursor.
    public func cursorMoved(_ destination: String) {
        tell(.info, "cursor_moved", "the cursor of \(destination) was moved by hand", ["destination": destination])
    }

    /// Expressions of a route failed for some spans: a condition that fails is false, a value is not set. Once a minute at most.
    public func ruleFailed(_ route: String, count: Int, detail: String) {
        tell(
            .warning, "rule_failed", "route \(route): an expression failed for \(count) span\(count == 1 ? "" : "s"), last \(detail)",
            ["route": route, "spans": count])
    }

    /// A model whose price nobody knows, when it is met for the first time.
    public func unknownModel(_ model: String) {
        tell(
            .warning, "unknown_model", "no price is known for the model \(model): its spans have no cost; prices.models can say it",
            ["model": model])
    }

    /// A route's program (`transform: exec`) runs.
    public func programStarted(_ route: String) {
        tell(.info, "exec_started", "route \(route): its program runs", ["route": route])
    }

    /// A route's program does not run, and is started again after `wait`.
    public func programStopped(_ route: String, detail: String, wait: Duration) {
        tell(
            .error, "exec_stopped", "route \(route): its program \(detail); it is started again in \(wait.human)",
            ["route": route, "reason": detail])
    }

    /// A line that a route's program wrote to its standard error.
    public func programSaid(_ route: String, _ line: String) {
        tell(.notice, "exec_said", "route \(route): its program says: \(line)", ["route": route])
    }

    /// Something about a platform that a person should know. Equal notes are written once a run.
    public func platformNote(_ destination: String, _ note: String) {
        tell(.warning, "platform_note", "\(destination): \(note)", ["destination": destination])
    }
}

// MARK: -

extension Logger {
    /// A value of a field; nil: the line has no such field.
    private typealias Value = (any CustomStringConvertible & Sendable)?

    private func tell(_ level: Level, _ event: String, _ sentence: @autoclosure () -> String, _ fields: @autoclosure () -> [String: Value])
    {
        guard logLevel <= level else { return }
        var metadata: Metadata = ["event": .string(event)]
        for case (let name, let value?) in fields() { metadata[name] = .stringConvertible(value) }
        log(level: level, "\(sentence())", metadata: metadata)
    }
}

/// What a person can do about a SQLite result code, by its primary code.
private func remedy(_ code: Int) -> String {
    switch code & 0xff {
    case 13: "the disk is full: free some space there"
    case 10: "the disk failed: see `dmesg` and the disk's health"
    case 8, 14, 23: "the file or its directory may not be written: check owner, mode and ReadWritePaths="
    case 5, 6: "another process has the spool locked: only one tracefwd may write it"
    case 11, 26: "the file is damaged: stop tracefwd and run `tracefwd spool verify`"
    case 7: "no memory: check MemoryMax="
    default: "it is tried again; if it goes on, run `tracefwd spool verify`"
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
