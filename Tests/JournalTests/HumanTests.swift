import Journal
import Testing

@Suite struct HumanTests {
    @Test(
        "a number is grouped by thousands",
        arguments: [
            (0, "0"), (7, "7"), (999, "999"), (1_000, "1,000"), (4_210, "4,210"), (1_234_567, "1,234,567"), (-1_234, "-1,234"),
            (Int.min, "-9,223,372,036,854,775,808"),
        ])
    func grouped(number: Int, text: String) { #expect(number.grouped == text) }

    @Test(
        "a size has the unit that suits it",
        arguments: [
            (0, "0 B"), (512, "512 B"), (1_023, "1,023 B"), (1_024, "1 KiB"), (1_536, "1.5 KiB"), (1 << 20, "1 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (10 << 30, "10 GiB"), (3 << 50, "3,072 TiB"),
        ])
    func bytes(number: Int, text: String) { #expect(number.humanBytes == text) }

    @Test(
        "a time is told in two units at most, rounded to what is worth reading",
        arguments: [
            (Duration.zero, "0 s"), (.microseconds(420), "0.4 ms"), (.microseconds(1_500), "1.5 ms"), (.milliseconds(200), "200 ms"),
            (.microseconds(999_600), "1 s"), (.seconds(1), "1 s"), (.milliseconds(1_460), "1.5 s"), (.seconds(4), "4 s"),
            (.milliseconds(9_960), "10 s"), (.milliseconds(59_600), "1 min"), (.seconds(60), "1 min"), (.seconds(125), "2 min 5 s"),
            (.seconds(3_600), "1 h"), (.seconds(7_500), "2 h 5 min"), (.seconds(47 * 3_600), "47 h"), (.seconds(48 * 3_600), "2 d"),
            (.seconds(76 * 3_600), "3 d 4 h"), (.seconds(-4), "-4 s"),
        ])
    func duration(time: Duration, text: String) { #expect(time.human == text) }
}
