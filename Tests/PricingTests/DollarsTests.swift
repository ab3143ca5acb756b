import Foundation
import Testing

@testable import Pricing

@Suite("Dollars")
struct DollarsTests {
    @Test(
        "a decimal is read exactly and written without exponent or needless zeros",
        arguments: [
            ("0", "0"), ("0.0075", "0.0075"), ("1.5E-7", "0.00000015"), ("2e-8", "0.00000002"), ("12", "12"), ("1.500", "1.5"),
            ("1E+3", "1000"),
            ("-0.25", "-0.25"), ("0.000000000000000001", "0.000000000000000001"), ("1e-18", "0.000000000000000001"), ("0e999", "0"),
            ("170141183460469231731.687303715884105727", "170141183460469231731.687303715884105727"),
        ])
    func reading(text: String, written: String) { #expect(Dollars(text)?.description == written) }

    @Test(
        "what is no decimal, too fine or too large is no amount",
        arguments: [
            "", "-", ".5", "5.", "1e", "1e2e3", "1,5", "0x1", "nan", "1_0", " 1", "1e-19", "1e9999", "170141183460469231732", "1.2.3",
        ])
    func refusing(text: String) { #expect(Dollars(text) == nil) }

    @Test("written as a double it is the nearest one", arguments: [1, 2, 3] as [UInt64])
    func doubles(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<5_000 {
            let amount = Dollars(attodollars: Int128(Int64.random(in: .min ... .max, using: &rng)) << Int.random(in: 0...40, using: &rng))
            #expect(amount.double == Double(amount.description), "seed \(seed), \(amount)")
        }
        #expect(Dollars(attodollars: .max).double == Double(Dollars(attodollars: .max).description))
    }

    @Test("a million sums of a tenth of a cent do not drift")
    func drift() throws {
        let small = try #require(Dollars("0.001"))
        var sum = Dollars.zero
        for _ in 0..<1_000_000 { sum += small }
        #expect(sum == Dollars("1000"))
    }

    @Test(
        "a cost that came as a double is its shortest decimal", arguments: [(0.1, "0.1"), (1.5e-7, "0.00000015"), (1e-30, "0"), (3, "3")])
    func shortest(double: Double, written: String) { #expect(Dollars(double)?.description == written) }

    @Test("no double that is not finite or too large becomes an amount", arguments: [.nan, .infinity, -.infinity, 1e30])
    func unfit(double: Double) { #expect(Dollars(double) == nil) }

    @Test("sums beyond the range stay at its end")
    func saturation() {
        let most = Dollars(attodollars: .max)
        let least = Dollars(attodollars: .min)
        #expect(most + most == most)
        #expect(least + least == least)
        #expect(least - most == least)
        #expect(most - least == most)
    }
}
