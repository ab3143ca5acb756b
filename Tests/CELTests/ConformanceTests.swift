import Testing

@Suite("The specification's own tests", .enabled(if: Conformance.data != nil))
struct ConformanceTests {
    @Test("every case of the core holds")
    func core() throws { run(try #require(Conformance()).core) }

    @Test("every case of the extensions holds")
    func extensions() throws { run(try #require(Conformance()).extensions) }

    private func run(_ files: [String: [Conformance.Case]]) {
        for (file, cases) in files.sorted(by: { $0.key < $1.key }) {
            var failed = 0
            for test in cases {
                guard let failure = test.failure() else { continue }
                failed += 1
                Issue.record("\(file)/\(test.name): \(test.expression.prefix(300)) \(failure)")
            }
            print("cel-conformance \(file): \(cases.count - failed) passed, \(failed) failed, 0 left out")
        }
        #expect(!files.isEmpty)
    }
}
