import Glibc

/// Families of attribute names that have a number or a free word in them. A pass over a span notes only that there is one; their members are
/// read when they are asked for.
struct NameFamilies: OptionSet {
    var rawValue: UInt32 = 0

    static let genAIPrompt = NameFamilies(rawValue: 1 << 0)
    static let genAICompletion = NameFamilies(rawValue: 1 << 1)
    static let genAIPromptVariable = NameFamilies(rawValue: 1 << 2)
    static let llmInputMessages = NameFamilies(rawValue: 1 << 3)
    static let llmOutputMessages = NameFamilies(rawValue: 1 << 4)
    static let llmPrompts = NameFamilies(rawValue: 1 << 5)
    static let llmChoices = NameFamilies(rawValue: 1 << 6)
    static let llmTools = NameFamilies(rawValue: 1 << 7)
    static let llmRequestFunctions = NameFamilies(rawValue: 1 << 8)
    static let retrievalDocuments = NameFamilies(rawValue: 1 << 9)
    static let embeddings = NameFamilies(rawValue: 1 << 10)
    static let associationProperties = NameFamilies(rawValue: 1 << 11)
    static let metadata = NameFamilies(rawValue: 1 << 12)
    static let requestParameters = NameFamilies(rawValue: 1 << 13)

    /// Notes the family that `key` belongs to, if any.
    @inline(__always)
    mutating func note(_ key: UnsafeRawBufferPointer) {
        guard key.count > 10, let prefix = Self.prefix(of: key) else { return }
        guard key.starts(with: prefix.text), !prefix.isIndexed || prefix.beginsIndex(key) else { return }
        insert(prefix.family)
    }

    /// A family's prefix; where `isIndexed`, a digit follows it (`gen_ai.prompt.0.role`, but not `gen_ai.prompt.name`).
    struct Prefix {
        let family: NameFamilies
        let text: StaticString
        var isIndexed = true

        func beginsIndex(_ key: UnsafeRawBufferPointer) -> Bool {
            let length = text.utf8CodeUnitCount
            return key.count > length && key[length] &- UInt8(ascii: "0") < 10
        }
    }

    /// The one prefix that `key` can have, by its first letters.
    private static func prefix(of key: UnsafeRawBufferPointer) -> Prefix? {
        // For each prefix the letters that no other one has there: the last two share their first five.
        switch (key[0], key[0] == UInt8(ascii: "t") ? key[5] : key[4], key[7]) {
        case (UInt8(ascii: "g"), _, UInt8(ascii: "r")): requestPrefix
        case (UInt8(ascii: "g"), _, UInt8(ascii: "p")):
            key.count > 14 && key[14] == UInt8(ascii: "v") ? promptVariablePrefix : promptPrefix
        case (UInt8(ascii: "g"), _, UInt8(ascii: "c")): completionPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "i"), _): inputMessagesPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "o"), _): outputMessagesPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "p"), _): promptsPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "c"), _): choicesPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "t"), _): toolsPrefix
        case (UInt8(ascii: "l"), UInt8(ascii: "r"), _): functionsPrefix
        case (UInt8(ascii: "r"), _, _): documentsPrefix
        case (UInt8(ascii: "e"), _, _): embeddingsPrefix
        case (UInt8(ascii: "t"), UInt8(ascii: "l"), _): associationPrefix
        case (UInt8(ascii: "t"), UInt8(ascii: "f"), _): metadataPrefix
        default: nil
        }
    }

    static let promptPrefix = Prefix(family: .genAIPrompt, text: "gen_ai.prompt.")
    static let promptVariablePrefix = Prefix(family: .genAIPromptVariable, text: "gen_ai.prompt.variable.", isIndexed: false)
    static let completionPrefix = Prefix(family: .genAICompletion, text: "gen_ai.completion.")
    static let requestPrefix = Prefix(family: .requestParameters, text: "gen_ai.request.", isIndexed: false)
    static let inputMessagesPrefix = Prefix(family: .llmInputMessages, text: "llm.input_messages.")
    static let outputMessagesPrefix = Prefix(family: .llmOutputMessages, text: "llm.output_messages.")
    static let promptsPrefix = Prefix(family: .llmPrompts, text: "llm.prompts.")
    static let choicesPrefix = Prefix(family: .llmChoices, text: "llm.choices.")
    static let toolsPrefix = Prefix(family: .llmTools, text: "llm.tools.")
    static let functionsPrefix = Prefix(family: .llmRequestFunctions, text: "llm.request.functions.")
    static let documentsPrefix = Prefix(family: .retrievalDocuments, text: "retrieval.documents.")
    static let embeddingsPrefix = Prefix(family: .embeddings, text: "embedding.embeddings.")
    static let associationPrefix = Prefix(
        family: .associationProperties, text: "traceloop.association.properties.", isIndexed: false)
    static let metadataPrefix = Prefix(family: .metadata, text: "tracefwd.metadata.", isIndexed: false)
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes begin with those of `text`.
    func starts(with text: StaticString) -> Bool {
        guard count >= text.utf8CodeUnitCount, let base = baseAddress else { return false }
        return memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
}
