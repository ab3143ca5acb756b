import Delivery
import SpanModel

@testable import Destinations

/// A platform as its contract has it: it refuses what the contract says is refused, and keeps what it takes by its own rules of identity.
protocol FakePlatform: AnyObject {
    /// What it answers to what comes at that time, in seconds of a clock that only runs forward. Pure of chance: what goes wrong on the way is
    /// `Journey`'s.
    func answer(_ request: Request, at seconds: Double) -> Response
    /// What a user would see now, a line a record, in no order.
    var records: [PlatformRecord] { get }
}

extension FakePlatform {
    /// The same, where the time does not matter.
    func answer(_ request: Request) -> Response { answer(request, at: 0) }
}

/// One thing that a user sees.
struct PlatformRecord: Equatable {
    /// What makes two of them one, as the platform has it.
    var identity: String
    var name: String
    /// The identity of the record that it hangs under; nil for a root.
    var parent: String?
}

/// Any receiver: it takes all, and keeps a record for each time that a name was sent.
final class AnyPlatform: FakePlatform {
    private(set) var records: [PlatformRecord] = []

    func answer(_ request: Request, at _: Double) -> Response {
        for name in testSpanNames(in: request) { records.append(PlatformRecord(identity: "\(records.count)", name: name)) }
        return Response(status: 200)
    }
}

/// The names that `TestSpan.many` gives, in whatever form they were sent.
func testSpanNames(in request: Request) -> [String] {
    if request["Content-Type"] == "application/x-protobuf" { return decodeOTLP(request.plainBody ?? [])?.map(\.name) ?? [] }
    let text = String(decoding: request.plainBody ?? [], as: UTF8.self)
    var (found, seen): ([String], Set<Substring>) = ([], [])
    for match in text.matches(of: /span [0-9]+/) where seen.insert(match.output).inserted { found.append(String(match.output)) }
    return found
}
