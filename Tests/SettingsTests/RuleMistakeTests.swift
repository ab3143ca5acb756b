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
        #"t.yaml:2:57: routes[1] "all": to[0] is "collector", which is no destination; known are archive and langfuse"#),
    Bad(
        #"""
        routes: [{ to: archive }, { name: b, to: [archiv, al] }, { when: x }, { to: archive, drop: true, sample: 1, redact: [email] }]
        groups: { all: [archive], archive: [langfuse], "a b": [archive], none: [], twice: [langfus] }
        """#,
        #"t.yaml:2:10: routes[0]: "name" is missing; where there are several routes, each has its own"#,
        #"t.yaml:2:43: routes[1] "b": to[0] is "archiv", which is no destination and no group; did you mean "archive"?"#,
        #"t.yaml:2:51: routes[1] "b": to[1] is "al", which is no destination and no group; did you mean "all"?"#,
        #"t.yaml:2:58: routes[2]: "name" is missing; where there are several routes, each has its own"#,
        #"t.yaml:2:58: routes[2]: either "to" or "drop: true" stands here"#,
        #"t.yaml:2:71: routes[3]: "name" is missing; where there are several routes, each has its own"#,
        #"t.yaml:2:73: routes[3]: to stands beside drop; a route sends or drops. Leave one of them"#,
        #"t.yaml:2:98: routes[3]: sample stands beside drop, which leaves nothing to send; leave it out"#,
        #"t.yaml:2:109: routes[3]: redact stands beside drop, which leaves nothing to send; leave it out"#,
        #"t.yaml:3:27: groups: archive is named like a destination; give it a name of its own"#,
        #"t.yaml:3:48: groups: a b is no name for a group; it has letters, digits, _ and -, at most 64, and begins with a letter or digit"#,
        #"t.yaml:3:72: groups: none is an empty list; name at least one"#,
        #"t.yaml:3:84: groups: twice[0] is "langfus", which is no destination; did you mean "langfuse"?"#),
    Bad(
        #"""
        routes: [{ to: al, otherwise: true, when: x }]
        groups: { all: [archive] }
        """#,
        #"t.yaml:2:16: routes[0]: to is "al", which is no destination and no group; did you mean "all"?"#,
        #"t.yaml:2:20: routes[0]: otherwise stands beside when; it holds where no earlier route has matched. Leave one of them"#),
    Bad(
        #"""
        routes: [{ to: archive, drop: false, when: , priority: high, final: maybe, otherwise: "x" }]
        """#,
        #"t.yaml:2:38: routes[0]: when is empty; it is a condition"#,
        #"t.yaml:2:56: routes[0]: priority is "high"; it is a whole number from -1000000 to 1000000"#,
        #"t.yaml:2:69: routes[0]: final is "maybe"; it is true or false"#,
        #"t.yaml:2:87: routes[0]: otherwise is "x"; it is true or false"#),
    Bad(
        #"""
        routes:
          - { name: a, to: archive, sample: 10 }
          - { name: b, to: archive, sample: 5% }
          - { name: c, to: archive, sample: { rate: -1, raet: 1, keep: x, limit: 100, method: random } }
          - { name: d, to: archive, sample: { limit: 100/m, tail: { rate: 100, wait: 0 } } }
          - { name: e, to: archive, sample: { tail: {} } }
          - { name: f, to: archive, sample: [1], transform: { set: { a: b } } }
          - { name: g, to: archive, sample: , }
          - { name: h, to: archive, sample: { rate: "${X}" } }
        """#,
        #"t.yaml:3:37: routes[0] "a": sample is 10; a rate is from 0 to 1, for 10 % write 0.10"#,
        #"t.yaml:4:37: routes[1] "b": sample is 5%; a rate is from 0 to 1, for 5 % write 0.05"#,
        #"t.yaml:5:45: routes[2] "c": sample.rate is -1; a rate is from 0 to 1, for 10 % write 0.10"#,
        #"t.yaml:5:49: routes[2] "c": sample: unknown key "raet"; did you mean "rate"?"#,
        #"t.yaml:5:64: routes[2] "c": sample.keep is a text; it is a list: a condition"#,
        #"t.yaml:5:74: routes[2] "c": sample.limit is 100; it is a number, / and a unit of time: 100/s, 5000/min"#,
        #"t.yaml:5:87: routes[2] "c": sample.method is "random"; it is hash"#,
        #"t.yaml:6:46: routes[3] "d": sample.limit is "100/m"; "m" is no unit here; it is 100/s, 100/min or 100/h"#,
        #"t.yaml:6:67: routes[3] "d": sample.tail.rate is 100; a rate is from 0 to 1, for 100 % write 1"#,
        #"t.yaml:6:78: routes[3] "d": sample.tail.wait is 0; it is from 1ms to 3650d"#,
        #"t.yaml:7:39: routes[4] "e": sample.tail says neither by "keep" nor by "rate" what is kept"#,
        #"t.yaml:8:37: routes[5] "f": sample is a list; it is a number from 0 to 1, an expression or a section"#,
        #"t.yaml:8:53: routes[5] "f": transform is a section; it is a list: one of set, rename, remove, only, truncate, normalize, drop_content, enrich and exec"#,
        #"t.yaml:9:29: routes[6] "g": sample is empty; it is a number from 0 to 1, an expression or a section"#,
        #"t.yaml:10:45: routes[7] "h": sample.rate needs ${X}, which is not set; set it for the daemon, or write ${X:-default}"#),
    Bad(
        #"""
        routes:
          - name: a
            to: archive
            transform:
              - { set: { a: 1 }, remove: [b] }
              - {}
              - sett: { a: 1 }
              - set: { "": 1, b: [1], c: "" }
              - rename: { "a.*": b }
              - remove: []
              - truncate: { max: 4 }
              - truncate: { at: [x] }
              - normalize: otel
              - drop_content: ""
              - enrich: { host: yes, static: { a: [1] }, tokens: guess }
              - exec: { command: scrub, on_error: drop }
              - remove
            redact: [email, [phone], { as: x }, { entity: email, pattern: x }, { entty: email }, ""]
        """#,
        #"t.yaml:6:9: routes[0] "a": transform[0] has set and remove in one step; a step is one key, behind its own "- ": set, rename, remove, only, truncate, normalize, drop_content, enrich or exec"#,
        #"t.yaml:7:9: routes[0] "a": transform[1] is empty; a step is one key, behind its own "- ": set, rename, remove, only, truncate, normalize, drop_content, enrich or exec"#,
        #"t.yaml:8:9: routes[0] "a": transform[2]: unknown key "sett"; did you mean "set"?"#,
        #"t.yaml:9:16: routes[0] "a": transform[3].set: a name is empty"#,
        #"t.yaml:9:26: routes[0] "a": transform[3].set.b is a list; it is an expression"#,
        #"t.yaml:9:34: routes[0] "a": transform[3].set.c is empty; it is an expression"#,
        #"t.yaml:10:26: routes[0] "a": transform[4].rename.a.* is "b", which has 0 * where its name has 1; what a * stands for is kept"#,
        #"t.yaml:11:17: routes[0] "a": transform[5].remove is an empty list; name at least one, or leave the key out (another step)"#,
        #"t.yaml:12:26: routes[0] "a": transform[6].truncate.max is 4; it is from 16 to 1GiB"#,
        #"t.yaml:13:9: routes[0] "a": transform[7].truncate: "max" is missing; it is a size such as 64MiB, from 16 to 1GiB"#,
        #"t.yaml:14:20: routes[0] "a": transform[8].normalize is "otel"; it is gen_ai, openinference or openllmetry"#,
        #"t.yaml:15:23: routes[0] "a": transform[9].drop_content is empty; it is true, false or a condition"#,
        #"t.yaml:16:25: routes[0] "a": transform[10].enrich.host is "yes"; it is true or false"#,
        #"t.yaml:16:43: routes[0] "a": transform[10].enrich.static.a is a list; it is a text"#,
        #"t.yaml:16:58: routes[0] "a": transform[10].enrich.tokens is "guess"; it is estimate"#,
        #"t.yaml:17:26: routes[0] "a": transform[11].exec.command is a text; it is a list: a text"#,
        #"t.yaml:17:43: routes[0] "a": transform[11].exec.on_error is "drop"; it is keep or dead"#,
        #"t.yaml:18:9: routes[0] "a": transform[12] is a text; it is one of set, rename, remove, only, truncate, normalize, drop_content, enrich and exec"#,
        #"t.yaml:19:21: routes[0] "a": redact[1] is a list; it is the name of an entity or a section"#,
        #"t.yaml:19:30: routes[0] "a": redact[2] names no entity and no pattern; it has one of them"#,
        #"t.yaml:19:41: routes[0] "a": redact[3] names an entity and a pattern; leave one of them"#,
        #"t.yaml:19:72: routes[0] "a": redact[4] names no entity and no pattern; it has one of them"#,
        #"t.yaml:19:74: routes[0] "a": redact[4]: unknown key "entty"; did you mean "entity"?"#,
        #"t.yaml:19:90: routes[0] "a": redact[5] is empty; it is the name of an entity"#),
    Bad(
        #"""
        define: { 1x: a, "a-b": c, ok: , list: [1] }
        intake: { redact: email, drop_content: [true] }
        """#,
        #"t.yaml:2:11: define: 1x is no name for an expression; it has letters, digits and _, and begins with no digit"#,
        #"t.yaml:2:18: define: a-b is no name for an expression; it has letters, digits and _, and begins with no digit"#,
        #"t.yaml:2:28: define: ok is empty; it is an expression"#,
        #"t.yaml:2:40: define: list is a list; it is an expression"#,
        #"t.yaml:3:19: intake: redact is a text; it is a list: the name of an entity or a section"#,
        #"t.yaml:3:40: intake: drop_content is a list; it is true, false or a condition"#),
    Bad(
        #"""
        define: all
        """#,
        #"t.yaml:2:9: define is a text; it is names, each with an expression"#),
    Bad(
        #"""
        tests:
          - span: gpt-4o
            expect: { archive: delivred, archiv: filtered, langfuse: { delivered: x, team: y }, }
            random: 2
          - { name: t }
        """#,
        #"t.yaml:3:11: tests[0]: span is a text; it is a span"#,
        #"t.yaml:4:24: tests[0]: expect.archive is "delivred"; did you mean "delivered"? It is delivered, filtered, sampled or dropped"#,
        #"t.yaml:4:34: tests[0]: expect.archiv is no destination; did you mean "archive"?"#,
        #"t.yaml:4:75: tests[0]: expect.langfuse.delivered is a text; it is members of the span"#,
        #"t.yaml:4:78: tests[0]: expect.langfuse: unknown key "team"; known here are delivered"#,
        #"t.yaml:5:13: tests[0]: random is 2; it is from 0 to 1, for 2 % write 0.02"#,
        #"t.yaml:6:5: tests[1] "t": "span" is missing; it is a span"#,
        #"t.yaml:6:5: tests[1] "t": "expect" is missing; it is names, each with delivered, filtered, sampled, dropped or {delivered: members of the span}"#
    ),
    Bad(
        #"""
        tests: [{ span: {}, expect: { archive: {} } }]
        prices: { fil: x, models: , file: [a] }
        """#,
        #"t.yaml:2:31: tests[0]: expect.archive: "delivered" is missing; it is members of the span"#,
        #"t.yaml:3:11: prices: unknown key "fil"; did you mean "file"?"#,
        #"t.yaml:3:19: prices: models is empty; it is a section by model"#,
        #"t.yaml:3:35: prices: file is a list; it is a path"#),
    Bad(
        #"""
        prices: { models: [a], file: "" }
        routes: [{ to: { a: b } }]
        """#,
        #"t.yaml:2:19: prices: models is a list; it is a section by model"#,
        #"t.yaml:2:30: prices: file is ""; it is a path"#,
        #"t.yaml:3:16: routes[0]: to is a section; it is the name of a destination or of a group, or a list of them"#),
    Bad(
        #"""
        routes: [{ to: [] }]
        """#,
        #"t.yaml:2:16: routes[0]: to is an empty list; name at least one, or leave the key out (`drop: true` stands instead)"#),
    Bad(
        #"""
        routes: [{ name: "a", to: archive, max: 3, pattern: x, keep: [a], rate: 1, wait: 3s }]
        """#,
        #"t.yaml:2:36: routes[0] "a": unknown key "max"; known here are name, when, otherwise, priority, to, drop, final, sample, transform and redact"#,
        #"t.yaml:2:44: routes[0] "a": unknown key "pattern"; known here are name, when, otherwise, priority, to, drop, final, sample, transform and redact"#,
        #"t.yaml:2:56: routes[0] "a": unknown key "keep"; known here are name, when, otherwise, priority, to, drop, final, sample, transform and redact"#,
        #"t.yaml:2:67: routes[0] "a": unknown key "rate"; known here are name, when, otherwise, priority, to, drop, final, sample, transform and redact"#,
        #"t.yaml:2:76: routes[0] "a": unknown key "wait"; it belongs under "sample.tail""#),
]
