import CEL
import Testing

/// How a host uses CEL: the variables of a span, its texts as bytes in a buffer, and two functions of its own.
private final class SpanActivation: Activation {
    static let environment: Environment = {
        var environment = Environment()
        let texts =
            "name kind model request_model response_model provider operation environment service session_id user_id status status_message"
            + " error_type trace_id span_id parent_span_id source key sender input output"
        for name in texts.split(separator: " ") { environment.declare(String(name), .string) }
        for name in ["input_tokens", "output_tokens", "total_tokens"] { environment.declare(name, .int) }
        environment.declare("cost_usd", .double)
        environment.declare("root", .bool)
        environment.declare("duration", .duration)
        environment.declare("start_time", .timestamp)
        environment.declare("tags", .list(.string))
        environment.declare("attributes", .map(.string, .dyn))
        environment.add(
            Function("hash", .string, returns: .string) { value, arena in
                guard case .string(let text) = value else { return .failure(.noSuchOverload) }
                return arena.string("\(text.reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) })")
            })
        environment.add(
            Function("glob", .string, .string, returns: .bool) { text, pattern, arena in
                guard case .string(let text) = text, case .string(let pattern) = pattern else { return .failure(.noSuchOverload) }
                guard arena.spend(text.count + pattern.count) else { return .failure(.tooExpensive) }
                return .bool(pattern.last == UInt8(ascii: "*") ? text.starts(with: pattern.dropLast()) : text.elementsEqual(pattern))
            })
        return environment
    }()

    private let buffer: [UInt8]
    private let tags = Tags()
    private let attributes = Attributes()
    private let slots = environment.variables.map(\.name)

    init(model: String) { buffer = Array(model.utf8) }

    func value(of slot: Int, in arena: inout Arena) -> Value {
        switch slots[slot] {
        // A real host points into memory that lies still; a test copies.
        case "model":
            arena.string(capacity: buffer.count) {
                $0.copyBytes(from: buffer); return buffer.count
            }
        case "environment": .string("prod")
        case "service": .string("shop")
        case "status": .string("ok")
        case "input_tokens": .int(1_200)
        case "cost_usd": .double(0.3)
        case "root": .bool(true)
        case "duration": .duration(nanoseconds: 6_000_000_000)
        case "tags": tags.view
        case "attributes": attributes.view
        default: .string("")
        }
    }
}

private final class Tags: ListValue {
    override var count: Int { 2 }
    override func element(at index: Int, in arena: inout Arena) -> Value { .string(index == 0 ? "beta" : "vip") }
}

private final class Attributes: MapValue {
    override var count: Int { 1 }
    override func value(for key: Value, in arena: inout Arena) -> Value? {
        guard case .string(let name) = key, name.elementsEqual("shop.tier".utf8) else { return nil }
        return .string("gold")
    }
    override func key(at index: Int, in arena: inout Arena) -> Value { .string("shop.tier") }
    override func value(at index: Int, in arena: inout Arena) -> Value { .string("gold") }
}

@Suite("A host's own world") struct UsageTests {
    @Test(
        "routes over a span",
        arguments: [
            (#"environment == "prod" && model.startsWith("gpt-4")"#, true), (#"status == "error" || duration > duration("5s")"#, true),
            (#"service in ["shop", "search"] && "vip" in tags && root"#, true), ("cost_usd > 0.25 && input_tokens > 1000", true),
            (#"glob(model, "gpt-4*") && !glob(model, "gpt-4")"#, true), (#"hash(model) == hash("gpt-4o")"#, true),
            (#"attributes["shop.tier"] == "gold" && !has(attributes.absent)"#, true),
            (#"attributes.exists(k, k.startsWith("shop."))"#, true),
            (#"attributes.all(k, v, v == "silver")"#, false), (#"input.matches("secret") || output != """#, false),
        ])
    func routes(source: String, expected: Bool) throws {
        let program = try SpanActivation.environment.compile(source, returning: .bool)
        #expect(try program.test(SpanActivation(model: "gpt-4o")) == expected)
    }

    @Test("a rate is a double, and a value to be set is any")
    func values() throws {
        let span = SpanActivation(model: "gpt-4o")
        let rate = try SpanActivation.environment.compile("cost_usd > 0.10 ? 1.0 : 0.05", returning: .double)
        #expect(try rate.evaluate(span) { value, _ in if case .double(let rate) = value { rate } else { -1 } } == 1)
        #expect(try SpanActivation.environment.compile("cost_usd * 100.0").result(span) == .double(30))
        #expect(try SpanActivation.environment.compile(#""team-" + service"#).result(span) == .string("team-shop"))
        #expect(throws: CompileErrors.self) { try SpanActivation.environment.compile("input_tokens", returning: .double) }
    }

    @Test("an absent key is an error that the host may count as false")
    func absent() throws {
        let program = try SpanActivation.environment.compile(#"attributes["absent"] == "x""#, returning: .bool)
        let error = try #require(throws: EvaluationError.self) { try program.test(SpanActivation(model: "")) }
        #expect((error.kind, error.offset) == (.noSuchKey, 10))
    }
}
