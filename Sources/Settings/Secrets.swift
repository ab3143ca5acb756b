extension LoadedSettings {
    /// A secret, and the path of the key that has it: `destinations.langfuse.secret_key`.
    public struct Held: Sendable {
        /// Keys from the top, with dots.
        public let path: String
        /// Whether it is a header, whose value need not be a secret.
        public let isHeader: Bool
        /// Never shown.
        public let value: Secret
    }

    /// Every secret and every header of the configuration, for whoever looks where secrets lie.
    public var secrets: [Held] { held(.section(root), "", isHeader: false) }
}

private func held(_ value: Value?, _ path: String, isHeader: Bool) -> [LoadedSettings.Held] {
    func below(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    switch value {
    case .secret(let secret): return [LoadedSettings.Held(path: path, isHeader: isHeader, value: secret)]
    case .list(let values): return values.flatMap { held($0, path, isHeader: false) }
    case .map(let pairs): return pairs.flatMap { held($0.value, below($0.name), isHeader: true) }
    case .section(let section): return section.keys.flatMap { held(section[$0.name], below($0.name), isHeader: false) }
    default: return []
    }
}
