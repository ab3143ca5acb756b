import CShim
import Delivery
import Destinations
import Foundation
import Glibc
import Intake
import Journal
import Logging
import Pipeline
import Settings
import Source
import SpanModel
import Spool
import Synchronization
import Threading

/// The rooms, joined: sources into the spool, the spool into delivery, and what a person sees of them.
final class Daemon: Sendable {
    private let configPath: String
    private let started = Clock.system.monotonic()
    private let settings: Mutex<LoadedSettings>
    private let journal: JournalWriter
    private let logger: Logger
    private let manager = ServiceManager()
    private let heartbeats = Heartbeats()
    /// Half of `memory`: what sources and delivery lease as they need it. The rest is what each part holds at most, and the program itself.
    private let budget: MemoryBudget
    private let ruleHost: RuleHost
    private let intakeGate = IntakeGate()
    private let log: SpanLog
    private let delivery: DeliveryEngine
    private let bridge: JournalBridge
    private let tap = TapHub()
    private let statusLine: StatusLine
    private let doors: Mutex<[Door]> = Mutex([])
    private let httpAddress: Mutex<String?> = Mutex(nil)
    private let control: Mutex<ControlServer?> = Mutex(nil)
    private let reloading = Mutex(())

    /// A source that takes spans, as `status` shows it and a stop ends it.
    private struct Door: Sendable {
        var id: SourceID
        var socket: BoundSocket
        var counters: SourceCounters
        /// Bytes that the kernel holds of datagrams.
        var receiveBuffer: Int?
        var stop: @Sendable (Duration) -> Void
    }

    // MARK: Start and stop

    /// Runs until SIGTERM or SIGINT. Throws a `Failure` where the daemon cannot start.
    static func run(configPath: String, settings: LoadedSettings) throws {
        tracefwd_tune_process()
        try raiseDescriptorLimit()
        // Sockets first: what the service manager hands over must be taken before any thread is started.
        let handedOver = ListenSocket.takeAll()
        let journal = JournalWriter()
        var logger = Logger(label: "tracefwd", factory: { _ in journal.handler(level: .init(settings.journal.level)) })
        logger.logLevel = .init(settings.journal.level)
        let daemon: Daemon
        do {
            daemon = try Daemon(configPath: configPath, settings: settings, journal: journal, logger: logger)
        } catch {
            journal.stop()
            throw error
        }
        do {
            try daemon.serve(handedOver)
        } catch {
            daemon.close()
            throw error
        }
        daemon.close()
    }

    private init(configPath: String, settings: LoadedSettings, journal: JournalWriter, logger: Logger) throws {
        self.configPath = configPath
        self.settings = Mutex(settings)
        (self.journal, self.logger) = (journal, logger)
        statusLine = StatusLine(manager)
        budget = MemoryBudget(bytes: settings.memory / 2)
        let spool = settings.spool
        logger.daemonStarted(version: version, config: configPath, spool: spool.path, durability: spool.durability.rawValue)
        for warning in settings.warnings { logger.configurationWarning(warning.sentence, place: "\(warning.place)") }
        let start = LongStart(manager)
        do throws(SpoolError) {
            let options = SpoolOptions(spool, memory: settings.memory)
            log = try SpanLog(options, heartbeats: heartbeats) { start.step() }
        } catch {
            throw Failure("\(error)")
        }
        start.end()
        ruleHost = .machine(keyFile: spool.hostKeyFile)
        bridge = JournalBridge(logger: logger, log: log, whenFull: settings.spool.whenFull)
        let (bridge, tap, statusLine) = (bridge, tap, statusLine)
        log.observe { event in
            bridge.tell(event)
            statusLine.happened()
            if case .committed(_, nil, let lastID) = event { tap.committed(lastID) }
        }
        let status = log.status
        logger.spoolOpened(path: spool.path, spans: Int(status.nextID - status.oldestID), bytes: status.usedBytes, oldest: nil)
        switch status.refusal {
        case .full: logger.spoolFull(path: spool.path, bytes: status.usedBytes, bytesMax: spool.sizeMax, policy: "reject", onDisk: true)
        case .ioError: logger.spoolWaits(path: spool.path, text: status.trouble)
        case nil: break
        }
        do throws(SpoolError) {
            delivery = try DeliveryEngine(log: log, budget: budget, heartbeat: heartbeats.register("delivery")) { event in
                bridge.tell(event)
                statusLine.happened()
                tap.happened(event)
            }
            let rules = Self.rules(settings, ruleHost)
            intakeGate.set(rules)
            try delivery.apply(Self.specs(settings), rules: rules, summaryEvery: settings.journal.summary)
        } catch {
            throw Failure("\(error)")
        }
    }

