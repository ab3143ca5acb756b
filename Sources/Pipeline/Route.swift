import CEL

/// One route, compiled. A class, so that to look at one for each span counts one reference and not ten.
final class Route: Sendable {
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

    init(
        name: String, selection: Selection, to: Set<String>, drops: Bool, isFinal: Bool, sampler: Sampler?, transformation: Transformation?
    ) {
        (self.name, self.selection, self.to, self.drops, self.isFinal) = (name, selection, to, drops, isFinal)
        (self.sampler, self.transformation) = (sampler, transformation)
    }

    var isUnconditional: Bool { if case .always = selection { true } else { false } }

    /// Whether its spans go out in another form than they came in: a sampled span says at which rate.
    var changesSpans: Bool { transformation != nil || sampler?.marks ?? false }
}
