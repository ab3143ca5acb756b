import Foundation
import Testing

@testable import Source

@Suite struct AccountsTests {
    enum Step: Sendable {
        /// Spans of these lines gather in a commit.
        case gather([Int], commit: UInt64)
        case reject(line: Int, String)
        case ack(String)
        case end
        case commit(UInt64, refusal: String? = nil)
    }

    @Test(
        "answers come in order, each when all before it is durable or rejected, and count from the answer before",
        arguments: [
            ([.ack("1")], ["1 0+0"]),
            ([.gather([1], commit: 1), .ack("1")], []),
            ([.gather([1], commit: 1), .ack("1"), .commit(1)], ["1 1+0"]),
            ([.gather([1, 2], commit: 1), .ack("1"), .gather([4], commit: 2), .ack("2"), .commit(1)], ["1 2+0"]),
            ([.gather([1, 2], commit: 1), .ack("1"), .gather([4], commit: 2), .ack("2"), .commit(1), .commit(2)], ["1 2+0", "2 1+0"]),
            ([.gather([1], commit: 1), .ack("1"), .ack("2"), .ack("3"), .commit(1)], ["1 1+0", "2 0+0", "3 0+0"]),
            ([.gather([1], commit: 1), .ack("1"), .gather([3], commit: 1), .ack("2"), .commit(1)], ["1 1+0", "2 1+0"]),
            ([.gather([1], commit: 1), .gather([2], commit: 2), .ack("1"), .commit(1)], []),
            ([.gather([1], commit: 1), .commit(1), .gather([2], commit: 2), .ack("1"), .commit(2)], ["1 2+0"]),
            ([.reject(line: 1, "invalid_json"), .ack("\"x\"")], ["\"x\" 0+1 1:invalid_json"]),
            (
                [.reject(line: 1, "invalid_json"), .ack("1"), .reject(line: 3, "too_deep"), .end],
                ["1 0+1 1:invalid_json", "null 0+1 3:too_deep"]
            ),
            (
                [.gather([1, 3], commit: 1), .reject(line: 2, "too_deep"), .ack("1"), .commit(1, refusal: "io_error")],
                ["1 0+3 1:io_error 2:too_deep 3:io_error"]
            ),
            (
                [.gather([1, 3], commit: 1), .gather([7, 9], commit: 1), .end, .commit(1, refusal: "spool_full")],
                ["null 0+4 1:spool_full 3:spool_full 7:spool_full 9:spool_full"]
            ),
            (
                [.gather([1], commit: 1), .gather([2], commit: 2), .end, .commit(1, refusal: "io_error"), .commit(2)],
                ["null 1+1 1:io_error"]
            ),
            (
                [.gather([1], commit: 1), .gather([2], commit: 2), .end, .commit(1), .commit(2, refusal: "io_error")],
                ["null 1+1 2:io_error"]
            ),
            ([.gather([1], commit: 5), .end, .commit(4, refusal: "io_error"), .commit(5)], ["null 1+0"]),
            ([.end], ["null 0+0"]),
            ([], []),
        ] as [([Step], [String])])
    func answers(steps: [Step], expected: [String]) throws {
        var accounts = Accounts()
        var answers: [String] = []
        for step in steps {
            Self.apply(step, to: &accounts)
            while let answer = accounts.nextAnswer(durability: "fsync", fill: 0.0209) { answers.append(try Self.short(answer.line)) }
        }
        #expect(answers == expected)
    }

    private static func apply(_ step: Step, to accounts: inout Accounts) {
        switch step {
        case .gather(let lines, let commit): accounts.gathering(lines.count, lines: lines, commit: commit)
        case .reject(let line, let reason): accounts.rejected(line: line, reason: reason)
        case .ack(let value): accounts.close(.ack(Array(value.utf8)))
        case .end: accounts.close(.endOfStream)
        case .commit(let number, let refusal): accounts.ended(commit: number, refusal: refusal)
        }
    }

