import Testing

@testable import Pipeline

@Suite("routes")
struct RoutesTests {
    private static let routes = Routes([
        .init(name: "production", to: ["langfuse", "archive"]), .init(name: "1", to: ["archive", "collector"]), .init(name: "none", to: []),
    ])

    @Test("without routes every span goes to every destination", arguments: ["langfuse", ""])
    func open(destination: String) {
        #expect(Routes().decision(for: destination) == .deliver(route: ""))
    }

    @Test(
        "the first route that selects a destination decides, by its name",
        arguments: [("langfuse", "production"), ("archive", "production"), ("collector", "1")])
    func first(destination: String, route: String) {
        #expect(Self.routes.decision(for: destination) == .deliver(route: route))
    }

    @Test("a destination that no route selects gets nothing", arguments: ["phoenix", "Archive", "archive ", ""])
    func filtered(destination: String) {
        #expect(Self.routes.decision(for: destination) == .filtered)
    }

    @Test("a list of routes that select nothing filters, as an empty `to:` does")
    func emptyTo() {
        #expect(Routes([.init(name: "none", to: [])]).decision(for: "archive") == .filtered)
    }
}
