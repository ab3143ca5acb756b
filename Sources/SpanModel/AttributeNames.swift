/// A set of attribute names: some by themselves, some by what they begin with.
public struct AttributeNames: Sendable {
    private let exact: [StaticString]
    private let prefixes: [StaticString]

    /// The names of `exact`, and all that begin with one of `prefixes`.
    public init(_ exact: [StaticString] = [], prefixes: [StaticString] = []) {
        (self.exact, self.prefixes) = (exact, prefixes)
    }

    /// Whether `key` is one of them.
    public func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        exact.contains { key.equals($0) } || prefixes.contains { key.starts(with: $0) }
    }
}
