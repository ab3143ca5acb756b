import Foundation
import Settings
import Testing
import Threading

@testable import Delivery

@Suite("HTTP over libcurl, against a real server", .serialized)
struct HTTPSenderTests {
    /// Loopback is reached without the proxy that the environment may name.
    private static let direct: HTTPOptions = {
        var options = HTTPOptions()
        options.proxy = ""
        return options
    }()

    private func request(_ url: String, body: [UInt8] = Array("spans".utf8), method: String = "POST", headers: [Header] = []) -> Request {
        Request(url: url, method: method, headers: headers, body: body, spans: 0..<1)
    }

    private func wait(
        _ sender: HTTPSender, for count: Int = 1, patience: Duration = .seconds(10)
    ) -> [(token: UInt64, result: Result<Response, TransportError>)] {
        var ended: [(token: UInt64, result: Result<Response, TransportError>)] = []
        let end = ContinuousClock.now + patience
        while ended.count < count, ContinuousClock.now < end {
            ended += sender.finished()
            if ended.count < count { sender.wait(.milliseconds(20)) }
        }
        return ended
    }

    private func exchange(
        _ sender: HTTPSender, _ request: Request, total: Duration = .seconds(10), connect: Duration = .seconds(5)
    ) throws -> Result<Response, TransportError> {
        sender.start(request, options: Self.direct, timeouts: RequestTimeouts(connect: connect, total: total), token: 7)
        let ended = wait(sender)
        #expect(ended.first?.token == 7)
        #expect(sender.count == 0)
        return try #require(ended.first).result
    }

    @Test("a request arrives as it was made: method, path, headers with their secrets, body")
    func whole() throws {
        let server = LoopbackServer { _ in [.response("200 OK", body: Array("{}".utf8))] }
        let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        let headers = [Header("x-api-key", secret: Secret("s3cret")), Header("content-type", "application/x-protobuf")]
        let response = try exchange(HTTPSender(), request(server.url + "?a=b", body: body, method: "PUT", headers: headers)).get()
        #expect(response.status == 200 && response.body == Array("{}".utf8) && !response.bodyCut)
        let received = try #require(server.received.first)
        #expect(received.line == "PUT /v1?a=b HTTP/1.1")
        #expect(received.headers["x-api-key"] == "s3cret" && received.headers["content-type"] == "application/x-protobuf")
        #expect(received.headers["user-agent"]?.hasPrefix("tracefwd/") == true && received.headers["expect"] == nil)
        #expect(received.body == body)
    }

    @Test("one that is cancelled ends without an answer, and no other does")
    func cancelled() throws {
        let server = LoopbackServer { _ in [.response("200 OK")] }
        let silent = LoopbackServer { _ in [.pause(.seconds(30))] }
        let sender = HTTPSender()
        let timeouts = RequestTimeouts(connect: .seconds(5), total: .seconds(60))
        sender.start(request(silent.url), options: Self.direct, timeouts: timeouts, token: 1)
        sender.start(request(server.url), options: Self.direct, timeouts: timeouts, token: 2)
        #expect(wait(sender).map(\.token) == [2] && sender.count == 1)
        sender.cancel(token: 1)
        sender.cancel(token: 2)
        #expect(sender.count == 0 && sender.finished().isEmpty)
    }

    @Test("an empty body is sent as one")
    func empty() throws {
        let server = LoopbackServer { _ in [.response("200 OK")] }
        #expect(try exchange(HTTPSender(), request(server.url, body: [])).get().status == 200)
        #expect(server.received.first?.headers["content-length"] == "0")
    }