    /// On the main thread, which from here on waits for signals and for nothing else.
    private func serve(_ handedOver: [ListenSocket]) throws {
        let signals = Signals()
        let settings = settings.withLock { $0 }
        let server = try openControl(settings)
        control.withLock { $0 = server }
        let http = try openSources(settings, handedOver)
        statusLine.start { [self] in line() }
        let watchdog = Watchdog(heartbeats, manager: manager, logger: logger)
        logger.daemonReady(
            after: .nanoseconds(Int64(Clock.system.monotonic() - started)), sources: doors.withLock { $0.count },
            destinations: settings.destinations.count)
        manager.ready(status: line().text)

        tracefwd_release_startup_pages()
        // And once more when all parts have taken their first turns, which read much that is never read again.
        _ = startThread(name: "settling") {
            sleep(3)
            tracefwd_release_startup_pages()
        }
        while signals.next() == SIGHUP { _ = try? reload(dryRun: false) }
        let failure = http?.failure.map { "the http source cannot go on: \($0)" }
        statusLine.stop()
        // The sources first, so that all that was read is durable before delivery ends.
        closeDoors(why: failure ?? "asked to")
        http?.stop()
        server.stop()
        watchdog.stop()
        if let failure { throw Failure(failure) }
    }

    /// Everything is durable or left for the next start: the order is sources, delivery, spool, journal.
    private func close() {
        closeDoors()
        control.withLock { control in
            control?.stop()
            control = nil
        }
        let drain = settings.withLock { $0.stopDrain }
        delivery.stop(drain: drain)
        tap.end()
        log.close()
        bridge.end()
        let before = log.status
        let run = bridge.totals
        let spooled =
            before.consumers.values.filter { $0.state != .retired }.map { before.accepted - $0.cursor.position - $0.cursor.settledBeyond }
            .max() ?? 0
        logger.daemonStopped(
            accepted: run.accepted, delivered: run.delivered, spooled: Int(spooled),
            after: .nanoseconds(Int64(Clock.system.monotonic() - started)))
        journal.stop()
    }

    private func closeDoors(why: String = "the daemon cannot go on") {
        let open = doors.withLock { doors in
            defer { doors = [] }
            return doors
        }
        guard !open.isEmpty else { return }
        manager.stopping(status: "stopping: reading what the sources still hold")
        logger.daemonStopping(why: why)
        let drain = settings.withLock { $0.stopDrain }
        // The sources may take that long, then delivery; the unit's TimeoutStopSec= is what closing the spool takes.
        manager.extendTimeout(by: drain * 2 + .seconds(60))
        for door in open {
            door.stop(drain)
            logger.sourceClosed("\(door.id)", why: "the daemon stops")
        }
    }

    /// A daemon that serves a thousand connections must not stop at a shell's 1,024 files. With fewer than it needs for itself it would fall
    /// over somewhere, in a library that asserts.
    private static func raiseDescriptorLimit() throws {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_max >= descriptorsMin else {
            throw Failure(
                "\(limit.rlim_max) files may be open at a time, tracefwd needs \(descriptorsMin) at least: raise LimitNOFILE= in the unit, or ulimit -n"
            )
        }
    }

