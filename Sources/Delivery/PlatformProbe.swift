/// What a destination's platform said to one of its probes, asked as the daemon asks, and waited for.
public struct PlatformProbe: Sendable {
    /// The verdicts in the order of `Destination.probes`, up to the first that fails.
    public private(set) var verdicts: [ProbeVerdict] = []
    /// Whether all of them were well.
    public private(set) var works = true

    /// Asks. Waits `total` for each answer at most.
    public init(of destination: any Destination, connect: Duration, total: Duration) {
        guard case .http(let options) = destination.outlet else { return }
        for probe in destination.probes {
            let verdict: ProbeVerdict =
                switch exchange(probe, options: options, connect: connect, total: total) {
                case .success(let response): destination.judgeProbe(response, to: probe)
                case .failure(let failure): .fails(failure.description, remedy: "tracefwd doctor looks at the connection")
                }
            verdicts.append(verdict)
            guard case .works = verdict else {
                works = false
                return
            }
        }
    }
}

/// Why a request had no answer.
public struct ExchangeError: Error, Equatable, CustomStringConvertible {
    /// libcurl's sentence, never a header or a body.
    public let description: String
}

/// One request outside of delivery: as the daemon sends it, and waited for.
public func exchange(
    _ request: Request, options: HTTPOptions, connect: Duration, total: Duration
) -> Result<Response, ExchangeError> {
    let sender = HTTPSender()
    sender.start(request, options: options, timeouts: RequestTimeouts(connect: connect, total: total), token: 0)
    while true {
        if let ended = sender.finished().first { return ended.result.mapError { ExchangeError(description: $0.description) } }
        sender.wait(total)
    }
}
