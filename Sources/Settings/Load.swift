// The settings: YAML in, values out, every mistake at once with its place and its remedy.
// Promises: pure but for `Surroundings`; a secret is in no message and no output; what loads has a value of the right type for each key, so
// no other room sees YAML or checks a value again. Does not know: what any key is for, any destination type.
// Start here, then Table.swift (the keys), Decode.swift (the walk along it), Typed.swift (what the other rooms get).
import Foundation

/// What loading may look at: all of it an argument, so that loading is a pure function.
public struct Surroundings: Sendable {
    /// For `${NAME}`, and `CREDENTIALS_DIRECTORY`.
    public var environment: [String: String]
    /// The bytes of a file.
    public var read: @Sendable (_ path: String) throws(ReadError) -> [UInt8]
    /// The names in a directory, in any order; none where it does not exist.
    public var names: @Sendable (_ directory: String) -> [String]

    /// Surroundings of one's own: for tests, and for a configuration that is not in a file.
    public init(
        environment: [String: String], read: @escaping @Sendable (String) throws(ReadError) -> [UInt8],
        names: @escaping @Sendable (String) -> [String] = { _ in [] }
    ) {
        self.environment = environment
        self.read = read
        self.names = names
    }

    /// Those of this process.
    public static var process: Surroundings {
        Surroundings(environment: ProcessInfo.processInfo.environment, read: readFile) { directory in
            (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        }
    }
}

/// Why a file could not be read, in the system's words.
public struct ReadError: Error, Equatable {
    /// Such as `No such file or directory`.
    public let reason: String

    /// An error with its reason.
    public init(_ reason: String) { self.reason = reason }
}

@Sendable private func readFile(_ path: String) throws(ReadError) -> [UInt8] {
    guard let file = fopen(path, "re") else { throw ReadError(String(cString: strerror(errno))) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        bytes += chunk[..<count]
        if count < chunk.count { break }
    }
    guard ferror(file) == 0 else { throw ReadError(String(cString: strerror(errno))) }
    return bytes
}

/// A configuration that has no mistake.
public struct LoadedSettings: Sendable {
    /// The files it came from, in the order of reading.
    public let files: [String]
    /// What is no mistake, but hardly meant, in the order of reading.
    public let warnings: [Mistake]
    /// All of it, by the table.
    let root: Section
}

/// Reads a file and `conf.d/*.yaml` beside it, in the order of their names, as one configuration.
///
/// `check` is whoever understands the rules: it finds what is wrong in their expressions, patterns and prices. It is asked of a configuration
/// with mistakes too, in whose rules stands what could be read, so that all mistakes come in one run.
public func load(
    file: String, destinationTypes: [DestinationType], surroundings: Surroundings = .process,
    check: (RuleSettings) -> [Mistake] = { _ in [] }
) throws(SettingsError) -> LoadedSettings {
    var attempt = attempt(file, destinationTypes, surroundings)
    if attempt.definesAll { attempt.mistakes += check(RuleSettings(attempt.root)) }
    guard attempt.mistakes.isEmpty else { throw SettingsError(inOrder(attempt.mistakes, attempt.files)) }
    return LoadedSettings(files: attempt.files, warnings: inOrder(warnings(attempt.root), attempt.files), root: attempt.root)
}

/// Where a daemon's files are, as far as a person's commands need them.
public struct DaemonPaths: Sendable, Equatable {
    /// The SQLite file.
    public let spool: String
    /// The socket for live commands.
    public let control: String
    /// The socket for spans; nil where the source is off.
    public let unix: String?
}

/// Reads no more than where the daemon's files are. Mistakes elsewhere do not matter, nor secrets that only the daemon can read: whoever
/// repairs a configuration still sees what the daemon does under the old one.
public func daemonPaths(
    file: String, destinationTypes: [DestinationType], surroundings: Surroundings = .process
) throws(SettingsError) -> DaemonPaths {
    let attempt = attempt(file, destinationTypes, surroundings)
    let spool = attempt.root.optionalSection("spool")?.optionalString("path")
    guard attempt.isWhole, let spool, let control = attempt.root.optionalSection("control") else {
        throw SettingsError(inOrder(attempt.mistakes, attempt.files))
    }
    return DaemonPaths(
        spool: spool, control: ControlSettings(control, spoolPath: spool).path,
        unix: attempt.root.optionalSection("sources")?.optionalSection("unix")?.optionalString("path"))
}

/// A configuration with whatever is wrong with it.
private struct Attempt {
    var files: [String]
    var root: Section
    var mistakes: [Mistake]
    /// Whether every file could be read.
    var isWhole: Bool

    /// Whether what rules refer to is known: a definition that is wrong, or in a file that cannot be read, must not look unknown.
    var definesAll: Bool { isWhole && !mistakes.contains { $0.path == "define" || $0.text.hasPrefix("define ") } }
}

private func attempt(_ file: String, _ destinationTypes: [DestinationType], _ surroundings: Surroundings) -> Attempt {
    let slash = file.lastIndex(of: "/")
    let directory = (slash.map { String(file[...$0]) } ?? "") + "conf.d"
    let additions = surroundings.names(directory).filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.sorted()
    let files = [file] + additions.map { "\(directory)/\($0)" }

    var mistakes: [Mistake] = []
    var merged = Written(content: .empty, place: Place(file: file, line: 1, column: 1))
    var isWhole = true
    for path in files {
        do throws(SettingsError) {
            let (written, found) = try read(path, surroundings)
            mistakes += found
            merged = merge(merged, written, mistakes: &mistakes) ?? merged
        } catch {
            mistakes += error.mistakes
            isWhole = false
        }
    }
    var decode = Decode(table: table(destinationTypes), surroundings: surroundings)
    let root = decode.root(merged, isWhole: isWhole)
    mistakes += decode.mistakes + checks(root)
    return Attempt(files: files, root: root, mistakes: mistakes, isWhole: isWhole)
}

/// One file as a map, with what is wrong in it; throws where nothing can be made of it.
private func read(_ file: String, _ surroundings: Surroundings) throws(SettingsError) -> (Written, [Mistake]) {
    let bytes: [UInt8]
    do throws(ReadError) { bytes = try surroundings.read(file) } catch {
        throw SettingsError([Mistake(Place(file: file), "cannot be read: \(error.reason)")])
    }
    let (written, mistakes) = try parseYAML(bytes, file: file)
    switch written.content {
    case .map, .empty: return (written, mistakes)
    case .text, .list: throw SettingsError([Mistake(written.place, "this is \(written.kind); a configuration is keys with values")])
    }
}

/// In the order of the files, then of their lines.
private func inOrder(_ mistakes: [Mistake], _ files: [String]) -> [Mistake] {
    let ranked = mistakes.enumerated().map { (rank: files.firstIndex(of: $1.place.file) ?? 0, index: $0, mistake: $1) }
    return ranked.sorted { ($0.rank, $0.mistake.place, $0.index) < ($1.rank, $1.mistake.place, $1.index) }.map(\.mistake)
}
