import Foundation
import TestSupport

typealias SeededRandom = TestSupport.SeededRandom

/// The seeds of this run: the ones that are kept, or the one that is asked for (`TRACEFWD_SEED=7 make test`).
enum Seeds {
    static let thisRun = upTo(200)

    static func upTo(_ count: UInt64) -> [UInt64] {
        ProcessInfo.processInfo.environment["TRACEFWD_SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(1...count)
    }
}
