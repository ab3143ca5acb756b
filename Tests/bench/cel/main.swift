// Measures conditions over a span that lies in memory as bytes: nanoseconds of processor time a condition, and ten routes together.
//     swift run -c release CELBench [rounds]
// Allocations: `valgrind .build/release/CELBench 1000` against `... 101000`; the difference of "total heap usage" is what the rounds made.
import CEL
import Glibc

/// A span as a host shows it: fixed texts, numbers, and a list and a map that are asked for their elements.
final class Span: Activation {
    let variables: [(name: String, type: ValueType, value: Value)] = [
        ("environment", .string, .string("prod")), ("model", .string, .string("gpt-4o-2024-08-06")), ("status", .string, .string("ok")),
        ("service", .string, .string("checkout")), ("cost_usd", .double, .double(0.0125)), ("input_tokens", .int, .int(812)),
        ("duration", .duration, .duration(nanoseconds: 1_250_000_000)), ("name", .string, .string("chat gpt-4o")),
        ("root", .bool, .bool(true)), ("user_id", .string, .string("u-5512")),
        ("input", .string, .string("Where is my order ACME-12345? It should have been here on Monday.")),
    ]
    let tags = Tags()
    let attributes = Attributes()

    func value(of slot: Int, in arena: inout Arena) -> Value {
        switch slot {
        case 0..<11: variables[slot].value
        case 11: tags.view
        default: attributes.view
        }
    }

    func environment() -> Environment {
        var environment = Environment()
        for variable in variables { environment.declare(variable.name, variable.type) }
        environment.declare("tags", .list(.string))
        environment.declare("attributes", .map(.string, .dyn))
        return environment
    }
}

final class Tags: ListValue {
    let names: [Value] = [.string("beta"), .string("eu"), .string("vip")]
    override var count: Int { 3 }
    override func element(at index: Int, in arena: inout Arena) -> Value { names[index] }
}

final class Attributes: MapValue {
    override var count: Int { 1 }
    override func value(for key: Value, in arena: inout Arena) -> Value? {
        guard case .string(let name) = key, name.count == 9, let start = name.baseAddress else { return nil }
        return memcmp(start, "shop.tier", 9) == 0 ? .string("gold") : nil
    }
}

func measure(_ sources: [String], _ rounds: Int) throws -> Double {
    let span = Span()
    let environment = span.environment()
    let programs = try sources.map { try environment.compile($0, returning: .bool) }
    var matched = 0
    let start = processorNanoseconds()
    for _ in 0..<rounds {
        for program in programs where (try? program.test(span)) == true { matched += 1 }
    }
    let spent = processorNanoseconds() - start
    precondition(matched % rounds == 0)
    return spent / Double(rounds)
}

/// Of this thread: other load on the machine does not count.
func processorNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

let routes = [
    #"environment == "prod" && model.startsWith("gpt-4")"#,
    #"status == "error" || duration > duration("5s")"#,
    #"service in ["shop", "search"]"#,
    #"cost_usd > 0.25"#,
    #"input_tokens > 1000"#,
    #""vip" in tags"#,
    #"environment == "staging" && !(name == "healthcheck")"#,
    #"attributes["shop.tier"] == "gold" && root"#,
    #"model.contains("mini") || model.endsWith("-turbo")"#,
    #"user_id != "" && input_tokens > 500 && cost_usd > 0.01"#,
]
let rounds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1_000_000 : 1_000_000
_ = try measure(routes, max(1, rounds / 10))
let others = [
    #"input.matches("ACME-[0-9]+")"#, #"tags.exists(t, t.startsWith("v"))"#,
    #"cost_usd > 0.1 ? input_tokens > 10 : duration < duration("1m")"#, #"has(attributes.nothing) && attributes.nothing == 1"#,
    #"attributes["absent"] == "x""#,
]
for source in routes + others {
    print("\(Int((try measure([source], rounds)).rounded())) ns  \(source)")
}
print("\(Int((try measure(routes, rounds)).rounded())) ns  ten routes")
