import SpanModel
import Testing
import Threading

@testable import Delivery

@Suite("the memory of parents")
struct ParentMemoryTests {
    private static let hour: UInt64 = 3_600_000_000_000

    /// Spans of one trace, by number; 0 is no parent.
    private func link(_ span: UInt64, under parent: UInt64 = 0, trace: UInt64 = 9) -> SpanLink {
        func id(_ number: UInt64) -> SpanID? { withUnsafeBytes(of: number.bigEndian) { SpanID($0) } }
        guard let own = id(span) else { preconditionFailure("0 is no span") }
        return SpanLink(key: SpanKey(trace: trace, span: own), parent: id(parent))
    }

    private func parent(of link: SpanLink, in memory: ParentMemory) -> UInt64 { memory.resolve(link).parent?.bits ?? 0 }

    @Test("a span hangs under the nearest ancestor that no route dropped, or is a root")
    func reparents() {
        var memory = ParentMemory()
        memory.drop(link(2, under: 1))
        memory.drop(link(3, under: 2))
        memory.drop(link(5))
        #expect(parent(of: link(4, under: 3), in: memory) == 1)
        #expect(parent(of: link(4, under: 2), in: memory) == 1)
        #expect(parent(of: link(6, under: 5), in: memory) == 0)
        #expect(parent(of: link(7, under: 8), in: memory) == 8)
        #expect(parent(of: link(7), in: memory) == 0)
        #expect(parent(of: link(4, under: 3, trace: 10), in: memory) == 3)
    }

    @Test("a ring of dropped parents ends, and so does a chain of any length")
    func ring() {
        var memory = ParentMemory()
        memory.drop(link(1, under: 2))
        memory.drop(link(2, under: 1))
        #expect(parent(of: link(3, under: 1), in: memory) == 0)
        memory.drop(link(4, under: 3))
        #expect(parent(of: link(3, under: 4), in: memory) == 0)
        for span in UInt64(10)..<5_000 { memory.drop(link(span, under: span - 1)) }
        #expect(parent(of: link(6_000, under: 4_999), in: memory) == 0)
        #expect(parent(of: link(6_000, under: 500), in: memory) == 9)
    }

    @Test("children before their parent, beside it and after it are no orphans")
    func complete() {
        var memory = ParentMemory()
        memory.deliver(link(2, under: 1), now: 0)
        memory.deliver(link(1), now: 5)
        memory.deliver(link(3, under: 1), now: 9)
        memory.advance(now: 3 * Self.hour)
        #expect(memory.orphans == 0)
    }

    @Test("children whose parent does not come within the hour are counted, once")
    func late() {
        var memory = ParentMemory()
        memory.deliver(link(2, under: 1), now: 0)
        memory.deliver(link(3, under: 1), now: Self.hour / 2)
        memory.deliver(link(5, under: 4), now: Self.hour / 2)
        memory.deliver(link(2, under: 1), now: Self.hour / 2)
        memory.advance(now: Self.hour - 1)
        #expect(memory.orphans == 0)
        memory.advance(now: Self.hour)
        #expect(memory.orphans == 2)
        memory.deliver(link(1), now: Self.hour + 1)
        memory.deliver(link(4), now: Self.hour + 1)
        memory.advance(now: 5 * Self.hour)
        #expect(memory.orphans == 2)
    }

    @Test("children that were sent before a route dropped their parent are counted at once")
    func droppedLater() {
        var memory = ParentMemory()
        memory.deliver(link(2, under: 1), now: 0)
        memory.deliver(link(3, under: 1), now: 0)
        memory.drop(link(1))
        #expect(memory.orphans == 2)
        // Sent under a parent that was dropped before the answer came.
        memory.deliver(link(4, under: 1), now: 1)
        #expect(memory.orphans == 3)
        memory.advance(now: 9 * Self.hour)
        #expect(memory.orphans == 3)
    }

    @Test("what comes after all, since the rules have changed, is a parent again")
    func changedRules() {
        var memory = ParentMemory()
        memory.drop(link(2, under: 1))
        memory.deliver(link(2, under: 1), now: 0)
        #expect(parent(of: link(3, under: 2), in: memory) == 2)
    }

    @Test("it holds so much and no more, and forgets the oldest")
    func bounded() {
        var memory = ParentMemory(entriesMax: 4)
        for span in UInt64(1)...6 { memory.drop(link(span)) }
        #expect(parent(of: link(9, under: 2), in: memory) == 2)
        #expect(parent(of: link(9, under: 3), in: memory) == 0)
        for span in UInt64(11)...20 { memory.deliver(link(span, under: span + 100), now: span) }
        memory.advance(now: 2 * Self.hour)
        #expect(memory.orphans == 4)
    }

    @Test("a map of bounded size is a dictionary that forgets the oldest first", arguments: Seeds.thisRun)
    func map(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var map = RecentMap<Int, Int>(entriesMax: 8)
        var model: [(key: Int, value: Int)] = []
        for step in 0..<2_000 {
            let key = Int.random(in: 0..<20, using: &random)
            let place = model.firstIndex { $0.key == key }
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                #expect(map.remove(key) == place.map { model.remove(at: $0).value })
            case 1 where !model.isEmpty:
                let (first, gone) = (model.removeFirst(), map.removeOldest())
                #expect(gone?.key == first.key && gone?.value == first.value)
            default:
                let evicted = map.insert(key, step)
                if let place {
                    model[place].value = step
                    #expect(evicted == nil)
                } else {
                    #expect(evicted?.key == (model.count == 8 ? model.removeFirst().key : nil))
                    model.append((key, step))
                }
            }
            #expect(map.count == model.count && map.oldest?.key == model.first?.key)
            for (key, value) in model { #expect(map[key] == value) }
        }
    }
}
