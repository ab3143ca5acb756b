import Foundation
import Synchronization

/// Time zones by name or offset. The only place that needs Foundation: it reads the system's zone files.
enum TimeZones {
    // Zones that were found; reading a zone's file each time would be slow. Names come from configurations, so there are few; a bound all
    // the same.
    private static let found = Mutex<[String: TimeZone]>([:])

    /// Seconds east of UTC at a time (since 1970), for `UTC`, `+01:00`, `02:00` or `Europe/Paris`; nil where there is no such zone.
    static func offset(of zone: UnsafeRawBufferPointer, at seconds: Int64) -> Int64? {
        guard zone.count <= 64 else { return nil }
        let name = Text.string(zone)
        if name == "UTC" || name.isEmpty { return 0 }
        if let first = name.utf8.first, first.isDigit { return Times.offset(ArraySlice("+\(name)".utf8)) }
        if let offset = Times.offset(ArraySlice(name.utf8)) { return offset }
        let timeZone = found.withLock { zones -> TimeZone? in
            if let known = zones[name] { return known }
            guard let zone = TimeZone(identifier: name) else { return nil }
            if zones.count >= 256 { zones.removeAll() }
            zones[name] = zone
            return zone
        }
        return timeZone.map { Int64($0.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))) }
    }
}
