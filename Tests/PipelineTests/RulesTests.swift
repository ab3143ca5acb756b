import SpanModel
import Testing

@testable import Pipeline

@Suite("routes")
struct RulesTests {
    @Test("without routes every span goes to every destination")
    func open() throws {
        #expect(try rules("").fates(of: span(#"{"name":"x"}"#)) == ["", "", ""])
    }

    @Test(
        "who decides",
        arguments: [
            // The first that matches and names the destination; one that no route names gets nothing.
            ("[{name: p, when: 'model == \"m\"', to: [a]}, {name: q, to: [a, b]}]", ["p", "q", "(filtered)"]),
            ("[{name: p, when: 'model == \"other\"', to: [a]}, {name: q, to: [a, b]}]", ["q", "q", "(filtered)"]),
            // From high priority to low; equal ones as they stand.
            ("[{name: p, to: [a]}, {name: q, priority: 5, to: [a, b]}, {name: r, priority: 5, to: [b]}]", ["q", "q", "(filtered)"]),
            // `otherwise` where no earlier one matched.
            ("[{name: p, when: 'root', to: [a]}, {name: q, otherwise: true, to: [b]}]", ["p", "(filtered)", "(filtered)"]),
            ("[{name: p, when: '!root', to: [a]}, {name: q, otherwise: true, to: [b]}]", ["(filtered)", "q", "(filtered)"]),
            // `drop` filters for whom no earlier route has taken it, and is final.
            (
                "[{name: p, when: 'root', to: [a]}, {name: q, when: 'root', drop: true}, {name: r, to: [a, b, c]}]",
                ["p", "(dropped)", "(dropped)"]
            ),
            ("[{name: q, when: '!root', drop: true}, {name: r, to: [a, b, c]}]", ["r", "r", "r"]),
            // `final` ends the reading.
            ("[{name: p, when: 'root', final: true, to: [a]}, {name: r, to: [a, b, c]}]", ["p", "(filtered)", "(filtered)"]),
            // The first that names the destination decides, even where it leaves the span out.
            ("[{name: p, sample: 0, to: [a]}, {name: r, to: [a, b]}]", ["(sampled)", "r", "(filtered)"]),
            // A condition that fails is false.
            ("[{name: p, when: 'attributes[\"gone\"] == 1', to: [a]}, {name: r, to: [a]}]", ["r", "(filtered)", "(filtered)"]),
        ])
    func decide(routes: String, fates: [String]) throws {
        #expect(try rules("routes: \(routes)").fates(of: span(#"{"name":"x","model":"m"}"#)) == fates)
    }

    @Test("more routes than a word has bits")
    func many() throws {
        let list = (0..<150).map { "{name: r\($0), when: 'model == \"m\($0)\"', to: [\($0 % 2 == 0 ? "a" : "b")]}" }
        let rules = try rules("routes: [\(list.joined(separator: ", "))]")
        for number in [0, 63, 64, 65, 127, 128, 149] {
            let fates = try rules.fates(of: span(#"{"name":"x","model":"m\#(number)"}"#))
            #expect(fates == (number % 2 == 0 ? ["r\(number)", "(filtered)", "(filtered)"] : ["(filtered)", "r\(number)", "(filtered)"]))
        }
    }

    @Test(
        "what a route makes of every span is known where no condition stands before it",
        arguments: [
            ("[{name: p, to: [a]}]", RouteDecision(.deliver, by: 0)),
            ("[{name: p, to: [b]}]", RouteDecision(.filtered)),
            ("[{name: p, drop: true}, {name: q, to: [a]}]", RouteDecision(.dropped, by: 0)),
            ("[{name: p, when: root, to: [b]}, {name: q, to: [a]}]", RouteDecision(.deliver, by: 1)),
            ("[{name: p, to: [b]}, {name: q, otherwise: true, to: [a]}]", RouteDecision(.filtered)),
            ("[{name: p, when: root, to: [a]}]", nil),
            ("[{name: p, when: root, drop: true}, {name: q, to: [a]}]", nil),
            ("[{name: p, sample: 0.5, to: [a]}]", nil),
        ] as [(String, RouteDecision?)])
    func constant(routes: String, decision: RouteDecision?) throws {
        let rules = try rules("routes: \(routes)")
        #expect(rules.constant(for: 0) == decision)
        // The short way says what the long one says.
        if let decision { #expect(Router(rules).route(try span(#"{"name":"x"}"#).segment).decision(0, for: 0) == decision) }
    }

    @Test("more routes than a decision can name are a mistake, not a crash")
    func tooMany() throws {
        let routes = (0..<4002).map { "{name: r\($0), to: [a]}" }.joined(separator: ", ")
        let (_, mistakes) = try compiled("routes: [\(routes)]")
        #expect(mistakes.map(\.sentence) == ["routes: r4000: is one of 4002 routes; there may be 4000"])
    }

    @Test("a decision keeps its kind and its route", arguments: [nil, 0, 1, 63, 64, 3_999])
    func coding(route: Int?) {
        for kind in [RouteDecision.Kind.deliver, .filtered, .dropped, .sampled, .limited] {
            let decision = RouteDecision(kind, by: route)
            #expect((decision.kind, decision.route) == (kind, route))
            #expect(decision.delivers == (kind == .deliver))
        }
    }

    @Test("what fails is counted and told by route, without a value of the span's")
    func failures() throws {
        let rules = try rules("routes: [{name: p, when: 'int(attributes[\"n\"]) > 1', to: [a]}, {name: r, to: [b]}]")
        let router = Router(rules)
        _ = router.route(try span(#"{"name":"x","attributes":{"n":"secret"}}"#).segment)
        #expect(router.counters.conditionErrors == ["p": 1])
        let failures = router.takeFailures()
        #expect(failures.map(\.route) == ["p"])
        #expect(failures.first.map { !$0.detail.contains("secret") } == true)
        #expect(router.takeFailures().isEmpty)
    }
}
