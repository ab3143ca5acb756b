import Glibc

/// Hands out each line of bytes that are there whole, without its `\n` or `\r\n`; the last may lack them.
func eachLine(of bytes: UnsafeRawBufferPointer, _ line: (UnsafeRawBufferPointer) -> Void) {
    guard let base = bytes.baseAddress else { return }
    var at = 0
    while at < bytes.count {
        let newline = memchr(base + at, 0x0a, bytes.count - at)
        let end = newline.map { UnsafeRawPointer($0) - base } ?? bytes.count
        line(withoutReturn(UnsafeRawBufferPointer(rebasing: bytes[at..<end])))
        at = end + 1
    }
}

private func withoutReturn(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    line.last == 0x0d ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
}

/// Cuts a stream of bytes into lines without copying what lies whole in one read. Of a line over the limit only its length is kept.
struct LineSplitter {
    /// What a line is.
    enum Line {
        case whole(UnsafeRawBufferPointer)
        /// It passed the limit; its bytes are gone.
        case tooLong
    }

    private let bytesMax: Int
    /// The begin of a line whose end has not come yet.
    private var carry: [UInt8] = []
    /// The line under way is over the limit: the rest of it is passed over.
    private var isSkipping = false

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Bytes held for the next read.
    var heldBytes: Int { carry.count }

    /// Gives up the line under way, as one over the limit is.
    mutating func dropHeld() {
        isSkipping = isSkipping || !carry.isEmpty
        carry = []
    }

    /// Takes a read in and hands out each line that ends in it, without its `\n` or `\r\n`.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ line: (Line) -> Void) {
        guard let base = bytes.baseAddress else { return }
        var at = 0
        while at < bytes.count {
            guard let newline = memchr(base + at, 0x0a, bytes.count - at) else {
                hold(UnsafeRawBufferPointer(rebasing: bytes[at...]))
                return
            }
            let end = UnsafeRawPointer(newline) - base
            let piece = UnsafeRawBufferPointer(rebasing: bytes[at..<end])
            at = end + 1
            if isSkipping {
                isSkipping = false
                line(.tooLong)
            } else if carry.isEmpty {
                emit(piece, line)
            } else {
                hold(piece)
                finish(line)
            }
        }
    }

    /// The stream has ended: what is held is its last line.
    mutating func finish(_ line: (Line) -> Void) {
        if isSkipping {
            isSkipping = false
            line(.tooLong)
        } else if !carry.isEmpty {
            carry.withUnsafeBytes { emit($0, line) }
        }
        // A rare long line must not cost its memory for ever.
        carry.removeAll(keepingCapacity: carry.capacity <= 16 << 10)
    }

    private func emit(_ bytes: UnsafeRawBufferPointer, _ line: (Line) -> Void) {
        let bytes = withoutReturn(bytes)
        line(bytes.count > bytesMax ? .tooLong : .whole(bytes))
    }

    private mutating func hold(_ bytes: UnsafeRawBufferPointer) {
        guard !isSkipping else { return }
        // One more for the `\r` that may stand at the end of a line of just the limit.
        if carry.count + bytes.count > bytesMax + 1 {
            isSkipping = true
            carry = []
        } else {
            carry.append(contentsOf: bytes)
        }
    }
}
