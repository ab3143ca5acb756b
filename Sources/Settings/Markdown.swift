// The table as a page for people: Docs/configuration.md is what `renderMarkdown` returns.

/// Docs/configuration.md: how a configuration is written, then every key.
public func renderMarkdown(_ types: [DestinationType]) -> String {
    let table = table(types)
    let leaves = table.filter { $0.sectionKeys == nil && !$0.isDestinations }
    var page = introduction + "\n## At the top\n\n" + rows(leaves)
    for key in table {
        if let keys = key.sectionKeys { page += "\n## `\(key.name)`\n\n\(key.doc)\n\n" + rows(keys) }
        if key.isDestinations { page += destinations(key, types) }
    }
    return page
}

private func destinations(_ key: Key, _ types: [DestinationType]) -> String {
    var page = """

        ## `destinations`

        \(key.doc) Below its name stand `type:` and the keys of that type. The name appears in the books, the metrics and the journal. These
        keys are every destination's:


        """
    page += rows([typeKey(types)] + commonDestinationKeys(http: false))
    let own = Set(commonDestinationKeys(http: false).map(\.name))
    page += "\nThose that send over HTTP have these too:\n\n" + rows(commonDestinationKeys(http: true).filter { !own.contains($0.name) })
    for type in types.sorted(by: { $0.name < $1.name }) {
        page += "\n### `type: \(type.name)`\n\n\(type.doc)\(type.http ? "" : " It does not send over HTTP.")\n\n" + rows(type.keys)
    }
    return page
}

private func rows(_ keys: [Key]) -> String {
    guard !keys.isEmpty else { return "It has no keys of its own.\n" }
    return "| key | what it is | left out | reload | |\n| --- | --- | --- | --- | --- |\n" + keys.map { row($0, within: "") }.joined()
}

private func row(_ key: Key, within path: String) -> String {
    let absent =
        switch key.absent {
        case .required: "**required**"
        case .value(let text): "`\(text)`"
        case .defaults: "its defaults"
        case .nothing(let meaning): meaning
        }
    let name = "\(path)\(key.name)"
    let form = key.sectionKeys == nil ? key.type.form.replacing("|", with: "\\|") : "a section"
    let own = "| `\(name)` | \(form) | \(absent) | \(key.reload ? "yes" : "restart") | \(key.doc.replacing("|", with: "\\|")) |\n"
    return own + key.keysBelow.map { row($0, within: "\(name).") }.joined()
}

extension Key {
    /// Whether it holds the destinations.
    var isDestinations: Bool { if case .destinations = type { true } else { false } }
    /// The keys below it, or in each item of its list.
    var sectionKeys: [Key]? {
        switch type {
        case .section(let keys), .list(.section(let keys)): keys
        default: nil
        }
    }
    /// The same, and those of sections that may stand in place of something else, in lists and below names.
    var keysBelow: [Key] { type.keysBelow }
}

extension KeyType {
    /// Every key that may stand in a value of it.
    var keysBelow: [Key] {
        switch self {
        case .section(let keys), .step(let keys): keys
        case .list(let item), .names(_, let item), .choice(_, .some(let item)): item.keysBelow
        case .either(let types): types.flatMap(\.keysBelow)
        default: []
        }
    }

    /// The keys right below it, where it is a section or may be one.
    var keysWhereSection: [Key]? {
        switch self {
        case .section(let keys): keys
        case .either(let types): types.lazy.compactMap(\.keysWhereSection).first
        default: nil
        }
    }
}

/// How a configuration is written; the page's head, and the manual page's.
let introduction = """
    # Configuration

    This page is made from the table that tracefwd itself reads its configuration by (`renderMarkdown` in Sources/Settings): it cannot be out
    of date. `tracefwd check` reads a configuration and names every mistake with its line, column and remedy; `tracefwd check --effective`
    prints what is in force, defaults included.

    tracefwd reads `/etc/tracefwd/tracefwd.yaml` (or what `--config` or `TRACEFWD_CONFIG` names) and `conf.d/*.yaml` beside it, in the order of
    their names. Together they are one configuration: sections are joined key by key, routes and tests stand one after the other; the same
    key, or the same destination, in two files is a mistake.

    ```yaml
    sources:
      unix: { path: /run/tracefwd.sock, mode: "0660", group: tracefwd }
    destinations:
      collector: { type: otlp, endpoint: "http://127.0.0.1:4318", compression: gzip }
      archive: { type: file, path: /var/lib/tracefwd/spans.ndjson }
    routes:
      - { name: everything, to: [collector, archive] }
    ```

    **Times** are a number and `ms`, `s`, `m`, `h` or `d`: `200ms`, `72h`. **Sizes** are a number and `KiB`, `MiB`, `GiB`, `TiB` (of 1024) or
    `KB`, `MB`, `GB`, `TB` (of 1000); a bare number is bytes.

    **Variables**: `${NAME}` and `${NAME:-default}` are replaced in values, after the file was parsed, never in keys. `$$` is one `$`. In
    expressions, patterns and the spans of tests nothing is replaced.

    **Secrets** are a text, best `"${NAME}"`, or `{file: path}` (the file's text without its last line break), or `{credential: name}` (handed
    over by systemd, `LoadCredential=` in the unit, read at start only). No output of tracefwd shows them.

    **Reload**: `systemctl reload tracefwd` or `tracefwd reload` applies all but what says *restart* below, at once or, where the new
    configuration has a mistake, not at all. `tracefwd reload --dry-run` says what would change.

    """