    /// Spool, sockets, event loops and a few destinations; connections come on top.
    private static let descriptorsMin: rlim_t = 64

    /// Hummingbird tells us of its own doings only what is wrong.
    private var quiet: Logger {
        var quiet = logger
        quiet.logLevel = .warning
        return quiet
    }

    // MARK: Sources

    /// Opens every source of the configuration, on the sockets that systemd handed over where it did. Returns the http server.
    private func openSources(_ settings: LoadedSettings, _ handedOver: [ListenSocket]) throws -> HTTPServer? {
        let sources = settings.sources
        let limits = IntakeLimits(
            spanBytes: settings.limits.spanBytes, depth: settings.limits.depth, attributes: settings.limits.attributes)
        let rejects = settings.rejects.map { RejectsFile(path: $0.path, bytesMax: $0.sizeMax, keep: $0.keepsAll ? .all : .sample) }
        let bridge = bridge
        let tell: @Sendable (SourceEvent) -> Void = { bridge.tell($0) }
        var inherited = HandedOverSockets(handedOver, sources: ["unix", "udp", "unix_datagram", "http", "control"])

        do throws(SocketError) {
            let unixFD = inherited.take(.unixStream, for: "unix")?.descriptor
            if sources.unix != nil || unixFD != nil {
                let unix = sources.unix
                let socket =
                    if let unixFD { BoundSocket(inherited: unixFD, address: unix?.path ?? "fd \(unixFD)") } else {
                        try Sockets.unix(.stream, path: unix?.path ?? "", mode: unix?.mode ?? 0o660, owner: unix?.owner, group: unix?.group)
                    }
                var rule: PeerRule?
                if let allow = unix?.allow { rule = try PeerRule(users: allow.users, groups: allow.groups) }
                let source = StreamSource(
                    socket, log: log, limits: limits, allow: rule, rejects: rejects, budget: budget,
                    cleaner: { [intakeGate] in intakeGate.cleaner() }, heartbeat: heartbeats.register("source-unix"), tell: tell)
                open(.unix, socket, source.counters) { source.stop(drain: $0) }
            }
            let udpFD = inherited.take(.inetDatagram, for: "udp")?.descriptor
            if sources.udp != nil || udpFD != nil {
                let udp = sources.udp
                let socket =
                    if let udpFD { BoundSocket(inherited: udpFD, address: udp.map { "\($0.listen)" } ?? "fd \(udpFD)") } else {
                        try Sockets.udp(host: udp?.listen.host ?? "", port: udp?.listen.port ?? 0)
                    }
                datagrams(
                    .udp, socket, limits, receiveBuffer: udp?.receiveBuffer ?? 8 << 20, allow: udp?.allow.flatMap(NetworkRule.init),
                    rejects, tell)
            }
            let datagramFD = inherited.take(.unixDatagram, for: "unix_datagram")?.descriptor
            if sources.unixDatagram != nil || datagramFD != nil {
                let unix = sources.unixDatagram
                let socket =
                    if let datagramFD { BoundSocket(inherited: datagramFD, address: unix?.path ?? "fd \(datagramFD)") } else {
                        try Sockets.unix(.datagram, path: unix?.path ?? "", mode: unix?.mode ?? 0o660, group: unix?.group)
                    }
                datagrams(.unixDatagram, socket, limits, receiveBuffer: unix?.receiveBuffer ?? 8 << 20, allow: nil, rejects, tell)
            }
            let httpFD = inherited.take(.inetStream, for: "http")?.descriptor
            for socket in inherited.unclaimed { logger.socketUnclaimed(socket.name) }
            guard sources.http != nil || httpFD != nil else { return nil }
            let address = sources.http.map { "\($0.listen)" } ?? "fd \(httpFD ?? -1)"
            let descriptor =
                if let httpFD { httpFD } else {
                    try Sockets.tcp(host: sources.http?.listen.host ?? "", port: sources.http?.listen.port ?? 0)
                }
            httpAddress.withLock { $0 = address }
            logger.sourceListening("http", at: address, inherited: httpFD != nil)
            return HTTPServer(
                descriptor: descriptor, pages: HTTPServer.Pages(unready: { [self] in unready() }, metrics: { [self] in metrics() }),
                logger: quiet)
        } catch {
            throw Failure("\(error)")
        }
    }

