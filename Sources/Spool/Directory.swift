import CShim
import SpanModel

/// The stored form of a segment's directory, version 2. A byte of version; a CRC-32C (4 bytes, little endian) of all that follows and of the
/// payload after it; then per span: length, resource length, scope length (varints), received_at as nanoseconds since the span before it
/// (varint; the first since the epoch), source (byte), sender + 1 (varint, 0 = unknown), trace hash (8 bytes, little endian). Offsets
/// follow from the lengths. About 18 bytes a span. Version 1 had no checksum: SQLite notices a page that is no page, not a byte that has
/// changed inside of one.
enum Directory {
    static let version: UInt8 = 2
    private static let headBytes = 5

    static func encode(_ entries: [SpanEntry], _ payload: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [version, 0, 0, 0, 0]
        out.reserveCapacity(headBytes + entries.count * 20)
        var before: UInt64 = 0
        for entry in entries {
            out.appendVarint(UInt64(entry.length))
            out.appendVarint(UInt64(entry.resourceLength))
            out.appendVarint(UInt64(entry.scopeLength))
            out.appendVarint(entry.receivedAt &- before)
            before = entry.receivedAt
            out.append(entry.source)
            out.appendVarint(entry.sender == SpanEntry.unknownSender ? 0 : UInt64(entry.sender) + 1)
            withUnsafeBytes(of: entry.traceHash.littleEndian) { out.append(contentsOf: $0) }
        }
        let sum = out.withUnsafeBytes { checksum($0, payload) }
        out.withUnsafeMutableBytes { $0.storeBytes(of: sum.littleEndian, toByteOffset: 1, as: UInt32.self) }
        return out
    }

    private static func checksum(_ directory: UnsafeRawBufferPointer, _ payload: [UInt8]) -> UInt32 {
        let rows = UnsafeRawBufferPointer(rebasing: directory[headBytes...])
        return payload.withUnsafeBytes { tracefwd_crc32c(tracefwd_crc32c(0, rows.baseAddress, rows.count), $0.baseAddress, $0.count) }
    }

    /// nil where the bytes are no directory of this payload: one of the two is damaged.
    static func decode(_ bytes: UnsafeRawBufferPointer, _ payload: [UInt8]) -> [SpanEntry]? {
        let payloadBytes = payload.count
        var at: Int
        switch bytes.first {
        case 1: at = 1
        case version:
            guard bytes.count >= headBytes,
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)) == checksum(bytes, payload)
            else { return nil }
            at = headBytes
        default: return nil
        }
        var entries: [SpanEntry] = []
        entries.reserveCapacity(bytes.count / 16)
        var offset: UInt64 = 0
        var received: UInt64 = 0
        func varint() -> UInt64? { readVarint(bytes, at: &at) }
        while at < bytes.count {
            guard let length = varint(), let resource = varint(), let scope = varint(), let delta = varint(), at < bytes.count else {
                return nil
            }
            let source = bytes[at]
            at += 1
            guard let sender = varint(), at + 8 <= bytes.count, length <= UInt64(payloadBytes) - offset, resource <= length,
                scope <= length,
                sender <= UInt64(UInt32.max)
            else { return nil }
            received &+= delta
            entries.append(
                SpanEntry(
                    offset: UInt32(offset), length: UInt32(length), resourceLength: UInt32(resource), scopeLength: UInt32(scope),
                    receivedAt: received, traceHash: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
                    sender: sender == 0 ? SpanEntry.unknownSender : UInt32(sender - 1), source: source))
            at += 8
            offset += length
        }
        return offset == UInt64(payloadBytes) ? entries : nil
    }
}
