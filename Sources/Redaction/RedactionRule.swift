/// What is to be found in texts, and what stands there afterwards: one item of a route's `redact` list.
public struct RedactionRule: Sendable, Equatable {
    /// What is looked for.
    public enum Target: Sendable, Equatable {
        case entity(Entity)
        /// RE2 syntax. Empty matches are none.
        case pattern(String)
    }

    /// What is looked for.
    public let target: Target
    /// What takes its place; `[email]` where the rule names no other, `[redacted]` for a pattern.
    public let replacement: String
    /// Whether the replacement tells equal values from others: `[email:3f9a1b2c]`.
    public let hash: Bool

    /// A rule. `replacement` is the `as` of the configuration.
    public init(_ target: Target, as replacement: String? = nil, hash: Bool = false) {
        self.target = target
        self.hash = hash
        if let replacement {
            self.replacement = replacement
        } else if case .entity(let entity) = target {
            self.replacement = "[\(entity.rawValue)]"
        } else {
            self.replacement = "[redacted]"
        }
    }

    /// A rule for an entity.
    public static func entity(_ entity: Entity, as replacement: String? = nil, hash: Bool = false) -> RedactionRule {
        RedactionRule(.entity(entity), as: replacement, hash: hash)
    }

    /// A rule for a pattern.
    public static func pattern(_ pattern: String, as replacement: String? = nil, hash: Bool = false) -> RedactionRule {
        RedactionRule(.pattern(pattern), as: replacement, hash: hash)
    }
}