    private func datagrams(
        _ id: SourceID, _ socket: BoundSocket, _ limits: IntakeLimits, receiveBuffer: Int, allow: NetworkRule?, _ rejects: RejectsFile?,
        _ tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        let source = DatagramSource(
            socket, source: id, log: log, limits: limits, receiveBuffer: receiveBuffer, allow: allow, rejects: rejects,
            cleaner: { [intakeGate] in intakeGate.cleaner() }, heartbeat: heartbeats.register("source-\(id)"), tell: tell)
        if source.receiveBuffer < receiveBuffer { logger.smallReceiveBuffer("\(id)", bytes: source.receiveBuffer, asked: receiveBuffer) }
        open(id, socket, source.counters, receiveBuffer: source.receiveBuffer) { _ in source.stop() }
    }

    private func open(
        _ id: SourceID, _ socket: BoundSocket, _ counters: SourceCounters, receiveBuffer: Int? = nil,
        stop: @escaping @Sendable (Duration) -> Void
    ) {
        doors.withLock { $0.append(Door(id: id, socket: socket, counters: counters, receiveBuffer: receiveBuffer, stop: stop)) }
        logger.sourceListening("\(id)", at: socket.address, inherited: socket.inherited)
    }

    // MARK: Configuration

    private static func specs(_ settings: LoadedSettings) -> [DestinationSpec] {
        settings.destinations.map { one in
            let destination = makeDestination(one)
            return DestinationSpec(
                name: one.name, type: one.type, destination: destination,
                settings: DeliverySettings(one, destination.declaration, spoolBytes: settings.spool.sizeMax))
        }
    }

    /// The rules of a configuration, whose mistakes were found when it was loaded.
    private static func rules(_ settings: LoadedSettings, _ host: RuleHost) -> Rules { Rules.compile(settings.rules, host: host).rules }

    /// Reads the configuration again and takes it over, all of it or nothing. Returns what changed, a line each.
    @discardableResult
    func reload(dryRun: Bool) throws -> [String] {
        try reloading.withLock { _ in
            let began = Clock.system.monotonic()
            let new: LoadedSettings
            do throws(SettingsError) {
                new = try loadSettings(configPath)
            } catch {
                for mistake in error.mistakes { logger.configurationMistake(mistake.sentence, place: "\(mistake.place)") }
                logger.reloadRefused(mistakes: error.mistakes.count, path: configPath)
                throw Failure("\(error)")
            }
            let changes = new.changes(from: settings.withLock { $0 })
            var lines = changes.map { "\($0)" } + backlogsTouched(by: changes)
            if lines.isEmpty { lines = ["nothing has changed"] }
            guard !dryRun else { return lines }
            manager.reloading()
            defer { manager.ready(status: line().text) }
            do throws(SpoolError) {
                let rules = Self.rules(new, ruleHost)
                try delivery.apply(Self.specs(new), rules: rules, summaryEvery: new.journal.summary)
                intakeGate.set(rules)
            } catch {
                logger.reloadRefused(mistakes: 1, path: configPath)
                throw Failure("\(error)")
            }
            settings.withLock { $0 = new }
            for warning in new.warnings { logger.configurationWarning(warning.sentence, place: "\(warning.place)") }
            logger.reloadApplied(
                changes.filter(\.reload).map { "\($0)" }.joined(separator: "; "),
                took: .nanoseconds(Int64(Clock.system.monotonic() - began)),
                needRestart: changes.filter { !$0.reload }.map(\.path))
            return lines
        }
    }

