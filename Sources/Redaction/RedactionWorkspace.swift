/// Memory that a thread keeps from text to text, so that a text in which nothing is found costs none. One for each thread.
public final class RedactionWorkspace {
    var redaction = Redaction()

    /// An empty workspace.
    public init() {}
}

/// A change of a text: [start, end) gives way to what `rule` writes.
struct Edit: BitwiseCopyable {
    var start: Int
    var end: Int
    /// Negative: a quotation mark is put in, for a number that becomes a string.
    let rule: Int
    /// Of the value, where the rule wants one.
    let hash: UInt32
    /// How many JSON strings lie around the place.
    let level: Int
}
