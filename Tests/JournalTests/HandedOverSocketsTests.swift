import Testing

@testable import Journal

@Suite struct HandedOverSocketsTests {
    private let sources: Set = ["unix", "udp", "unix_datagram", "http"]

    private func socket(_ descriptor: Int32, _ name: String, _ kind: ListenSocket.Kind) -> ListenSocket {
        ListenSocket(descriptor: descriptor, name: name, kind: kind)
    }

    @Test("a source takes the socket that bears its name, whatever the order")
    func byName() {
        var sockets = HandedOverSockets(
            [socket(3, "metrics", .inetStream), socket(4, "http", .inetStream), socket(5, "unix", .unixStream)], sources: sources)
        #expect(sockets.take(.inetStream, for: "http")?.descriptor == 4)
        #expect(sockets.take(.unixStream, for: "unix")?.descriptor == 5)
        #expect(sockets.unclaimed.map(\.descriptor) == [3])
    }

    @Test("a socket without a source's name goes to the first source of its kind, once")
    func byKind() {
        var sockets = HandedOverSockets([socket(3, "tracefwd.socket", .inetDatagram)], sources: sources)
        #expect(sockets.take(.inetStream, for: "http") == nil)
        #expect(sockets.take(.inetDatagram, for: "udp")?.descriptor == 3)
        #expect(sockets.take(.inetDatagram, for: "udp") == nil && sockets.unclaimed.isEmpty)
    }

    @Test("no source takes what is named for another, nor a socket of the wrong kind that bears its name")
    func othersAreLeft() {
        var sockets = HandedOverSockets(
            [socket(3, "http", .inetDatagram), socket(4, "control", .unixStream), socket(5, "unix", .unixDatagram)],
            sources: sources.union(["control"]))
        #expect(sockets.take(.inetStream, for: "http") == nil)
        #expect(sockets.take(.inetDatagram, for: "udp") == nil)
        #expect(sockets.take(.unixStream, for: "unix") == nil)
        #expect(sockets.unclaimed.count == 3)
    }
}
