// The table as a JSON Schema (draft 2020-12), for editors that complete and check YAML as it is typed.
import Foundation

/// A schema for `# yaml-language-server: $schema=…`. Its patterns are wider than the decoder in one way: a variable may stand for any value.
public func renderJSONSchema(_ types: [DestinationType]) -> String {
    var schema = objectSchema(table(types))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "tracefwd"
    let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data = (try? JSONSerialization.data(withJSONObject: schema, options: options)) ?? Data()
    return String(decoding: data, as: UTF8.self) + "\n"
}

private func objectSchema(_ keys: [Key]) -> [String: Any] {
    var schema: [String: Any] = ["type": "object", "additionalProperties": false]
    schema["properties"] = Dictionary(uniqueKeysWithValues: keys.map { ($0.name, propertySchema($0)) })
    let required = keys.filter { if case .required = $0.absent { true } else { false } }.map(\.name)
    if !required.isEmpty { schema["required"] = required }
    return schema
}

private func propertySchema(_ key: Key) -> [String: Any] {
    var schema = valueSchema(key.type)
    schema["description"] = key.doc
    switch key.absent {
    case .value(let text): schema["default"] = Int(text) ?? Bool(text) ?? text
    case .defaults, .nothing:
        // A section is on, or has its defaults, when its key stands alone.
        if case .section = key.type { schema["type"] = ["object", "null"] }
    case .required: break
    }
    return schema
}

private var variable: [String: Any] { ["type": "string", "pattern": #"\$\{"#] }
private var text: [String: Any] { ["type": "string"] }
private var fraction: [String: Any] { ["type": "number", "minimum": 0, "maximum": 1] }

private func valueSchema(_ type: KeyType) -> [String: Any] {
    switch type {
    case .string, .path, .socket, .destination, .target: return ["type": ["string", "number"]]
    case .url: return pattern("^https?://")
    case .listen: return pattern(":[0-9]+$")
    case .network: return pattern("^[0-9a-fA-F:.]+(/[0-9]+)?$")
    case .mode: return pattern("^0?[0-7]{3}$")
    case .boolean: return anyOf([["type": "boolean"], variable])
    case .integer(let range):
        return anyOf([["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound], variable])
    case .bytes: return anyOf([["type": "integer", "minimum": 0], pattern(sizePattern)])
    case .share: return anyOf([["type": "integer", "minimum": 1], pattern("^[0-9]+%$|" + sizePattern)])
    case .duration: return anyOf([["const": 0], pattern("^0$|^[0-9]+([.][0-9]+)? ?(ms|s|m|h|d)$")])
    case .choice(let words, let other): return anyOf([["enum": words]] + (other.map { [valueSchema($0)] } ?? [variable]))
    case .expression(_, let orNull): return ["type": ["string", "number", "boolean"] + (orNull ? ["null"] : [])]
    case .condition: return anyOf([["type": "boolean"], text])
    case .fraction: return anyOf([fraction, variable])
    case .rate: return anyOf([fraction, text])
    case .frequency: return pattern("^[0-9]+([.][0-9]+)? ?/ ?(s|min|h)$")
    case .anything: return [:]
    case .secret: return secret
    case .headers: return ["type": "object", "additionalProperties": secret]
    case .list(let item): return ["type": ["array", "null"], "items": valueSchema(item)]
    case .names(let form, let item):
        var schema: [String: Any] = ["type": ["object", "null"], "additionalProperties": valueSchema(item)]
        if case .identifier = form { schema["propertyNames"] = ["pattern": "^[A-Za-z_][A-Za-z0-9_]*$"] }
        return schema
    case .section(let keys): return objectSchema(keys)
    case .step(let keys): return objectSchema(keys).merging(["minProperties": 1, "maxProperties": 1]) { _, new in new }
    case .either(let types): return anyOf(types.map(valueSchema))
    case .destinations(let types):
        let each = types.map { type in
            var schema = objectSchema([typeKey([type])] + type.allKeys)
            schema["description"] = type.doc
            return schema
        }
        return ["type": ["object", "null"], "additionalProperties": each.isEmpty ? false : anyOf(each)]
    }
}

private let sizePattern = "^[0-9]+([.][0-9]+)? ?(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$"

private var secret: [String: Any] {
    let sources = ["file", "credential"].map { name -> [String: Any] in
        ["type": "object", "additionalProperties": false, "properties": [name: text], "required": [name]]
    }
    return anyOf([text] + sources)
}

private func pattern(_ pattern: String) -> [String: Any] { ["type": "string", "pattern": "\(pattern)|\\$\\{"] }
private func anyOf(_ schemas: [[String: Any]]) -> [String: Any] { ["anyOf": schemas] }
