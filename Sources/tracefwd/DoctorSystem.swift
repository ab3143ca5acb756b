import Foundation
import Glibc
import Settings
import SpanModel

extension DoctorCheck {
    /// Whether the datagram sources have the buffers that they ask for: the daemon's own sockets, which systemd may have given more than the
    /// kernel gives to who asks, or, with the daemon down, what the kernel would give.
    static let kernel = DoctorCheck(name: "kernel buffers") { subject in
        guard let sources = subject.settings?.sources else { return [] }
        let asked = [sources.udp.map { ("udp", $0.receiveBuffer) }, sources.unixDatagram.map { ("unix_datagram", $0.receiveBuffer) }]
            .compactMap(\.self)
        guard !asked.isEmpty else { return [] }
        let most = number(in: "/proc/sys/net/core/rmem_max")
        let open = (try? subject.daemon.get())?.sources ?? []
        return asked.map { name, bytes in
            let key = "sources.\(name).receive_buffer"
            if let given = open.first(where: { $0.name == name })?.receiveBuffer {
                guard given < bytes else { return .ok("\(key): the socket has \(human(bytes: given))") }
                return .warning(
                    "\(key) is \(human(bytes: bytes)), the socket has \(human(bytes: given)): a burst loses datagrams",
                    "sysctl -w net.core.rmem_max=\(bytes), and in /etc/sysctl.d; or ReceiveBuffer= in a .socket unit")
            }
            guard let most else { return .unknown("net.core.rmem_max cannot be read") }
            guard most < bytes else { return .ok("\(key): the kernel allows its \(human(bytes: bytes))") }
            return .unknown(
                "\(key) is \(human(bytes: bytes)), the kernel allows \(human(bytes: most))",
                "ask with the daemon running: ReceiveBuffer= of a .socket unit may give more")
        }
    }

    /// Files and threads that the daemon may have.
    static let limits = DoctorCheck(name: "limits") { subject in
        var findings: [Finding] = []
        let pid = (try? subject.daemon.get())?.pid
        let whose = pid == nil ? "a process started here" : "the daemon"
        if let files = filesMax(pid) {
            let text = "\(whose) may have \(files) files open"
            findings.append(files < 4096 ? .warning(text + ": fewer than 4096 connections", "LimitNOFILE=65536 in the unit") : .ok(text))
        } else {
            findings.append(.unknown("the daemon's limits may not be read", "run doctor as root"))
        }
        if let pid, let (tasks, most) = tasks(pid) {
            let text = "the daemon has \(tasks) of \(most) tasks"
            findings.append(most - tasks < 50 ? .warning(text, "TasksMax=512 in the unit") : .ok(text))
        }
        return findings
    }

    /// Whether the daemon answers, is of this version, and takes and delivers spans.
    static let daemon = DoctorCheck(name: "daemon") { subject in
        let report: StatusReport
        switch subject.daemon {
        case .success(let answer): report = answer
        case .failure(let silence) where silence.isRunning:
            return [.wrong(silence.reason, "ask as root or as the daemon's user; where that hangs too: systemctl restart tracefwd")]
        case .failure(let silence):
            return [
                .warning("it does not run, or not with this configuration: \(silence.reason)", "systemctl start tracefwd, or tracefwd run")
            ]
        }
        var findings: [Finding] = []
        if report.version != version {
            findings.append(
                .warning(
                    "the daemon is tracefwd \(report.version), this command is \(version)", "restart the daemon: systemctl restart tracefwd"
                ))
        }
        if let trouble = report.spool.trouble { findings.append(.wrong("it takes no spans: \(trouble)", "see disk and spool above")) }
        if let here = subject.paths?.spool, here != report.spool.path {
            findings.append(.warning("its spool is \(report.spool.path), the configuration says \(here)", "restart the daemon"))
        }
        for one in report.destinations {
            let name = "destination \(one.name)"
            let waits = one.backlogSpans > 0 ? "; \(counted(Int(one.backlogSpans), "span")) to go" : ""
            switch one.state {
            case "paused", "disabled":
                findings.append(.wrong("\(one.state): \(one.detail)\(waits)", "correct its key or address, then tracefwd reload").of(name))
            case "breaker_open", "retrying":
                findings.append(
                    .warning("\(one.state): \(one.detail)\(waits)", "see what the platform says; spans wait meanwhile").of(name))
            case "paused_by_user":
                findings.append(.warning("paused\(waits)", "tracefwd resume \(one.name), when it is to go on").of(name))
            default: break
            }
            if !one.balances {
                findings.append(.wrong("its books do not balance", "please report this with tracefwd status --json").of(name))
            }
            let dead = one.deadLetters["dead"] ?? 0
            if dead > 0 {
                findings.append(
                    .warning(
                        "\(counted(Int(dead), "span")) refused for good", "tracefwd dead list \(one.name), then dead replay or dead purge"
                    )
                    .of(name))
            }
        }
        for source in report.sources where source.kernelDropped > 0 {
            findings.append(
                .warning(
                    "source \(source.name): the kernel dropped \(counted(source.kernelDropped, "datagram"))",
                    "raise receive_buffer, or send over the unix socket, which loses none"))
        }
        let facts = "pid \(report.pid), up \(human(seconds: report.uptimeSeconds)), version \(report.version)"
        return findings.contains { $0.check.isEmpty } ? findings : [.ok(facts)] + findings
    }