    @Test("connections are kept: twenty requests one after the other use one")
    func keepAlive() throws {
        let server = LoopbackServer { _ in [.response("200 OK")] }
        let sender = HTTPSender()
        for _ in 0..<20 { #expect(try exchange(sender, request(server.url)).get().status == 200) }
        #expect(server.connectionCount == 1)
    }

    @Test("a kept connection that the server has closed costs nothing")
    func closedBetween() throws {
        let server = LoopbackServer { _ in [.response("200 OK"), .close] }
        let sender = HTTPSender()
        for _ in 0..<5 {
            #expect(try exchange(sender, request(server.url)).get().status == 200)
            usleep(20_000)
        }
        #expect(server.received.count == 5)
    }

    @Test("many at once each get their own answer")
    func parallel() throws {
        let server = LoopbackServer { received in [.pause(.milliseconds(20)), .response("200 OK", body: received.body)] }
        let sender = HTTPSender()
        for token in 1...12 as ClosedRange<UInt64> {
            sender.start(
                request(server.url, body: Array("\(token)".utf8)), options: Self.direct,
                timeouts: RequestTimeouts(connect: .seconds(5), total: .seconds(10)), token: token)
        }
        let answers = wait(sender, for: 12).map { ($0.token, (try? $0.result.get()).map { String(decoding: $0.body, as: UTF8.self) }) }
        #expect(Dictionary(uniqueKeysWithValues: answers) == Dictionary(uniqueKeysWithValues: (1...12).map { (UInt64($0), "\($0)") }))
    }

    @Test("204 has no body, and the connection goes on")
    func noContent() throws {
        let server = LoopbackServer { _ in [.text("HTTP/1.1 204 No Content\r\nx-id: 9\r\n\r\n")] }
        let sender = HTTPSender()
        for _ in 0..<2 {
            let response = try exchange(sender, request(server.url)).get()
            #expect(response.status == 204 && response.body.isEmpty && response.headers["x-id"] == "9")
        }
        #expect(server.connectionCount == 1)
    }

    @Test("a body is cut at 1 MiB, and says so", arguments: [(1 << 20, false), ((1 << 20) + 1, true), (5 << 20, true)])
    func cut(bytes: Int, isCut: Bool) throws {
        let server = LoopbackServer { _ in [.response("200 OK", body: [UInt8](repeating: 0x61, count: bytes))] }
        let response = try exchange(HTTPSender(), request(server.url)).get()
        #expect(response.body.count == 1 << 20)
        #expect(response.bodyCut == isCut)
    }

    @Test("headers: names in lower case, values trimmed, the last of a repeated one, interim answers forgotten")
    func headers() throws {
        let server = LoopbackServer { _ in
            [
                .text(
                    "HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After:   17  \r\nX-Same: a\r\nx-same: b\r\n"),
                .text("X-Empty:\r\nX-Colon: a:b\r\nx-long: \(String(repeating: "l", count: 9000))\r\ncontent-length: 0\r\n\r\n"),
            ]
        }
        let response = try exchange(HTTPSender(), request(server.url)).get()
        #expect(response.status == 503)
        #expect(response.headers["retry-after"] == "17")
        #expect(response.headers["x-same"] == "b")
        #expect(response.headers["x-empty"] == "" && response.headers["x-colon"] == "a:b")
        #expect(response.headers["x-interim"] == nil)
        #expect(response.headers["x-long"]?.count == 4096)
    }

    @Test("a flood of headers is bounded")
    func headerFlood() throws {
        let flood = (0..<500).map { "x-\($0): v\r\n" }.joined()
        let server = LoopbackServer { _ in [.text("HTTP/1.1 200 OK\r\n\(flood)content-length: 0\r\n\r\n")] }
        let response = try exchange(HTTPSender(), request(server.url)).get()
        #expect(response.headers.count == 64)
    }

    @Test("a redirect is an answer, not followed", arguments: [301, 302, 307, 308])
    func redirect(status: Int) throws {
        let other = LoopbackServer { _ in [.response("200 OK")] }
        let target = other.url
        let server = LoopbackServer { _ in [.response("\(status) Moved", headers: "location: \(target)\r\n")] }
        let response = try exchange(HTTPSender(), request(server.url)).get()
        #expect(response.status == status && response.headers["location"] == target)
        #expect(other.received.isEmpty)
    }

    @Test("errors: refused, reset before and inside of the answer, cut short, garbage, another protocol")
    func errors() throws {
        let sender = HTTPSender()
        let gone = LoopbackServer { _ in [] }
        gone.stop()
        usleep(50_000)
        let broken: [[LoopbackServer.Piece]] = [
            [.reset], [.text("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), .reset],
            [.text("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), .close], [.text("SSH-2.0-OpenSSH\r\n"), .close], [.close],
        ]
        let servers = broken.map { pieces in LoopbackServer { _ in pieces } }
        for url in [gone.url] + servers.map(\.url) + ["file:///etc/hostname", "http://127.0.0.1:0/", "no url at all"] {
            let result = try exchange(sender, request(url))
            guard case .failure(let error) = result else {
                Issue.record("\(url) answered \(result)")
                continue
            }
            #expect(!error.description.isEmpty && !error.timedOut)
            #expect(error.unreachable == !servers.map(\.url).contains(url), "\(url): \(error)")
        }
        // TLS with a server that has none; a server that takes the connection and says nothing.
        let plain = try exchange(sender, request("https://127.0.0.1:\(servers[3].port)/"))
        if case .failure(let error) = plain { #expect(error.unreachable, "\(error)") } else { Issue.record("an answer: \(plain)") }
        let silent = LoopbackServer { _ in [.pause(.seconds(2)), .close] }
        let late = try exchange(sender, request(silent.url), total: .milliseconds(300))
        if case .failure(let error) = late { #expect(error.timedOut && !error.unreachable) } else { Issue.record("an answer: \(late)") }
        let well = LoopbackServer { _ in [.response("200 OK")] }
        #expect(try exchange(sender, request(well.url)).get().status == 200)
    }

    @Test("a slow trickle ends with the total time, as a timeout; the neighbour does not wait")
    func trickle() throws {
        let drops = Array(repeating: [LoopbackServer.Piece.text("x"), .pause(.milliseconds(50))], count: 100).flatMap(\.self)
        let slow = LoopbackServer { _ in [.text("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")] + drops }
        let quick = LoopbackServer { _ in [.response("200 OK")] }
        let sender = HTTPSender()
        let began = ContinuousClock.now
        for (token, server) in [(1, slow), (2, quick)] as [(UInt64, LoopbackServer)] {
            sender.start(
                request(server.url), options: Self.direct, timeouts: RequestTimeouts(connect: .seconds(5), total: .milliseconds(600)),
                token: token)
        }
        let first = try #require(wait(sender).first)
        #expect(first.token == 2 && ContinuousClock.now - began < .milliseconds(500))
        let second = try #require(wait(sender).first)
        guard case .failure(let error) = second.result else {
            Issue.record("a trickle was an answer")
            return
        }
        #expect(error.timedOut)
        #expect(ContinuousClock.now - began < .seconds(3))
    }

    @Test("abort ends everything at once without an answer, and the sender can be used again")
    func abort() throws {
        let server = LoopbackServer { received in received.body.isEmpty ? [.response("200 OK")] : [.pause(.milliseconds(300))] }
        let sender = HTTPSender()
        for token in 1...20 as ClosedRange<UInt64> {
            sender.start(
                request(server.url), options: Self.direct, timeouts: RequestTimeouts(connect: .seconds(5), total: .seconds(10)),
                token: token)
        }
        _ = sender.finished()
        #expect(sender.count == 20)
        sender.abort()
        #expect(sender.count == 0 && sender.finished().isEmpty)
        #expect(try exchange(sender, request(server.url, body: [])).get().status == 200)
    }

    @Test("a wake from another thread ends a wait")
    func wake() {
        let sender = HTTPSender()
        let waker = sender.waker
        let began = ContinuousClock.now
        let thread = startThread(name: "test-wake") {
            usleep(50_000)
            waker.wake()
        }
        sender.wait(.seconds(20))
        #expect(ContinuousClock.now - began < .seconds(10))
        thread.join()
        waker.wake()
        let again = ContinuousClock.now
        sender.wait(.seconds(20))
        #expect(ContinuousClock.now - again < .seconds(10))
    }

    @Test("an error says where and why, never what was sent")
    func secrets() throws {
        let server = LoopbackServer { _ in [.reset] }
        let sent = request(server.url, body: Array("PROMPT".utf8), headers: [Header("authorization", secret: Secret("s3cret"))])
        guard case .failure(let error) = try exchange(HTTPSender(), sent) else { return }
        #expect(!error.description.contains("s3cret") && !error.description.contains("PROMPT"))
    }
}
