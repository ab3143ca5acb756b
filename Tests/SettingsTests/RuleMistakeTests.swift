import Testing

@testable import Settings

private let head = "destinations: { archive: { type: file, path: /x }, langfuse: { type: file, path: /y } }\n"

@Test("every mistake in the rules is told with its place and what would be right", arguments: badRules)
func ruleMistakes(_ bad: Bad) {
    let count = bad.says.count == 1 ? "(1 mistake)" : "(\(bad.says.count) mistakes)"
    #expect(complaint(head + bad.yaml) == bad.says.joined(separator: "\n") + " " + count)
}

private let badRules: [Bad] = [
    Bad(
        #"routes: [{ name: all, to: [archiv] }, { name: all, to: [collector, archive] }]"#,
        #"t.yaml:2:28: routes[0] "all": to[0] is "archiv", which is no destination; did you mean "archive"?"#,
        #"t.yaml:2:41: routes[1] "all": name is "all", which another route has too; give each its own"#,
        #"t.yaml:2:57: routes[1] "all": to[0] is "collector", which is no destination; known are archive and langfuse"#)
]
