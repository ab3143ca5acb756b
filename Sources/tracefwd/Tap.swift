import Delivery
import Foundation
import SpanModel
import Spool
import Synchronization
import Threading

/// Those who follow with `tail`. Each has a bounded queue: who does not keep up misses events, and is told how many.
final class TapHub: Sendable {
    /// One follower.
    final class Tap: Sendable {
        fileprivate struct State {
            var events: [DeliveryEvent] = []
            var missed = 0
            var lastID: Int64
            var ended = false
        }
        fileprivate let state: Monitor<State>
        fileprivate init(from lastID: Int64) { state = Monitor(State(lastID: lastID)) }
    }

    private let taps = Mutex<[ObjectIdentifier: Tap]>([:])
    private static let eventsMax = 1_000

    func committed(_ lastID: Int64) { each { $0.lastID = lastID } }

    func happened(_ event: DeliveryEvent) {
        each { state in
            if state.events.count < Self.eventsMax { state.events.append(event) } else { state.missed += 1 }
        }
    }

    func end() { each { $0.ended = true } }

    private func each(_ change: (inout Tap.State) -> Void) {
        for tap in taps.withLock({ Array($0.values) }) {
            tap.state.withLock { change(&$0) }
            tap.state.broadcast()
        }
    }

    /// Writes spans and events until the follower goes or the daemon stops.
    func follow(_ log: SpanLog, spans: Bool, events: Bool, json: Bool, write: (String) -> Bool) throws {
        let reader = try log.reader()
        var next = log.lastID + 1
        let tap = Tap(from: next - 1)
        taps.withLock { $0[ObjectIdentifier(tap)] = tap }
        defer { taps.withLock { $0[ObjectIdentifier(tap)] = nil } }
        while true {
            // Wakes at least every 5 s, to see by a write whether the follower is still there.
            let news = tap.state.wait(for: .seconds(5)) { state -> Tap.State? in
                guard state.ended || state.missed > 0 || (events && !state.events.isEmpty) || (spans && state.lastID >= next) else {
                    return nil
                }
                let taken = state
                (state.events, state.missed) = ([], 0)
                return taken
            }
            guard let news else {
                guard json || write("") else { return }
                continue
            }
            if spans {
                while next <= news.lastID, let segment = try reader.segment(holding: next) {
                    for index in Int(max(0, next - segment.firstID))..<segment.entries.count {
                        guard write(line(SpanView(segment: segment, index: index), json: json)) else { return }
                    }
                    next = segment.lastID + 1
                }
            }
            if events {
                for event in news.events {
                    if let text = line(event, json: json), !write(text) { return }
                }
            }
            if news.missed > 0,
                !write(json ? #"{"event":"missed","count":\#(news.missed)}"# : "\(news.missed) events were missed: they came too fast")
            {
                return
            }
            if news.ended { return }
        }
    }

    private func line(_ span: SpanView, json: Bool) -> String {
        if json {
            var bytes = Array(#"{"event":"accepted","id":\#(span.id),"span":"#.utf8)
            appendNativeJSON(span, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
            return String(decoding: bytes, as: UTF8.self)
        }
        let trace = span.traceID.map { "\($0)".prefix(8) } ?? "?"
        let milliseconds = (Int64(bitPattern: span.endTime ?? 0) &- Int64(bitPattern: span.startTime ?? 0)) / 1_000_000
        return "accepted   \(span.id)  trace \(trace)  \(span.name)  \(milliseconds) ms  \(span.status.name)"
    }

    private func line(_ event: DeliveryEvent, json: Bool) -> String? {
        let (word, destination, spans, text): (String, String, Int64, String)
        switch event {
        case .delivered(let name, let count, let bytes, let milliseconds, let attempt):
            (word, destination, spans, text) = ("delivered", name, Int64(count), "\(bytes) bytes in \(milliseconds) ms, attempt \(attempt)")
        case .retrying(let name, let count, let status, let attempt, let wait, let detail):
            (word, destination, spans, text) = (
                "retrying", name, Int64(count), "status \(status), attempt \(attempt) in \(wait): \(detail)"
            )
        case .breakerOpened(let name, _, let wait, let detail):
            (word, destination, spans, text) = ("breaker_open", name, 0, "\(wait): \(detail)")
        case .breakerClosed(let name): (word, destination, spans, text) = ("breaker_closed", name, 0, "")
        case .paused(let name, let reason, let status, let detail, _):
            (word, destination, spans, text) = ("paused", name, 0, "\(reason), status \(status): \(detail)")
        case .resumed(let name): (word, destination, spans, text) = ("resumed", name, 0, "")
        case .deadLetters(let name, let count, let reason, let status, let detail):
            (word, destination, spans, text) = ("dead", name, Int64(count), "\(reason), status \(status): \(detail)")
        case .parked(let name, let count, let reason, let next):
            (word, destination, spans, text) = ("parked", name, Int64(count), "\(reason), next in \(next)")
        case .handedOver(let name, let count, let other):
            (word, destination, spans, text) = ("handed_over", name, Int64(count), "to \(other)")
        case .replayed(let name, let count): (word, destination, spans, text) = ("replayed", name, Int64(count), "")
        case .expired(let name, let count, let reason): (word, destination, spans, text) = ("expired", name, count, reason)
        case .lost(let name, let count): (word, destination, spans, text) = ("lost", name, count, "")
        case .note(let name, let note): (word, destination, spans, text) = ("note", name, 0, note)
        case .firstDelivery, .readFailed, .clockJumped, .summary, .ruleFailed, .unknownModel, .programStarted, .programStopped,
            .programSaid:
            return nil
        }
        guard json else {
            return
                "\(word.padding(toLength: 10, withPad: " ", startingAt: 0)) \(destination)\(spans > 0 ? "  \(counted(Int(spans), "span"))" : "")  \(text)"
        }
        let object: [String: Any] = ["event": word, "destination": destination, "spans": spans, "detail": text]
        return (try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
