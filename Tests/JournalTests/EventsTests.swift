import Logging
import Testing

@testable import Journal

@Suite struct EventsTests {
    /// Every event, and the line it is, as standard error shows it without its time.
    static let table: [(@Sendable (Logger) -> Void, String)] = [
        (
            {
                $0.daemonStarted(
                    version: "0.1.0", config: "/etc/tracefwd/tracefwd.yaml", spool: "/var/lib/tracefwd/spool.db", durability: "fsync")
            },
            "info tracefwd 0.1.0 begins; configuration /etc/tracefwd/tracefwd.yaml, spool /var/lib/tracefwd/spool.db, durability fsync"
        ),
        ({ $0.daemonReady(after: .milliseconds(120), sources: 3, destinations: 1) }, "info ready after 120 ms: 3 sources, 1 destination"),
        ({ $0.startFailed("2 mistakes in a.yaml") }, "error tracefwd cannot start: 2 mistakes in a.yaml"),
        (
            { $0.daemonStopping(why: "SIGTERM") },
            "info stopping (SIGTERM): what has come in is made durable, what is in flight ends or stays for the next start"
        ),
        (
            { $0.daemonStopped(accepted: 12_345, delivered: 12_000, spooled: 345, after: .milliseconds(1_460)) },
            "info stopped after 1.5 s; this run accepted 12,345 spans and delivered 12,000; 345 wait in the spool for the next start"
        ),
        (
            { $0.partHangs("spool", silentFor: .seconds(15), killedIn: .seconds(22)) },
            "error the part spool has not turned its loop for 15 s; unless it turns, systemd restarts tracefwd in 22 s. No accepted span is lost by that"
        ),
        (
            { $0.partHangs("spool", silentFor: .seconds(15), killedIn: nil) },
            "error the part spool has not turned its loop for 15 s; if it stays so, restart tracefwd. No accepted span is lost by that"
        ),
        ({ $0.partTurnsAgain("spool") }, "info the part spool turns its loop again"),
        (
            { $0.clockJumped(by: .seconds(-7_500)) },
            "warning the wall clock jumped back by 2 h 5 min; nothing expires by age until the clocks have agreed for an hour"
        ),
        (
            {
                $0.configurationMistake(
                    "destinations.langfuse: unknown key \"secretkey\"; did you mean \"secret_key\"?", place: "t.yaml:9:5")
            },
            "error t.yaml:9:5: destinations.langfuse: unknown key \"secretkey\"; did you mean \"secret_key\"?"
        ),
        (
            { $0.configurationWarning("destinations.b: no route names it, so nothing goes there", place: "t.yaml:9:5") },
            "warning t.yaml:9:5: destinations.b: no route names it, so nothing goes there"
        ),
        ({ $0.reloadApplied("1 destination new", took: .milliseconds(12)) }, "info reloaded in 12 ms: 1 destination new"),
        (
            { $0.reloadRefused(mistakes: 2, path: "t.yaml") },
            "error reload refused, 2 mistakes in t.yaml: the configuration before it stays in force; try `tracefwd check`"
        ),
        (
            { $0.sourceListening("unix", at: "/run/tracefwd.sock", inherited: true) },
            "info unix listens at /run/tracefwd.sock, handed over by systemd"
        ),
        ({ $0.sourceClosed("unix", why: "removed by a reload") }, "info unix takes no more spans: removed by a reload"),
        (
            { $0.sourceFailed("udp", at: "127.0.0.1:8127", error: "address already in use", remedy: "see `ss -lunp` for who has it") },
            "error udp cannot listen at 127.0.0.1:8127: address already in use; see `ss -lunp` for who has it"
        ),
        (
            { $0.sourceCrowded("unix", reason: "Too many open files", files: 1_024) },
            "error unix: no connection can be taken, who connects waits: Too many open files; raise LimitNOFILE= in the unit (now 1,024), or "
                + "see who opens so many"
        ),
        ({ $0.sourceAcceptsAgain("unix", after: .seconds(12)) }, "info unix takes connections again after 12 s"),
        (
            { $0.socketUnclaimed("metrics") },
            "error systemd handed over a socket \"metrics\" that no source takes, who connects there waits for ever: give its .socket unit FileDescriptorName=unix, udp, unix_datagram or http (and that kind of socket), or stop it"
        ),
        (
            { $0.peerRefused("control", uid: 1_000, pid: 4_242, allowed: "root and the daemon's own user") },
            "warning control refused process 4242 of user 1000: allowed is root and the daemon's own user"
        ),
        (
            { $0.spansRejected(Rejections.Report(source: "unix", reason: "too_large", spans: 1_204, within: .seconds(10))) },
            "warning unix rejected 1,204 spans in the last 10 s: too_large"
        ),
        (
            { $0.spansRejected(Rejections.Report(source: "unix", reason: "too_large", spans: 1, within: nil)) },
            "warning unix rejected 1 span: too_large"
        ),
        (
            { $0.datagramsDropped("udp", datagrams: 1_204, within: .seconds(10)) },
            "error the kernel dropped 1,204 datagrams of udp in the last 10 s: senders are faster than tracefwd; raise net.core.rmem_max, "
                + "or send over the Unix socket, which waits instead"
        ),
        (
            { $0.spoolOpened(path: "s.db", spans: 12_345, bytes: 3 << 30, oldest: .seconds(7_500)) },
            "info spool s.db is open: 12,345 spans in 3 GiB, the oldest 2 h 5 min old"
        ),
        ({ $0.spoolOpened(path: "s.db", spans: 0, bytes: 65_536, oldest: nil) }, "info spool s.db is open: 0 spans in 64 KiB"),
        (
            { $0.commitFailed(path: "s.db", code: 1_034, text: "disk I/O error", spans: 120) },
            "error spool s.db: a commit failed, 120 spans answered io_error: disk I/O error (SQLite 1034); the disk failed: see `dmesg` and the disk's health"
        ),
        ({ $0.commitsAgain(path: "s.db", after: .seconds(12)) }, "info spool s.db: commits succeed again after 12 s"),
        (
            { $0.walHeld(path: "s.db", bytes: 64 << 20) },
            "warning spool s.db: the write-ahead log has grown to 64 MiB: a reader holds a transaction open, a sqlite3 shell or a backup, "
                + "and it takes space until that ends; `fuser -v s.db` shows who"
        ),
        ({ $0.walFree(path: "s.db", bytes: 65_536) }, "info spool s.db: the write-ahead log is short again, 64 KiB"),
        (
            { $0.spoolWaits(path: "s.db", text: "a shell reads it") },
            "warning spool s.db: takes no spans yet, and goes on by itself when it can: a shell reads it"
        ),
        ({ $0.spoolDamaged(path: "s.db", text: "malformed") }, "error spool s.db: malformed"),
        ({ $0.spoolRepaired(path: "s.db", sentence: "it was damaged", lost: 3) }, "error spool s.db: it was damaged"),
        (
            { $0.walReplaced(path: "s.db") },
            "warning spool s.db: somebody took its WAL away while tracefwd runs; all that it held is in the file, nothing is lost"
        ),
        (
            { $0.spoolFull(path: "s.db", bytes: 10 << 30, bytesMax: 10 << 30, policy: "reject", onDisk: false) },
            "error spool s.db is full, 10 GiB of 10 GiB used: new spans meet when_full: reject; raise spool.max_size, "
                + "or see `tracefwd status` for who is behind"
        ),
        (
            { $0.spoolFull(path: "s.db", bytes: 1 << 30, bytesMax: 1 << 30, policy: "reject", onDisk: false, walBytes: 900 << 20) },
            "error spool s.db is full, 1 GiB of 1 GiB used, 900 MiB by the write-ahead log, which a reader holds: new spans meet "
                + "when_full: reject; end that, `fuser -v s.db` shows who"
        ),
        (
            { $0.spoolFull(path: "s.db", bytes: 1 << 30, bytesMax: 10 << 30, policy: "reject", onDisk: true) },
            "error spool s.db is full, the disk has no space left: new spans meet when_full: reject; free some space there"
        ),
        (
            { $0.spoolOpenAgain(path: "s.db", after: .seconds(125), rejected: 4_210) },
            "info spool s.db has space again after 2 min 5 s; 4,210 spans were rejected meanwhile"
        ),
        ({ $0.firstDelivery("langfuse", spans: 120, took: .milliseconds(80)) }, "info langfuse took its first 120 spans in 80 ms"),
        (
            { $0.batchDelivered("langfuse", spans: 120, bytes: 1_536, attempt: 2, took: .milliseconds(80)) },
            "debug langfuse took 120 spans, 1.5 KiB, in 80 ms, attempt 2"
        ),
        (
            {
                var figures = DestinationSummary(
                    within: .seconds(10), spans: 12_345, batches: 1, p95: .milliseconds(80), retries: 2, backlog: 1_000,
                    oldest: .seconds(4))
                (figures.requests, figures.requestSpans, figures.requestBytes) = (3, 37_035, 3 << 20)
                (figures.answers, figures.backlogBytes) = (["none": 1, "5xx": 1, "2xx": 1], 2 << 20)
                (figures.lastDelivered, figures.lastError) = (.seconds(2), "answered 503")
                $0.summary("langfuse", figures)
            },
            """
            info langfuse took 12,345 spans in 1 batch in 10 s, p95 80 ms, 2 retries; 3 requests of 3 MiB: 1 2xx, 1 5xx, 1 none; \
            1,000 wait (2 MiB), the oldest for 4 s; the last error: answered 503
            """
        ),
        (
            {
                var figures = DestinationSummary(
                    within: .seconds(10), spans: 0, batches: 0, p95: nil, retries: 0, backlog: 0, oldest: nil)
                figures.lastDelivered = .seconds(180)
                $0.summary("langfuse", figures)
            },
            "info langfuse took 0 spans in 0 batches in 10 s, the last 3 min ago, 0 retries; 0 requests of 0 B; none waits"
        ),
        (
            { $0.retrying("langfuse", spans: 120, status: 429, reason: "rate_limited", attempt: 2, after: .seconds(4)) },
            "warning langfuse answered 429 to 120 spans (rate_limited); attempt 2 in 4 s"
        ),
        (
            { $0.retrying("langfuse", spans: 1, status: nil, reason: "connection refused", attempt: 3, after: .milliseconds(200)) },
            "warning langfuse gave no answer to 1 span (connection refused); attempt 3 in 200 ms"
        ),
        (
            { $0.breakerOpened("langfuse", failures: 5, reason: "connection refused", probeIn: .seconds(60), backlog: 1_000) },
            "warning langfuse failed 5 times in a row (connection refused): sending stops, a probe goes in 1 min; 1,000 spans wait in the spool"
        ),
        ({ $0.breakerHalfOpen("langfuse", spans: 120) }, "info langfuse is probed with 120 spans"),
        (
            { $0.breakerClosed("langfuse", after: .seconds(7_500), backlog: 4_210) },
            "info langfuse is back after 2 h 5 min; 4,210 spans to catch up with"
        ),
        (
            { $0.paused("langfuse", status: 401, detail: nil, probeIn: .seconds(300)) },
            "error langfuse is paused, it answered 401: check its key in the configuration and that the key may write to this project, "
                + "then `tracefwd reload`; next probe in 5 min, its spans wait in the spool"
        ),
        (
            { $0.paused("langfuse", status: 404, detail: "no such project", probeIn: .seconds(60)) },
            "error langfuse is paused, it answered 404 (no such project): check its endpoint in the configuration, then `tracefwd reload`; "
                + "next probe in 1 min, its spans wait in the spool"
        ),
        (
            { $0.paused("langfuse", status: 302, detail: "redirects are not followed", probeIn: .seconds(60)) },
            "error langfuse is paused, it answered 302 (redirects are not followed): check its endpoint in the configuration, "
                + "then `tracefwd reload`; next probe in 1 min, its spans wait in the spool"
        ),
        (
            { $0.pausedByHand("langfuse", backlog: 10) },
            "info langfuse was paused by hand with 10 spans to go; `tracefwd resume langfuse`"
        ),
        ({ $0.resumed("langfuse", why: "a reload", backlog: 4_210) }, "info langfuse goes on (a reload); 4,210 spans to catch up with"),
        (
            { $0.disabled("hook", backlog: 10) },
            "error hook answered 410, it is gone for good: nothing more is sent, 10 spans wait; remove it from the configuration, "
                + "or give its new address and `tracefwd reload`"
        ),
        (
            { $0.deadLetters("langfuse", spans: 3, status: 400, reason: "rejected") },
            "error langfuse refused 3 spans for good with 400 (rejected): kept as dead letters, see `tracefwd dead list langfuse`"
        ),
        (
            { $0.parked("langfuse", spans: 1, reason: "500", nextIn: .seconds(300)) },
            "warning langfuse fails on 1 span while others pass (500): put aside, next attempt in 5 min, `tracefwd dead list langfuse` shows them"
        ),
        (
            { $0.expired("langfuse", spans: 4_210, reason: "older than 3 d", limit: "destinations.langfuse.max_age") },
            "error 4,210 spans for langfuse expired undelivered (older than 3 d); to keep more, raise destinations.langfuse.max_age, "
                + "and see `tracefwd status` for what holds it up"
        ),
        (
            { $0.partialSuccess("collector", spans: 500, refused: 3, detail: "too old") },
            "warning collector refused 3 of 500 spans and says: too old"
        ),
        (
            { $0.partialSuccess("collector", spans: 500, refused: 0, detail: "use gzip") },
            "warning collector took all of 500 spans and says: use gzip"
        ),
        ({ $0.platformNote("langfuse", "it cuts names at 200 characters") }, "warning langfuse: it cuts names at 200 characters"),
    ]

