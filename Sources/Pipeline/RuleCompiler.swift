import CEL
import Foundation
import Patterns
import Pricing
import Redaction
public import Settings

extension Rules {
    /// Compiles what the configuration says; every mistake of an expression, pattern or price with its place. With a mistake the rules are
    /// of no use.
    public static func compile(_ settings: RuleSettings, host: RuleHost) -> (rules: Rules, mistakes: [Mistake]) {
        var compiler = RuleCompiler(host)
        compiler.define(settings.definitions)
        compiler.count(settings.routes ?? [])
        let routes = settings.routes.map { $0.prefix(RouteDecision.routesMax).map { compiler.route($0) } }
        let prices = compiler.prices(settings.prices)
        let intake = compiler.intake(settings.intake)
        let rules = Rules(routes: routes, destinations: settings.destinations, prices: prices, host: host, intake: intake)
        return (rules, compiler.mistakes)
    }
}

/// Compiles one rule after the other and gathers what is wrong with them.
struct RuleCompiler {
    private(set) var mistakes: [Mistake] = []
    private var environment: Environment
    /// Of tail sampling.
    private var traces: Environment
    let host: RuleHost

    init(_ host: RuleHost) {
        self.host = host
        environment = .ofSpans(host)
        traces = .ofTraces(host)
    }

    mutating func define(_ definitions: [DefinitionSettings]) {
        for one in definitions {
            do throws(CompileErrors) {
                try environment.define(one.name, as: one.expression.text)
            } catch {
                report(error, in: one.expression)
            }
            // What names members of a span alone is not there in conditions over traces.
            try? traces.define(one.name, as: one.expression.text)
        }
    }

    /// A program of a type; nil where the expression is wrong, which is reported.
    mutating func program(_ text: RuleText, returning type: ValueType?, of traces: Environment? = nil) -> Program? {
        do throws(CompileErrors) {
            return try (traces ?? environment).compile(text.text, returning: type)
        } catch {
            report(error, in: text)
            return nil
        }
    }

    /// A condition; one that is wrong never holds.
    mutating func condition(_ text: RuleText) -> Program? { program(text, returning: .bool) }

    mutating func report(_ error: CompileErrors, in text: RuleText) {
        for one in error.errors {
            mistakes.append(text.mistake(line: one.line, column: one.column, one.message, excerpt: one.excerpt))
        }
    }

    mutating func count(_ routes: [RouteSettings]) {
        guard routes.count > RouteDecision.routesMax else { return }
        let first = routes[RouteDecision.routesMax]
        mistakes.append(first.mistake("is one of \(routes.count) routes; there may be \(RouteDecision.routesMax)"))
    }

    mutating func route(_ settings: RouteSettings) -> Route {
        let programs = settings.transform.count { if case .exec = $0 { true } else { false } }
        if programs > 1 { mistakes.append(settings.mistake("has \(programs) exec steps; a route has one program at most")) }
        let selection: Route.Selection =
            switch settings.selection {
            case .always: .always
            case .otherwise: .otherwise
            case .when(let text): condition(text).map { .when($0) } ?? .always
            }
        return Route(
            name: settings.name, selection: selection, to: Set(settings.to), drops: settings.drops,
            isFinal: settings.isFinal || settings.drops, sampler: settings.sample.flatMap { sampler($0) },
            transformation: transformation(settings.transform, redact: settings.redact))
    }

    mutating func intake(_ settings: IntakeRuleSettings) -> IntakeRules {
        let contentDrop: IntakeRules.ContentDrop =
            switch settings.dropContent {
            case .never: .never
            case .always: .always
            case .when(let text): condition(text).map { .when($0) } ?? .always
            }
        return IntakeRules(redaction: redaction(settings.redact), contentDrop: contentDrop, host: host)
    }

    private mutating func sampler(_ settings: SampleSettings) -> Sampler? {
        let rate: Sampler.Rate =
            switch settings.rate {
            case .number(let rate): .number(rate)
            case .expression(let text): program(text, returning: .double).map { .program($0) } ?? .number(1)
            }
        let keep = settings.keep.compactMap { condition($0) }
        let tail = settings.tail.map { tailSampler($0) }
        if case .number(1) = rate, keep.isEmpty, settings.perSecondMax == nil, tail == nil { return nil }
        return Sampler(rate: rate, keep: keep, perSecondMax: settings.perSecondMax, hashesTraceID: settings.hashesTraceID, tail: tail)
    }

    private mutating func tailSampler(_ settings: TailSettings) -> TailSampler {
        let limits = TraceLimits(
            wait: settings.wait.nanoseconds, grace: settings.grace.nanoseconds, remember: settings.remember.nanoseconds,
            tracesMax: settings.tracesMax)
        return TailSampler(
            keep: settings.keep.compactMap { program($0, returning: .bool, of: traces) }, rate: settings.rate, limits: limits,
            environment: traces)
    }

    mutating func transformation(_ settings: [TransformSettings], redact: [RedactionSettings]) -> Transformation? {
        guard !settings.isEmpty || !redact.isEmpty else { return nil }
        var (first, program, steps): ([Transformation.Step], ExecProgram?, [Transformation.Step]) = ([], nil, [])
        for one in settings {
            if case .exec(let command, let timeout, let deadOnError) = one {
                (first, program, steps) = (steps, ExecProgram(command: command, timeout: timeout, keepsOnError: !deadOnError), [])
            } else if let step = step(one) {
                steps.append(step)
            }
        }
        return Transformation(first: first, program: program, steps: steps, redaction: redaction(redact))
    }

