/// The prices of one model: by date, by time of day, and by how the call was served.
struct ModelPrices {
    /// Prices that hold from a day on.
    struct Dated {
        let from: Day
        let row: PriceRow
        let windows: [Window]
    }

    /// Prices that hold between two times of the day (UTC), the second not included. May go past midnight.
    struct Window {
        let start: Int
        let end: Int
        let row: PriceRow

        func holds(at second: Int) -> Bool { start <= end ? start <= second && second < end : start <= second || second < end }
    }

    /// Prices that hold where the response says how it was served.
    struct Variant {
        let when: [Condition]
        let from: Day
        let row: PriceRow
    }

    struct Condition: Equatable {
        enum Member: String, CaseIterable {
            case serviceTier = "service_tier"
            case processing
            case speed
        }

        let member: Member
        /// In lower case.
        let value: [UInt8]

        func holds(for call: PricedCall) -> Bool {
            let said =
                switch member {
                case .serviceTier: call.serviceTier
                case .processing: call.processing
                case .speed: call.speed
                }
            return said.count == value.count && zip(said, value).allSatisfy { lowercase($0) == $1 }
        }
    }

    let provider: String
    let model: String
    let match: NameMatch
    /// The latest first.
    let dated: [Dated]
    /// The first that holds counts. Of one condition's, the latest stands first.
    let variants: [Variant]

    /// The cost at the prices of the call's start; nil where none is known for that time.
    func cost(of call: PricedCall) -> Cost? {
        if let (input, output) = call.usage.plain {
            return prices(for: call, input: Int128(input))?.cost(input: input, output: output)
        }
        let parts = TokenParts(call.usage)
        return prices(for: call, input: parts.input)?.cost(of: parts)
    }

    func holds(for call: PricedCall) -> Bool { prices(for: call, input: 0) != nil }

    // By index: a loop over the elements would copy and retain each row.
    private func prices(for call: PricedCall, input: Int128) -> Prices? {
        let second = Int(call.startTime / 1_000_000_000)
        let day = Day(number: second / 86_400)
        if !call.serviceTier.isEmpty || !call.processing.isEmpty || !call.speed.isEmpty {
            for index in variants.indices where variants[index].from <= day && variants[index].when.allSatisfy({ $0.holds(for: call) }) {
                return variants[index].row.prices(input: input)
            }
        }
        for index in dated.indices where dated[index].from <= day {
            for window in dated[index].windows.indices where dated[index].windows[window].holds(at: second % 86_400) {
                return dated[index].windows[window].row.prices(input: input)
            }
            return dated[index].row.prices(input: input)
        }
        return nil
    }
}

/// A day of the calendar, UTC.
struct Day: Comparable {
    /// Days since 1970-01-01.
    let number: Int

    static let first = Day(number: .min)

    init(number: Int) { self.number = number }

    /// `2026-10-29`; nil where that is no day.
    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.map(\.utf8.count) == [4, 2, 2], parts.allSatisfy({ $0.utf8.allSatisfy(isDigit) }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]), (1...12).contains(month), day >= 1
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        // The years before this one, with their leap days; 719,162 days stand before 1970.
        let before = year - 1
        let leapDays = before / 4 - before / 100 + before / 400
        number = before * 365 + leapDays - 719_162 + lengths[..<(month - 1)].reduce(0, +) + day - 1
    }

    static func < (a: Day, b: Day) -> Bool { a.number < b.number }
}
