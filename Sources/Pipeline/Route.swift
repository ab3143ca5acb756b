import CEL

/// One route, compiled.
struct Route: Sendable {
    /// When it matches.
    enum Selection: Sendable {
        case always
        case when(Program)
        case otherwise
    }

    let name: String
    let selection: Selection
    let to: Set<String>
    let drops: Bool
    /// True where it drops.
    let isFinal: Bool
    let sampler: Sampler?
    let transformation: Transformation?

    var isUnconditional: Bool { if case .always = selection { true } else { false } }

    /// Whether its spans go out in another form than they came in: a sampled span says at which rate.
    var changesSpans: Bool { transformation != nil || sampler?.marks ?? false }
}
