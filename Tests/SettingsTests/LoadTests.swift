import Testing

@testable import Settings

@Test(
    "an empty file is a configuration: all defaults, no source, no destination",
    arguments: ["", "# nothing\n", "---\n", "spool:\nsources:\ndestinations:\nroutes:\n"])
func defaults(yaml: String) throws {
    let settings = try loadText(yaml)
    #expect(settings.memory == 256 << 20)
    #expect(settings.spool.path == "/var/lib/tracefwd/spool.db")
    #expect(settings.spool.sizeMax == 10 << 30)
    #expect(settings.spool.history == .seconds(86_400))
    #expect(settings.spool.whenFull == .reject)
    #expect(settings.spool.durability == .fsync)
    #expect(settings.spool.reserve == 64 << 20)
    #expect(settings.spool.deadLettersSizeMax == 1 << 30)
    #expect(settings.spool.deadLettersRetain == .seconds(30 * 86_400))
    #expect(settings.sources == (try loadText("sources: {}").sources))
    #expect(
        settings.sources.unix == nil && settings.sources.udp == nil && settings.sources.unixDatagram == nil && settings.sources.http == nil)
    #expect(settings.limits.spanBytes == 4 << 20 && settings.limits.depth == 64 && settings.limits.attributes == 1000)
    #expect(settings.control.path == "/var/lib/tracefwd/control.sock" && settings.control.group == nil)
    #expect(settings.journal.level == .info && settings.journal.summary == .seconds(10))
    #expect(settings.stopDrain == .seconds(10))
    #expect(settings.destinations.isEmpty && settings.rules.routes == nil)
}

@Test("every key of the file arrives in the typed settings")
func everything() throws {
    let settings = try loadText(
        """
        memory: 64MiB
        spool:
          path: run/spool.db
          max_size: 1.5GiB
          history: 0
          when_full: { block: 30s }
          durability: os
          reserve: 0
          dead_letters: { max_size: 500MB, retain: 1h }
        sources:
          unix: { path: run/s.sock, mode: 0600, owner: app, group: 1000, allow: { users: [app, 7], groups: [wheel] } }
          udp: { listen: "[::]:9000", receive_buffer: 65536, allow: [10.0.0.0/8, fd00::/8] }
          unix_datagram:
          http: { listen: localhost:0 }
        limits: { span_bytes: 1MiB, depth: 8, attributes: 10 }
        control: { path: c.sock, group: adm }
        journal: { level: debug, summary: 1m }
        stop: { drain: 1m }
        destinations:
          collector:
            type: otlp
            endpoint: https://collector.example/base
            compression: gzip
            enabled: false
            from: 2h
            was: old
            linger: 1s
            max_spans: 10
            max_bytes: 1MiB
            workers: 2
            timeout: 7s
            connect_timeout: 2s
            backoff: { base: 2s, max: 20s }
            breaker: { failures: 3 }
            max_age: 1d
            backlog: { max: 10GiB, when_full: hold }
            headers: { authorization: "Bearer k", x-tenant: a }
            tls: { ca_file: /ca, certificate_file: /c, key_file: /k, verify: false }
            proxy: http://u:p@proxy:3128
          archive: { type: file, path: /x }
        routes:
          - { name: all, to: [collector, archive] }
        """)
    #expect(settings.memory == 64 << 20)
    let spool = settings.spool
    #expect(spool.path == "run/spool.db" && spool.sizeMax == 3 << 29 && spool.history == .zero && spool.whenFull == .block(.seconds(30)))
    #expect(
        spool.durability == .os && spool.reserve == 0 && spool.deadLettersSizeMax == 500_000_000
            && spool.deadLettersRetain == .seconds(3600))
    let unix = try #require(settings.sources.unix)
    #expect(unix.path == "run/s.sock" && unix.mode == 0o600 && unix.owner == "app" && unix.group == "1000")
    #expect(unix.allow == UnixSourceSettings.Allow(users: ["app", "7"], groups: ["wheel"]))
    let udp = try #require(settings.sources.udp)
    #expect(udp.listen == ListenAddress(host: "::", port: 9000) && udp.receiveBuffer == 65_536 && udp.allow == ["10.0.0.0/8", "fd00::/8"])
    let datagram = try #require(settings.sources.unixDatagram)
    #expect(datagram.path == "/run/tracefwd.dgram.sock" && datagram.mode == 0o660 && datagram.receiveBuffer == 8 << 20)
    #expect(settings.sources.http?.listen == ListenAddress(host: "localhost", port: 0))
    #expect(settings.limits.spanBytes == 1 << 20 && settings.limits.depth == 8 && settings.limits.attributes == 10)
    #expect(settings.control.path == "c.sock" && settings.control.group == "adm")
    #expect(settings.journal.level == .debug && settings.journal.summary == .seconds(60) && settings.stopDrain == .seconds(60))

    #expect(settings.destinations.map(\.name) == ["collector", "archive"])
    let collector = settings.destinations[0]
    #expect(collector.type == "otlp" && !collector.isEnabled && collector.from == .ago(.seconds(7200)) && collector.was == "old")
    #expect(collector.linger == .seconds(1) && collector.spansMax == 10 && collector.bytesMax == 1 << 20 && collector.workers == 2)
    #expect(collector.timeout == .seconds(7) && collector.backoffBase == .seconds(2) && collector.backoffMax == .seconds(20))
    #expect(collector.breakerFailures == 3 && collector.ageMax == .seconds(86_400))
    #expect(collector.backlogMax == .bytes(10 << 30) && collector.backlogWhenFull == .hold)
    let http = try #require(collector.http)
    #expect(http.connectTimeout == .seconds(2) && http.headers.map(\.name) == ["authorization", "x-tenant"])
    #expect(http.headers.map { $0.value.reveal() } == ["Bearer k", "a"])
    #expect(
        http.caFile == "/ca" && http.certificateFile == "/c" && http.keyFile == "/k" && !http.verify
            && http.proxy?.reveal() == "http://u:p@proxy:3128")
    #expect(collector.section.string("endpoint") == "https://collector.example/base" && collector.section.string("compression") == "gzip")

    let archive = settings.destinations[1]
    #expect(archive.http == nil && archive.isEnabled && archive.from == nil && archive.timeout == nil && archive.spansMax == nil)
    #expect(archive.backlogMax == .percent(50) && archive.backlogMax.bytes(of: 10 << 30) == 5 << 30)
    #expect(settings.rules.routes?.map(\.name) == ["all"] && settings.rules.routes?.first?.to == ["collector", "archive"])
}

