/// `getHours()` and the others on times and durations (language definition, "Date/Time Functions").
extension StandardLibrary {
    static let times: [Function] = [
        part("getFullYear") { $0.year },
        part("getMonth") { $0.month - 1 },
        part("getDate") { $0.day },
        part("getDayOfMonth") { $0.day - 1 },
        part("getDayOfWeek") { $0.weekday },
        part("getDayOfYear") { $0.dayOfYear },
        part("getHours", ofDuration: { $0 / (3_600 * Times.nanosecondsPerSecond) }) { $0.hour },
        part("getMinutes", ofDuration: { $0 / (60 * Times.nanosecondsPerSecond) }) { $0.minute },
        part("getSeconds", ofDuration: { $0 / Times.nanosecondsPerSecond }) { $0.second },
        // Of a duration: the thousandths within its second, unlike the others.
        part("getMilliseconds", ofDuration: { $0 / 1_000_000 % 1_000 }) { _ in 0 },
    ]

    private static func part(
        _ name: String, ofDuration: (@Sendable (Int64) -> Int64)? = nil, _ ofTime: @escaping @Sendable (CivilTime) -> Int64
    ) -> Function {
        var overloads: [Function.Overload] = [
            .init([.timestamp], .int, isMember: true), .init([.timestamp, .string], .int, isMember: true),
        ]
        if ofDuration != nil { overloads.append(.init([.duration], .int, isMember: true)) }
        return Function(
            name, overloads,
            body: .any { arguments, arena in
                switch (arguments.first, arguments.count) {
                case (.duration(let nanoseconds), 1): return ofDuration.map { .int($0(nanoseconds)) } ?? .failure(.noSuchOverload)
                case (.timestamp(let time), 1): return of(time, 0)
                case (.timestamp(let time), 2):
                    guard case .string(let zone) = arguments[1] else { return .failure(.noSuchOverload) }
                    guard arena.spend(50) else { return .failure(.tooExpensive) }
                    guard let offset = TimeZones.offset(of: zone, at: time.seconds) else { return .failure(.invalidTimeZone) }
                    return of(time, offset)
                default: return .failure(.noSuchOverload)
                }
            })

        @Sendable func of(_ time: Timestamp, _ offset: Int64) -> Value {
            name == "getMilliseconds" ? .int(Int64(time.nanoseconds / 1_000_000)) : .int(ofTime(CivilTime(seconds: time.seconds + offset)))
        }
    }
}
