/// A program that runs beside the daemon and changes the spans of a route (contract `rules`, section 3, `exec`): it gets one native span a
/// line, and answers one line each.
public struct ExecProgram: Sendable, Hashable {
    /// Its name or path, and its arguments.
    public let command: [String]
    /// How long an answer may take.
    public let timeout: Duration
    /// Whether a span that it has no answer for goes on as it is; otherwise it becomes a dead letter.
    public let keepsOnError: Bool

    /// A program as the configuration names it.
    public init(command: [String], timeout: Duration, keepsOnError: Bool) {
        (self.command, self.timeout, self.keepsOnError) = (command, timeout, keepsOnError)
    }
}

extension Rules {
    /// A route's program.
    public struct RouteProgram: Sendable, Hashable {
        /// The route's name.
        public let route: String
        /// What its spans are handed to.
        public let program: ExecProgram
    }

    /// Those of all routes.
    public var programs: [RouteProgram] {
        routes.compactMap { route in route.transformation?.program.map { RouteProgram(route: route.name, program: $0) } }
    }

    /// The program that a span of this decision goes through; nil where it goes through none.
    public func program(of decision: RouteDecision) -> RouteProgram? {
        guard let index = decision.route, let program = routes[index].transformation?.program else { return nil }
        return RouteProgram(route: routes[index].name, program: program)
    }
}
