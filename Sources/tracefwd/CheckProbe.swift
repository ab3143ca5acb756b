import Delivery
import Destinations
import Settings
import Threading

/// `check --probe`: whether each platform can be reached and its key works, in words, without a span.
struct ProbeReport {
    /// What was found of one destination.
    struct Line {
        var name: String
        var works: Bool
        var text: String
    }

    private(set) var lines: [Line] = []

    /// Whether all is well.
    var works: Bool { lines.allSatisfy(\.works) }

    /// The names in a column of their own.
    var text: String {
        let width = lines.map(\.name.count).max() ?? 0
        return lines.map { line in
            "\(line.name)\(String(repeating: " ", count: width - line.name.count))  \(line.works ? "ok" : "FAILS"): \(line.text)"
        }.joined(separator: "\n")
    }

    /// Asks all at once: one that does not answer takes its whole time.
    init(_ settings: LoadedSettings) {
        let found = Monitor([Int: Line]())
        let threads = settings.destinations.enumerated().map { index, one in
            startThread(name: "probe") {
                let line = Self.line(one)
                found.withLock { $0[index] = line }
            }
        }
        for thread in threads { thread.join() }
        lines = found.withLock { found in found.sorted { $0.key < $1.key }.map(\.value) }
    }

    private static func line(_ one: DestinationSettings) -> Line {
        let destination = makeDestination(one)
        guard case .http(let options) = destination.outlet else {
            return Line(name: one.name, works: true, text: "\(destination.target), on this machine; tracefwd doctor looks at it")
        }
        let connect = one.http?.connectTimeout ?? .seconds(5)
        guard !destination.probes.isEmpty else { return connection(one.name, destination.target, options, connect) }
        let probe = PlatformProbe(of: destination, connect: connect, total: .seconds(15))
        let texts = probe.verdicts.map { verdict in
            switch verdict {
            case .works(let text): text
            case .fails(let text, let remedy): "\(text); \(remedy)"
            }
        }
        return Line(name: one.name, works: probe.works, text: "\(destination.target): \(texts.joined(separator: "; "))")
    }

    /// All that can be tried of a platform without a door for questions.
    private static func connection(_ name: String, _ target: String, _ options: HTTPOptions, _ connect: Duration) -> Line {
        let probe = ConnectionProbe(to: target, options: options, patience: connect)
        guard probe.failedAt == nil else {
            return Line(name: name, works: false, text: "\(target): \(probe.detail); tracefwd doctor says more")
        }
        return Line(
            name: name, works: true, text: "\(target): connected (\(probe.address)); only a span tells the rest: tracefwd send --test")
    }
}
