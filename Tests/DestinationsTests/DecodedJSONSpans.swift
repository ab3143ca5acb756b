import Foundation
import SpanModel

/// The spans of an `ExportTraceServiceRequest` in JSON, as OTLP's specification has it: names in lowerCamelCase, ids in hex, integers of 64
/// bits as texts, enums as numbers. Nil where it is none.
func decodeOTLPJSON(_ body: [UInt8]) -> [DecodedSpan]? {
    guard let request = try? JSONDecoder().decode(ExportRequest.self, from: Data(body)) else { return nil }
    let spans = request.resourceSpans.flatMap { group in
        group.scopeSpans.flatMap { $0.spans ?? [] }.map { DecodedSpan($0, resource: group.resource?.attributes ?? []) }
    }
    return spans.allSatisfy { $0 != nil } ? spans.compactMap { $0 } : nil
}

private struct ExportRequest: Decodable {
    struct Group: Decodable {
        var resource: Resource?
        var scopeSpans: [Scope]
    }
    struct Resource: Decodable { var attributes: [Pair]? }
    struct Scope: Decodable { var spans: [Span]? }
    struct Span: Decodable {
        var traceId: String, spanId: String
        var parentSpanId: String?, name: String?
        var startTimeUnixNano: String?, endTimeUnixNano: String?
        var attributes: [Pair]?
        var events: [Event]?
        var status: Status?
    }
    struct Event: Decodable {
        var name: String
        var attributes: [Pair]?
    }
    struct Status: Decodable {
        var code: UInt64?
        var message: String?
    }
    struct Pair: Decodable {
        var key: String
        var value: Value
    }
    struct Value: Decodable {
        struct List: Decodable { var values: [Value]? }
        struct Map: Decodable { var values: [Pair]? }

        var stringValue: String?, intValue: String?, bytesValue: String?
        var doubleValue: Double?
        var boolValue: Bool?
        var arrayValue: List?
        var kvlistValue: Map?
    }
    var resourceSpans: [Group]
}

extension DecodedSpan {
    /// Nil where a number or an id is none.
    fileprivate init?(_ span: ExportRequest.Span, resource: [ExportRequest.Pair]) {
        let isHex = { (text: String) in text.wholeMatch(of: /[0-9a-f]*/) != nil }
        guard isHex(span.traceId), isHex(span.spanId), isHex(span.parentSpanId ?? ""),
            let start = UInt64(span.startTimeUnixNano ?? "0"), let end = UInt64(span.endTimeUnixNano ?? "0")
        else { return nil }
        (traceID, spanID, parentSpanID) = (span.traceId, span.spanId, span.parentSpanId ?? "")
        (name, self.start, self.end) = (span.name ?? "", start, end)
        (status, statusMessage) = (span.status?.code ?? 0, span.status?.message ?? "")
        attributes = values(span.attributes)
        attributeKeys = (span.attributes ?? []).map(\.key)
        events = (span.events ?? []).map { ($0.name, values($0.attributes)) }
        self.resource = values(resource)
    }
}

private func values(_ pairs: [ExportRequest.Pair]?) -> [String: AttributeValue] {
    Dictionary((pairs ?? []).map { ($0.key, AttributeValue($0.value)) }) { $1 }
}

extension AttributeValue {
    fileprivate init(_ value: ExportRequest.Value) {
        if let text = value.stringValue {
            self = .string(text)
        } else if let count = value.intValue.flatMap({ Int64($0) }) {
            self = .int(count)
        } else if let number = value.doubleValue {
            self = .double(number)
        } else if let bool = value.boolValue {
            self = .bool(bool)
        } else if let data = value.bytesValue.flatMap({ Data(base64Encoded: $0) }) {
            self = .bytes([UInt8](data))
        } else if let list = value.arrayValue {
            self = .array((list.values ?? []).map { AttributeValue($0) })
        } else if let map = value.kvlistValue {
            self = .map(values(map.values))
        } else {
            self = .null
        }
    }
}
