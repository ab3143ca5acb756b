import CEL
import SpanModel

/// Head sampling, consistent by trace (OpenTelemetry, "Probability sampling", and contract `rules`, section 2): a number that the trace
/// carries or is decides, so every host and every redelivery decides alike.
struct Sampler: Sendable {
    /// The share that goes on.
    enum Rate: Sendable {
        case number(Double)
        /// Of type double, from 0 to 1.
        case program(Program)
    }

    /// What becomes of a span.
    enum Decision: Equatable {
        /// It goes on: `rate` is the probability, `threshold` of 2^56 what its trace's number is at least, `keep` the condition that kept
        /// it whatever the rate.
        case kept(rate: Double, threshold: UInt64, keep: Int?)
        case out
    }

    let rate: Rate
    let keep: [Program]
    /// Most spans a second, by log time; what it leaves out is counted apart.
    let perSecondMax: Double?
    let hashesTraceID: Bool
    /// What decides on the whole trace of a span that goes on.
    var tail: TailSampler?

    /// 2^56.
    static let whole: UInt64 = 1 << 56

    /// Whether what is kept carries its rate: it does wherever a share or a condition decides.
    var marks: Bool {
        if case .number(1) = rate, tail == nil { return !keep.isEmpty }
        return true
    }

    /// The threshold of a probability: (1 - p) * 2^56, rounded.
    static func threshold(of probability: Double) -> UInt64 {
        UInt64(((1 - min(max(probability, 0), 1)) * Double(whole)).rounded())
    }

    /// The probability that a threshold stands for.
    static func probability(of threshold: UInt64) -> Double { Double(whole - min(threshold, whole)) / Double(whole) }

    /// The trace's number: 56 bits of `rv` in the tracestate where it has one, else the low 56 bits of the trace id, or of its hash.
    func randomness(of span: SpanFields) -> UInt64 {
        if let stated = TraceState.random(in: span.traceState) { return stated }
        let id = span.traceID
        guard id.count == 16 else { return 0 }
        guard hashesTraceID else { return id.suffix(7).reduce(0) { $0 << 8 | UInt64($1) } }
        // FNV-1a with MurmurHash3's finalizer: any good mixing does, but it is the same on every host for ever.
        var hash = id.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return (hash ^ hash >> 33) & (Self.whole - 1)
    }

    /// Decides; `fails` hears of expressions that fail: a condition is false then, a rate 1.
    func decide(_ activation: SpanActivation, randomness: UInt64, fails: (Program, EvaluationError) -> Void) -> Decision {
        for (index, condition) in keep.enumerated() {
            do throws(EvaluationError) {
                if try condition.test(activation) { return .kept(rate: 1, threshold: 0, keep: index) }
            } catch {
                fails(condition, error)
            }
        }
        let rate = probability(activation, fails)
        let threshold = Self.threshold(of: rate)
        return randomness >= threshold ? .kept(rate: rate, threshold: threshold, keep: nil) : .out
    }

    private func probability(_ activation: SpanActivation, _ fails: (Program, EvaluationError) -> Void) -> Double {
        switch rate {
        case .number(let rate): return rate
        case .program(let program):
            do throws(EvaluationError) {
                let share = try program.evaluate(activation) { value, _ throws(EvaluationError) -> Double in
                    guard case .double(let share) = value, !share.isNaN else { throw EvaluationError(.noSuchOverload) }
                    return share
                }
                return min(max(share, 0), 1)
            } catch {
                // What cannot be decided is not thrown away.
                fails(program, error)
                return 1
            }
        }
    }
}

/// The `ot` member of a W3C tracestate (OpenTelemetry, "TraceState: Probability sampling").
enum TraceState {
    /// Its `rv`: 14 hex digits.
    static func random(in state: UnsafeRawBufferPointer) -> UInt64? {
        guard let digits = value(of: "rv", in: state), digits.count == 14 else { return nil }
        return number(digits)
    }

    /// Its `th`: up to 14 hex digits, zeros at the end cut.
    static func threshold(in state: UnsafeRawBufferPointer) -> UInt64? {
        guard let digits = value(of: "th", in: state), 1...14 ~= digits.count, let number = number(digits) else { return nil }
        return number << UInt64(4 * (14 - digits.count))
    }

    /// The tracestate with this threshold in its `ot` member, which moves to the front as a changed member does.
    static func setting(threshold: UInt64, in state: UnsafeRawBufferPointer) -> [UInt8] {
        var members = split(state, UInt8(ascii: ","))
        var kept: [ArraySlice<UInt8>] = []
        if let index = members.firstIndex(where: { $0.starts(with: "ot=".utf8) }) {
            kept = members.remove(at: index).dropFirst(3).split(separator: UInt8(ascii: ";")).filter { !$0.starts(with: "th:".utf8) }
        }
        var digits = Array(String(threshold, radix: 16).utf8)
        digits = [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 14 - digits.count)) + digits
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
        var text = Array("ot=th:".utf8) + digits
        for part in kept { text += [UInt8(ascii: ";")] + part }
        // The specification allows 32 members.
        for member in members.prefix(31) { text += [UInt8(ascii: ",")] + member }
        return text
    }

    private static func value(of key: StaticString, in state: UnsafeRawBufferPointer) -> ArraySlice<UInt8>? {
        guard !state.isEmpty, let member = split(state, UInt8(ascii: ",")).first(where: { $0.starts(with: "ot=".utf8) }) else { return nil }
        let wanted = Array("\(key):".utf8)
        return member.dropFirst(3).split(separator: UInt8(ascii: ";")).first { $0.starts(with: wanted) }?.dropFirst(wanted.count)
    }

    private static func split(_ bytes: UnsafeRawBufferPointer, _ separator: UInt8) -> [ArraySlice<UInt8>] {
        Array(bytes).split(separator: separator).map { member in
            let blank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
            guard let first = member.firstIndex(where: { !blank($0) }), let last = member.lastIndex(where: { !blank($0) }) else {
                return []
            }
            return member[first...last]
        }.filter { !$0.isEmpty }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        digits.allSatisfy { ($0 | 0x20).isHexDigit } ? digits.reduce(0) { $0 << 4 | ($1 | 0x20).hexValue } : nil
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self || UInt8(ascii: "a")...UInt8(ascii: "f") ~= self }
    fileprivate var hexValue: UInt64 { UInt64(self >= UInt8(ascii: "a") ? self - UInt8(ascii: "a") + 10 : self - UInt8(ascii: "0")) }
}
