import Testing
import Threading

@Suite struct MemoryBudgetTests {
    @Test("what is leased is never more than there is, but for the piece without which nothing goes on")
    func lease() {
        let budget = MemoryBudget(bytes: 100)
        #expect(budget.lease(60) && !budget.lease(41) && budget.leased == 60 && budget.hasRoom)
        #expect(budget.lease(40) && !budget.lease(1) && !budget.hasRoom)
        budget.leaseAnyway(50)
        #expect(budget.leased == 150 && !budget.lease(0))
        budget.giveBack(150)
        #expect(budget.leased == 0 && budget.lease(100))
    }

    @Test("threads that lease at once never pass it together, and what was refused is left for others")
    func threads() {
        let budget = MemoryBudget(bytes: 1000)
        let threads = (0..<4).map { _ in
            startThread(name: "leases") {
                for _ in 0..<10_000 where budget.lease(300) { budget.giveBack(300) }
            }
        }
        for thread in threads { thread.join() }
        #expect(budget.leased == 0)
    }
}
