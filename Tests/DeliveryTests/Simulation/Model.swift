/// What must be true, kept beside the daemon by the simplest means: which spans were acknowledged, and what each platform has.
struct Model {
    /// Spans are numbered in the order in which they are offered.
    private(set) var offered: Int64 = 0
    /// By commit, what was taken and not decided yet.
    private var undecided: [UInt64: [Int64]] = [:]
    /// The id of each span that is in the log, by its number: acknowledged, or found there after a death that came before the answer.
    private(set) var ids: [Int64: Int64] = [:]
    /// The id of each span that was acknowledged, by its number.
    private(set) var acknowledged: [Int64: Int64] = [:]
    /// The number of each id that was acknowledged.
    private var numbers: [Int64: Int64] = [:]
    private(set) var broken: [String] = []

    /// How often each platform took each span.
    private(set) var taken: [String: [Int64: Int]] = [:]
    /// Spans that a platform may get once more, and why: each such cause allows one more of each.
    private var allowed: [String: [Int64: Int]] = [:]
    /// Spans that a platform took and whose settlement was not durable when it was looked at last, with the time of the answer.
    private(set) var answered: [String: [Int64: UInt64]] = [:]
    private(set) var duplicates = 0
    private var hasTurnedBack: Set<String> = []
    /// The last id that was acknowledged.
    private(set) var lastID: Int64 = 0
    /// False where a platform gets spans for another one too (a fallback), or the books themselves were damaged: nothing is said of what
    /// comes twice then.
    var countsTwice = true

    mutating func offer(_ count: Int) -> ClosedRange<Int64> {
        offered += Int64(count)
        return offered - Int64(count) + 1...offered
    }

    mutating func took(_ commit: UInt64, _ spans: ClosedRange<Int64>) { undecided[commit, default: []] += Array(spans) }

    /// A commit has ended. Its spans have the ids up to `lastID`, in the order in which they were taken.
    mutating func committed(_ commit: UInt64, durable: Bool, lastID: Int64) {
        guard let spans = undecided.removeValue(forKey: commit), durable else { return }
        for (offset, number) in spans.enumerated() {
            let id = lastID - Int64(spans.count - 1 - offset)
            if let other = numbers.updateValue(number, forKey: id) {
                broken.append("id \(id) was given to span \(other) and to span \(number)")
            }
            acknowledged[number] = id
            ids[number] = id
            self.lastID = max(self.lastID, id)
        }
    }

    /// What the file holds after a start, and is durable now.
    mutating func found(_ stored: [Int64: Int64]) {
        for (id, number) in stored { ids[number] = id }
    }

    /// The daemon has ended: nobody hears of what was not decided.
    mutating func forgetUndecided() { undecided = [:] }

    func number(of id: Int64) -> Int64? { numbers[id] }

    // MARK: Platforms

    mutating func took(_ destination: String, _ spans: [Int64], heard: Bool, at time: UInt64) {
        for span in spans {
            let times = taken[destination, default: [:]][span, default: 0]
            taken[destination, default: [:]][span] = times + 1
            if !(1...offered).contains(span) { broken.append("\(destination) got span \(span), which nobody has sent") }
            if heard { answered[destination, default: [:]][span] = time } else { allow(destination, span) }
            guard times > 0 else { continue }
            duplicates += 1
            guard countsTwice else { continue }
            let more = allowed[destination, default: [:]][span] ?? 0
            if more == 0 {
                broken.append("\(destination) got span \(span) twice without a cause")
            } else {
                allowed[destination]?[span] = more - 1
            }
        }
    }

    /// A person turns the destination back: what it answered before is not settled any more.
    mutating func turnedBack(_ destination: String) {
        allowAll(destination)
        hasTurnedBack.insert(destination)
    }

    mutating func allow(_ destination: String, _ span: Int64) { allowed[destination, default: [:]][span, default: 0] += 1 }

    /// Anything may come again.
    mutating func allowAll(_ destination: String) { for span in 1...max(1, offered) { allow(destination, span) } }

    /// The daemon died at `time`, and came back with this settled: what was answered and is not settled comes again. `sound` is the time
    /// since which the disk took everything: from then on nothing stays unsettled for longer than `patience`.
    mutating func died(
        _ destination: String, at time: UInt64, isSettled: (Int64) -> Bool, inFlight: [Int64], sound: UInt64, patience: UInt64
    ) {
        for (span, answeredAt) in answered[destination] ?? [:] where !isSettled(span) {
            allow(destination, span)
            if countsTwice, !hasTurnedBack.contains(destination), answeredAt >= sound, time > answeredAt + patience {
                broken.append(
                    "\(destination) answered for span \(span) \((time - answeredAt) / 1_000_000) ms before the end, and it is not settled")
            }
        }
        answered[destination] = [:]
        hasTurnedBack.remove(destination)
        for span in inFlight { allow(destination, span) }
    }

    /// Those are settled for good: nothing is owed of them.
    mutating func settled(_ destination: String, _ isSettled: (Int64) -> Bool) {
        answered[destination] = answered[destination]?.filter { !isSettled($0.key) }
    }
}
