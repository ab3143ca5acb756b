import Testing

@testable import Delivery

/// What a destination's line of summary counts.
@Suite("what a destination did in an interval")
struct ActivityTests {
    @Test("is counted once: requests, the spans in them and their bytes, answers by class, deliveries")
    func summaries() throws {
        let world = try World([spec("a", TestDestination()) { ($0.workers, $0.limits.spans) = (1, 10) }])
        var answers = [503, 200, 200, 200]
        world.wire.script = { _ in .status(answers.removeFirst()) }
        world.append(20)
        world.run(.seconds(60))
        world.append(5)
        world.run(.seconds(60))
        let told = world.events.compactMap { event -> (DeliveryActivity, Duration)? in
            if case .summary(_, let activity, let time) = event { (activity, time) } else { nil }
        }
        #expect(told.map { $0.1 } == [.seconds(10), .seconds(10)])
        let (first, second) = (told[0].0, told[1].0)
        #expect((first.spans, first.batches, first.retries, first.requests, first.requestSpans) == (20, 2, 1, 3, 30))
        #expect(first.statusClasses == [2: 2, 5: 1])
        #expect((second.spans, second.batches, second.retries, second.requests, second.requestSpans) == (5, 1, 0, 1, 5))
        #expect(second.statusClasses == [2: 1])
        #expect(first.latency.count == 3 && second.latency.count == 1)
        let status = try #require(world.loop.status().first)
        #expect(status.requestBytes == first.requestBytes + second.requestBytes && second.requestBytes > 0)
        #expect((status.requests, status.requestSpans) == (4, 35))
        #expect(status.statusClasses.byStatusClass == ["2xx": 3, "5xx": 1])
        #expect([0: Int64(2)].byStatusClass == ["none": 2])
    }
}