@Test("a type's own key stands instead of the common one of its name")
func ownKey() throws {
    #expect(try loadText("destinations: { a: { type: otlp, endpoint: \"http://h\" } }").destinations[0].timeout == .seconds(10))
}

@Test("what a type checks over several keys is reported with the rest, and not asked of a section that is wrong already")
func typeCheck() {
    let two = complaint("memory: 1\ndestinations:\n  a: { type: otlp }\n  b: { type: otlp, workers: x }")
    #expect(
        two == """
            t.yaml:1:9: memory is 1; it is at least 32MiB
            t.yaml:3:3: destinations.a: either "endpoint" or "traces_endpoint" stands here
            t.yaml:4:29: destinations.b: workers is "x"; it is a whole number from 1 to 64 (3 mistakes)
            """)
}

@Test("conf.d is read in the order of its names: sections join, routes follow one another")
func merging() throws {
    let settings = try loadTexts([
        (
            "/etc/t/t.yaml",
            "spool: { path: /a }\nsources:\n  unix:\ndestinations: { a: { type: file, path: /a } }\nroutes: [{ name: one, to: [a] }]"
        ),
        ("/etc/t/conf.d/20.yaml", "routes: [{ name: three, to: [b] }]"),
        (
            "/etc/t/conf.d/10.yaml",
            "spool: { history: 1h }\nsources: { unix: { mode: \"0600\" }, http: }\nroutes: [{ name: two, to: [a, b] }]"
        ),
        ("/etc/t/conf.d/30.yaml", "destinations: { b: { type: file, path: /b } }"),
        ("/etc/t/conf.d/ignored.yml", "nonsense"), ("/etc/t/conf.d/.hidden.yaml", "nonsense"), ("/etc/t/conf.d/40.yaml", "# nothing"),
    ])
    #expect(
        settings.files == [
            "/etc/t/t.yaml", "/etc/t/conf.d/10.yaml", "/etc/t/conf.d/20.yaml", "/etc/t/conf.d/30.yaml", "/etc/t/conf.d/40.yaml",
        ])
    #expect(settings.spool.path == "/a" && settings.spool.history == .seconds(3600))
    #expect(settings.sources.unix?.mode == 0o600 && settings.sources.http != nil)
    #expect(settings.rules.routes?.map(\.name) == ["one", "two", "three"])
    #expect(settings.destinations.map(\.name) == ["a", "b"])
}

