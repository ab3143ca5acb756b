import Foundation

@testable import CEL

/// `../shared/data/cel-conformance.json`: the specification's own tests, those that need protocol buffer messages left out.
struct Conformance {
    struct Case {
        let file: String
        let name: String
        let fields: [String: Any]
        var expression: String { fields["expr"] as? String ?? "" }
    }

    /// Nil, and told, in a clone without shared/.
    static let data: Data? = {
        let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = checkout.deletingLastPathComponent().appending(path: "shared/data/cel-conformance.json")
        guard let data = try? Data(contentsOf: file) else {
            print("CELTests: ../shared/data/cel-conformance.json is absent, its cases are left out")
            return nil
        }
        return data
    }()

    init?() {
        guard let data = Conformance.data, let all = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else { return nil }
        core = Conformance.cases(all["core"])
        extensions = Conformance.cases(all["extensions"])
    }

    // `\?` stands for a question mark in the specification's file (textproto); the data has a backslash there too. The cases with texts
    // instead of bytes, a few lines above these, have it right.
    fileprivate static let corrections: [String: OwnedValue] = [
        "bytes_literals/triple_single_quoted_unescaped_punctuation": .bytes(Array(" ? \" ' ` ".utf8)),
        "bytes_literals/triple_double_quoted_unescaped_punctuation": .bytes(Array(" ? \" ' ` ".utf8)),
    ]

    let core: [String: [Case]]
    let extensions: [String: [Case]]

    private static func cases(_ group: Any?) -> [String: [Case]] {
        var cases: [String: [Case]] = [:]
        for (file, list) in group as? [String: [[String: Any]]] ?? [:] {
            cases[file] = list.map { Case(file: file, name: "\($0["section"] ?? "")/\($0["name"] ?? "")", fields: $0) }
        }
        return cases
    }
}

extension Conformance.Case {
    /// Nil where the case holds, else what happened instead.
    func failure() -> String? {
        var environment = Environment()
        environment.container = fields["container"] as? String ?? ""
        declare(in: &environment)
        let program: Program
        do {
            program = try fields["no_check"] as? Bool == true ? environment.compileUnchecked(expression) : environment.compile(expression)
        } catch {
            return fields["error"] != nil ? nil : "does not compile: \(error)"
        }
        if let type = fields["type"] as? [String: Any] {
            guard program.type == ValueType(json: type) else { return "has the type \(program.type), not \(ValueType(json: type))" }
        }
        if fields["check_only"] as? Bool == true { return nil }
        let bindings = (fields["bindings"] as? [String: [String: Any]] ?? [:]).mapValues(OwnedValue.init(json:))
        do {
            let result = try program.result(Bindings(bindings, in: environment))
            guard let expected = fields["value"] as? [String: Any] else { return "gives \(result), not an error" }
            let value = Conformance.corrections[name] ?? OwnedValue(json: expected)
            return result.isSame(as: value) ? nil : "gives \(result), not \(value)"
        } catch {
            return fields["error"] != nil ? nil : "fails: \(error)"
        }
    }

    private func declare(in environment: inout Environment) {
        for declaration in fields["declarations"] as? [[String: Any]] ?? [] {
            guard let name = declaration["name"] as? String else { continue }
            if let ident = declaration["ident"] as? [String: Any], let type = ident["type"] as? [String: Any] {
                environment.declare(name, ValueType(json: type))
            }
            guard let function = declaration["function"] as? [String: Any] else { continue }
            let overloads = (function["overloads"] as? [[String: Any]] ?? []).map { overload in
                Function.Overload(
                    (overload["params"] as? [[String: Any]] ?? []).map(ValueType.init(json:)),
                    ValueType(json: overload["resultType"] as? [String: Any] ?? [:]))
            }
            environment.add(Function(name, overloads, body: .any { _, _ in .failure(.functionFailed) }))
        }
        // What is bound and not declared is known to unchecked programs.
        for name in (fields["bindings"] as? [String: Any] ?? [:]).keys.sorted()
        where !environment.variables.contains(where: { $0.name == name }) {
            environment.declare(name, .dyn)
        }
    }
}

extension ValueType {
    init(json: [String: Any]) {
        func inner(_ key: String, of value: Any) -> ValueType { ValueType(json: (value as? [String: Any])?[key] as? [String: Any] ?? [:]) }
        switch json.first {
        case ("primitive", let name as String)?:
            self =
                ["BOOL": .bool, "INT64": .int, "UINT64": .uint, "DOUBLE": .double, "STRING": .string, "BYTES": .bytes][name] ?? .mistaken
        case ("listType", let value)?: self = .list(inner("elemType", of: value))
        case ("mapType", let value)?: self = .map(inner("keyType", of: value), inner("valueType", of: value))
        case ("null", _)?: self = .null
        case ("dyn", _)?: self = .dyn
        case ("typeParam", let name as String)?: self = .parameter(name)
        case ("messageType", let name as String)?: self = name == "google.protobuf.Duration" ? .duration : .timestamp
        case ("abstractType", let value as [String: Any])?:
            let parameters = (value["parameterTypes"] as? [[String: Any]] ?? []).map(ValueType.init(json:))
            let name = value["name"] as? String ?? ""
            self = name == "optional_type" ? .optional(parameters[0]) : .opaque(name, parameters)
        default: self = .mistaken
        }
    }
}

extension OwnedValue {
    init(json: [String: Any]) {
        switch json.first {
        case ("bool", let bool as Bool)?: self = .bool(bool)
        case ("int", let text as String)?: self = .int(Int64(text) ?? 0)
        case ("uint", let text as String)?: self = .uint(UInt64(text) ?? 0)
        case ("double", let text as String)?: self = .double(Double(text) ?? 0)
        case ("string", let text as String)?: self = .string(text)
        case ("bytes", let text as String)?: self = .bytes(Array(Data(base64Encoded: text) ?? Data()))
        case ("duration", let text as String)?: self = .duration(nanoseconds: Times.duration(of: text) ?? 0)
        case ("type", let name as String)?: self = .type(name)
        case ("list", let elements as [[String: Any]])?: self = .list(elements.map(OwnedValue.init(json:)))
        case ("map", let entries as [[[String: Any]]])?:
            self = .map(Dictionary(uniqueKeysWithValues: entries.map { (OwnedValue(json: $0[0]), OwnedValue(json: $0[1])) }))
        default: self = .null
        }
    }

    /// Equal, a NaN to a NaN and a zero to a zero of its sign.
    func isSame(as other: OwnedValue) -> Bool {
        switch (self, other) {
        case (.double(let a), .double(let b)): a.isNaN && b.isNaN || a.bitPattern == b.bitPattern
        default: self == other
        }
    }
}
