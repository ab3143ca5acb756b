import Foundation
import Testing

@testable import Settings

/// Every key of a table with its path, sections below included.
private func walk(_ keys: [Key], _ path: String = "") -> [(path: String, key: Key)] {
    keys.flatMap { key -> [(path: String, key: Key)] in
        let path = path.isEmpty ? key.name : "\(path).\(key.name)"
        let below: [(path: String, key: Key)] =
            switch key.type {
            case .destinations(let types): types.flatMap { walk([typeKey(types)] + $0.allKeys, "\(path).\($0.name)") }
            default: walk(key.keysBelow, path)
            }
        return [(path, key)] + below
    }
}

private let every = walk(table(sampleTypes))

@Test("each default is of its key's type, and only a section has the defaults of its keys")
func defaultsFit() throws {
    for (path, key) in every {
        switch key.absent {
        case .value(let text):
            let type = if case .rate = key.type { KeyType.fraction("") } else { key.type }
            #expect(throws: Never.self, "\(path)") { try type.parse(text, shown: text) }
        case .defaults: #expect(key.type.isSection, "\(path)")
        case .nothing(let meaning): #expect(!meaning.isEmpty, "\(path)")
        case .required: break
        }
    }
}

@Test("each key has its sentence")
func documented() {
    for (path, key) in every { #expect(key.doc.hasSuffix(".") && key.doc.count > 8, "\(path)") }
}

@Test("what takes a restart says so, all below a section with it")
func restart() {
    let reloads = Dictionary(every.map { ($0.path, $0.key.reload) }, uniquingKeysWith: { first, _ in first })
    for path in [
        "memory", "spool", "spool.max_size", "spool.dead_letters.retain", "sources.unix.allow.users", "limits.depth", "control.path",
    ] {
        #expect(reloads[path] == false, "\(path)")
    }
    for path in [
        "journal.level", "stop.drain", "destinations", "destinations.otlp.backoff.max", "destinations.file.path", "routes", "define",
        "intake.redact", "routes.sample.tail.wait", "prices.models", "tests.expect",
    ] {
        #expect(reloads[path] == true, "\(path)")
    }
}

@Test("the page has a row for every key")
func markdown() {
    let page = renderMarkdown(sampleTypes)
    for (path, key) in every {
        #expect(page.contains(key.doc.replacing("|", with: "\\|")), "\(path)")
        #expect(page.contains("\(key.name)` |") || page.contains("## `\(key.name)`"), "\(path)")
    }
    for line in page.split(separator: "\n") where line.hasPrefix("| `") {
        #expect(line.replacing("\\|", with: "").count { $0 == "|" } == 6, "\(line)")
    }
}

@Test("the schema is JSON and has every key")
func schema() throws {
    let text = renderJSONSchema(sampleTypes)
    let schema = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let properties = try #require(schema["properties"] as? [String: Any])
    #expect(Set(properties.keys) == Set(table(sampleTypes).map(\.name)))
    for (path, key) in every { #expect(text.contains("\"\(key.name)\" : {"), "\(path)") }
}

@Test(
    "what is in force can be loaded again and is the same",
    arguments: [
        "",
        "sources: { unix: , udp: { listen: \"[::1]:9\" }, unix_datagram: { mode: 0600 }, http: }",
        "spool: { when_full: { block: 90s }, max_size: 1500000001, path: /a b, history: 36h }\ncontrol: { group: \"a\\\"b\\\\c\\td # e: f\" }",
        "sources: { unix: { allow: { users: [a, \"7\", \"yes\"] } } }\nspool: { path: \"$$/x\" }\nmemory: 100MB",
        """
        destinations:
          a: { type: otlp, endpoint: "https://h/p", from: beginning, backlog: { max: 10% }, tls: { verify: false } }
          b: { type: file, path: "${HOME}/x", from: 2h, enabled: false, was: c, max_bytes: 1MiB }
        routes: [{ name: "r: 1", to: [a] }, { name: two, to: [a, b] }]
        """,
        everyRule,
    ])
func effectiveAgain(yaml: String) throws {
    let environment = ["HOME": "/home/$x"]
    let settings = try loadText(yaml, environment: environment)
    let again = try loadText(settings.renderEffective(), environment: environment)
    #expect(again.changes(from: settings).map(\.description) == [])
}

@Test("what is in force says what is a default and what is left out")
func effective() throws {
    let yaml = try loadText("memory: 64MiB\nsources: { http: }\ndestinations: { a: { type: file, path: /x, linger: 1s } }")
        .renderEffective()
    for (path, key) in every where path.split(separator: ".").count == 1 { #expect(yaml.contains("\(key.name):"), "\(path)") }
    for line in [
        "# from t.yaml", "memory: 64MiB", "spool:", "  max_size: 10GiB  # default", "  # udp: left out: off", "  http:",
        "    listen: \"127.0.0.1:8127\"  # default", "  # path: left out: `control.sock` beside the spool", "destinations:", "  a:",
        "    type: file",
        "    path: /x", "    linger: 1s", "    backlog:", "      max: 50%  # default", "    # was: left out: it was never renamed",
        "# routes: left out: everything goes to every destination", "intake:", "  # redact: left out: nothing",
        "  drop_content: false  # default",
    ] { #expect(yaml.split(separator: "\n").contains(Substring(line)), "\(line)") }
}

@Test("the difference of two configurations names each key, and whether a reload applies it")
func changes() throws {
    let old = try loadText(
        """
        spool: { max_size: 1GiB }
        sources: { unix: , udp: }
        destinations:
          a: { type: otlp, endpoint: "http://h", headers: { x: one } }
          b: { type: file, path: /b }
          c: { type: file, path: /c }
        """)
    let new = try loadText(
        """
        spool: { max_size: 2GiB, when_full: { block: 5s } }
        sources: { unix: { mode: "0600" }, http: }
        destinations:
          d: { type: file, path: /d }
          c: { type: otlp, endpoint: "http://c" }
          a: { type: otlp, endpoint: "http://h2", headers: { x: two }, linger: 200ms, max_spans: 9 }
        routes: [{ name: r, to: [a] }]
        """)
    #expect(
        new.changes(from: old).map(\.description) == [
            "spool.max_size: 1GiB -> 2GiB (needs a restart)",
            "spool.when_full: reject -> {block: 5s} (needs a restart)",
            "sources.unix.mode: \"0660\" -> \"0600\" (needs a restart)",
            "sources.udp: removed (needs a restart)",
            "sources.http: added (needs a restart)",
            "destinations.d: added",
            "destinations.c.type: file -> otlp",
            "destinations.a.max_spans: left out -> 9",
            "destinations.a.headers: {x: \"••••••\"} -> {x: \"••••••\"}",
            "destinations.a.endpoint: \"http://h\" -> \"http://h2\"",
            "destinations.b: removed",
            "routes: left out -> [{name: r, to: [a]}]",
        ])
    #expect(old.changes(from: old).isEmpty)
}

@Test("the difference of two configurations names each route and definition that has changed, and a changed order")
func changedRules() throws {
    let old = try loadText(
        """
        destinations: { a: { type: file, path: /a } }
        define: { x: "1", y: "2" }
        routes: [{ name: one, when: root, to: a }, { name: two, to: a, sample: 0.1 }, { name: three, to: a }]
        """)
    let new = try loadText(
        """
        destinations: { a: { type: file, path: /a } }
        define: { x: "3", z: "2" }
        routes: [{ name: two, to: a, sample: { rate: 0.1, limit: 1/s } }, { name: one, when: "!root", to: a }, { name: four, to: a, final: true }]
        """)
    #expect(
        new.changes(from: old).map(\.description) == [
            "define.x: \"1\" -> \"3\"", "define.z: left out -> \"2\"", "define.y: \"2\" -> left out", "routes: one and two -> two and one",
            "routes.two.sample: 0.1 -> {rate: 0.1, limit: 1/s}", "routes.one.when: root -> \"!root\"", "routes.four: added",
            "routes.three: removed",
        ])
}

@Test("the packaged configuration loads")
func packaged() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let path = root.appending(path: "etc/tracefwd.yaml").path
    let settings = try load(file: path, destinationTypes: sampleTypes)
    #expect(settings.sources.unix?.group == "tracefwd" && settings.sources.udp != nil && settings.sources.http != nil)
    #expect(settings.control.path == "/run/tracefwd/control.sock" && settings.control.group == "tracefwd-admin")
    #expect(settings.destinations.map(\.name) == ["archive"] && settings.rules.routes == nil)
    #expect(settings.destinations.first?.section.string("path") == "/var/lib/tracefwd/spans.ndjson")
}