    private func backlogsTouched(by changes: [Change]) -> [String] {
        let names = Set(
            changes.compactMap {
                $0.path.hasPrefix("destinations.") ? $0.path.split(separator: ".").dropFirst().first.map(String.init) : nil
            })
        return (delivery.status() ?? []).filter { names.contains($0.name) && $0.backlogSpans > 0 }.map {
            "destinations.\($0.name): \($0.backlogSpans) spans wait for it"
        }
    }

    // MARK: Control

    private func openControl(_ settings: LoadedSettings) throws -> ControlServer {
        let control = settings.control
        do throws(SocketError) {
            let socket = try Sockets.unix(.stream, path: control.path, mode: control.group == nil ? 0o600 : 0o660, group: control.group)
            return ControlServer(socket, group: control.group.flatMap(SystemAccounts.gid)) { [self] request, write in answer(request, write)
            }
        } catch {
            throw Failure("control: \(error)")
        }
    }

    private func answer(_ data: Data, _ write: (Data) -> Bool) {
        do {
            let request = try decoder().decode(ControlRequest.self, from: data)
            switch request.command {
            case .status: try reply(report(), write)
            case .reload: try reply(ReloadReply(lines: reload(dryRun: request.dryRun ?? false)), write)
            case .tail:
                try tap.follow(log, spans: request.spans ?? true, events: request.events ?? true, json: request.json ?? false) {
                    write(Data("\($0)\n".utf8))
                }
            case .pause, .resume, .skip, .seek: try reply(order(request), write)
            case .trustClock:
                log.trustClock()
                delivery.trustClock()
                try reply(TextReply(text: "the wall clock is trusted: spans may expire by age again"), write)
            case .deadList: try reply(deadList(request), write)
            case .deadShow: try deadShow(request, write)
            case .deadReplay, .deadPurge:
                try DeadLetterDesk(log: log, delivery: delivery, consumer: try consumer(request.destination)).carryOut(request, write)
            }
        } catch is DecodingError {
            _ = write(Data("{\"error\":\"not a request this tracefwd knows: is the command line of another version?\"}\n".utf8))
        } catch {
            let frame = ControlAnswer<TextReply>(result: nil, error: "\(error)")
            _ = (try? encoder().encode(frame)).map { write($0 + Data("\n".utf8)) }
        }
    }

    private func reply<Result: Codable>(_ result: Result, _ write: (Data) -> Bool) throws {
        _ = write(try answerFrame(result))
    }

    private func consumer(_ name: String?) throws -> Consumer {
        let consumers = log.status.consumers.values
        guard let name, let consumer = consumers.first(where: { $0.name == name }) else {
            let known = consumers.map(\.name).sorted().joined(separator: ", ")
            throw Failure("no destination \"\(name ?? "")\"; there are: \(known)")
        }
        return consumer
    }

    private func order(_ request: ControlRequest) throws -> TextReply {
        let consumer = try consumer(request.destination)
        let name = consumer.name
        let (order, text): (DeliveryEngine.Order, String)
        switch request.command {
        case .pause: (order, text) = (.pause, "\(name) is paused; tracefwd resume \(name) lets it go on")
        case .resume: (order, text) = (.resume, "\(name) goes on")
        default:
            let position = try request.command == .skip ? .max : target(request)
            let status = log.status
            let plan = SeekPlan(from: consumer.cursor, to: position, oldestID: status.oldestID, lastID: status.nextID - 1)
            guard request.dryRun != true else { return TextReply(text: "\(name), if it were done: \(plan.text)") }
            (order, text) = (request.command == .skip ? .skip : .seek(position: position), "\(name): \(plan.text)")
        }
        guard try delivery.carryOut(order, on: name) else { throw Failure("\(name) is not in the configuration any more") }
        bridge.told(order, name)
        return TextReply(text: text)
    }

    /// The id before the one that a seek goes on with.
    private func target(_ request: ControlRequest) throws -> Int64 {
        if let age = request.secondsAgo {
            return try log.reader().firstID(since: UInt64(max(0, Date().timeIntervalSince1970 - age) * 1e9)) - 1
        }
        let position = request.position ?? 0
        // A slip of the keyboard must not give up a whole backlog.
        guard position == .max || position <= log.lastID else {
            throw Failure("no span has id \(position + 1) yet: the log ends with \(log.lastID); --to end passes over all of it")
        }
        return position
    }