    /// What systemd says of the unit.
    static let unit = DoctorCheck(name: "systemd unit") { _ in
        guard access("/run/systemd/system", F_OK) == 0 else { return [.ok("this machine, or container, does not run systemd")] }
        guard let text = output(of: ["systemctl", "show", "tracefwd.service", "-p", "LoadState,ActiveState,SubState,Result,NRestarts"])
        else {
            return [.unknown("systemctl does not answer")]
        }
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let pair = line.split(separator: "=", maxSplits: 1).map(String.init)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        guard values["LoadState"] == "loaded" else { return [.ok("there is no tracefwd.service")] }
        let restarts = values["NRestarts"].flatMap { Int($0) } ?? 0
        let state = "\(values["ActiveState"] ?? "?") (\(values["SubState"] ?? "?"))\(restarts > 0 ? ", restarted \(restarts) times" : "")"
        switch values["ActiveState"] {
        case "failed":
            return [.wrong("\(state): \(values["Result"] ?? "")", "journalctl -u tracefwd -p err tells why; systemctl restart tracefwd")]
        case "active" where restarts < 3: return [.ok(state)]
        default: return [.warning(state, "journalctl -u tracefwd; systemctl start tracefwd")]
        }
    }

    // MARK: What the kernel writes into files

    private static func number(in file: String) -> Int? {
        FileManager.default.contents(atPath: file).flatMap {
            Int(String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    private static func filesMax(_ pid: Int32?) -> Int? {
        guard let pid else {
            var limit = rlimit()
            return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? Int(clamping: limit.rlim_max) : nil
        }
        guard let text = FileManager.default.contents(atPath: "/proc/\(pid)/limits").map({ String(decoding: $0, as: UTF8.self) }),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Max open files") })
        else { return nil }
        let fields = line.dropFirst("Max open files".count).split(separator: " ")
        return fields.first.map { $0 == "unlimited" ? Int.max : Int($0) ?? 0 }
    }

    /// Of the daemon's control group (v2); nil where it is not limited or not to be seen.
    private static func tasks(_ pid: Int32) -> (Int, Int)? {
        guard let text = FileManager.default.contents(atPath: "/proc/\(pid)/cgroup").map({ String(decoding: $0, as: UTF8.self) }),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else { return nil }
        let group = "/sys/fs/cgroup" + line.dropFirst("0::".count)
        guard let now = number(in: group + "/pids.current"), let most = number(in: group + "/pids.max") else { return nil }
        return (now, most)
    }

    private static func output(of words: [String]) -> String? {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "5"] + words
        (process.standardOutput, process.standardError, process.standardInput) = (pipe, FileHandle.nullDevice, FileHandle.nullDevice)
        guard (try? process.run()) != nil else { return nil }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
    }
}
