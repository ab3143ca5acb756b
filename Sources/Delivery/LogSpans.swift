import Pipeline
import Spool

/// The spans of a batch of the log: a range of ids, of which the routes let all or some go on. What they leave out is settled together with
/// what goes, so that a batch is one range of the cursor, however its spans are mixed.
struct LogSpans: Sendable, Equatable {
    /// What the routes made of each id of a range.
    struct Selection: Sendable, Equatable {
        /// The rules that decided: after a reload they are others, and decide again.
        var rules: Rules
        /// One an id.
        var decisions: [RouteDecision] = []
        /// Stored bytes, one an id.
        var lengths: [UInt32] = []
        /// The places in `decisions` of those that go on, ascending.
        var picked: [UInt32] = []

        static func == (a: Selection, b: Selection) -> Bool { a.rules === b.rules && a.decisions == b.decisions }

        mutating func append(_ decision: RouteDecision, length: UInt32) {
            if decision.delivers { picked.append(UInt32(decisions.count)) }
            decisions.append(decision)
            lengths.append(length)
        }

        /// The part over these places.
        func part(_ places: Range<Int>) -> Selection {
            var part = Selection(rules: rules)
            for place in places { part.append(decisions[place], length: lengths[place]) }
            return part
        }
    }

    /// All ids, those that do not go on included.
    var ids: ClosedRange<Int64>
    /// Nil: all go on, by the one route that decides for every span.
    var selection: Selection?

    /// How many go on.
    var count: Int { selection?.picked.count ?? ids.count }

    /// The id of one that goes on.
    func id(at offset: Int) -> Int64 { ids.lowerBound + Int64(selection.map { Int($0.picked[offset]) } ?? offset) }

    /// Those that go on at these offsets, with the ids between them that do not: parts of consecutive offsets make up the whole.
    subscript(offsets: Range<Int>) -> LogSpans {
        guard let selection else {
            return LogSpans(ids: ids.lowerBound + Int64(offsets.lowerBound)...ids.lowerBound + Int64(offsets.upperBound) - 1)
        }
        let from = offsets.lowerBound == 0 ? 0 : Int(selection.picked[offsets.lowerBound])
        let to = offsets.upperBound == count ? ids.count : Int(selection.picked[offsets.upperBound])
        return part(from..<to)
    }

    /// What lies behind an id; nil where nothing does.
    func suffix(after id: Int64) -> LogSpans? {
        guard ids.upperBound > id else { return nil }
        guard ids.lowerBound <= id else { return self }
        return part(Int(id + 1 - ids.lowerBound)..<ids.count)
    }

    private func part(_ places: Range<Int>) -> LogSpans {
        LogSpans(
            ids: ids.lowerBound + Int64(places.lowerBound)...ids.lowerBound + Int64(places.upperBound) - 1,
            selection: selection?.part(places))
    }

    /// Without those at these offsets, ascending, which the program of their route has discarded.
    func leavingOut(_ offsets: [Int], of preparation: ExecPrograms.Preparation) -> LogSpans {
        var rest = self
        var selection = Selection(rules: preparation.rules)
        var (offset, discarded) = (0, offsets[...])
        for place in 0..<ids.count {
            let goesOn = self.selection.map { $0.decisions[place].delivers } ?? true
            guard goesOn else {
                if let before = self.selection { selection.append(before.decisions[place], length: before.lengths[place]) }
                continue
            }
            var decision = preparation.spans[offset].decision
            if discarded.first == offset {
                discarded.removeFirst()
                decision = RouteDecision(.discarded, by: decision.route)
            }
            selection.append(decision, length: preparation.stored[offset].entry.length)
            offset += 1
        }
        rest.selection = selection
        return rest
    }

    /// Adds what the books say of the ids that do not go on.
    func addPassed(to tallies: inout [LedgerKey: Tally]) {
        guard let selection, selection.picked.count < selection.decisions.count else { return }
        for (decision, length) in zip(selection.decisions, selection.lengths) where !decision.delivers {
            tallies[selection.rules.key(of: decision), default: Tally()] += Tally(spans: 1, bytes: Int64(length))
        }
    }

    /// Adds an outcome of those that go on, each under its own route; `route` is that of a range without a selection.
    func addPicked(_ outcome: Outcome, reason: String, route: String, bytes: Int64, to tallies: inout [LedgerKey: Tally]) {
        guard let selection else {
            tallies[LedgerKey(outcome, reason: reason, route: route), default: Tally()] += Tally(spans: Int64(ids.count), bytes: bytes)
            return
        }
        for place in selection.picked {
            let name = selection.rules.name(of: selection.decisions[Int(place)].route)
            tallies[LedgerKey(outcome, reason: reason, route: name), default: Tally()] +=
                Tally(spans: 1, bytes: Int64(selection.lengths[Int(place)]))
        }
    }

    /// What the books say where the platform refused so many of those that went on, and does not say which: the first ones stand for them.
    func partial(refused: Int, reason: String, route: String, bytes: Int64) -> [LedgerKey: Tally] {
        var tallies: [LedgerKey: Tally] = [:]
        for offset in 0..<count {
            let name = selection.map { $0.rules.name(of: $0.decisions[Int($0.picked[offset])].route) } ?? route
            let key = offset < refused ? LedgerKey(.dead, reason: reason, route: name) : LedgerKey(.delivered, route: name)
            tallies[key, default: Tally()] += Tally(spans: 1)
        }
        // Nobody knows whose bytes were refused.
        let first = selection.map { $0.rules.name(of: $0.decisions[Int($0.picked[0])].route) } ?? route
        tallies[LedgerKey(.dead, reason: reason, route: first), default: Tally()] += Tally(bytes: bytes)
        return tallies
    }
}

extension Rules {
    /// What the books say of a span that does not go on.
    func key(of decision: RouteDecision) -> LedgerKey {
        let route = name(of: decision.route)
        return switch decision.kind {
        case .deliver, .deliverAtRate: LedgerKey(.delivered, route: route)
        case .filtered: LedgerKey(.filtered, reason: "no_route")
        case .dropped: LedgerKey(.filtered, reason: "drop", route: route)
        case .sampled: LedgerKey(.sampled, reason: "rate", route: route)
        case .tail: LedgerKey(.sampled, reason: "tail", route: route)
        case .late: LedgerKey(.sampled, reason: "late", route: route)
        case .limited: LedgerKey(.limited, reason: "limit", route: route)
        case .discarded: LedgerKey(.filtered, reason: "exec", route: route)
        }
    }
}
