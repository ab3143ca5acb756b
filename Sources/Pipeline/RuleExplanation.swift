import CEL
public import Settings
public import SpanModel

extension Router {
    /// What one route made of one span.
    public struct Match: Sendable, Equatable {
        /// Whether it holds.
        public enum Answer: Sendable, Equatable {
            case matches, doesNotMatch
            /// Its condition could not be decided, which counts as false; in words.
            case fails(String)
            /// An earlier one has matched and is final.
            case notRead(after: String)
        }

        /// The route.
        public let route: String
        /// Its condition; nil where it has none.
        public let condition: String?
        /// Whether it holds.
        public let answer: Answer
    }

    /// Asks every route, as `route` does, for a person to see.
    public func explain(_ view: SpanView) -> [Match] {
        activation.withSpan(view) { _ in
            var (isMatched, final): (Bool, String?) = (false, nil)
            return rules.routes.map { route in
                let (condition, answer) = ask(route, isMatched, final)
                if answer == .matches {
                    isMatched = true
                    if route.isFinal { final = route.name }
                }
                return Match(route: route.name, condition: condition, answer: answer)
            }
        }
    }

    private func ask(_ route: Route, _ isMatched: Bool, _ final: String?) -> (condition: String?, Match.Answer) {
        var condition: String?
        if case .when(let program) = route.selection { condition = program.source }
        if let final { return (condition, .notRead(after: final)) }
        switch route.selection {
        case .always: return (nil, .matches)
        case .otherwise: return (nil, isMatched ? .doesNotMatch : .matches)
        case .when(let program):
            do throws(EvaluationError) {
                return (condition, try program.test(activation) ? .matches : .doesNotMatch)
            } catch {
                return (condition, .fails("\(error)"))
            }
        }
    }
}

/// An expression that a person tries on spans.
public struct RuleTrial {
    private let program: Program
    private let activation: SpanActivation

    /// Compiles it beside the definitions of the configuration; those that are wrong are not there.
    public init(_ expression: String, _ settings: RuleSettings, host: RuleHost) throws(CompileErrors) {
        var environment = Environment.ofSpans(host)
        for one in settings.definitions { try? environment.define(one.name, as: one.expression.text) }
        program = try environment.compile(expression)
        activation = SpanActivation(host)
    }

    /// The type of its value.
    public var type: String { "\(program.type)" }

    /// Its value as an expression would write it, or why there is none.
    public func value(on view: SpanView) -> Result<String, EvaluationError> {
        activation.withSpan(view) { _ in
            do throws(EvaluationError) {
                return .success("\(try program.result(activation))")
            } catch {
                return .failure(error)
            }
        }
    }
}
