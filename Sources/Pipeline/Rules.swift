// The pipeline: which spans go where, and in which form (contract `rules`). Runs when a batch is read, so a changed rule applies to the
// backlog and to a replay.
// Promises: a decision is a function of the span and the rules, made once for all destinations; a condition that fails is false, counted and
// told; a condition that names no message text decodes none. Does not know: the spool, requests, platforms.
// Start here (the compiled rules, shared), then RuleCompiler.swift (from the configuration), Router.swift (what a thread does with them),
// SpanActivation.swift (what conditions see), Sampler.swift.
import Pricing

/// The rules of a configuration, compiled. Any number of threads may share them; each has a `Router` of its own.
public final class Rules: Sendable {
    /// In the order of reading; empty where the configuration has none, and then everything goes everywhere.
    let routes: [Route]
    /// False without `routes:`.
    let hasRoutes: Bool
    /// What they may know of the machine.
    public let host: RuleHost
    /// Before the spool.
    let intake: IntakeRules
    /// What calls cost.
    let prices: PriceBook?
    /// Words of 64 routes.
    let words: Int
    /// Whether any route hands its spans to a program.
    public let hasPrograms: Bool
    /// Routes that drop.
    let drops: [UInt64]
    private let places: [String: Int]
    /// By destination: the routes that name it, a bit each.
    private let masks: [[UInt64]]
    private let constants: [RouteDecision?]

    init(routes: [Route]?, destinations: [String], prices: PriceBook?, host: RuleHost, intake: IntakeRules? = nil) {
        self.host = host
        self.intake = intake ?? IntakeRules(redaction: nil, contentDrop: .never, host: host)
        let list = routes ?? []
        precondition(list.count <= RouteDecision.routesMax, "the compiler has refused so many")
        self.routes = list
        self.prices = prices
        hasRoutes = routes != nil
        hasPrograms = list.contains { $0.transformation?.program != nil }
        let words = max(1, (list.count + 63) / 64)
        self.words = words
        func mask(_ isIn: (Route) -> Bool) -> [UInt64] {
            var mask = [UInt64](repeating: 0, count: words)
            for (index, route) in list.enumerated() where isIn(route) { mask[index / 64] |= 1 << UInt64(index % 64) }
            return mask
        }
        drops = mask(\.drops)
        masks = destinations.map { name in mask { $0.to.contains(name) } }
        places = Dictionary(zip(destinations, 0...)) { first, _ in first }
        constants = destinations.map { name in routes == nil ? RouteDecision(.deliver) : Self.constant(list, for: name) }
    }

    /// Everything goes to every one of these: a configuration without routes.
    public convenience init(everythingTo destinations: [String]) {
        self.init(routes: nil, destinations: destinations, prices: nil, host: RuleHost())
    }

    /// The place of a destination, by which decisions are asked for; nil where the configuration has none of that name.
    public func place(of destination: String) -> Int? { places[destination] }

    /// What the routes make of every span for this destination, where it is the same for all.
    public func constant(for destination: Int) -> RouteDecision? { constants[destination] }

    /// A route's name, for the books; empty where none decided.
    public func name(of route: Int?) -> String { route.map { routes[$0].name } ?? "" }

    /// Spans a second that a route lets through to a destination; nil is no limit.
    public func perSecondMax(of route: Int) -> Double? { routes[route].sampler?.perSecondMax }

    /// The routes that decide on whole traces for a destination, and when.
    public func tails(for destination: Int) -> [(route: Int, limits: TraceLimits)] {
        routes.indices.compactMap { index in
            guard masks[destination][index / 64] & 1 << UInt64(index % 64) != 0 else { return nil }
            return routes[index].sampler?.tail.map { (index, $0.limits) }
        }
    }

    /// Whether spans of this decision go out in another form than they came in.
    public func transforms(_ decision: RouteDecision) -> Bool { decision.route.map { routes[$0].changesSpans } ?? false }

    /// The decision of the routes that matched (a bit each) for one destination.
    func decision(_ matched: UnsafeBufferPointer<UInt64>, _ sampledOut: UnsafeBufferPointer<UInt64>, for destination: Int) -> RouteDecision
    {
        guard hasRoutes else { return RouteDecision(.deliver) }
        let mask = masks[destination]
        if let route = Self.first(matched, mask) {
            let isOut = sampledOut[route / 64] & 1 << UInt64(route % 64) != 0
            return RouteDecision(isOut ? .sampled : .deliver, by: route)
        }
        if let route = Self.first(matched, drops) { return RouteDecision(.dropped, by: route) }
        return RouteDecision(.filtered)
    }

    /// As above for up to 64 routes, whose bits are one word.
    func decision(_ matched: UInt64, _ sampledOut: UInt64, for destination: Int) -> RouteDecision {
        let (sending, dropping) = (matched & masks[destination][0], matched & drops[0])
        if sending != 0 {
            let isOut = sampledOut & sending & (0 &- sending) != 0
            return RouteDecision(isOut ? .sampled : .deliver, by: sending.trailingZeroBitCount)
        }
        return dropping != 0 ? RouteDecision(.dropped, by: dropping.trailingZeroBitCount) : RouteDecision(.filtered)
    }

    private static func first(_ matched: UnsafeBufferPointer<UInt64>, _ mask: [UInt64]) -> Int? {
        for word in 0..<mask.count {
            let both = matched[word] & mask[word]
            if both != 0 { return word * 64 + both.trailingZeroBitCount }
        }
        return nil
    }

    /// Where no condition stands before the route that decides, every span has the same decision.
    private static func constant(_ routes: [Route], for destination: String) -> RouteDecision? {
        for (index, route) in routes.enumerated() {
            switch route.selection {
            case .always:
                if route.to.contains(destination) { return route.sampler == nil ? RouteDecision(.deliver, by: index) : nil }
                if route.drops { return RouteDecision(.dropped, by: index) }
                if route.isFinal { return RouteDecision(.filtered) }
            case .otherwise where routes[..<index].contains { $0.isUnconditional }: continue
            case .when, .otherwise:
                if route.to.contains(destination) || route.isFinal { return nil }
            }
        }
        return RouteDecision(.filtered)
    }
}
