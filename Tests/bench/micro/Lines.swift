/// Spans as the load generator writes them (Tests/bench/loadgen.c): 1 KiB of JSON, one chat call, 64 of them that differ.
enum Lines {
    private static let prose =
        "Summarise the customer's last three orders in two sentences, name the carrier, and say when the parcel arrives. She wrote: "
        + #"\"I ordered the blue one on Monday,\nwhere is it?\" Answer politely, in her language (caf\#u{e9}, na\#u{ef}ve), and do not "#
        + "promise a refund. If the tracking number is unknown, ask for it once. The order was packed in Rotterdam. "
    private static let models = ["gpt-4o", "claude-sonnet-4-5", "gpt-4o-mini", "gemini-2.5-pro"]
    private static let providers = ["openai", "anthropic", "openai", "gcp.gemini"]

    static let all: [[UInt8]] = (0..<64).map(line)

    private static func line(_ turn: Int) -> [UInt8] {
        let (model, provider) = (models[turn % 4], providers[turn % 4])
        let start = 1_760_000_000_000_000_000 + turn * 1_234_567
        let ids = #"{"trace_id":"\#(hex(turn, 32))","span_id":"\#(hex(turn, 16))","#
        let what = #""name":"chat \#(model)","kind":"client","start_time":\#(start),"end_time":\#(start + 812_345_678),"#
        let whose = #""model":"\#(model)","provider":"\#(provider)","service":"shop","environment":"prod","#
        let texts = #""input":"\#(prose)","output":"\#(prose.prefix(turn % 2 == 0 ? 152 : 153))","#
        let usage = #""usage":{"input_tokens":\#(120 + turn),"output_tokens":\#(30 + turn)},"#
        let session = #""session_id":"session-\#(turn % 16)","user_id":"user-\#(turn % 8)","#
        let rest = #""gen_ai.request.temperature":0.2,"gen_ai.request.max_tokens":512,"gen_ai.response.finish_reasons":["stop"]"#
        return Array((ids + what + whose + texts + usage + session + #""attributes":{\#(rest)},"status":"ok"}"#).utf8)
    }

    private static func hex(_ turn: Int, _ digits: Int) -> String {
        let text = String(UInt64(turn + 1) &* 0x9e37_79b9_7f4a_7c15, radix: 16)
        return String(repeating: "a", count: digits - min(text.count, digits)) + text.prefix(digits)
    }
}
