/// One message of a conversation, from whichever dialect. Good inside the scope of its view.
public struct LLMMessage {
    /// `system`, `user`, `assistant`, `tool`, or what the sender said.
    public var role: SpanText
    /// Who of that role.
    public var name: SpanText?
    /// Why the model stopped; in outputs only.
    public var finishReason: SpanText?
    /// What the message holds, in its order.
    public var parts: [MessagePart] = []

    init(role: SpanText) { self.role = role }
}

/// A part of a message (contract `otlp`, B.1).
public enum MessagePart {
    case text(SpanText)
    case reasoning(SpanText)
    /// The model asks for a tool; `arguments` may be a text of JSON.
    case toolCall(id: SpanText?, name: SpanText?, arguments: ContentValue?)
    /// What a tool answered.
    case toolCallResponse(id: SpanText?, response: ContentValue?)
    /// Media in the message itself: base64 text, or bytes.
    case blob(modality: SpanText?, mimeType: SpanText?, content: ContentValue)
    /// Media elsewhere; a `data:` URI too.
    case uri(modality: SpanText?, mimeType: SpanText?, uri: SpanText)
    /// A file that the provider holds.
    case file(modality: SpanText?, mimeType: SpanText?, fileID: SpanText)
    /// Any other, as it came.
    case other(ContentValue)
}

extension MessagePart {
    /// What of the part counts as the conversation's text: texts, and what tools answered.
    fileprivate var readable: ContentValue? {
        switch self {
        case .text(let text): .text(text)
        case .toolCallResponse(_, let response): response
        default: nil
        }
    }
}

/// What went in or came out: a list of messages, or a value that is none.
public enum LLMContent {
    case messages([LLMMessage])
    case value(ContentValue)

    /// The messages; a value is one message of that role.
    func messages(role: StaticString) -> [LLMMessage] {
        switch self {
        case .messages(let messages): return messages
        case .value(let value):
            var message = LLMMessage(role: SpanText(role))
            message.parts = [value.text.map { .text($0) } ?? .other(value)]
            return [message]
        }
    }

    /// Appends the texts, with a newline between two.
    func appendText(to bytes: inout [UInt8]) {
        switch self {
        case .value(let value): Self.append(value, to: &bytes)
        case .messages(let messages):
            var isFirst = true
            for part in messages.lazy.flatMap(\.parts) {
                guard let text = part.readable else { continue }
                if !isFirst { bytes.append(UInt8(ascii: "\n")) }
                isFirst = false
                Self.append(text, to: &bytes)
            }
        }
    }

    private static func append(_ value: ContentValue, to bytes: inout [UInt8]) {
        if let text = value.text { text.append(to: &bytes) } else { JSONBytes.append(to: &bytes) { $0.value(value) } }
    }
}