    @Test("every event reads as it should, at its level, with its name and whom it concerns", arguments: table.indices)
    func sentence(index: Int) {
        let (event, wanted) = Self.table[index]
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        event(Logger(label: "tracefwd") { _ in writer.handler(level: .debug) })
        writer.stop()
        #expect(recorder.lines.map { "\($0.level) \($0.message)" } == [wanted])
        let line = recorder.lines.first
        #expect(line?["event"] != nil)
        for name in ["langfuse", "collector", "hook"] where wanted.contains(name) && line?["place"] == nil {
            #expect(line?["destination"] == name)
        }
    }

    @Test("a reload that cannot do all says what needs a restart")
    func restart() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        let logger = Logger(label: "tracefwd") { _ in writer.handler() }
        logger.reloadApplied("nothing changed", took: .milliseconds(1), needRestart: ["spool.path", "spool.max_size"])
        writer.stop()
        #expect(recorder.lines.last?.message == "changed, but in force only after `systemctl restart tracefwd`: spool.path, spool.max_size")
    }

    @Test("an absent value is an absent field, and what is not logged costs nothing")
    func fields() {
        let recorder = Recorder()
        let writer = JournalWriter(outlet: recorder)
        let logger = Logger(label: "tracefwd") { _ in writer.handler() }
        logger.retrying("langfuse", spans: 1, status: nil, reason: "timeout", attempt: 2, after: .seconds(1))
        logger.batchDelivered("langfuse", spans: 1, bytes: 1, attempt: 1, took: .seconds(1))
        writer.stop()
        #expect(recorder.lines.map { $0.fields.map(\.name) } == [["attempt", "destination", "event", "reason", "spans"]])
    }
}
