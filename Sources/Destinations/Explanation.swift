import Delivery
import Foundation
import SpanModel

/// What the server said of its answer, as one short line. Only members that hold a sentence are taken: the body as a whole may repeat what
/// was sent, and prompts belong in no log.
func explanation(of response: Response) -> String {
    let sentence: String? =
        switch response.mediaType {
        case .protobuf: statusMessage(response.body)
        case .json: jsonMessage(response.body)
        case .other(let type): type == "text/plain" ? String(decoding: response.body.prefix(1024), as: UTF8.self) : nil
        }
    let first = (sentence ?? "").split { $0.isNewline }.first ?? ""
    let line = String(first.unicodeScalars.filter { $0.properties.generalCategory != .control }).trimmingCharacters(in: .whitespaces)
    return "answered \(response.status)" + (line.isEmpty ? "" : ": \(line.prefix(200))")
}

/// How a body is encoded, by its own Content-Type.
enum MediaType: Equatable {
    case json, protobuf
    case other(String)
}

extension Response {
    /// The media type without its parameters.
    var mediaType: MediaType {
        let value = headers["content-type"] ?? ""
        let type = value.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
        if type == "application/x-protobuf" || type == "application/protobuf" { return .protobuf }
        return type == "application/json" || type.hasSuffix("+json") ? .json : .other(type)
    }
}

/// The message of a `google.rpc.Status`.
private func statusMessage(_ body: [UInt8]) -> String? {
    body.withUnsafeBytes { body in
        ProtobufReader(body).first { $0.number == 2 && $0.type == .bytes }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }
}

/// The first sentence among the members in which platforms put one.
private func jsonMessage(_ body: [UInt8]) -> String? {
    guard let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] else { return nil }
    let inner = object["error"] as? [String: Any]
    return [object["message"], object["error"], inner?["message"], object["detail"], object["title"]].lazy.compactMap { $0 as? String }
        .first
}
