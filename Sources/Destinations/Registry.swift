// Destinations: where spans go, one file a type: two pure functions, a declaration and the keys of its configuration.
// Promises: equal spans and an equal context give equal requests; no answer of a server, however odd, is an error here; a secret is
// revealed in headers alone. Does not know: sockets, retries, the spool.
// Start here (the list), then OTLP.swift (a platform), FileDestination.swift (a place on this machine), ByStatus.swift (what HTTP means).
public import Delivery
public import Settings

/// Every type there is: a new one is its file, its page in Docs/destinations, and its line here.
let registry: [any RegisteredDestination.Type] = [
    Console.self,
    FileDestination.self,
    KeywordsAI.self,
    Langfuse.self,
    LangSmith.self,
    OTLP.self,
    Webhook.self,
]

/// What a destination type is for the configuration.
protocol RegisteredDestination: Destination {
    /// Other words for it after `type:`.
    static var aliases: [String] { get }
    /// One sentence for a person.
    static var doc: String { get }
    /// Whether it sends over HTTP.
    static var http: Bool { get }
    /// Its own keys.
    static var keys: [Key] { get }
    /// What is wrong over several keys, each of which is right by itself.
    static func check(_ section: Section) -> [Mistake]
    /// A destination from settings that `check` found nothing in.
    init(_ settings: DestinationSettings)
}

extension RegisteredDestination {
    static var aliases: [String] { [] }
    static func check(_ section: Section) -> [Mistake] { [] }
}

/// The types as the configuration knows them.
public let destinationTypes: [DestinationType] = registry.flatMap { type in
    ([type.type] + type.aliases).map { DestinationType($0, http: type.http, type.doc, keys: type.keys, check: type.check) }
}

/// The destination that some settings describe.
public func makeDestination(_ settings: DestinationSettings) -> any Destination {
    guard let type = registry.first(where: { $0.type == settings.type || $0.aliases.contains(settings.type) }) else {
        preconditionFailure("\(settings.name): loaded settings have a type that is not registered: \(settings.type)")
    }
    return type.init(settings)
}
