import Delivery
import Settings
import SpanModel

/// `oversize:`, what is done with a span that is too large for the platform by itself.
enum Oversize: String, CaseIterable, Sendable {
    case truncateContent = "truncate_content"
    case stripMedia = "strip_media"
    case dead

    static let key = Key(
        "oversize", .choice(allCases.map(\.rawValue)), .value(truncateContent.rawValue),
        """
        What is done with a span that is too large for the platform: its media are taken out, then its longest texts are cut; its media \
        alone are taken out; or it is a dead letter at once. What is taken out leaves ` [+N bytes]`, and is counted.
        """)

    init(_ section: Section) { self = Oversize(rawValue: section.string("oversize")) ?? .truncateContent }

    /// What `encode` makes of a span, or of a smaller one where that were more than `bytesMax`. A span that cannot be made small enough is
    /// an error with the reason `too_large` at `index`.
    func fit(
        _ span: SpanView, at index: Int, bytesMax: Int, _ encode: (SpanView) throws(EncodeError) -> [UInt8]
    ) throws(EncodeError) -> Fitted {
        var (span, body) = (span, try encode(span))
        guard body.count > bytesMax else { return Fitted(body: body, isCut: false) }
        guard self != .dead else { throw EncodeError(span: index, reason: "too_large") }
        if let lean = span.withoutMedia() {
            (span, body) = (lean, try encode(lean))
            if body.count <= bytesMax { return Fitted(body: body, isCut: true) }
        }
        // What a byte of a text becomes in the body differs from text to text, so the first guess may not be enough.
        for _ in 0..<8 where self == .truncateContent {
            let target = Int(Double(span.entry.length) * (Double(bytesMax) / Double(body.count)) * 0.99)
            guard let shorter = span.cut(to: target) else { break }
            (span, body) = (shorter, try encode(shorter))
            if body.count <= bytesMax { return Fitted(body: body, isCut: true) }
        }
        throw EncodeError(span: index, reason: "too_large")
    }

    /// A body that is small enough.
    struct Fitted {
        var body: [UInt8]
        /// Whether something was taken out for that.
        var isCut: Bool
    }
}
