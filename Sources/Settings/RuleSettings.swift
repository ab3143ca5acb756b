// What the rules are in the configuration (contract `rules`): texts with their places. What an expression, a pattern or an entity means is
// the pipeline's business, which reports its mistakes through `RuleText.mistake`.

/// An expression or a pattern as it stands in a file. Variables of the environment are not replaced in it.
public struct RuleText: Sendable, Equatable {
    /// The text itself.
    public let text: String
    /// Where its first character stands, inside of quotes and below a `|`.
    public let place: Place
    /// What it is: `routes[0] "production": sample.keep[1]`.
    public let path: String
    private let source: ScalarSource?

    init(_ text: String, _ written: Written, _ site: Decode.Site) {
        self.text = text
        source = written.source
        place = written.source?.start(of: text) ?? site.place
        path = site.path.isEmpty ? site.name : "\(site.path): \(site.name)"
    }

    /// A mistake in it, at a line and a column of the text, which count from 1 (the column in Unicode scalars) and become the file's.
    ///
    /// `excerpt` is the line, and one with carets under what is meant, as the text has them.
    public func mistake(line: Int = 1, column: Int = 1, _ message: String, excerpt: String? = nil) -> Mistake {
        Mistake(source?.place(of: text, line: line, column: column) ?? place, path: path, message, excerpt: excerpt)
    }

    /// Equal by what it says, wherever it stands.
    public static func == (a: RuleText, b: RuleText) -> Bool { a.text == b.text }
}

/// `true`, `false` or a condition.
public enum ConditionSettings: Sendable, Equatable {
    case always, never
    case when(RuleText)
}

/// One of `define:`
public struct DefinitionSettings: Sendable, Equatable {
    /// What expressions below it call it.
    public let name: String
    /// What it stands for.
    public let expression: RuleText
}

/// `intake:`, what happens before the spool.
public struct IntakeRuleSettings: Sendable, Equatable {
    /// What is found and replaced in every text.
    public let redact: [RedactionSettings]
    /// Whether messages and tool payloads are left out.
    public let dropContent: ConditionSettings
}

/// One of `routes:`
public struct RouteSettings: Sendable, Equatable {
    /// When it matches.
    public enum Selection: Sendable, Equatable {
        case always
        case when(RuleText)
        /// Where no earlier route has matched.
        case otherwise
    }

    /// What it is called; its number in the list where it is the only one and has no name.
    public let name: String
    /// When it matches.
    public let selection: Selection
    /// Routes are read from high to low.
    public let priority: Int
    /// The destinations that it feeds, groups resolved; each exists, none stands twice. Empty where it drops.
    public let to: [String]
    /// Filters the span for every destination that no earlier route has taken it for.
    public let drops: Bool
    /// No later route is read once this one has matched. True where it drops.
    public let isFinal: Bool
    /// Which of its spans go on; nil is all.
    public let sample: SampleSettings?
    /// In the order written.
    public let transform: [TransformSettings]
    /// After the transformation.
    public let redact: [RedactionSettings]
    /// Where it stands.
    public let place: Place

    /// A mistake in it.
    public func mistake(_ text: String) -> Mistake { Mistake(place, path: "routes: \(name)", text) }
}

/// `sample:`
public struct SampleSettings: Sendable, Equatable {
    /// The share that goes on.
    public enum Rate: Sendable, Equatable {
        /// From 0 to 1.
        case number(Double)
        /// Of type double.
        case expression(RuleText)
    }

    /// The share that goes on; 1 where only `keep`, `limit` or `tail` stand.
    public let rate: Rate
    /// Conditions that keep a span whatever the rate.
    public let keep: [RuleText]
    /// Most spans a second; nil is no limit.
    public let perSecondMax: Double?
    /// The trace id is hashed first, for senders whose ids are not random.
    public let hashesTraceID: Bool
    /// Decides on whole traces.
    public let tail: TailSettings?
}

/// `sample.tail:`
public struct TailSettings: Sendable, Equatable {
    /// After the first span, at most.
    public let wait: Duration
    /// After the root.
    public let grace: Duration
    /// Conditions over the trace that keep it.
    public let keep: [RuleText]
    /// The share of the other traces that is kept.
    public let rate: Double
    /// How long decisions hold for late spans.
    public let remember: Duration
    /// Open traces at most.
    public let tracesMax: Int
}

/// One step of `transform:`
public enum TransformSettings: Sendable, Equatable {
    /// Names and values of a step.
    public struct Assignment: Sendable, Equatable {
        /// An attribute, `resource.NAME`, `name` or `status`.
        public let name: String
        /// CEL of any type; null removes.
        public let value: RuleText
    }

    /// Old and new names, which may be globs with equally many `*`.
    public struct Renaming: Sendable, Equatable {
        /// What is there.
        public let from: String
        /// What it becomes.
        public let to: String
    }

    /// The names of a dialect (contract `otlp`, part B).
    public enum Dialect: String, Sendable, Equatable, CaseIterable {
        case genAI = "gen_ai"
        case openInference = "openinference"
        case openLLMetry = "openllmetry"
    }

    case set([Assignment])
    case rename([Renaming])
    /// Globs of attributes that go.
    case remove([String])
    /// Globs of attributes that stay.
    case only([String])
    /// Texts over so many bytes are cut, in attributes that one of the globs matches (none: in all).
    case truncate(bytesMax: Int, at: [String])
    case normalize(Dialect)
    case dropContent(ConditionSettings)
    case enrich(host: Bool, attributes: [String: String], estimatesTokens: Bool)
    case exec(command: [String], timeout: Duration, deadOnError: Bool)
}

/// One item of a `redact` list.
public struct RedactionSettings: Sendable, Equatable {
    /// What is looked for: the name of an entity, or a pattern.
    public enum Target: Sendable, Equatable {
        case entity(RuleText)
        case pattern(RuleText)
    }

    /// What is looked for.
    public let target: Target
    /// What takes its place; nil is `[<entity>]`.
    public let replacement: String?
    /// Whether equal values can be told from others.
    public let hash: Bool
    /// Globs of attributes; empty is every text.
    public let attributes: [String]
}

/// One of `tests:`
public struct RuleTest: Sendable {
    /// What becomes of the span at one destination.
    public enum Expectation: Sendable {
        case delivered
        /// Delivered, and in the native form these members are so; null is absent.
        case with(SettingsValue)
        case filtered, sampled, dropped
    }

    /// What it says; its number in the list where it says nothing.
    public let name: String
    /// A native span (contract `ingest`).
    public let span: SettingsValue
    /// Takes the place of the trace id's randomness, from 0 to 1.
    public let random: Double?
    /// By destination, in the order of the file.
    public let expect: [(destination: String, expectation: Expectation)]
    /// Where it stands.
    public let place: Place
}

/// All that decides which spans go where, and in which form.
public struct RuleSettings: Sendable {
    /// Named conditions and values, each of which may use those above it.
    public let definitions: [DefinitionSettings]
    /// Before the spool.
    public let intake: IntakeRuleSettings
    /// In the order in which they are read: from high to low priority, equal ones as in the files. Nil sends everything everywhere.
    public let routes: [RouteSettings]?
    /// The configured destinations, in the order of the files.
    public let destinations: [String]
    /// `prices:`, a map of `file` and `models`; nil where neither stands.
    public let prices: SettingsValue?
    /// What `tracefwd check` tries.
    public let tests: [RuleTest]
}
