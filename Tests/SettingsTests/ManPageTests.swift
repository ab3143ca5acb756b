import Testing

@testable import Settings

private let page = renderManPage(sampleTypes, version: "1.2.3")

/// The page as a reader sees its words: without fonts and escapes.
private let words = page.replacing("\\fB", with: "").replacing("\\fI", with: "").replacing("\\fR", with: "").replacing("\\-", with: "-")
    .replacing("\\(aq", with: "'").replacing("\\&", with: "").replacing("\n", with: " ")

@Test("the manual page has every key with its sentence")
func everyKey() {
    func walk(_ keys: [Key], _ path: String) {
        for key in keys {
            let name = path + key.name
            #expect(words.contains(".TP \(name): "), "\(name)")
            let sentence = key.doc.replacing("`", with: "")
            if !sentence.contains("*") { #expect(words.contains(sentence), "\(name): \(sentence)") }
            walk(key.keysBelow, "\(name).")
        }
    }
    let table = table(sampleTypes)
    walk(table.filter { $0.sectionKeys == nil && !$0.isDestinations }, "")
    for key in table where key.sectionKeys != nil { walk(key.keysBelow, "\(key.name).") }
    for type in sampleTypes { walk(type.allKeys, "") }
}

@Test("what roff takes for its own is escaped, and Markdown's marks become fonts")
func escapes() {
    let type = DestinationType(
        "odd", http: false, "A `code-word`, **bold** and *slanted*. 'Quoted' \\ is .hidden. `.dot` begins, 2 * 3 stays…", keys: [])
    let section = renderManPage([type], version: "1").split(separator: "\n").drop { $0 != ".SS type: odd" }.dropFirst()
    #expect(
        section.prefix(4) == [
            "A \\fBcode\\-word\\fR, \\fBbold\\fR and \\fIslanted\\fR.",
            "\\(aqQuoted\\(aq \\e is .hidden.",
            "\\fB.dot\\fR begins, 2 * 3 stays...",
            "It does not send over HTTP.",
        ])
}

@Test("no line of text begins as a request does, and none ends in a space")
func lines() {
    let requests: Set<Substring> = [".TH", ".SH", ".SS", ".TP", ".PP", ".EX", ".EE", ".I", ".B", ".BR", ".br"]
    for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
        if line.hasPrefix(".") { #expect(requests.contains(line.prefix { $0 != " " }), "\(line)") }
        #expect(!line.hasPrefix("'") && !line.hasSuffix(" "), "\(line)")
    }
}
