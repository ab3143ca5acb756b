import Foundation

/// A JSON value to be compared and shown: numbers are equal by what they are worth, members of objects whatever their order.
enum JSONValue: Decodable, Equatable, CustomStringConvertible {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// Of bytes that hold one value.
    init(_ bytes: some Collection<UInt8>) throws { self = try JSONDecoder().decode(JSONValue.self, from: Data(bytes)) }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .boolean(flag)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSONValue].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    static func == (a: JSONValue, b: JSONValue) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.boolean(let a), .boolean(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.integer(let a), .number(let b)), (.number(let b), .integer(let a)): Double(a) == b
        case (.text(let a), .text(let b)): a == b
        case (.list(let a), .list(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    subscript(name: String) -> JSONValue? { if case .object(let members) = self { members[name] } else { nil } }

    /// On one line, members in the order of their names.
    var description: String {
        switch self {
        case .null: "null"
        case .boolean(let flag): "\(flag)"
        case .integer(let integer): "\(integer)"
        case .number(let number): "\(number)"
        case .text(let text): Self.quoted(text)
        case .list(let items): "[" + items.map(\.description).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)): \($0.value)" }.joined(separator: ", ") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        let data = try? JSONEncoder.plain.encode(text)
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}

extension JSONEncoder {
    fileprivate static var plain: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return encoder
    }
}

/// One difference between two values: what stands at a path in the one and in the other.
struct JSONDifference {
    let path: String
    let before: JSONValue?
    let after: JSONValue?

    /// A line with `-` for what was and one with `+` for what is.
    var lines: [String] { [before.map { "- \(path): \($0)" }, after.map { "+ \(path): \($0)" }].compactMap(\.self) }

    /// Every difference, members by name: a value that is no object is one by itself.
    static func all(from before: JSONValue?, to after: JSONValue?, at path: String = "") -> [JSONDifference] {
        guard before != after else { return [] }
        guard case .object(let old) = before ?? .object([:]), case .object(let new) = after ?? .object([:]), !path.isEmpty || before != nil
        else { return [JSONDifference(path: path, before: before, after: after)] }
        return Set(old.keys).union(new.keys).sorted().flatMap { name in
            all(from: old[name], to: new[name], at: path.isEmpty ? name : "\(path).\(name)")
        }
    }
}
