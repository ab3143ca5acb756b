// The pipeline: which destinations a span goes to, and in which form. Runs when a batch is read, so a changed rule applies to the backlog
// and to a replay. Today it selects by `to:` alone; conditions, sampling and redaction come with the rules contract and stand here too.

/// What the routes say of spans for one destination.
public enum RouteDecision: Sendable, Equatable {
    /// They go there, by this route (empty where the configuration has no routes).
    case deliver(route: String)
    /// No route selects them.
    case filtered
}

/// The `routes:` of the configuration.
public struct Routes: Sendable, Equatable {
    /// One entry of the list.
    public struct Route: Sendable, Equatable {
        /// Its name, or its number in the list where it has none.
        public var name: String
        /// The destinations it selects.
        public var to: Set<String>

        /// A route without a condition.
        public init(name: String, to: Set<String>) {
            self.name = name
            self.to = to
        }
    }

    private let list: [Route]

    /// No routes at all: every span goes to every destination.
    public init(_ list: [Route] = []) { self.list = list }

    /// The first route that selects the destination decides.
    public func decision(for destination: String) -> RouteDecision {
        if list.isEmpty { return .deliver(route: "") }
        return list.first { $0.to.contains(destination) }.map { .deliver(route: $0.name) } ?? .filtered
    }
}
