import Delivery
import SpanModel
import Testing

@testable import Destinations

/// Tests/Fixtures/keywordsai: beside each span what it becomes at both doors, to the last byte; of one the protobuf too, in hex.
@Suite("Keywords AI's fixtures")
struct KeywordsAIFixtureTests {
    static let golden = Golden("keywordsai")

    private func request(_ name: String, _ yaml: String) throws -> Request {
        var destination = KeywordsAI(try settings("type: keywordsai, api_key: sesame, " + yaml))
        // What a span of more than 20 MB would be, in a file that a person can read.
        if name == "large" { destination.requestBytesMax = 3000 }
        return try Self.golden.request(name, to: destination)
    }

    private func line(_ body: [UInt8]) -> [UInt8] { body + [UInt8(ascii: "\n")] }

    @Test("there is a span for each thing that must arrive")
    func complete() {
        let asked = [
            "agent", "bare", "chat-with-tools", "embeddings", "error", "image", "large", "openinference", "openllmetry", "retrieval",
            "streaming", "tokens", "tool",
        ]
        #expect(Set(Self.golden.names).isSuperset(of: asked))
    }

    @Test("OTLP, byte for byte", arguments: golden.names)
    func otlp(name: String) throws {
        try Self.golden.check(line(request(name, "encoding: json").body), "\(name).otlp.json")
    }

    @Test("a row of the bulk door, byte for byte", arguments: golden.names)
    func logs(name: String) throws {
        try Self.golden.check(line(request(name, "mode: logs").body), "\(name).logs.json")
    }

    @Test("protobuf, byte for byte")
    func protobuf() throws {
        try Self.golden.check(line(Array(hexText(request("contract", "encoding: protobuf").body).utf8)), "contract.otlp.hex")
    }

    @Test("the contract's own examples: what it adds to a span is what we add, and its row is ours")
    func contract() throws {
        let row = """
            {"logs":[{"model":"gpt-4o","log_type":"chat","input":[{"role":"user","content":"Weather in Paris?"}],"output":{"role":"assistant",\
            "content":"Rainy."},"usage":{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150},"cost":0.0006,\
            "start_time":"2023-11-14T22:13:20Z","timestamp":"2023-11-14T22:13:21Z","latency":1.0,\
            "trace_unique_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_name":"chat gpt-4o","customer_identifier":"u-1",\
            "thread_identifier":"conv-1","custom_identifier":"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7","status_code":200}]}
            """
        #expect(try request("contract", "mode: logs").text == row)
        let added = """
            {"key":"respan.entity.log_type","value":{"stringValue":"chat"}},{"key":"llm.request.type","value":{"stringValue":"chat"}},\
            {"key":"gen_ai.system","value":{"stringValue":"openai"}},{"key":"gen_ai.usage.prompt_tokens","value":{"intValue":"120"}},\
            {"key":"gen_ai.usage.completion_tokens","value":{"intValue":"30"}},{"key":"llm.usage.total_tokens","value":{"intValue":"150"}},\
            {"key":"prompt_cache_hit_tokens","value":{"intValue":"20"}},{"key":"cost","value":{"doubleValue":0.0006}},\
            {"key":"gen_ai.prompt.0.role","value":{"stringValue":"user"}},\
            {"key":"gen_ai.prompt.0.content","value":{"stringValue":"Weather in Paris?"}},\
            {"key":"gen_ai.completion.0.role","value":{"stringValue":"assistant"}},\
            {"key":"gen_ai.completion.0.content","value":{"stringValue":"Rainy."}},\
            {"key":"traceloop.entity.input","value":{"stringValue":"[{\\"role\\":\\"user\\",\\"content\\":\\"Weather in Paris?\\"}]"}},\
            {"key":"traceloop.entity.output","value":{"stringValue":"{\\"role\\":\\"assistant\\",\\"content\\":\\"Rainy.\\"}"}},\
            {"key":"respan.customer_params.customer_identifier","value":{"stringValue":"u-1"}},\
            {"key":"respan.threads.thread_identifier","value":{"stringValue":"conv-1"}},\
            {"key":"respan.sessions.session_identifier","value":{"stringValue":"conv-1"}}]
            """
        #expect(try request("contract", "encoding: json").text.contains(added))
    }
}
