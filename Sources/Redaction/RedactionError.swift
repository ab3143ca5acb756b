import Patterns

/// Why a list of rules makes no redactor.
public enum RedactionError: Error, Equatable, CustomStringConvertible {
    /// `rule` is the rule's index in the list.
    case pattern(rule: Int, PatternError)
    /// A rule wants hashes and no key was given.
    case noHashKey(rule: Int)

    /// What is wrong, for a person.
    public var description: String {
        switch self {
        case .pattern(let rule, let error): "redact[\(rule)]: \(error)"
        case .noHashKey(let rule): "redact[\(rule)]: hash is set, but there is no key to hash with"
        }
    }
}
