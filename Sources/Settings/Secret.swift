/// A key, password or token. It never appears in a log, an error or any output: its description is a row of dots; the text is reached by
/// `reveal()` alone, which is called only where the bytes go out.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    /// Wraps a text that must not be shown.
    public init(_ text: String) { self.text = text }

    /// The text itself, for the wire only.
    public func reveal() -> String { text }

    /// Always the same dots, so that not even the length shows.
    public var description: String { "••••••" }
    /// As `description`.
    public var debugDescription: String { description }
    /// Hides the text from `dump` and the debugger's summary too.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
