/// What a resource says of the members that an LLM span may have from it. Adjacent spans mostly have the same resource, byte for byte, so a
/// reader of many spans asks it once.
@usableFromInline
struct ResourceMembers {
    /// The span's that is shown, and the one that the answers are of.
    private var resource = UnsafeRawBufferPointer.empty
    private var asked = UnsafeRawBufferPointer.empty
    private var environment: Answer?
    private var service: Answer?

    private enum Answer {
        case absent
        case text(UnsafeRawBufferPointer)
    }

    @usableFromInline
    init() {}

    /// Goes on to a span's resource. Its bytes, and those of resources before it, outlive what is handed out.
    @usableFromInline
    mutating func enter(_ resource: UnsafeRawBufferPointer) { self.resource = resource }

    mutating func environmentText() -> SpanText? {
        forgetOthers()
        let answer = environment ?? read("deployment.environment.name") ?? read("deployment.environment") ?? .absent
        environment = answer
        return text(answer)
    }

    mutating func serviceText() -> SpanText? {
        forgetOthers()
        let answer = service ?? read("service.name") ?? .absent
        service = answer
        return text(answer)
    }

    private mutating func forgetOthers() {
        guard !resource.equals(asked) else { return }
        (asked, environment, service) = (resource, nil, nil)
    }

    private func text(_ answer: Answer) -> SpanText? {
        if case .text(let bytes) = answer { .utf8(bytes) } else { nil }
    }

    /// The last value of a key, where that is a text with something in it.
    private func read(_ key: StaticString) -> Answer? {
        let attributes = KeyValues(of: SpanParts.message(1, of: resource), field: 1)
        guard case .string(let text)? = key.withUTF8Buffer({ attributes.last(UnsafeRawBufferPointer($0)) }), !text.isEmpty else {
            return nil
        }
        return .text(text)
    }
}
