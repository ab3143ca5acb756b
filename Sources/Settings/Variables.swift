/// A text with its variables replaced.
struct Substituted {
    var text = ""
    /// Whether a variable was replaced.
    var hasVariables = false
    /// One sentence a variable that has no value, or is not written right.
    var problems: [String] = []

    /// Replaces `${NAME}`, `${NAME:-default}` (the default is for unset and for empty, as in a shell) and `$$`. Any other `$` is itself.
    init(_ written: String, environment: [String: String]) {
        var rest = Substring(written)
        while let dollar = rest.firstIndex(of: "$") {
            text += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                text += "$"
                rest.removeFirst()
            } else if rest.first == "{" {
                guard let end = rest.firstIndex(of: "}") else {
                    problems.append("has a ${ without its }; a $ of its own is written $$")
                    return
                }
                replace(rest[rest.index(after: rest.startIndex)..<end], environment)
                rest = rest[rest.index(after: end)...]
            } else {
                text += "$"
            }
        }
        text += rest
    }

    private mutating func replace(_ variable: Substring, _ environment: [String: String]) {
        let name = String(variable.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
        let rest = variable.dropFirst(name.count)
        guard !name.isEmpty, name.first?.isNumber == false, rest.isEmpty || rest.hasPrefix(":-") else {
            problems.append("has a variable that is not written ${NAME} or ${NAME:-default}; a $ of its own is written $$")
            return
        }
        hasVariables = true
        let value = environment[name]
        if rest.isEmpty, value == nil {
            problems.append("needs ${\(name)}, which is not set; set it for the daemon, or write ${\(name):-default}")
        }
        text += rest.isEmpty || value?.isEmpty == false ? value ?? "" : String(rest.dropFirst(2))
    }
}
