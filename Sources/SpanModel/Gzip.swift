import CZlib

/// Gzip (RFC 1952) through zlib, for request bodies and rotated files. Equal input gives equal output: no time, no name, no system.
public enum Gzip {
    /// Compresses at a level from 1 (fast) to 9 (small).
    public static func compress(_ bytes: [UInt8], level: Int32) -> [UInt8] {
        var out: [UInt8] = []
        let compressor = GzipCompressor(level: level)
        bytes.withUnsafeBytes { compressor.compress($0, to: &out) }
        compressor.finish(to: &out)
        return out
    }

    /// Decompresses all of `bytes`; more than `limit` bytes are an error, found before they are held.
    public static func decompress(_ bytes: [UInt8], limit: Int) throws(GzipError) -> [UInt8] {
        var out: [UInt8] = []
        let decompressor = GzipDecompressor(limit: limit)
        try decompressor.decompress(bytes, to: &out)
        try decompressor.finish()
        return out
    }
}

/// Why bytes could not be decompressed.
public enum GzipError: Error, Equatable, CustomStringConvertible {
    case notGzip
    case truncated
    case tooLarge(limit: Int)

    /// What is wrong.
    public var description: String {
        switch self {
        case .notGzip: "the body is not gzip, or is damaged"
        case .truncated: "the gzip body ends before its end"
        case .tooLarge(let limit): "the body has more than \(limit) bytes when decompressed"
        }
    }
}

/// Compresses a stream piece by piece.
public final class GzipCompressor {
    // zlib keeps the address of both, so they lie still on the heap.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let header = UnsafeMutablePointer<gz_header>.allocate(capacity: 1)

    /// A stream at a level from 1 (fast) to 9 (small).
    public init(level: Int32) {
        stream.initialize(to: z_stream())
        header.initialize(to: gz_header())
        header.pointee.os = 255  // unknown, so the bytes do not tell the machine
        let size = Int32(MemoryLayout<z_stream>.size)
        let begun = deflateInit2_(stream, min(max(level, 1), 9), Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        precondition(begun == Z_OK, "zlib gave no stream: \(begun)")  // out of memory, or another zlib than the one compiled for
        deflateSetHeader(stream, header)
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        header.deallocate()
    }

    /// Compresses the next piece; what is ready is appended to `out`.
    public func compress(_ piece: UnsafeRawBufferPointer, to out: inout [UInt8]) { run(piece, Z_NO_FLUSH, &out) }

    /// Appends the end of the stream. The last call.
    public func finish(to out: inout [UInt8]) { run(.empty, Z_FINISH, &out) }

    private func run(_ piece: UnsafeRawBufferPointer, _ flush: Int32, _ out: inout [UInt8]) {
        // zlib counts in 32 bits; it only reads through this pointer.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(piece.count)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunkSize) { chunk in
            repeat {
                stream.pointee.next_out = chunk.baseAddress
                stream.pointee.avail_out = UInt32(chunk.count)
                deflate(stream, flush)
                out.append(contentsOf: chunk[..<(chunk.count - Int(stream.pointee.avail_out))])
            } while stream.pointee.avail_out == 0
        }
    }
}

/// Decompresses a stream piece by piece and never gives out more than its limit. Several members one behind the other are one stream.
public final class GzipDecompressor {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let limit: Int
    private var written = 0
    private var complete = false

    /// A stream that may give `limit` bytes.
    public init(limit: Int) {
        self.limit = limit
        stream.initialize(to: z_stream())
        let begun = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(begun == Z_OK, "zlib gave no stream: \(begun)")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Decompresses the next piece; what is ready is appended to `out`.
    public func decompress(_ piece: some Collection<UInt8>, to out: inout [UInt8]) throws(GzipError) {
        let result = piece.withContiguousStorageIfAvailable { run(UnsafeRawBufferPointer($0), &out) }
        if let error = result ?? [UInt8](piece).withUnsafeBytes({ run($0, &out) }) { throw error }
    }

    /// Checks that the stream has come to its end.
    public func finish() throws(GzipError) {
        guard complete else { throw .truncated }
    }

    private func run(_ piece: UnsafeRawBufferPointer, _ out: inout [UInt8]) -> GzipError? {
        guard !piece.isEmpty else { return nil }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(piece.count)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunkSize) { chunk in
            repeat {
                if complete {
                    inflateReset(stream)
                    complete = false
                }
                stream.pointee.next_out = chunk.baseAddress
                stream.pointee.avail_out = UInt32(chunk.count)
                let result = inflate(stream, Z_NO_FLUSH)
                guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else { return .notGzip }
                complete = result == Z_STREAM_END
                let ready = chunk.count - Int(stream.pointee.avail_out)
                guard ready <= limit - written else { return .tooLarge(limit: limit) }
                written += ready
                out.append(contentsOf: chunk[..<ready])
            } while stream.pointee.avail_in > 0 || (stream.pointee.avail_out == 0 && !complete)
            return nil
        }
    }
}

private let chunkSize = 64 << 10
