import CEL

/// What conditions see of a span (contract `rules`, section 1). The raw value is the variable's slot.
enum SpanVariable: Int, CaseIterable {
    case name, kind, model
    case requestModel = 3
    case responseModel, provider, operation, environment, service
    case sessionID, userID
    case status, statusMessage, errorType
    case traceID, spanID, parentSpanID
    case source, key, sender
    case input, output
    case inputTokens, outputTokens, totalTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens
    case inputBytes, outputBytes
    case cost
    case root, streaming, hasCost
    case duration, timeToFirstToken
    case startTime, endTime, receivedAt
    case tags, finishReasons, tools
    case attributes, resource, metadata

    /// Its place in a word of all variables.
    @inline(__always)
    var bit: UInt64 { 1 << UInt64(rawValue) }

    /// As it stands in expressions.
    var word: String {
        switch self {
        case .requestModel: "request_model"
        case .responseModel: "response_model"
        case .sessionID: "session_id"
        case .userID: "user_id"
        case .statusMessage: "status_message"
        case .errorType: "error_type"
        case .traceID: "trace_id"
        case .spanID: "span_id"
        case .parentSpanID: "parent_span_id"
        case .inputTokens: "input_tokens"
        case .outputTokens: "output_tokens"
        case .totalTokens: "total_tokens"
        case .cacheReadTokens: "cache_read_tokens"
        case .cacheWriteTokens: "cache_write_tokens"
        case .reasoningTokens: "reasoning_tokens"
        case .inputBytes: "input_bytes"
        case .outputBytes: "output_bytes"
        case .cost: "cost_usd"
        case .hasCost: "has_cost"
        case .timeToFirstToken: "time_to_first_token"
        case .startTime: "start_time"
        case .endTime: "end_time"
        case .receivedAt: "received_at"
        case .finishReasons: "finish_reasons"
        default: "\(self)"
        }
    }

    var type: ValueType {
        switch self {
        case .name, .kind, .model, .requestModel, .responseModel, .provider, .operation, .environment, .service, .sessionID, .userID,
            .status, .statusMessage, .errorType, .traceID, .spanID, .parentSpanID, .source, .key, .sender, .input, .output:
            .string
        case .inputTokens, .outputTokens, .totalTokens, .cacheReadTokens, .cacheWriteTokens, .reasoningTokens, .inputBytes, .outputBytes:
            .int
        case .cost: .double
        case .root, .streaming, .hasCost: .bool
        case .duration, .timeToFirstToken: .duration
        case .startTime, .endTime, .receivedAt: .timestamp
        case .tags, .finishReasons, .tools: .list(.string)
        case .attributes, .resource, .metadata: .map(.string, .dyn)
        }
    }
}

extension Environment {
    /// The variables of a span and our functions beside CEL's own: `hash(x)` and `glob(string, pattern)`.
    static func ofSpans(_ host: RuleHost) -> Environment {
        var environment = Environment()
        for variable in SpanVariable.allCases {
            let slot = environment.declare(variable.word, variable.type)
            precondition(slot == variable.rawValue, "the slots are the raw values")
        }
        environment.addFunctions(host)
        return environment
    }

    /// Our functions beside CEL's own: `hash(x)` and `glob(string, pattern)`.
    mutating func addFunctions(_ host: RuleHost) {
        let keyed = host.keyedHash
        add(
            Function("hash", .string, returns: .string) { value, arena in
                guard case .string(let text) = value else { return .failure(.noSuchOverload) }
                guard arena.spend(bytes: text.count) else { return .failure(.tooExpensive) }
                return arena.string(capacity: 32) { room in
                    var at = 0
                    for byte in keyed(text).prefix(16) {
                        room[at] = hexDigit(byte >> 4)
                        room[at + 1] = hexDigit(byte & 15)
                        at += 2
                    }
                    return at
                }
            })
        add(
            Function("glob", .string, .string, returns: .bool) { text, pattern, arena in
                guard case .string(let text) = text, case .string(let pattern) = pattern else { return .failure(.noSuchOverload) }
                // What matching costs at worst: each `*` may look at all of the text again.
                guard arena.spend(1 + text.count * (1 + pattern.count { $0 == UInt8(ascii: "*") }) >> 4) else {
                    return .failure(.tooExpensive)
                }
                return .bool(Glob.matches(text, pattern))
            })
    }
}

/// What the rules may know of the machine.
public struct RuleHost: Sendable {
    /// HMAC-SHA-256 under the host's key, 32 bytes.
    public var keyedHash: @Sendable (UnsafeRawBufferPointer) -> [UInt8]
    /// The name of a user by its number; nil where it has none.
    public var userName: @Sendable (UInt32) -> String?
    /// The machine's name.
    public var hostName: String

    /// Facts of a machine; without them users have no names and every hash is zero.
    public init(
        keyedHash: @escaping @Sendable (UnsafeRawBufferPointer) -> [UInt8] = { _ in [UInt8](repeating: 0, count: 32) },
        userName: @escaping @Sendable (UInt32) -> String? = { _ in nil }, hostName: String = ""
    ) {
        self.keyedHash = keyedHash
        self.userName = userName
        self.hostName = hostName
    }

    /// The begin of a text's hash, as redaction writes it.
    public func shortHash(_ text: UnsafeRawBufferPointer) -> UInt32 { keyedHash(text).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
}

func hexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10 }
