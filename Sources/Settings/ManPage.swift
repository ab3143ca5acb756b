// The table as a manual page: tracefwd.yaml(5) is what `renderManPage` returns, in the macros of man(7).

/// tracefwd.yaml(5): the same words as Docs/configuration.md.
public func renderManPage(_ types: [DestinationType], version: String) -> String {
    let table = table(types)
    var page = """
        .TH TRACEFWD.YAML 5 "" "tracefwd \(roff(version))" "File formats"
        .SH NAME
        tracefwd.yaml \\- the configuration of tracefwd
        .SH SYNOPSIS
        .I /etc/tracefwd/tracefwd.yaml
        .br
        .I /etc/tracefwd/conf.d/*.yaml
        .SH DESCRIPTION

        """
    page += roffParagraphs(introduction)
    page += ".SH KEYS AT THE TOP\n" + entries(table.filter { $0.sectionKeys == nil && !$0.isDestinations }, below: "")
    for key in table {
        if let keys = key.sectionKeys {
            page += ".SH \(roff(key.name.uppercased()))\n\(roffText(key.doc))\n" + entries(keys, below: "\(key.name).")
        }
        if key.isDestinations { page += destinations(key, types) }
    }
    return page + """
        .SH FILES
        .TP
        .I /usr/share/tracefwd/schema.json
        This table as a JSON schema, for editors.
        .SH SEE ALSO
        .BR tracefwd (8),
        .BR systemd.exec (5)

        """
}

private func destinations(_ key: Key, _ types: [DestinationType]) -> String {
    let common = commonDestinationKeys(http: false)
    let names = Set(common.map(\.name))
    var page = ".SH DESTINATIONS\n\(roffText(key.doc))\nBelow its name stand\n.B type:\nand the keys of that type.\n"
    page += ".SS The keys of every destination\n" + entries([typeKey(types)] + common, below: "")
    page += ".SS Those that send over HTTP\n"
    page += entries(commonDestinationKeys(http: true).filter { !names.contains($0.name) }, below: "")
    for type in types.sorted(by: { $0.name < $1.name }) {
        page += ".SS type: \(roff(type.name))\n\(roffText(type.doc + (type.http ? "" : " It does not send over HTTP.")))\n"
        page += type.keys.isEmpty ? "It has no keys of its own.\n" : entries(type.keys, below: "")
    }
    return page
}

private func entries(_ keys: [Key], below path: String) -> String { keys.map { entry($0, below: path) }.joined() }

private func entry(_ key: Key, below path: String) -> String {
    let absent =
        switch key.absent {
        case .required: "Required."
        case .value(let text): "Left out: `\(text)`."
        case .defaults: "Left out: its defaults."
        case .nothing(let meaning): "Left out: \(meaning)."
        }
    let form = key.sectionKeys == nil ? key.type.form : "a section"
    let restart = key.reload ? "" : " A change takes a restart."
    let name = "\(path)\(key.name)"
    return ".TP\n\\fB\(roff(name))\\fR: \(roff(form))\n\(roffText("\(key.doc) \(absent)\(restart)"))\n"
        + entries(key.keysBelow, below: "\(name).")
}

// MARK: - Markdown, as far as the table uses it, to roff

/// Paragraphs and one kind of block, a fence; the title is left to the page.
private func roffParagraphs(_ markdown: String) -> String {
    var page = ""
    for paragraph in markdown.split(separator: "\n\n") where !paragraph.hasPrefix("# ") {
        // The first stands under a heading, which begins a paragraph by itself.
        let begin = page.isEmpty ? "" : ".PP\n"
        if paragraph.hasPrefix("```") {
            let lines = paragraph.split(separator: "\n").dropFirst().dropLast()
            page += "\(begin).EX\n" + lines.map { "\(roffLine(roff(String($0))))\n" }.joined() + ".EE\n"
        } else {
            page += "\(begin)\(roffText(String(paragraph)))\n"
        }
    }
    return page
}

/// A sentence or more: a line of input for each, `code` and **words** in bold, *words* in italics.
private func roffText(_ markdown: String) -> String {
    var line = ""
    var open: Character?
    var rest = markdown.replacing("\n", with: " ").trimmingSpaces[...]
    while let character = rest.popFirst() {
        switch character {
        case "`" where open == nil || open == "`":
            line += open == nil ? "\\fB" : "\\fR"
            open = open == nil ? "`" : nil
        case "*" where open == nil && (rest.first == "*" || rest.first?.isLetter == true), "*" where open == "*":
            let isDouble = rest.first == "*"
            if isDouble { rest.removeFirst() }
            line += open != nil ? "\\fR" : isDouble ? "\\fB" : "\\fI"
            open = open == nil ? "*" : nil
        case " " where line.hasSuffix(".") && open == nil: line += "\n"
        default: line += roff(String(character))
        }
    }
    return line.split(separator: "\n").map { roffLine(String($0)) }.joined(separator: "\n")
}

/// A line of text must not begin as a request does.
private func roffLine(_ line: String) -> String { line.hasPrefix(".") || line.hasPrefix("'") ? "\\&\(line)" : line }

/// What roff would read as something else: its escape, and the signs that it makes typographic.
private func roff(_ text: String) -> String {
    text.reduce(into: "") { result, character in
        switch character {
        case "\\": result += "\\e"
        case "-": result += "\\-"
        case "'": result += "\\(aq"
        case "`": result += "\\(ga"
        case "^": result += "\\(ha"
        case "~": result += "\\(ti"
        case "…": result += "..."
        case "“", "”": result += "\""
        case "’": result += "\\(aq"
        default:
            // A page in ASCII looks the same in every locale.
            result +=
                character.isASCII
                ? String(character) : character.unicodeScalars.map { "\\[u\(hexDigits($0.value, uppercase: true))]" }.joined()
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        let start = drop(while: \.isWhitespace)
        return start.lastIndex { !$0.isWhitespace }.map { start[...$0] } ?? ""
    }
}
