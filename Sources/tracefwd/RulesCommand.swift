import ArgumentParser
import CEL
import Foundation
import Intake
import Pipeline
import Settings
import SpanModel

struct RulesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Tries the language of the rules.", subcommands: [Try.self])

    struct Try: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Evaluates an expression on a span, or on the last spans of the spool.",
            discussion: """
                The definitions of the configuration can be used. Values are shown on your terminal, prompts included.
                Examples:  tracefwd rules try 'cost_usd > 0.1 && "eu" in tags' span.json
                           tracefwd rules try 'model' --last 20
                """)
        @OptionGroup var config: ConfigOption
        @Argument(help: "The expression, in CEL.") var expression: String
        @Argument(
            help: "A file with a native span, - for standard input, or a span of the spool by its number or its id.",
            completion: .file(extensions: ["json"]))
        var span: String?
        @Option(help: "How many of the spool's last spans.") var last: Int?

        func validate() throws {
            if span != nil, last != nil { throw ValidationError("a span or --last, not both") }
            if let last, last < 1 { throw ValidationError("--last is a number from 1") }
        }

        func run() throws {
            let (settings, rules) = try settingsOrExit(config.path)
            let trial: RuleTrial
            do throws(CompileErrors) {
                trial = try RuleTrial(expression, settings.rules, host: rules.host)
            } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
            do {
                if let span {
                    let span = try TrialSpan.named(span, limits: IntakeLimits(settings.limits), spool: settings.spool.path)
                    return try show(trial, Trial(span, rules).seen, nil)
                }
                let spans = try TrialSpan.last(last ?? 5, spool: settings.spool.path)
                if spans.isEmpty { print("the spool has no spans; its value would be of type \(trial.type)") }
                for span in spans { try show(trial, Trial(span, rules).seen, span) }
            } catch let error where !(error is ExitCode) {
                complain("\(error)")
                throw ExitCode(1)
            }
        }

        private func show(_ trial: RuleTrial, _ view: SpanView, _ span: TrialSpan?) throws {
            let label = span.map { "\($0.view.id)  \($0.view.name)  " } ?? ""
            switch trial.value(on: view) {
            case .success(let value): print("\(label)\(value)")
            case .failure(let error):
                guard span == nil else { return print("\(label)fails: \(error)") }
                complain("it fails on this span: \(error)")
                throw ExitCode(1)
            }
        }
    }
}
