import Testing

@testable import Settings

private let marker = "MARKER"

@Test("a secret comes from a text, a variable, a file or a credential, without its last line break")
func origins() throws {
    let settings = try loadTexts(
        [
            (
                "t.yaml",
                "destinations: { a: { type: langfuse, public_key: p, secret_key: { credential: lf }, older_secrets: [literal, \"${K}\", { file: \"${DIR}/k\" }] } }"
            ),
            ("/run/credentials/lf", "from systemd\n"), ("/keys/k", "from\na file\r\n"),
        ], environment: ["K": "from env", "DIR": "/keys", "CREDENTIALS_DIRECTORY": "/run/credentials"])
    let section = settings.destinations[0].section
    #expect(section.secret("secret_key").reveal() == "from systemd")
    #expect(section.secrets("older_secrets").map { $0.reveal() } == ["literal", "from env", "from\na file"])
}

@Test("no output of a configuration that loads shows a secret")
func neverShown() throws {
    let yaml = { (suffix: String) in
        """
        control: { group: "${TOKEN}" }
        destinations:
          a:
            type: langfuse
            public_key: "${TOKEN}\(suffix)"
            secret_key: \(marker)\(suffix)
            older_secrets: ["${TOKEN}", \(marker)]
            headers: { x: "\(marker)\(suffix)", y: { file: /k } }
            proxy: http://user:\(marker)\(suffix)@proxy/?key=\(marker)
        """
    }
    let load = { suffix in try loadTexts([("t.yaml", yaml(suffix)), ("/k", marker + suffix)], environment: ["TOKEN": marker]) }
    let (settings, other) = (try load(""), try load("2"))
    #expect(settings.destinations[0].section.secret("secret_key").reveal() == marker)
    let changes = other.changes(from: settings).map(\.description)
    #expect(changes.count == 4)
    let effective = settings.renderEffective()
    #expect(effective.contains("secret_key: \"••••••\"\n"))
    #expect(effective.contains("proxy: \"http://••••••@proxy/?••••••\"\n"))
    #expect(effective.contains("public_key: \"${TOKEN}\"\n"))
    var dumped = ""
    dump(settings, to: &dumped)
    dump(settings.destinations, to: &dumped)
    for output in changes + [effective, "\(settings.destinations)", String(reflecting: settings), dumped] {
        #expect(!output.contains(marker), "\(output)")
    }
}

@Test(
    "no message shows a secret, or what stands where a secret should",
    arguments: [
        "secret_key: [MARKER]", "secret_key: { MARKER: x }", "secret_key: { file: MARKER, credential: MARKER }", "secret_key: !MARKER",
        "secret_key: *MARKER",
        "secret_key: &MARKER", "secret_key: @MARKER", "secret_key: \"MARKER", "secret_key: {MARKER}", "secret_key: \"MARKER${UNSET}\"",
        "secret_key: MARKER: x",
        "secret_key: { file: \"${TOKEN}\" }", "secret_key: { credential: \"${TOKEN}\" }", "secret_key: { file: [MARKER] }",
        "older_secrets: MARKER",
        "older_secrets: [[MARKER]]", "older_secrets: { MARKER: }", "headers: MARKER", "headers: [\"x: MARKER\"]",
        "headers: { \"x: MARKER\": }", "headers: { x: \"MARKER\\n\" }",
        "proxy: MARKER@host", "proxy: \"ftp://u:MARKER@host\"", "proxy: \"http://h /?k=MARKER\"", "proxy: \"${TOKEN}\"",
        "linger: \"${TOKEN}\"", "tls: MARKER",
        "workers: \"${TOKEN}\"", "backlog: { max: \"${TOKEN}\" }", "from: \"${TOKEN}\"", "enabled: \"${TOKEN}\"", "secret_keys: MARKER",
        "secret_key: x\n    was: \"${TOKEN}\"\n  MARKED: { type: file, path: /x }\nroutes:\n  - { name: \"${TOKEN}\", to: [\"${TOKEN}\"] }\n  - { name: \"${TOKEN}\", to: [a] }",
    ])
func neverInMessages(line: String) {
    let message = complaint(
        "destinations:\n  a:\n    type: langfuse\n    public_key: x\n    \(line)\n",
        environment: ["TOKEN": marker, "CREDENTIALS_DIRECTORY": "/none"])
    #expect(message != "loads")
    #expect(!message.contains(marker), "\(message)")
}