@Test("the same key or destination in two files is a mistake that names both places")
func clashes() {
    let error = #expect(throws: SettingsError.self) {
        _ = try loadTexts([
            ("t.yaml", "spool: { path: /a }\nmemory: 64MiB\ndestinations: { a: { type: file, path: /a } }"),
            (
                "conf.d/x.yaml",
                "memory: 64MiB\nspool: { history: 1h, path: /b }\ndestinations:\n  a: { linger: 1s }\nsources: { udp: { listne: x } }"
            ),
        ])
    }
    #expect(
        error?.description == """
            conf.d/x.yaml:1:1: "memory" stands already at t.yaml:2:1; leave one of the two
            conf.d/x.yaml:2:23: spool: "path" stands already at t.yaml:1:10; leave one of the two
            conf.d/x.yaml:4:3: destinations: "a" stands already at t.yaml:3:17; leave one of the two
            conf.d/x.yaml:5:19: sources.udp: unknown key "listne"; did you mean "listen"? (4 mistakes)
            """)
}

@Test(
    "variables are replaced after parsing, in values only",
    arguments: [
        ("${A}", "one"), ("x${A}y${B}", "xoney: [1, 2]"), ("${NONE:-fall}", "fall"), ("${EMPTY:-fall}", "fall"), ("${EMPTY}", ""),
        ("${A:-fall}", "one"), ("$$", "$"),
        ("$${A}", "${A}"), ("$A", "$A"), ("a$", "a$"), ("${NONE:-}", ""),
    ])
func variables(written: String, meant: String) throws {
    let environment = ["A": "one", "B": ": [1, 2]", "EMPTY": ""]
    let settings = try loadText("control: { group: \"\(written)\" }", environment: environment)
    #expect(settings.control.group == meant)
}

@Test("a variable may stand for a value of any type, never for a key")
func variableTypes() throws {
    let yaml =
        "limits: { depth: \"${N}\" }\nspool: { when_full: { block: \"${T}\" }, max_size: \"${S}GiB\" }\ndestinations: { a: { type: \"${TYPE}\", path: /x } }"
    let settings = try loadText(yaml, environment: ["N": "9", "T": "1m", "S": "2", "TYPE": "file"])
    #expect(settings.limits.depth == 9 && settings.spool.whenFull == .block(.seconds(60)) && settings.spool.sizeMax == 2 << 30)
    #expect(settings.destinations[0].type == "file")
    #expect(complaint("${A}: 1", environment: ["A": "memory"]).contains("unknown key \"${A}\""))
}

@Test("only plain true and false are booleans, and texts stay texts")
func texts() throws {
    let settings = try loadText("control: { group: no, path: 0x10 }\ndestinations: { a: { type: file, path: 1e3, enabled: \"false\" } }")
    #expect(settings.control.group == "no" && settings.control.path == "0x10" && !settings.destinations[0].isEnabled)
    #expect(settings.destinations[0].section.string("path") == "1e3")
}

@Test("an anchor may be used again, but not to make a file explode")
func aliases() throws {
    let settings = try loadText("destinations:\n  a: &file { type: file, path: /x }\n  b: *file")
    #expect(settings.destinations.count == 2)
    var bomb = "a: &a0 [x]\n"
    for level in 1...20 { bomb += "b\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1)]\n" }
    #expect(complaint(bomb).contains("more than 100000 values"))
}

@Test("a byte order mark and Windows line ends are read over")
func windows() throws {
    #expect(try loadText("\u{FEFF}memory: 64MiB\r\nstop: { drain: 1s }\r\n").memory == 64 << 20)
    #expect(
        complaint("stop: {}\r\nstop: {}\r\n") == "t.yaml:2:1: \"stop\" stands twice in one section, first in line 1; leave one (1 mistake)")
}
