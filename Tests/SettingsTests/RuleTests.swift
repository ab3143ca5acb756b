import Testing

@testable import Settings

/// A configuration that uses every key of the rules.
let everyRule = #"""
    destinations:
      langfuse: { type: file, path: /l }
      langsmith: { type: file, path: /s }
      archive: { type: file, path: /a }
    groups: { all_llm: [langfuse, langsmith] }
    define:
      expensive: cost_usd > 0.25
      ours: service in ["shop", "${NOT_A_VARIABLE}"]
    intake:
      redact: [secret]
      drop_content: 'environment == "health"'
    routes:
      - name: production
        when: environment == "prod" && model.startsWith("gpt-4")
        priority: -1
        sample: { rate: 0.10, keep: [ status == "error", duration > duration("5s"), expensive ], limit: 5000/min, method: hash }
        transform:
          - set: { team: '"search"', "shop.cost_cents": 'cost_usd * 100.0', gone: null }
          - rename: { "old.name": "new.name", "http.*.x.*": "net.*.*" }
          - remove: ["http.request.header.*"]
          - only: [a]
          - truncate: { max: 32KiB, at: ["gen_ai.*.messages"] }
          - normalize: openinference
          - drop_content: true
          - enrich: { host: true, static: { region: eu }, tokens: estimate }
          - exec: { command: [/usr/lib/acme/scrub, -v], timeout: 5s, on_error: keep }
        redact: [email, { pattern: 'ACME-\d+', as: "[order]" }, { entity: phone, hash: true, in: [input, "gen_ai.*"] }]
        to: [all_llm, langfuse]
        final: true
      - name: traces
        sample: { tail: { wait: 1m, grace: 0, keep: [errors > 0], rate: 0.05, remember: 2h, max_traces: 10 } }
        to: archive
      - name: costly
        when: |
          cost_usd > 0.10
        priority: 5
        sample: 'cost_usd > 0.10 ? 1.0 : 0.05'
        to: all_llm
      - { name: noise, when: name == "healthcheck", drop: true }
      - { name: rest, otherwise: true, sample: 0.1, to: archive }
    prices:
      file: /etc/prices.json
      models: { "gpt-*": { input: 2.50, output: "10" } }
    tests:
      - name: errors are always kept
        span: { model: gpt-4o, tokens: 12, cached: false, note: "12", nothing: null, list: [1.5e3, 0x1F, .5, yes] }
        random: 0.05
        expect: { langfuse: { delivered: { "team": search, gone: ~ } }, archive: filtered, langsmith: delivered }
      - { span: {}, expect: { archive: sampled } }
    """#

@Test("every key of the rules arrives as the pipeline takes it")
func everyRuleArrives() throws {
    let rules = try loadText(everyRule).rules
    #expect(rules.definitions.map(\.name) == ["expensive", "ours"])
    #expect(rules.definitions.map(\.expression.text) == ["cost_usd > 0.25", #"service in ["shop", "${NOT_A_VARIABLE}"]"#])
    #expect(rules.destinations == ["langfuse", "langsmith", "archive"])
    #expect(rules.intake.redact.map { words($0) } == ["secret"])
    guard case .when(let condition) = rules.intake.dropContent else { throw Unexpected() }
    #expect(condition.text == #"environment == "health""#)

    let routes = try #require(rules.routes)
    #expect(routes.map(\.name) == ["costly", "traces", "noise", "rest", "production"])
    #expect(routes.map(\.to) == [["langfuse", "langsmith"], ["archive"], [], ["archive"], ["langfuse", "langsmith"]])
    #expect(routes.map(\.drops) == [false, false, true, false, false] && routes.map(\.isFinal) == [false, false, true, false, true])
    guard case .when(let costly) = routes[0].selection, case .always = routes[1].selection, case .otherwise = routes[3].selection else {
        throw Unexpected()
    }
    #expect(costly.text == "cost_usd > 0.10\n")
    guard case .expression(let rate) = routes[0].sample?.rate else { throw Unexpected() }
    #expect(rate.text == "cost_usd > 0.10 ? 1.0 : 0.05")
    #expect(routes[3].sample?.rate == .number(0.1) && routes[3].sample?.perSecondMax == nil && routes[2].sample == nil)

    let tail = try #require(routes[1].sample?.tail)
    #expect(routes[1].sample?.rate == .number(1))
    #expect(tail.wait == .seconds(60) && tail.grace == .zero && tail.keep.map(\.text) == ["errors > 0"] && tail.rate == 0.05)
    #expect(tail.remember == .seconds(7200) && tail.tracesMax == 10)

    let production = routes[4]
    let sample = try #require(production.sample)
    #expect(sample.rate == .number(0.1) && sample.hashesTraceID && sample.tail == nil && sample.perSecondMax == 5000.0 / 60)
    #expect(sample.keep.map(\.text) == [#"status == "error""#, #"duration > duration("5s")"#, "expensive"])
    #expect(sample.keep[1].path == #"routes[0] "production": sample.keep[1]"#)
    #expect(production.redact.map { words($0) } == ["email", #"/ACME-\d+/ as [order]"#, "phone hash in input gen_ai.*"])
    #expect(
        production.transform.map { words($0) } == [
            #"set team="search" shop.cost_cents=cost_usd * 100.0 gone=null"#, "rename old.name=new.name http.*.x.*=net.*.*",
            "remove http.request.header.*", "only a", "truncate 32768 gen_ai.*.messages", "normalize openInference", "drop_content always",
            "enrich true [\"region\": \"eu\"] true", "exec /usr/lib/acme/scrub -v 5.0 seconds false",
        ])

    #expect(rules.prices?.json == #"{"file":"/etc/prices.json","models":{"gpt-*":{"input":2.50,"output":"10"}}}"#)
    #expect(rules.tests.map(\.name) == ["errors are always kept", "tests[1]"] && rules.tests.map(\.random) == [0.05, nil])
    #expect(
        rules.tests[0].span.json
            == #"{"model":"gpt-4o","tokens":12,"cached":false,"note":"12","nothing":null,"list":[1.5e3,31,0.5,"yes"]}"#)
    #expect(rules.tests[0].expect.map(\.destination) == ["langfuse", "archive", "langsmith"])
    guard case .with(let members) = rules.tests[0].expect[0].expectation, case .filtered = rules.tests[0].expect[1].expectation,
        case .delivered = rules.tests[0].expect[2].expectation, case .sampled = rules.tests[1].expect[0].expectation
    else { throw Unexpected() }
    #expect(members.json == #"{"team":"search","gone":null}"#)
}

@Test("without rules everything goes everywhere, and nothing is changed")
func noRules() throws {
    let rules = try loadText("destinations: { a: { type: file, path: /a } }").rules
    #expect(rules.routes == nil && rules.definitions.isEmpty && rules.intake.redact.isEmpty && rules.intake.dropContent == .never)
    #expect(rules.prices == nil && rules.tests.isEmpty && rules.destinations == ["a"])
}

@Test("a route that stands alone needs no name, and a rate may come from the environment")
func shortRoute() throws {
    let settings = try loadText(
        "destinations: { a: { type: file, path: /a } }\nroutes: [{ to: a, sample: \"${RATE}\" }]", environment: ["RATE": "0.5"])
    #expect(settings.rules.routes?.map(\.name) == ["0"] && settings.rules.routes?[0].sample?.rate == .number(0.5))
}

@Test("several files join their routes, tests, definitions and groups")
func joinedRules() throws {
    let rules = try loadTexts([
        (
            "t.yaml",
            """
            destinations: { a: { type: file, path: /a } }
            define: { x: "1" }
            groups: { g: [a] }
            routes: [{ name: one, to: h }]
            tests: [{ span: {}, expect: { a: delivered } }]
            """
        ),
        (
            "conf.d/1.yaml",
            """
            define: { y: x }
            groups: { h: [a] }
            routes: [{ name: two, to: g }]
            tests: [{ name: second, span: {}, expect: { a: delivered } }]
            """
        ),
    ]).rules
    #expect(rules.definitions.map(\.name) == ["x", "y"] && rules.routes?.map(\.name) == ["one", "two"])
    #expect(rules.tests.map(\.name) == ["tests[0]", "second"] && rules.routes?.map(\.to) == [["a"], ["a"]])
}

private struct Unexpected: Error {}

private func words(_ redaction: RedactionSettings) -> String {
    let target =
        switch redaction.target {
        case .entity(let entity): entity.text
        case .pattern(let pattern): "/\(pattern.text)/"
        }
    let attributes = redaction.attributes.isEmpty ? "" : " in " + redaction.attributes.joined(separator: " ")
    return target + (redaction.replacement.map { " as \($0)" } ?? "") + (redaction.hash ? " hash" : "") + attributes
}

private func words(_ step: TransformSettings) -> String {
    switch step {
    case .set(let all): "set " + all.map { "\($0.name)=\($0.value.text)" }.joined(separator: " ")
    case .rename(let all): "rename " + all.map { "\($0.from)=\($0.to)" }.joined(separator: " ")
    case .remove(let globs): "remove " + globs.joined(separator: " ")
    case .only(let globs): "only " + globs.joined(separator: " ")
    case .truncate(let most, let at): "truncate \(most) " + at.joined(separator: " ")
    case .normalize(let dialect): "normalize \(dialect)"
    case .dropContent(let condition): "drop_content \(condition)"
    case .enrich(let host, let attributes, let tokens): "enrich \(host) \(attributes) \(tokens)"
    case .exec(let command, let timeout, let dead): "exec \(command.joined(separator: " ")) \(timeout) \(dead)"
    }
}

@Test("what is hardly meant is told, and is no mistake", arguments: warned)
func warnings(yaml: String, says: [String]) throws {
    let head = "destinations: { a: { type: file, path: /a }, b: { type: file, path: /b } }\n"
    #expect(try loadText(head + yaml).warnings.map(\.description) == says)
}

private let warned: [(String, [String])] = [
    ("", []),
    ("routes: [{ to: a }]", ["t.yaml:1:46: destinations.b: no route names it, so nothing goes there"]),
    (
        "routes: [{ name: x, to: [a, b] }, { name: y, when: root, to: a }]",
        [
            "t.yaml:2:35: routes[1] \"y\": never decides: the routes before it take every span for a"
        ]
    ),
    ("routes: [{ name: x, to: a }, { name: y, to: [a, b] }]", []),
    (
        "routes: [{ name: y, when: root, to: a }, { name: x, to: [a, b], priority: 1 }]",
        [
            "t.yaml:2:10: routes[0] \"y\": never decides: the routes before it take every span for a"
        ]
    ),
    (
        "routes: [{ name: x, to: a, final: true }, { name: y, to: b }]",
        [
            "t.yaml:2:43: routes[1] \"y\": never decides: \"x\" before it always matches and is final"
        ]
    ),
    (
        "routes: [{ name: x, to: a }, { name: y, otherwise: true, to: b }]",
        [
            "t.yaml:2:30: routes[1] \"y\": never decides: \"x\" before it always matches"
        ]
    ),
    ("routes: [{ name: x, when: root, to: a, final: true }, { name: y, otherwise: true, to: b }, { name: z, drop: true }]", []),
    (
        "routes: [{ name: x, to: [a, b] }, { name: z, when: root, drop: true }]",
        [
            "t.yaml:2:35: routes[1] \"z\": never decides: the routes before it take every span for every destination"
        ]
    ),
    (
        "routes: [{ name: z, drop: true }, { name: x, to: [a, b] }]",
        [
            "t.yaml:2:35: routes[1] \"x\": never decides: \"z\" before it always matches and is final"
        ]
    ),
]

@Test("a destination that takes another's batches needs no route")
func fallbackIsNamed() throws {
    let yaml = """
        destinations: { a: { type: file, path: /a, fallback: { to: b } }, b: { type: file, path: /b } }
        routes: [{ to: a }]
        """
    #expect(try loadText(yaml).warnings.isEmpty)
}
