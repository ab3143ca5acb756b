/// What the routes make of one span on the way to one destination, in two bytes: a batch keeps one for each of its spans.
public struct RouteDecision: Sendable, Hashable {
    /// What becomes of it.
    public enum Kind: UInt16, Sendable {
        /// It goes there.
        case deliver
        /// No route that matched names the destination.
        case filtered
        /// A route with `drop` matched before any that names the destination.
        case dropped
        /// The route's rate leaves it out.
        case sampled
        /// The route's limit leaves it out.
        case limited
        /// Its trace as a whole is left out.
        case tail
        /// It came after its trace was left out, and nothing keeps it.
        case late
        /// It goes there with its trace, one of the share that is kept whatever it is.
        case deliverAtRate
        /// The route's program leaves it out.
        case discarded
    }

    private let code: UInt16

    /// A decision by the route of this number; nil where there are no routes, or none matched.
    public init(_ kind: Kind, by route: Int? = nil) { code = kind.rawValue | UInt16((route ?? -1) + 1) << Self.kindBits }

    /// The decision over a span by that over its trace.
    public init(trace verdict: TraceVerdict, by route: Int) {
        let kind: Kind =
            switch verdict {
            case .dropped: .tail
            case .keptByRate: .deliverAtRate
            case .kept: .deliver
            }
        self.init(kind, by: route)
    }

    /// Of a decision; the others are the route's number, 1 more than its place.
    private static let kindBits: UInt16 = 4
    private static let kindMask: UInt16 = 1 << kindBits - 1

    /// How many routes a configuration may have: a decision has 12 bits for their number.
    static let routesMax = 4000

    /// What becomes of it.
    public var kind: Kind {
        guard let kind = Kind(rawValue: code & Self.kindMask) else { preconditionFailure("made by init alone") }
        return kind
    }
    /// The route that decided, by its place in the order of reading.
    public var route: Int? { code <= Self.kindMask ? nil : Int(code >> Self.kindBits) - 1 }
    /// Whether the span goes to the destination.
    public var delivers: Bool {
        let kind = code & Self.kindMask
        return kind == Kind.deliver.rawValue || kind == Kind.deliverAtRate.rawValue
    }
}
