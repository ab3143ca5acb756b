/// The key of an attribute, with the hash by which it is compared.
struct AttributeKey: BitwiseCopyable {
    let text: Text
    let hash: UInt32

    @inline(__always)
    init(_ text: Text) { (self.text, hash) = (text, KeyPrint(text).hash) }

    /// One that was read, under its own name.
    @inline(__always)
    init(_ key: Key) { (text, hash) = (key.text, key.hash) }

    init(_ literal: StaticString) { self.init(Text(literal)) }
}

/// Keys of the attributes that short forms stand for, hashed once.
struct AttributeKeys {
    let operationName = AttributeKey("gen_ai.operation.name")
    let requestModel = AttributeKey("gen_ai.request.model")
    let responseModel = AttributeKey("gen_ai.response.model")
    let providerName = AttributeKey("gen_ai.provider.name")
    let inputMessages = AttributeKey("gen_ai.input.messages")
    let outputMessages = AttributeKey("gen_ai.output.messages")
    let inputTokens = AttributeKey("gen_ai.usage.input_tokens")
    let outputTokens = AttributeKey("gen_ai.usage.output_tokens")
    let cacheReadTokens = AttributeKey("gen_ai.usage.cache_read.input_tokens")
    let cacheWriteTokens = AttributeKey("gen_ai.usage.cache_write.input_tokens")
    let reasoningTokens = AttributeKey("gen_ai.usage.reasoning.output_tokens")
    let costUSD = AttributeKey("tracefwd.cost_usd")
    let tags = AttributeKey("tracefwd.tags")
    let sessionID = AttributeKey("session.id")
    let userID = AttributeKey("user.id")
    let errorType = AttributeKey("error.type")
    let serviceName = AttributeKey("service.name")
    let environmentName = AttributeKey("deployment.environment.name")
}
