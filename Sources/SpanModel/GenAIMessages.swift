// Content in GenAI's own shape (contract `otlp`, B.1): messages of parts.
extension JSONBytes {
    /// Messages as GenAI has them.
    public mutating func genAI(_ messages: [LLMMessage]) {
        array(of: messages) { json, message in
            json.object { json in
                json.member("role", message.role)
                json.key("parts")
                json.array(of: message.parts) { $0.genAI($1) }
                json.member("name", message.name)
                json.member("finish_reason", message.finishReason)
            }
        }
    }

    private mutating func genAI(_ part: MessagePart) {
        switch part {
        case .text(let text): genAI("text") { $0.member("content", text) }
        case .reasoning(let text): genAI("reasoning") { $0.member("content", text) }
        case .toolCall(let id, let name, let arguments):
            genAI("tool_call") { json in
                json.member("id", id)
                json.member("name", name)
                json.member("arguments", unwrapped: arguments)
            }
        case .toolCallResponse(let id, let response):
            genAI("tool_call_response") { json in
                json.member("id", id)
                json.member("response", unwrapped: response)
            }
        case .blob(let modality, let mimeType, let content):
            genAI("blob") { json in
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.key("content")
                json.value(content)
            }
        case .uri(let modality, let mimeType, let uri):
            genAI("uri") { json in
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.member("uri", uri)
            }
        case .file(let modality, let mimeType, let fileID):
            genAI("file") { json in
                json.member("modality", modality)
                json.member("mime_type", mimeType)
                json.member("file_id", fileID)
            }
        case .other(let value): self.value(value)
        }
    }

    private mutating func genAI(_ type: StaticString, _ members: (inout JSONBytes) -> Void) {
        object { json in
            json.key("type")
            json.string(type)
            members(&json)
        }
    }

    private mutating func member(_ name: StaticString, unwrapped value: ContentValue?) {
        guard let value else { return }
        key(name)
        unwrapped(value)
    }
}
