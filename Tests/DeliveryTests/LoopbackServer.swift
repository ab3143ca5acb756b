import Foundation
import Glibc
import Synchronization
import Threading

/// A real HTTP server on 127.0.0.1, as bad as a test wants it: each connection is one thread, each request is answered by `reply`.
final class LoopbackServer: Sendable {
    /// A request as it came.
    struct Received: Sendable {
        var line: String
        var headers: [String: String]
        var body: [UInt8]
        /// Which connection it came on, from 0.
        var connection: Int
    }

    /// What is written back, piece by piece.
    enum Piece: Sendable {
        case bytes([UInt8])
        case pause(Duration)
        /// Ends the connection, with a RST instead of the rest.
        case reset
        case close

        static func text(_ text: String) -> Piece { .bytes(Array(text.utf8)) }
        static func response(_ status: String, headers: String = "", body: [UInt8] = []) -> Piece {
            .bytes(Array("HTTP/1.1 \(status)\r\n\(headers)content-length: \(body.count)\r\n\r\n".utf8) + body)
        }
    }

    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    private struct State: Sendable {
        var received: [Received] = []
        var connections: [Int32] = []
        var ended = false
    }

    init(_ reply: @escaping @Sendable (Received) -> [Piece]) {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let result = bind(descriptor, address, length)
                listen(descriptor, 16)
                getsockname(descriptor, address, &length)
                return result
            }
        }
        precondition(bound == 0, "no port on loopback")
        port = UInt16(bigEndian: address.sin_port)
        _ = startThread(name: "test-http") { [self] in accept(reply) }
    }

    deinit { stop() }

    var received: [Received] { state.withLock { $0.received } }
    var connectionCount: Int { state.withLock { $0.connections.count } }
    var url: String { "http://127.0.0.1:\(port)/v1" }

    func stop() {
        let connections = state.withLock { state in
            defer { state.ended = true }
            return state.ended ? [] : state.connections + [listener]
        }
        for connection in connections { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    private func accept(_ reply: @escaping @Sendable (Received) -> [Piece]) {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { break }
            let number = state.withLock { state in
                state.connections.append(connection)
                return state.connections.count - 1
            }
            _ = startThread(name: "test-conn") { [weak self] in Self.serve(connection, number, reply) { self?.keep($0) } }
        }
        close(listener)
    }

    private func keep(_ request: Received) { state.withLock { $0.received.append(request) } }

    private static func serve(
        _ connection: Int32, _ number: Int, _ reply: (Received) -> [Piece], _ keep: (Received) -> Void
    ) {
        defer { close(connection) }
        var buffer: [UInt8] = []
        while let request = read(connection, &buffer, number) {
            keep(request)
            for piece in reply(request) {
                switch piece {
                case .bytes(let bytes): guard write(connection, bytes) else { return }
                case .pause(let time): usleep(UInt32(time.nanosecondsClamped / 1000))
                case .close: return
                case .reset:
                    var linger = linger(l_onoff: 1, l_linger: 0)
                    setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
                    return
                }
            }
        }
    }

    private static func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            at += count
        }
        return true
    }

    private static func read(_ connection: Int32, _ buffer: inout [UInt8], _ number: Int) -> Received? {
        func more() -> Bool {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return false }
            buffer += chunk[..<count]
            return true
        }
        let blank = Array("\r\n\r\n".utf8)
        var end: Int?
        while true {
            end = (0..<max(0, buffer.count - 3)).first { Array(buffer[$0..<$0 + 4]) == blank }
            if end != nil { break }
            guard more() else { return nil }
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<end], as: UTF8.self).split(separator: "\r\n").map(String.init)
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        let length = Int(headers["content-length"] ?? "") ?? 0
        while buffer.count < end + 4 + length { guard more() else { return nil } }
        let body = Array(buffer[end + 4..<end + 4 + length])
        buffer.removeFirst(end + 4 + length)
        return Received(line: lines.first ?? "", headers: headers, body: body, connection: number)
    }
}
