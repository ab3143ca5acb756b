import Testing
import Threading

@testable import Delivery

@Suite("waits")
struct BackoffTests {
    @Test(
        "the wait lies under a doubling cap, is drawn from all of it, and is at least half of the base",
        arguments: [(1, 1.0), (2, 2), (3, 4), (4, 8), (6, 32), (7, 60), (20, 60), (64, 60), (1_000_000, 60)])
    func table(attempt: Int, ceiling: Double) {
        var random = SeededRandom(seed: 7)
        let waits = (0..<500).map { _ in
            backoff(attempt: attempt, base: .seconds(1), cap: .seconds(60), retryAfter: nil, using: &random).seconds
        }
        #expect(waits.allSatisfy { $0 >= 0.5 && $0 <= ceiling })
        #expect((waits.max() ?? 0) > ceiling * 0.95)
        #expect((waits.min() ?? 0) < max(0.5, ceiling * 0.05) + 0.001)
    }

    @Test(
        "Retry-After wins, up to an hour and never below nothing",
        arguments: [(0, 0), (1, 1), (90, 90), (3600, 3600), (86_400, 3600), (-5, 0)])
    func retryAfter(asked: Int, wait: Int) {
        var random = SeededRandom(seed: 7)
        #expect(backoff(attempt: 3, base: .seconds(1), cap: .seconds(60), retryAfter: .seconds(asked), using: &random) == .seconds(wait))
    }

    @Test("the wait after 429s doubles with each in a row, to its cap, and begins anew after a success")
    func throttled() {
        let second: UInt64 = 1_000_000_000
        var throttle = Throttle(ThrottleWait(base: .seconds(5), cap: .seconds(600)))
        var now = second
        for expected in [5, 10, 20, 40, 80, 160, 320, 600, 600] as [Int64] {
            #expect(throttle.refused(now: now) == .seconds(expected))
            // Another that was under way says nothing new: the rest of the same wait.
            #expect(throttle.refused(now: now + second) == .seconds(expected - 1))
            now += UInt64(expected) * second
        }
        throttle.answered()
        #expect(throttle.refused(now: now) == .seconds(5))
    }

    @Test("a base above the cap waits no longer than the cap")
    func baseAboveCap() {
        var random = SeededRandom(seed: 7)
        for attempt in 1...5 {
            #expect(backoff(attempt: attempt, base: .seconds(9), cap: .seconds(3), retryAfter: nil, using: &random) <= .seconds(3))
        }
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(nanosecondsClamped) / 1e9 }
}

@Suite("circuit breaker")
struct CircuitBreakerTests {
    private enum Move { case ask(Bool), fail(opens: Bool), succeed(closes: Bool), inconclusive }

    /// A wait of as many seconds as times it opened.
    private func play(_ moves: [(at: UInt64, Move)], _ breaker: inout CircuitBreaker, _ place: SourceLocation = #_sourceLocation) {
        for (at, move) in moves {
            let now = at * 1_000_000_000
            switch move {
            case .ask(let answer): #expect(breaker.permits(now: now) == answer, "at \(at)", sourceLocation: place)
            case .fail(let opens): #expect(breaker.failed(now: now) { .seconds($0 * 10) } == opens, "at \(at)", sourceLocation: place)
            case .succeed(let closes): #expect(breaker.succeeded() == closes, "at \(at)", sourceLocation: place)
            case .inconclusive: breaker.probeInconclusive(now: now)
            }
        }
    }

    @Test("opens after 5 failures in a row, lets one probe through, waits longer each time, and closes with a success")
    func life() {
        var breaker = CircuitBreaker(failuresMax: 5)
        play(
            [
                (0, .ask(true)), (0, .fail(opens: false)), (1, .fail(opens: false)), (2, .fail(opens: false)), (3, .fail(opens: false)),
                (3, .ask(true)), (4, .fail(opens: true)), (4, .ask(false)), (13, .ask(false)),
                (14, .ask(true)), (14, .ask(false)), (15, .fail(opens: false)), (34, .ask(false)),
                (35, .ask(true)), (36, .fail(opens: false)), (65, .ask(false)), (66, .ask(true)), (67, .succeed(closes: true)),
                (67, .ask(true)), (67, .ask(true)), (67, .succeed(closes: false)),
            ], &breaker)
        #expect(breaker == CircuitBreaker(failuresMax: 5))
    }

    @Test("a success between begins the count anew")
    func notInARow() {
        var breaker = CircuitBreaker(failuresMax: 2)
        for at in 0..<10 { play([(UInt64(at), .fail(opens: false)), (UInt64(at), .succeed(closes: false))], &breaker) }
        #expect(breaker.state == .closed)
    }

    @Test("failures of what was in flight when it opened do not make it wait longer")
    func late() {
        var breaker = CircuitBreaker(failuresMax: 1)
        play([(0, .fail(opens: true)), (1, .fail(opens: false)), (2, .fail(opens: false)), (9, .ask(false)), (10, .ask(true))], &breaker)
    }

    @Test("a probe that taught nothing lets the next one start")
    func inconclusive() {
        var breaker = CircuitBreaker(failuresMax: 1)
        play([(0, .fail(opens: true)), (10, .ask(true)), (11, .inconclusive), (11, .ask(true)), (11, .ask(false))], &breaker)
    }
}

@Suite("concurrency")
struct ConcurrencyTests {
    @Test("grows by one a round of successes, up to the workers", arguments: [1, 2, 4, 16])
    func grows(workers: Int) {
        var concurrency = Concurrency(workers: workers)
        #expect(concurrency.limit == min(workers, 2))
        var rounds = 0
        while concurrency.limit < workers, rounds < 100 {
            let before = concurrency.limit
            for _ in 0..<before + 1 { concurrency.succeeded(latency: 10_000_000) }
            #expect(concurrency.limit <= before + 2)
            rounds += 1
        }
        #expect(concurrency.limit == workers)
        for _ in 0..<100 { concurrency.succeeded(latency: 10_000_000) }
        #expect(concurrency.limit == workers)
    }

    @Test("halves when the platform asks for less, and never stops")
    func throttled() {
        var concurrency = Concurrency(workers: 16)
        for _ in 0..<500 { concurrency.succeeded(latency: 10_000_000) }
        var limits: [Int] = []
        for _ in 0..<6 {
            concurrency.throttled()
            limits.append(concurrency.limit)
        }
        #expect(limits == [8, 4, 2, 1, 1, 1])
        for _ in 0..<500 { concurrency.succeeded(latency: 10_000_000) }
        #expect(concurrency.limit == 16)
    }

    @Test("gives way when answers become slow, not for noise")
    func slow() {
        var concurrency = Concurrency(workers: 8)
        for _ in 0..<200 { concurrency.succeeded(latency: 50_000_000) }
        for _ in 0..<50 { concurrency.succeeded(latency: 200_000_000) }
        #expect(concurrency.limit == 8)
        for _ in 0..<50 { concurrency.succeeded(latency: 5_000_000_000) }
        #expect(concurrency.limit <= 2)
    }

    @Test("no workers are one")
    func none() {
        #expect(Concurrency(workers: 0).limit == 1)
    }
}
