import Delivery
import Foundation
import SpanModel

@testable import Destinations

/// A span as a receiver reads it out of an OTLP request.
struct DecodedSpan {
    var traceID = "", spanID = "", parentSpanID = "", name = ""
    var start: UInt64 = 0, end: UInt64 = 0
    /// 2 is error.
    var status: UInt64 = 0
    var statusMessage = ""
    var attributes: [String: AttributeValue] = [:]
    /// Their keys as they came: one that is there twice is here twice.
    var attributeKeys: [String] = []
    var events: [(name: String, attributes: [String: AttributeValue])] = []
    var resource: [String: AttributeValue] = [:]

    subscript(key: String) -> AttributeValue? { attributes[key] }
}

/// The spans of an `ExportTraceServiceRequest`; nil where it is none.
func decodeOTLP(_ body: [UInt8]) -> [DecodedSpan]? {
    body.withUnsafeBytes { body in
        var found: [DecodedSpan] = []
        var isSound = true
        func each(_ message: UnsafeRawBufferPointer, _ body: (ProtobufField) -> Void) {
            var reader = ProtobufReader(message)
            while let field = reader.next() { body(field) }
            if reader.failed { isSound = false }
        }
        func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
        func pairs(_ message: UnsafeRawBufferPointer, field: UInt32) -> [(String, AttributeValue)] {
            KeyValues(of: message, field: field).map { (text($0.key), AttributeValue($0.value)) }
        }
        func span(_ message: UnsafeRawBufferPointer, _ resource: [String: AttributeValue]) {
            var span = DecodedSpan(resource: resource)
            each(message) { field in
                switch field.number {
                case 1: span.traceID = hexText(field.bytes)
                case 2: span.spanID = hexText(field.bytes)
                case 4: span.parentSpanID = hexText(field.bytes)
                case 5: span.name = text(field.bytes)
                case 7: span.start = field.scalar
                case 8: span.end = field.scalar
                case 11:
                    var name = ""
                    each(field.bytes) { if $0.number == 2 { name = text($0.bytes) } }
                    span.events.append((name, Dictionary(pairs(field.bytes, field: 3)) { $1 }))
                case 15:
                    each(field.bytes) { field in
                        if field.number == 2 { span.statusMessage = text(field.bytes) }
                        if field.number == 3 { span.status = field.scalar }
                    }
                default: break
                }
            }
            let attributes = pairs(message, field: 9)
            span.attributes = Dictionary(attributes) { $1 }
            span.attributeKeys = attributes.map(\.0)
            found.append(span)
        }
        each(body) { resourceSpans in
            guard resourceSpans.number == 1, resourceSpans.type == .bytes else { return isSound = false }
            var resource: [String: AttributeValue] = [:]
            each(resourceSpans.bytes) { field in
                if field.number == 1 { resource = Dictionary(pairs(field.bytes, field: 1)) { $1 } }
            }
            each(resourceSpans.bytes) { scopeSpans in
                guard scopeSpans.number == 2 else { return }
                each(scopeSpans.bytes) { if $0.number == 2 { span($0.bytes, resource) } }
            }
        }
        return isSound ? found : nil
    }
}

extension Request {
    /// The body without its compression; nil where that is none.
    var plainBody: [UInt8]? {
        guard self["Content-Encoding"] == "gzip" else { return body }
        return try? Gzip.decompress(body, limit: 1 << 30)
    }
    /// The body as JSON.
    var json: Any? { plainBody.flatMap { try? JSONSerialization.jsonObject(with: Data($0), options: .fragmentsAllowed) } }
}
