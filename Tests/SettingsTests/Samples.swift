// Destination types and files for the tests: the real types live in Destinations, and this room must not need them.
import Testing

@testable import Settings

let sampleTypes = [
    DestinationType(
        "otlp", http: true, "Sends OTLP to a collector.",
        keys: [
            Key("endpoint", .url, .nothing("`traces_endpoint` stands instead"), "The base."),
            Key("traces_endpoint", .url, .nothing("`endpoint` stands instead"), "The whole URL."),
            Key("compression", .choice(["none", "gzip"]), .value("none"), "How bodies are packed."),
            Key("timeout", .duration(.positive), .value("10s"), "As the specification says."),
        ],
        check: { section in
            section.has("endpoint") != section.has("traces_endpoint")
                ? [] : [section.mistake("either \"endpoint\" or \"traces_endpoint\" stands here")]
        }),
    DestinationType(
        "langfuse", http: true, "Sends to Langfuse.",
        keys: [
            Key("public_key", .string, .required, "The public key."),
            Key("secret_key", .secret, .required, "The secret key."),
            Key("older_secrets", .list(.secret), .nothing("none"), "Keys that were."),
        ]),
    DestinationType("file", http: false, "Writes NDJSON.", keys: [Key("path", .path, .required, "The file.")]),
]

/// Loads files that are in memory; the first is the main one.
func loadTexts(
    _ texts: [(path: String, text: String)], environment: [String: String] = [:], types: [DestinationType] = sampleTypes,
    check: (RuleSettings) -> [Mistake] = { _ in [] }
) throws(SettingsError) -> LoadedSettings {
    let files = Dictionary(uniqueKeysWithValues: texts.map { ($0.path, Array($0.text.utf8)) })
    let surroundings = Surroundings(environment: environment) { path throws(ReadError) in
        guard let bytes = files[path] else { throw ReadError("No such file or directory") }
        return bytes
    } names: { directory in
        files.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
    }
    return try load(file: texts[0].path, destinationTypes: types, surroundings: surroundings, check: check)
}

func loadText(_ text: String, environment: [String: String] = [:]) throws(SettingsError) -> LoadedSettings {
    try loadTexts([("t.yaml", text)], environment: environment)
}

/// The whole message of a configuration that does not load.
func complaint(
    _ text: String, environment: [String: String] = [:], check: (RuleSettings) -> [Mistake] = { _ in [] }
) -> String {
    do throws(SettingsError) {
        _ = try loadTexts([("t.yaml", text)], environment: environment, check: check)
        return "loads"
    } catch { return error.description }
}

extension KeyType {
    var isSection: Bool { if case .section = self { true } else { false } }
}
