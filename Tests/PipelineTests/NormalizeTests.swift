import Foundation
import SpanModel
import Testing

@testable import Pipeline

@Suite("transform: normalize, and estimated tokens")
struct NormalizeTests {
    /// A chat call, a tool span, a search, and an agent, in the native form.
    private static let lines = [
        #"{"name":"chat","provider":"openai","model":"gpt-4o","operation":"chat","usage":{"input_tokens":12,"output_tokens":3},"session_id":"s","user_id":"u","tags":["a"],"cost_usd":0.25,"input":[{"role":"system","content":"be kind"},{"role":"user","content":"what is the weather?"}],"output":[{"role":"assistant","content":"let me look","tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}]}],"attributes":{"gen_ai.request.temperature":0.5,"gen_ai.request.max_tokens":100,"gen_ai.usage.cache_read.input_tokens":4,"gen_ai.response.finish_reasons":["stop"],"shop.order":7}}"#,
        #"{"name":"look","operation":"execute_tool","attributes":{"gen_ai.tool.name":"weather","gen_ai.tool.call.id":"c1","gen_ai.tool.call.arguments":"{\"city\":\"Oslo\"}","gen_ai.tool.call.result":"{\"sky\":\"grey\"}"}}"#,
        #"{"name":"search","operation":"retrieval","attributes":{"gen_ai.retrieval.documents":"[{\"id\":\"d1\",\"content\":\"rain\",\"score\":0.5}]"}}"#,
        #"{"name":"agent","operation":"invoke_agent","provider":"aws.bedrock","attributes":{"gen_ai.agent.name":"helper"},"input":"plain words","output":{"a":1}}"#,
    ]

    /// What the view reads, as text.
    private func facts(_ view: SpanView) -> [String] {
        view.withLLM { llm in
            var json = JSONBytes()
            // Where a dialect names what a tool was given as any input, that is read as both.
            if !llm.isToolSpan {
                json.chat(llm.inputMessages)
                json.chat(llm.outputMessages)
            }
            json.tools(llm.toolDefinitions)
            if let value = llm.toolArguments { json.stringified(value) }
            if let value = llm.toolResult { json.stringified(value) }
            let texts = [llm.operation, llm.provider, llm.model, llm.session, llm.user, llm.agentName, llm.toolName]
            let counts = [llm.inputTokens, llm.outputTokens, llm.totalTokens, llm.cacheReadTokens]
            return texts.map { $0?.string ?? "-" } + counts.map { "\($0 ?? -1)" } + llm.tags.map(\.string)
                + llm.finishReasons.map(\.string) + ["\(llm.cost?.usd ?? -1)", String(decoding: json.bytes, as: UTF8.self)]
                + llm.parameters.map { "\($0.name.string)=\($0.value.number ?? -1)" }.sorted()
                + llm.documents.map { "\($0.id?.string ?? "") \($0.content?.string ?? "") \($0.score ?? 0)" }
        }
    }

    private func normalized(_ view: SpanView, _ dialects: [String]) throws -> SpanView {
        let steps = dialects.map { "{normalize: \($0)}" }.joined(separator: ", ")
        let rules = try rules("routes: [{name: p, to: [a], transform: [\(steps)]}]")
        return Router(rules).form(view, by: RouteDecision(.deliver, by: 0))
    }

    private func keys(_ view: SpanView) throws -> Set<String> {
        Set((try native(view)["attributes"] as? [String: Any] ?? [:]).keys)
    }

    @Test("whatever the dialect, the view reads the same from it, and from the way back", arguments: lines)
    func sameView(line: String) throws {
        let view = try span(line)
        for dialect in ["gen_ai", "openinference", "openllmetry"] {
            let there = try normalized(view, [dialect])
            #expect(facts(there) == facts(view), "to \(dialect)")
            for other in ["gen_ai", "openinference", "openllmetry"] {
                #expect(facts(try normalized(there, [other])) == facts(view), "by \(dialect) to \(other)")
            }
            #expect(try keys(normalized(there, [dialect])) == keys(there), "\(dialect) twice")
        }
    }

    @Test("OpenInference has its own names, and none of the others' for what it has names for")
    func openInference() throws {
        let keys = try keys(normalized(span(Self.lines[0]), ["openinference"]))
        #expect(
            keys.isSuperset(of: [
                "openinference.span.kind", "llm.provider", "llm.model_name", "llm.token_count.prompt", "llm.token_count.total",
                "llm.input_messages.0.message.role", "llm.input_messages.1.message.content",
                "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", "llm.invocation_parameters", "tag.tags",
                "llm.cost.total", "session.id", "user.id", "shop.order",
            ]), "\(keys.sorted())")
        #expect(keys.allSatisfy { !$0.hasPrefix("gen_ai.") }, "\(keys.sorted())")
    }

    @Test("OpenLLMetry has its own names")
    func openLLMetry() throws {
        let keys = try keys(normalized(span(Self.lines[0]), ["openllmetry"]))
        #expect(
            keys.isSuperset(of: [
                "llm.request.type", "gen_ai.system", "gen_ai.request.model", "gen_ai.usage.prompt_tokens", "llm.usage.total_tokens",
                "gen_ai.prompt.0.role", "gen_ai.prompt.1.content", "gen_ai.completion.0.tool_calls.0.name",
                "traceloop.association.properties.session_id",
            ]), "\(keys.sorted())")
        #expect(!keys.contains("gen_ai.input.messages") && !keys.contains("gen_ai.provider.name"))
    }

    @Test("steps see what those before them left")
    func order() throws {
        let rules = try rules("routes: [{name: p, to: [a], transform: [{remove: ['gen_ai.usage.*']}, {normalize: openinference}]}]")
        let keys = try keys(Router(rules).form(span(Self.lines[0]), by: RouteDecision(.deliver, by: 0)))
        #expect(!keys.contains("llm.token_count.prompt") && keys.contains("llm.model_name"))
    }

    // MARK: Tokens

    @Test(
        "tokens are estimated where nobody counted: a quarter of the text's bytes, rounded up, and marked",
        arguments: [
            (#""input":"12345","output":"1234""#, 2, 1, true), (#""input":"12345678","output":"x","usage":{"input_tokens":7}"#, 7, 1, true),
            (#""input":"x","output":"y","usage":{"input_tokens":7,"output_tokens":9}"#, 7, 9, false), (#""kind":"client""#, -1, -1, false),
        ] as [(String, Int64, Int64, Bool)])
    func estimate(members: String, input: Int64, output: Int64, isMarked: Bool) throws {
        let rules = try rules("routes: [{name: p, to: [a], transform: [{enrich: {tokens: estimate}}]}]")
        let view = Router(rules).form(try span(#"{"name":"x",\#(members)}"#), by: RouteDecision(.deliver, by: 0))
        view.withLLM { llm in
            #expect(llm.inputTokens ?? -1 == input)
            #expect(llm.outputTokens ?? -1 == output)
        }
        #expect(view.attribute("tracefwd.tokens.estimated") == (isMarked ? .bool(true) : nil))
    }

    @Test("a route has one program at most")
    func programs() throws {
        let step = "{exec: {command: [/bin/cat]}}"
        #expect(try compiled("routes: [{name: p, to: [a], transform: [\(step)]}]").mistakes.isEmpty)
        let (_, mistakes) = try compiled("routes: [{name: p, to: [a], transform: [\(step), {remove: [x]}, \(step)]}]")
        #expect(mistakes.map(\.sentence) == ["routes: p: has 2 exec steps; a route has one program at most"])
    }
}
