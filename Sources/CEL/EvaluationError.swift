/// Why an evaluation gave no value. Two words and no text, because a condition that fails may fail for every span.
public struct EvaluationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Kind: UInt8, Sendable {
        case noSuchOverload
        case noSuchKey
        case noSuchField
        case unknownVariable
        case unknownFunction
        case divisionByZero
        case modulusByZero
        case overflow
        case outOfRange
        case indexOutOfRange
        case invalidIndex
        case invalidText
        case invalidUTF8
        case invalidPattern
        case invalidFormat
        case invalidTimeZone
        case duplicateKey
        case unsupportedKey
        case noValue
        case notOptional
        case tooExpensive
        case tooDeep
        /// A function of the host failed.
        case functionFailed
    }

    /// What went wrong.
    public let kind: Kind
    /// Where in the expression, in bytes of its UTF-8; -1 where no node has said so yet.
    public let offset: Int32

    /// A failure at a place.
    public init(_ kind: Kind, offset: Int32 = -1) {
        self.kind = kind
        self.offset = offset
    }

    /// What went wrong, in a sentence.
    public var description: String {
        switch kind {
        case .noSuchOverload: "no such overload: the operation does not take values of these types"
        case .noSuchKey: "no such key"
        case .noSuchField: "the value has no fields to select from"
        case .unknownVariable: "unknown variable"
        case .unknownFunction: "unknown function"
        case .divisionByZero: "division by zero"
        case .modulusByZero: "modulus by zero"
        case .overflow: "overflow: the result does not fit its type"
        case .outOfRange: "range: the value does not fit its type"
        case .indexOutOfRange: "index out of range"
        case .invalidIndex: "a list is indexed by a whole number"
        case .invalidText: "the text cannot be converted to this type"
        case .invalidUTF8: "the bytes are not valid UTF-8"
        case .invalidPattern: "the regular expression is not valid RE2"
        case .invalidFormat: "the format does not fit its arguments"
        case .invalidTimeZone: "unknown time zone"
        case .duplicateKey: "a map has a key twice"
        case .unsupportedKey: "a map's key is a bool, int, uint or string"
        case .noValue: "the optional has no value"
        case .notOptional: "an optional entry takes an optional value"
        case .tooExpensive: "the evaluation exceeded its cost limit"
        case .tooDeep: "the value is nested too deeply"
        case .functionFailed: "the function failed"
        }
    }

    func located(at place: Int32) -> EvaluationError { offset < 0 ? EvaluationError(kind, offset: place) : self }
}
