import ArgumentParser
import Destinations
import Foundation
import Intake
import Pipeline
import Settings
import Spool

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads the configuration, tells every mistake with its place and its remedy, and runs its tests.",
        discussion: """
            Opens the spool too, without changing it. Exit status 1 where something is wrong, or a test fails; a warning alone is no failure.
            --explain and --redact show what the rules make of a span or a text: on your terminal, prompts included.
            Examples:  tracefwd check --explain span.json
                       tracefwd check --explain 4711
                       tracefwd check --redact prompt.txt
            """)
    @OptionGroup var config: ConfigOption
    @Flag(help: "Print all of the configuration with its defaults; secrets are dots.") var effective = false
    @Option(
        help: ArgumentHelp(
            "Print which routes match a span, who decides for each destination, and what the span becomes.",
            discussion: "A file with a native span, - for standard input, or a span of the spool by its number or its id.",
            valueName: "span"),
        completion: .file(extensions: ["json"]))
    var explain: String?
    @Option(help: ArgumentHelp("Print what the rules would replace in a text.", valueName: "file"), completion: .file()) var redact: String?
    @Flag(help: "Ask each platform whether it can be reached and the key works; no span is sent.") var probe = false

    func validate() throws {
        if [effective, explain != nil, redact != nil, probe].count(where: \.self) > 1 {
            throw ValidationError("--effective, --explain, --redact or --probe, one of them")
        }
    }

    func run() throws {
        let (settings, rules) = try settingsOrExit(config.path)
        for warning in settings.warnings { complain("warning: \(warning)") }
        for program in rules.programs {
            // A name without a slash is looked for in the daemon's PATH, which may be another.
            guard let path = program.program.command.first, path.contains("/"), access(path, X_OK) != 0 else { continue }
            complain("warning: route \(program.route): exec: \(path) cannot be run here: \(String(cString: strerror(errno)))")
        }
        do {
            if let explain {
                let span = try TrialSpan.named(explain, limits: IntakeLimits(settings.limits), spool: settings.spool.path)
                return print(Explanation(span, rules, settings.destinations.map(\.name)).text)
            }
            if let redact { return print(try RedactionPreview(file: redact, settings.rules, rules.host).text) }
            if access(settings.spool.path, F_OK) == 0 { _ = try LogReader.open(path: settings.spool.path).info() }
        } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
        if effective { return print(settings.renderEffective()) }
        let count = settings.rules.tests.count
        let failures = RuleTestRun(settings: settings, rules: rules).failures()
        for failure in failures { complain(failure) }
        guard failures.isEmpty else {
            complain("\(failures.count) of \(counted(count, "test")) failed")
            throw ExitCode(1)
        }
        let tests = count == 0 ? "" : count == 1 ? "; 1 test passes" : "; \(count) tests pass"
        let destinations = counted(settings.destinations.count, "destination")
        print("\(settings.files.joined(separator: ", ")): no mistakes; \(destinations)\(tests)")
        guard probe else { return }
        let report = ProbeReport(settings)
        print(report.text)
        if !report.works { throw ExitCode(1) }
    }
}

/// The configuration and its rules as the daemon would have them, or an end with all its mistakes.
func settingsOrExit(_ path: String) throws -> (LoadedSettings, Rules) {
    do throws(SettingsError) {
        let settings = try loadSettings(path)
        return (settings, Rules.compile(settings.rules, host: .reading(keyFile: settings.spool.hostKeyFile, tell: complain)).rules)
    } catch {
        complain("\(error)")
        throw ExitCode(1)
    }
}