    private mutating func step(_ settings: TransformSettings) -> Transformation.Step? {
        func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }
        switch settings {
        case .set(let assignments): return .set(assignments.compactMap { assignment($0) })
        case .rename(let renamings): return .rename(renamings.map { .init(from: Array($0.from.utf8), to: Array($0.to.utf8)) })
        case .remove(let globs): return .remove(bytes(globs))
        case .only(let globs): return .only(bytes(globs))
        case .truncate(let bytesMax, let globs): return .truncate(bytesMax: bytesMax, at: bytes(globs))
        case .dropContent(.never): return nil
        case .dropContent(.always): return .dropContent(nil)
        case .dropContent(.when(let text)): return condition(text).map { .dropContent($0) }
        case .enrich(let hasHost, let attributes, let estimatesTokens):
            return .enrich(
                host: hasHost ? Array(host.hostName.utf8) : nil,
                attributes: attributes.sorted { $0.key < $1.key }.map {
                    .init(key: Array($0.key.utf8), value: AnyValueBytes.string($0.value))
                }, estimatesTokens: estimatesTokens)
        case .normalize(.genAI): return .normalize(.genAI)
        case .normalize(.openInference): return .normalize(.openInference)
        case .normalize(.openLLMetry): return .normalize(.openLLMetry)
        case .exec: return nil
        }
    }

    private mutating func assignment(_ settings: TransformSettings.Assignment) -> Transformation.Assignment? {
        let target: Transformation.Assignment.Target =
            switch settings.name {
            case "name": .name
            case "status": .status
            case let name where name.hasPrefix("resource."): .resource(Array(name.dropFirst("resource.".count).utf8))
            case let name: .attribute(Array(name.utf8))
            }
        let type: ValueType? =
            switch target {
            case .name, .status: .string
            case .attribute, .resource: nil
            }
        return program(settings.value, returning: type).map { .init(target: target, value: $0) }
    }

    /// The rules of a `redact` list; nil where there are none, or one is wrong, which is reported.
    mutating func redaction(_ settings: [RedactionSettings]) -> SpanRedaction? {
        guard !settings.isEmpty else { return nil }
        var rules: [RedactionRule] = []
        let before = mistakes.count
        for one in settings {
            switch one.target {
            case .entity(let text):
                guard let entity = Entity(rawValue: text.text) else {
                    let guess = nearest(to: text.text, in: Entity.allCases.map(\.rawValue)).map { "; did you mean \"\($0)\"?" } ?? ""
                    mistakes.append(text.mistake("is \"\(text.text)\", which redaction cannot look for\(guess)"))
                    continue
                }
                rules.append(.entity(entity, as: one.replacement, hash: one.hash))
            case .pattern(let text):
                do throws(PatternError) { _ = try Pattern(text.text) } catch {
                    mistakes.append(text.mistake("is no pattern: \(error.reason)"))
                    continue
                }
                rules.append(.pattern(text.text, as: one.replacement, hash: one.hash))
            }
        }
        guard mistakes.count == before else { return nil }
        do throws(RedactionError) {
            let redactor = try Redactor(rules, hash: host.shortHash)
            return SpanRedaction(redactor, globs: settings.map { $0.attributes.map { Array($0.utf8) } })
        } catch {
            preconditionFailure("each rule was tried alone: \(error)")
        }
    }

    /// The table that ships, or the file that takes its place, with the user's own prices before it.
    mutating func prices(_ written: SettingsValue?) -> PriceBook? {
        do throws(PriceError) {
            let table = if let file = written?["file"] { try table(of: file) } else { try PriceTable.shipped() }
            guard let models = written?["models"] else { return PriceBook(table) }
            return PriceBook(table, own: try OwnPrices(PriceValue(models)))
        } catch {
            for mistake in error.mistakes {
                guard let written else { continue }
                // Its place is this file's, or that of a price table beside it.
                let piece = written.piece(at: mistake.place)
                let place = piece == nil ? "\(mistake.place): " : ""
                mistakes.append((piece ?? written).mistake("prices", "\(place)\(mistake.path): \(mistake.text)"))
            }
            return nil
        }
    }

    private func table(of file: SettingsValue) throws(PriceError) -> PriceTable {
        guard case .text(let path, _) = file.content else { return try PriceTable.shipped() }
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw PriceError(mistakes: [PriceMistake(place: "\(file.place)", path: "file", text: "\(path) cannot be read")])
        }
        return try PriceTable(json: Array(bytes), file: path)
    }
}

extension PriceValue {
    fileprivate init(_ value: SettingsValue) {
        let content: Content =
            switch value.content {
            case .empty: .empty
            case .text(let text, _): .text(text)
            case .list(let items): .list(items.map { PriceValue($0) })
            case .map(let entries): .map(entries.map { .init(name: $0.name, value: PriceValue($0.value)) })
            }
        self.init(content, at: "\(value.place)")
    }
}

extension Duration {
    /// Whole nanoseconds; 0 for a negative time, and at most some 290 years.
    fileprivate var nanoseconds: UInt64 {
        let (seconds, rest) = (max(components.seconds, 0), UInt64(max(components.attoseconds, 0) / 1_000_000_000))
        return seconds < 9_000_000_000 ? UInt64(seconds) * 1_000_000_000 + rest : UInt64(Int64.max)
    }
}
