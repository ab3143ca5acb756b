/// A piece of a price file or of `prices:`, before anything is understood. JSON becomes this here; YAML where it is read.
public struct PriceValue: Sendable {
    /// What stands there.
    public enum Content: Sendable {
        /// Nothing, or `null`.
        case empty
        /// A number or a text, as it is written: a price must not become a double on the way.
        case text(String)
        /// A list.
        case list([PriceValue])
        /// A section, in the order of the file.
        case map([Member])
    }

    /// A key with its value.
    public struct Member: Sendable {
        /// The key.
        public let name: String
        /// The value.
        public let value: PriceValue

        /// A member.
        public init(name: String, value: PriceValue) {
            self.name = name
            self.value = value
        }
    }

    /// What stands there.
    public let content: Content
    /// Where: `file:line:column`.
    public let place: String

    /// A value.
    public init(_ content: Content, at place: String) {
        self.content = content
        self.place = place
    }
}

/// One mistake in prices.
public struct PriceMistake: Sendable, Equatable, CustomStringConvertible {
    /// Where: `file:line:column`.
    public let place: String
    /// The keys that lead there: `models[3].above[0].input`.
    public let path: String
    /// What is wrong, and what would be right.
    public let text: String

    /// A mistake of whoever reads the file.
    public init(place: String, path: String, text: String) { (self.place, self.path, self.text) = (place, path, text) }

    /// One line.
    public var description: String { "\(place): " + (path.isEmpty ? "" : "\(path): ") + text }
}

/// Every mistake in prices, in the order of reading.
public struct PriceError: Error, Equatable, CustomStringConvertible {
    /// At least one.
    public let mistakes: [PriceMistake]

    /// At least one mistake.
    public init(mistakes: [PriceMistake]) { self.mistakes = mistakes }

    /// One a line.
    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}
