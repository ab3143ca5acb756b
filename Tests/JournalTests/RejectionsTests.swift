import Testing

@testable import Journal

@Suite struct RejectionsTests {
    private typealias Report = Rejections.Report

    @Test("the first is told at once, the rest once in ten seconds, by source and reason")
    func table() {
        var rejections = Rejections()
        func reject(_ spans: Int, _ source: String, at second: Double) -> Report? {
            rejections.rejected(spans: spans, source: source, reason: "invalid_json", now: .seconds(second))
        }
        func due(at second: Double) -> [Report] { rejections.due(now: .seconds(second)) }
        let first = Report(source: "unix", reason: "invalid_json", spans: 2, within: nil)
        let ten = Report(source: "unix", reason: "invalid_json", spans: 12, within: .seconds(10))
        let told = [reject(2, "unix", at: 0), reject(5, "unix", at: 1), reject(7, "unix", at: 2), reject(1, "udp", at: 3)]
        #expect(told == [first, nil, nil, Report(source: "udp", reason: "invalid_json", spans: 1, within: nil)])
        let summaries = [due(at: 9), due(at: 10)]
        #expect(summaries == [[], [ten]])
        let next = reject(1, "unix", at: 11)
        let quiet = [due(at: 20), due(at: 30)].map { $0.map(\.spans) }
        #expect(next == nil && quiet == [[1], []])
        let anew = reject(3, "unix", at: 31)
        #expect(anew?.spans == 3)
    }

    @Test("what came after the first is due though nothing more comes, and at the very end at once")
    func left() {
        var rejections = Rejections()
        func reject(at second: Double) -> Bool {
            rejections.rejected(spans: 3, source: "udp", reason: "empty", now: .seconds(second)) != nil
        }
        let told = [reject(at: 0), rejections.nextDue != nil, reject(at: 4)]
        #expect(told == [true, false, false])
        #expect(rejections.nextDue == .seconds(10))
        #expect(rejections.due(now: .seconds(10)).map(\.spans) == [3])
        #expect(rejections.nextDue == nil)
        let again = reject(at: 12)
        #expect(!again && rejections.due(now: .seconds(13), all: true).map(\.spans) == [3])
        let anew = reject(at: 40)
        #expect(anew, "after a silence it is a first one, though nobody asked meanwhile")
    }

    @Test("reasons that a peer makes up are bounded, and no span goes uncounted")
    func bounded() {
        var rejections = Rejections()
        var told = 0
        for number in 0..<10_000 {
            told += rejections.rejected(spans: 1, source: "unix", reason: "bad_type:\(number)", now: 0)?.spans ?? 0
        }
        let reports = rejections.due(now: .seconds(10))
        #expect(reports.map(\.reason) == ["other"])
        #expect(told + reports.reduce(0) { $0 + $1.spans } == 10_000)
        let later = rejections.rejected(spans: 1, source: "unix", reason: "empty", now: .seconds(60))
        #expect(later?.reason == "empty", "those that are over make room")
    }
}
