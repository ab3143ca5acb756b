/// Where a program finds its variables while it runs. A class: a host makes one and points it at one span after the other.
public protocol Activation: AnyObject {
    /// The value of a variable by its slot: the number in `Environment.variables`. Asked for only when the expression comes to it, and each
    /// time it does; what is dear to make is for the activation to keep. What it gives must live until the program is done: it may lie in
    /// the activation's own memory or be made in the arena.
    func value(of slot: Int, in arena: inout Arena) -> Value
}

/// Variables by their names, copied: for tests, for `rules try`, for anything that runs seldom.
public final class Bindings: Activation, Sendable {
    private let values: [OwnedValue?]

    /// Variables that `environment` declares and that stand here have these values; the others are errors when they are read.
    public init(_ values: [String: OwnedValue], in environment: Environment) {
        self.values = environment.variables.map { values[$0.name] }
    }

    /// The value, made in the arena.
    public func value(of slot: Int, in arena: inout Arena) -> Value {
        guard let value = values[slot] else { return .failure(.unknownVariable) }
        return value.view(in: &arena)
    }
}