    private func deadList(_ request: ControlRequest) throws -> DeadListReply {
        let consumers = try request.destination.map { [try consumer($0)] } ?? log.status.consumers.values.sorted { $0.name < $1.name }
        guard log.flush() else { throw Failure("the spool cannot be written now") }
        let reader = try log.reader()
        return DeadListReply(
            letters: try consumers.flatMap { consumer in
                try reader.deadLetters(
                    consumer: consumer.id, filter: request.filter ?? .init(), limit: max(0, min(request.limit ?? 100, 10_000))
                ).map {
                    DeadListReply.Letter($0, destination: consumer.name)
                }
            })
    }

    private func deadShow(_ request: ControlRequest, _ write: (Data) -> Bool) throws {
        let consumer = try consumer(request.destination)
        _ = log.flush()
        guard let letter = try log.reader().deadLetter(consumer: consumer.id, span: request.span ?? 0) else {
            throw Failure("\(consumer.name) has no dead letter for span \(request.span ?? 0)")
        }
        var frame = Data(#"{"result":{"letter":"#.utf8) + (try encoder().encode(DeadListReply.Letter(letter, destination: consumer.name)))
        if let stored = letter.stored {
            var span: [UInt8] = []
            appendNativeJSON(
                SpanView(segment: Segment(firstID: letter.span, payload: stored.bytes, entries: [stored.entry]), index: 0), to: &span)
            frame += Data(#","span_content":"#.utf8) + span
        }
        _ = write(frame + Data("}}\n".utf8))
    }

    // MARK: What is shown

    private func unready() -> String? {
        let status = log.status
        if status.refusal != nil { return "the spool takes no spans: \(status.trouble)" }
        return nil
    }

    private func metrics() -> String {
        let deliveries = delivery.status() ?? []
        return MetricsPage(
            report(deliveries), deliveries: deliveries, rules: delivery.ruleCounters() ?? RuleCounters(), intake: intakeGate.counters,
            journalLinesLost: journal.linesLost,
            durability: log.options.durability.rawValue
        ).body
    }

    private func report() -> StatusReport { report(delivery.status() ?? []) }

    private func report(_ deliveries: [DestinationStatus]) -> StatusReport {
        let status = log.status
        let letters = (try? log.reader().deadLetterCounts()) ?? [:]
        var sources = doors.withLock { $0 }.map { door in
            var source = StatusReport.Source(door.id, door.socket, door.counters, status.rejections)
            source.receiveBuffer = door.receiveBuffer
            return source
        }
        if let address = httpAddress.withLock({ $0 }) { sources.append(StatusReport.Source(name: "http", address: address)) }
        return StatusReport(
            version: version, pid: getpid(), uptimeSeconds: Double(Clock.system.monotonic() - started) / 1e9,
            files: settings.withLock { $0.files },
            spool: StatusReport.Spool(status, log.options), sources: sources,
            destinations: deliveries.map { one in
                StatusReport.Destination(one, status.consumers[one.consumer], letters[one.consumer] ?? [:])
            })
    }

    /// What `systemctl status` shows in one line, and whether it is so until something happens.
    private func line() -> (text: String, holds: Bool) {
        let status = log.status
        if status.refusal != nil { return ("no spans are taken: \(status.trouble)", false) }
        let deliveries = delivery.status() ?? []
        let waiting = deliveries.map(\.backlogSpans).max() ?? 0
        let troubled = deliveries.filter { $0.state != .idle && $0.state != .delivering }.map {
            "\($0.name): \($0.state.rawValue) (\($0.detail))"
        }
        return ((["\(counted(Int(waiting), "span")) spooled"] + troubled).joined(separator: "; "), troubled.isEmpty)
    }
}
