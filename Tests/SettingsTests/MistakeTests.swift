import Testing

@testable import Settings

struct Bad: Sendable, CustomTestStringConvertible {
    let yaml: String
    let says: [String]

    init(_ yaml: String, _ says: String...) {
        self.yaml = yaml
        self.says = says
    }

    var testDescription: String { yaml }
}

@Test("every mistake is told with its place and what would be right", arguments: bad)
func mistakes(_ bad: Bad) {
    let count = bad.says.count == 1 ? "(1 mistake)" : "(\(bad.says.count) mistakes)"
    #expect(complaint(bad.yaml) == bad.says.joined(separator: "\n") + " " + count)
}

let bad: [Bad] = [
    Bad(
        #"x"#,
        #"t.yaml:1:1: this is a text; a configuration is keys with values"#),
    Bad(
        #"history: 5s"#,
        #"t.yaml:1:1: unknown key "history"; it belongs under "spool""#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "http://h", base: 5s, key_file: /k } }"#,
        #"t.yaml:1:56: destinations.a: unknown key "base"; it belongs under "destinations.a.backoff""#,
        #"t.yaml:1:66: destinations.a: unknown key "key_file"; it belongs under "destinations.a.tls""#),
    Bad(
        #"journal: { lvl: info, levle: info, volume: 3 }"#,
        #"t.yaml:1:12: journal: unknown key "lvl"; known here are level and summary"#,
        #"t.yaml:1:23: journal: unknown key "levle"; did you mean "level"?"#,
        #"t.yaml:1:36: journal: unknown key "volume"; known here are level and summary"#),
    Bad(
        #"sources: { udp: { allow: [] } }"#,
        #"t.yaml:1:26: sources.udp: allow is an empty list; name at least one, or leave the key out (this machine)"#),
    Bad(
        #"routes: [a]"#,
        #"t.yaml:1:10: routes[0] is a text; it is a section: keys with values"#),
    Bad(
        #"sources: { http: { listen: "${PORT}" }, udp: { listen: "${HOST" }, unix: { path: "${A-b}", owner: "${NONE}${NEITHER}" } }"#,
        #"t.yaml:1:28: sources.http: listen needs ${PORT}, which is not set; set it for the daemon, or write ${PORT:-default}"#,
        #"t.yaml:1:56: sources.udp: listen has a ${ without its }; a $ of its own is written $$"#,
        #"t.yaml:1:82: sources.unix: path has a variable that is not written ${NAME} or ${NAME:-default}; a $ of its own is written $$"#,
        #"t.yaml:1:99: sources.unix: owner needs ${NONE}, which is not set; set it for the daemon, or write ${NONE:-default}"#,
        #"t.yaml:1:99: sources.unix: owner needs ${NEITHER}, which is not set; set it for the daemon, or write ${NEITHER:-default}"#),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: [MARKER] } }"#,
        #"t.yaml:1:65: destinations.a: secret_key is a list, which is not shown; it is a text, "${NAME}", {file: path} or {credential: name}"#
    ),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: { MARKER: } } }"#,
        #"t.yaml:1:65: destinations.a: secret_key is a section, which is not shown; it is a text, "${NAME}", {file: path} or {credential: name}"#
    ),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: { file: /none } } }"#,
        #"t.yaml:1:65: destinations.a: secret_key cannot be had: the file /none: No such file or directory"#),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: { credential: langfuse } } }"#,
        #"t.yaml:1:65: destinations.a: secret_key is a credential, which systemd hands over: LoadCredential=NAME:PATH in the unit; $CREDENTIALS_DIRECTORY is not set"#
    ),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: "" } }"#,
        #"t.yaml:1:65: destinations.a: secret_key is empty; it is a text, "${NAME}", {file: path} or {credential: name}"#
    ),
    Bad(
        #"destinations: { a: { type: langfuse, public_key: k, secret_key: "x${UNSET}" } }"#,
        #"t.yaml:1:65: destinations.a: secret_key needs ${UNSET}, which is not set; set it for the daemon, or write ${UNSET:-default}"#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "http://h", proxy: "htp://user:MARKER@p?key=MARKER" } }"#,
        #"t.yaml:1:63: destinations.a: proxy is "htp://••••••@p?••••••"; it is a URL: http://… or https://…"#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "http://h", headers: { "authorization: MARKER": , x: "a\nb" } } }"#,
        #"t.yaml:1:67: destinations.a.headers: the name of a header has letters, digits and -; its value comes after the colon"#,
        #"t.yaml:1:94: destinations.a.headers: x has a line break or control character in its value"#),
    Bad(
        #"spol: {}"#,
        #"t.yaml:1:1: unknown key "spol"; did you mean "spool"?"#),
    Bad(
        #"spool: { maxSize: 1GiB }"#,
        #"t.yaml:1:10: spool: unknown key "maxSize"; did you mean "max_size"?"#),
    Bad(
        #"spool:\#n  history: 5"#,
        #"t.yaml:2:12: spool: history is 5; a time has a unit: 5ms, 5s, 5m, 5h or 5d"#),
    Bad(
        #"spool: { history: 5sec }"#,
        #"t.yaml:1:19: spool: history is "5sec"; "sec" is no unit here; did you mean "s"? Units are ms, s, m, h and d"#),
    Bad(
        #"spool: { history: soon }"#,
        #"t.yaml:1:19: spool: history is "soon"; a time is a number and a unit: 200ms, 5s, 1m, 72h or 30d"#),
    Bad(
        #"spool: { history: 4000d }"#,
        #"t.yaml:1:19: spool: history is "4000d"; it is from 0 to 3650d"#),
    Bad(
        #"spool: { history: [5s] }"#,
        #"t.yaml:1:19: spool: history is a list; it is a time such as 5s or 0"#),
    Bad(
        #"spool: { history: }"#,
        #"t.yaml:1:10: spool: history is empty; it is a time such as 5s or 0"#),
    Bad(
        #"spool: { max_size: 10gb }"#,
        #"t.yaml:1:20: spool: max_size is "10gb"; "gb" is no unit here; did you mean "GB"? Units are B, KiB, MiB, GiB, TiB, KB, MB, GB and TB"#
    ),
    Bad(
        #"spool: { max_size: 10Gi }"#,
        #"t.yaml:1:20: spool: max_size is "10Gi"; "Gi" is no unit here; did you mean "GiB"? Units are B, KiB, MiB, GiB, TiB, KB, MB, GB and TB"#
    ),
    Bad(
        #"spool: { max_size: 99999999999TiB }"#,
        #"t.yaml:1:20: spool: max_size is "99999999999TiB"; that is beyond any disk"#),
    Bad(
        #"spool: { max_size: 1 }"#,
        #"t.yaml:1:20: spool: max_size is 1; it is at least 16MiB"#),
    Bad(
        #"spool: { when_full: rejct }"#,
        #"t.yaml:1:21: spool: when_full is "rejct"; did you mean "reject"? It is reject, drop_oldest or {block: a time such as 5s}"#),
    Bad(
        #"spool: { when_full: { blok: 5s } }"#,
        #"t.yaml:1:10: spool.when_full: "block" is missing; it is a time such as 5s"#,
        #"t.yaml:1:23: spool.when_full: unknown key "blok"; did you mean "block"?"#),
    Bad(
        #"spool: { when_full: { block: 5 } }"#,
        #"t.yaml:1:30: spool.when_full: block is 5; a time has a unit: 5ms, 5s, 5m, 5h or 5d"#),
    Bad(
        #"spool: { when_full: [reject] }"#,
        #"t.yaml:1:21: spool: when_full is a list; it is reject, drop_oldest or {block: a time such as 5s}"#),
    Bad(
        #"spool: { durability: disk }"#,
        #"t.yaml:1:22: spool: durability is "disk"; it is fsync, os or none"#),
    Bad(
        #"spool: on"#,
        #"t.yaml:1:8: spool is a text; it is a section: keys with values"#),
    Bad(
        #"sources: [unix]"#,
        #"t.yaml:1:10: sources is a list; it is a section: keys with values"#),
    Bad(
        #"sources: { unix: { mode: 0999 } }"#,
        #"t.yaml:1:26: sources.unix: mode is 0999; a mode has three octal digits after a 0, in quotes: "0660""#),
    Bad(
        "sources: { unix: { path: /\(String(repeating: "a", count: 120)) } }",
        #"t.yaml:1:26: sources.unix: path is "/\#(String(repeating: "a", count: 59))…"; a path here has at most 107 bytes"#),
    Bad(
        #"sources: { udp: { listen: 8127 } }"#,
        #"t.yaml:1:27: sources.udp: listen is 8127; it is host:port, such as 127.0.0.1:8127"#),
    Bad(
        #"sources: { udp: { listen: ":8127" } }"#,
        #"t.yaml:1:27: sources.udp: listen is ":8127"; a host stands before the port: 127.0.0.1 for this machine, 0.0.0.0 for every network"#
    ),
    Bad(
        #"sources: { udp: { listen: "::1:8127" } }"#,
        #"t.yaml:1:27: sources.udp: listen is "::1:8127"; it is host:port; an IPv6 address stands in brackets, and the whole in quotes: "[::1]:8127""#
    ),
    Bad(
        #"sources: { udp: { listen: "127.0.0.1:70000" } }"#,
        #"t.yaml:1:27: sources.udp: listen is "127.0.0.1:70000"; it is host:port, such as 127.0.0.1:8127"#),
    Bad(
        #"sources: { udp: { listen: "0.0.0.0:8127" } }"#,
        #"t.yaml:1:19: sources.udp: listen is 0.0.0.0:8127, which other machines reach; say in "allow" which networks may send"#),
    Bad(
        #"sources: { udp: { listen: "0.0.0.0:8127", allow: [10.0.0.0/40] } }"#,
        #"t.yaml:1:51: sources.udp: allow[0] is "10.0.0.0/40"; it is an address or a network: 192.168.1.7, 10.0.0.0/8 or fd00::/8"#),
    Bad(
        #"sources: { unix: { path: /s }, unix_datagram: { path: /s } }"#,
        #"t.yaml:1:49: sources.unix_datagram: path is "/s", which is the socket of sources.unix too; give each its own"#),
    Bad(
        #"limits: { depth: 1 }\#njournal: { level: warn }"#,
        #"t.yaml:1:18: limits: depth is 1; it is a whole number from 4 to 512"#,
        #"t.yaml:2:19: journal: level is "warn"; did you mean "warning"? It is debug, info, warning or error"#),
    Bad(
        #"memory: [1]\#nspool:\#n\#tpath: /x"#,
        #"t.yaml:3:1: not YAML: YAML indents with spaces, this line has a tab"#),
    Bad(
        #"spool: { path: /x"#,
        #"t.yaml:2:1: not YAML: a bracket is not closed, or a comma is missing (what it is in begins in line 1)"#),
    Bad(
        #"spool:\#n  path: /x\#n history: 5s"#,
        #"t.yaml:3:2: not YAML: the indentation fits no line above, or a quote or bracket before this is not closed (what it is in begins in line 1)"#
    ),
    Bad(
        #"spool: path: /x"#,
        #"t.yaml:1:12: not YAML: a colon within a value, which then stands in quotes, or a key that is indented too far"#),
    Bad(
        #"a: 1\#n---\#nb: 2"#,
        #"t.yaml:2:1: not YAML: a second document (---); a file is one document"#),
    Bad(
        #"- a"#,
        #"t.yaml:1:1: this is a list; a configuration is keys with values"#),
    Bad(
        #"spool: { path: *nowhere }"#,
        #"t.yaml:1:16: not YAML: an alias (*…) without its anchor; a text that begins with * stands in quotes"#),
    Bad(
        #"spool: { path: !include x }"#,
        #"t.yaml:1:16: a YAML tag (!…) means nothing here; a text that begins with ! stands in quotes"#),
    Bad(
        #"spool: { path: @x }"#,
        #"t.yaml:1:16: not YAML: a value that begins with @, ` or % stands in quotes"#),
    Bad(
        #"spool: { path: "/x }"#,
        #"t.yaml:1:21: not YAML: the file ends within quotes"#),
    Bad(
        #"? [a]\#n: 1"#,
        #"t.yaml:1:3: a key is a word, not a list or a section"#),
    Bad(
        #"spool:\#n  path: /a\#n  history: 5s\#n  path: /b\#njournal: { level: loud }\#nspool: {}"#,
        #"t.yaml:4:3: "path" stands twice in one section, first in line 2; leave one"#,
        #"t.yaml:5:19: journal: level is "loud"; it is debug, info, warning or error"#,
        #"t.yaml:6:1: "spool" stands twice in one section, first in line 1; leave one"#),
    Bad(
        #"spool:\#n  "path": /a\#n  path: /b\#n  path: /c"#,
        #"t.yaml:3:3: "path" stands twice in one section, first in line 2; leave one"#,
        #"t.yaml:4:3: "path" stands twice in one section, first in line 2; leave one"#),
    Bad(
        #"destinations: { a: { type: oltp, endpoint: "http://h" } }"#,
        #"t.yaml:1:28: destinations.a: type is "oltp"; did you mean "otlp"? It is file, langfuse or otlp"#),
    Bad(
        #"destinations: { a: { type: kafka } }"#,
        #"t.yaml:1:28: destinations.a: type is "kafka"; it is file, langfuse or otlp"#),
    Bad(
        #"destinations: { a: { endpoint: "http://h" } }"#,
        #"t.yaml:1:17: destinations.a: "type" is missing; it is file, langfuse or otlp"#),
    Bad(
        #"destinations: { a: otlp }"#,
        #"t.yaml:1:17: destinations: a is a text; it is a section with a "type:""#),
    Bad(
        #"destinations: { a b: { type: file, path: /x } }"#,
        #"t.yaml:1:17: destinations: a b is no name for a destination; it has letters, digits, _ and -, at most 64, and begins with a letter or digit"#
    ),
    Bad(
        #"destinations: { a: { type: otlp } }"#,
        #"t.yaml:1:17: destinations.a: either "endpoint" or "traces_endpoint" stands here"#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "h:4318" } }"#,
        #"t.yaml:1:44: destinations.a: endpoint is "h:4318"; it is a URL: http://… or https://…"#),
    Bad(
        #"destinations: { a: { type: file } }"#,
        #"t.yaml:1:17: destinations.a: "path" is missing; it is a path"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, proxy: "http://p" } }"#,
        #"t.yaml:1:44: destinations.a: unknown key "proxy"; known here are type, enabled, from, was, linger, max_spans, max_bytes, workers, timeout, backoff, breaker, max_age, backlog, catch_up, rate, fallback and path"#
    ),
    Bad(
        #"destinations: { a: { type: file, path: /x, backoff: { base: 5s, max: 1s }, workers: 0, enabled: yes } }"#,
        #"t.yaml:1:65: destinations.a.backoff: max is 1s, less than base, which is 5s"#,
        #"t.yaml:1:85: destinations.a: workers is 0; it is a whole number from 1 to 64"#,
        #"t.yaml:1:97: destinations.a: enabled is "yes"; it is true or false"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, backlog: { max: 150% } } }"#,
        #"t.yaml:1:60: destinations.a.backlog: max is 150%; a part is from 1% to 100%"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, from: never } }"#,
        #"t.yaml:1:50: destinations.a: from is "never"; it is end, beginning or a time such as 5s"#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "http://h", tls: { key_file: /k } } }"#,
        #"t.yaml:1:63: destinations.a.tls: key_file stands alone; a client is known by certificate_file and key_file together"#),
    Bad(
        #"destinations: { a: { type: otlp, endpoint: "http://h", headers: { "a b": x, Host: y, X-A: 1, x-a: 2 } } }"#,
        #"t.yaml:1:67: destinations.a.headers: the name of a header has letters, digits and -; its value comes after the colon"#,
        #"t.yaml:1:77: destinations.a.headers: Host is set by tracefwd; leave it out"#,
        #"t.yaml:1:94: destinations.a.headers: x-a stands twice; the first is X-A in line 1"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, was: b }, b: { type: file, path: /y } }"#,
        #"t.yaml:1:44: destinations.a: was is "b", which is still a destination of its own"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, fallback: { to: a } } }"#,
        #"t.yaml:1:56: destinations.a.fallback: to is the destination itself; name another"#),
    Bad(
        #"destinations: { a: { type: file, path: /x, rate: { requests: 0 } } }"#,
        #"t.yaml:1:62: destinations.a.rate: requests is 0; it is a whole number from 1 to 1000000"#),
    Bad(
        #"destinations: { archive: { type: file, path: /x } }\#nroutes: [{ name: all, to: [archiv] }, { name: all, to: [collector, archive] }]"#,
        #"t.yaml:2:28: routes[0] "all": to[0] is "archiv", which is no destination; did you mean "archive"?"#,
        #"t.yaml:2:41: routes[1] "all": name is "all", which another route has too; give each its own"#,
        #"t.yaml:2:57: routes[1] "all": to[0] is "collector", which is no destination; known are archive"#),
    Bad(
        #"routes: []"#,
        #"t.yaml:1:9: routes is an empty list; name at least one, or leave the key out (everything goes to every destination)"#),
]

@Test("a broken file beside whole ones does not make what it would have defined look unknown")
func brokenAddition() {
    let error = #expect(throws: SettingsError.self) {
        _ = try loadTexts([("t.yaml", "routes: [{ name: r, to: [a] }]\nmemory: 1"), ("conf.d/a.yaml", "destinations: {")])
    }
    #expect(
        error?.description == """
            t.yaml:2:9: memory is 1; it is at least 32MiB
            conf.d/a.yaml:2:1: not YAML: a bracket is not closed, or nothing stands between two commas (2 mistakes)
            """)
}

@Test("a file that is not there, and one that is not UTF-8, are mistakes with their place")
func unreadable() {
    let none = #expect(throws: SettingsError.self) {
        _ = try load(
            file: "t.yaml", destinationTypes: [],
            surroundings: Surroundings(environment: [:]) { _ throws(ReadError) in throw ReadError("No such file or directory") })
    }
    #expect(none?.description == "t.yaml: cannot be read: No such file or directory (1 mistake)")
    let latin = #expect(throws: SettingsError.self) {
        _ = try load(
            file: "t.yaml", destinationTypes: [],
            surroundings: Surroundings(environment: [:]) { _ throws(ReadError) in Array("a: 1\n# ".utf8) + [0xE9] })
    }
    #expect(latin?.description == "t.yaml:2:1: this line is not UTF-8; save the file in that encoding (1 mistake)")
}

@Test(
    "the known word that is near is guessed, and none where none is",
    arguments: [
        ("secretkey", "secret_key"), ("SECRET-KEY", "secret_key"), ("lingre", "linger"), ("enpoint", "endpoint"), ("hist", "history"),
        ("xyz", nil), ("a", nil),
    ] as [(String, String?)])
func nearWords(word: String, guess: String?) {
    #expect(nearest(to: word, in: ["secret_key", "linger", "endpoint", "history"]) == guess)
}

@Test("a file nested beyond reason is a mistake, not a crash")
func deepNesting() {
    #expect(complaint("a: " + String(repeating: "[", count: 20_000)).hasSuffix("not YAML: nested beyond what is read (1 mistake)"))
}