    /// An answer in short: its ack, accepted+rejected, mistakes.
    private static func short(_ line: [UInt8]) throws -> String {
        let answer = try JSONDecoder().decode(Answer.self, from: Data(line))
        let ack =
            switch answer.ack {
            case .null: "null"
            case .text(let text): "\"\(text)\""
            case .number(let number): "\(Int(number))"
            }
        return (["\(ack) \(answer.accepted)+\(answer.rejected)"] + answer.errors.map { "\($0.line):\($0.reason)" }).joined(separator: " ")
    }

    @Test("an answer is one line of JSON to the contract's letter")
    func form() throws {
        var accounts = Accounts()
        accounts.gathering(2, lines: [1, 2], commit: 1)
        accounts.rejected(line: 3, reason: "bad_type:ack")
        accounts.close(.ack(Array("7".utf8)))
        accounts.close(.endOfStream)
        accounts.ended(commit: 1, refusal: nil)
        let (first, second) = (accounts.nextAnswer(durability: "fsync", fill: 0.0209), accounts.nextAnswer(durability: "os", fill: 1))
        #expect(
            first.map { String(decoding: $0.line, as: UTF8.self) }
                == #"{"ack":7,"accepted":2,"rejected":1,"errors":[{"line":3,"reason":"bad_type:ack"}],"durable":"fsync","fill":0.02}"#
                + "\n")
        #expect(
            second.map { String(decoding: $0.line, as: UTF8.self) }
                == #"{"ack":null,"accepted":0,"rejected":0,"errors":[],"durable":"os","fill":1.0}"# + "\n")
        #expect(first?.isLast == false && second?.isLast == true)
    }

    @Test("at most 20 mistakes are listed, all are counted", arguments: [("rejected", 500), ("refused", 500), ("both", 1_000)])
    func mistakes(kind: String, rejected: Int) throws {
        var accounts = Accounts()
        if kind != "refused" { for line in 1...500 { accounts.rejected(line: line, reason: "invalid_json") } }
        if kind != "rejected" { accounts.gathering(500, lines: Array(501...520), commit: 1) }
        accounts.close(.endOfStream)
        accounts.ended(commit: 1, refusal: "io_error")
        let answer = accounts.nextAnswer(durability: "fsync", fill: 0)
        let decoded = try JSONDecoder().decode(Answer.self, from: Data(answer?.line ?? []))
        #expect(decoded.rejected == rejected && decoded.errors.count == 20)
        #expect(Set(decoded.errors.map(\.line)).count == 20)
    }

    @Test("a peer with more than 1,024 acks under way, or 64 KiB of their values, is not read further until some are answered")
    func crowding() {
        var accounts = Accounts()
        accounts.gathering(1, lines: [1], commit: 1)
        for _ in 0..<1_024 {
            #expect(!accounts.isCrowded)
            accounts.close(.ack([0x31]))
        }
        #expect(accounts.isCrowded)
        accounts.ended(commit: 1, refusal: nil)
        _ = accounts.nextAnswer(durability: "", fill: 0)
        #expect(!accounts.isCrowded)

        accounts = Accounts()
        accounts.gathering(1, lines: [1], commit: 1)
        accounts.close(.ack([UInt8](repeating: 0x31, count: 60 << 10)))
        #expect(!accounts.isCrowded)
        accounts.close(.ack([UInt8](repeating: 0x31, count: 60 << 10)))
        #expect(accounts.isCrowded)
        accounts.ended(commit: 1, refusal: nil)
        _ = accounts.nextAnswer(durability: "", fill: 0)
        #expect(!accounts.isCrowded)
    }

    @Test("what is owed and what is pending")
    func owing() {
        var accounts = Accounts()
        #expect(!accounts.owes && !accounts.isPending)
        accounts.gathering(0, lines: [], commit: 1)
        #expect(!accounts.isPending)
        accounts.gathering(1, lines: [1], commit: 1)
        #expect(!accounts.owes && accounts.isPending)
        accounts.close(.endOfStream)
        #expect(accounts.owes)
        accounts.ended(commit: 1, refusal: nil)
        #expect(accounts.owes && !accounts.isPending)
        _ = accounts.nextAnswer(durability: "", fill: 0)
        #expect(!accounts.owes)
    }
}
