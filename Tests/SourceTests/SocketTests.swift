import Foundation
import Glibc
import Testing

@testable import Source

@Suite struct SocketTests {
    private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    @Test("a socket has the rights it was given, whatever the umask", arguments: [0o600, 0o660, 0o666])
    func mode(mode: Int) throws {
        let directory = try TemporaryDirectory()
        let socket = try Sockets.unix(.stream, path: directory.path + "/s", mode: mode, owner: "\(getuid())", group: "\(getgid())")
        var status = stat()
        #expect(stat(socket.address, &status) == 0 && Int(status.st_mode & 0o777) == mode)
        #expect(status.st_mode & S_IFMT == S_IFSOCK && !socket.inherited)
        #expect(fcntl(socket.descriptor, F_GETFL) & O_NONBLOCK != 0 && fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test("a socket that nobody serves any more is replaced", arguments: [Sockets.Kind.stream, .datagram])
    func stale(kind: Sockets.Kind) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        // As a killed daemon leaves it: bound, closed, never unlinked.
        let killed = socket(AF_UNIX, kind.type, 0)
        #expect(withUnixAddress(path) { bind(killed, $0, $1) } == 0)
        close(killed)
        let socket = try Sockets.unix(kind, path: path, mode: 0o600)
        #expect(exists(path))
        _ = socket
    }

    @Test("a socket that somebody serves is not taken from them", arguments: [Sockets.Kind.stream, .datagram])
    func live(kind: Sockets.Kind) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        let first = try Sockets.unix(kind, path: path, mode: 0o600)
        #expect { try Sockets.unix(kind, path: path, mode: 0o600) } throws: { "\($0)".contains("another process serves this socket") }
        #expect(exists(path) && first.address == path)
    }

    @Test("a socket whose server is too busy to take a connection is served all the same", .timeLimit(.minutes(10)))
    func busy() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        let server = socket(AF_UNIX, Sockets.Kind.stream.type, 0)
        defer { close(server) }
        #expect(withUnixAddress(path) { bind(server, $0, $1) } == 0 && listen(server, 0) == 0)
        // The one place in the queue is taken; the next connect(2) would wait for ever.
        let waiting = try Client(path)
        #expect { try Sockets.unix(.stream, path: path, mode: 0o600) } throws: { "\($0)".contains("another process serves this socket") }
        _ = waiting
    }

    @Test("a file, a directory or a link in the way stays as it is", arguments: ["file", "directory", "link"])
    func inTheWay(kind: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        switch kind {
        case "file": try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        case "directory": #expect(mkdir(path, 0o700) == 0)
        default: #expect(symlink("/nowhere", path) == 0)
        }
        #expect { try Sockets.unix(.stream, path: path, mode: 0o600) } throws: { "\($0)".contains("no socket is in the way") }
        var status = stat()
        #expect(lstat(path, &status) == 0)
        if kind == "file" { #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious") }
    }

    @Test("its file goes with the socket; a file that another made at its path stays", arguments: [Sockets.Kind.stream, .datagram])
    func unlinked(kind: Sockets.Kind) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        var socket: BoundSocket? = try Sockets.unix(kind, path: path, mode: 0o600)
        socket = nil
        #expect(!exists(path))
        // Many times: a file system gives the inode of what was unlinked to what is made next.
        for _ in 0..<5 {
            socket = try Sockets.unix(kind, path: path, mode: 0o600)
            unlink(path)
            usleep(20_000)
            let other = try Sockets.unix(kind, path: path, mode: 0o600)
            socket = nil
            #expect(exists(path), "the file is the other one's")
            _ = other
        }
        _ = socket
    }

    @Test("an inherited socket's file is not ours")
    func inherited() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        let made = socket(AF_UNIX, Sockets.Kind.stream.type, 0)
        #expect(withUnixAddress(path) { bind(made, $0, $1) } == 0)
        var inherited: BoundSocket? = BoundSocket(inherited: made, address: path)
        #expect(inherited?.inherited == true)
        inherited = nil
        #expect(exists(path) && fcntl(made, F_GETFD) < 0)
        _ = inherited
    }

    @Test(
        "what cannot be had says why, and leaves nothing behind",
        arguments: [
            ("/nowhere/at/all/s", nil, nil, "directory does not exist"), ("s", "no-such-user", nil, "no user \"no-such-user\""),
            ("s", nil, "no-such-group", "no group \"no-such-group\""), (String(repeating: "x", count: 200), nil, nil, "at most 107 bytes"),
        ] as [(String, String?, String?, String)])
    func refused(name: String, owner: String?, group: String?, reason: String) throws {
        let directory = try TemporaryDirectory()
        let path = name.hasPrefix("/") ? name : directory.path + "/" + name
        #expect { try Sockets.unix(.stream, path: path, mode: 0o600, owner: owner, group: group) } throws: { "\($0)".contains(reason) }
        #expect(!exists(path))
    }

    @Test("UDP and TCP take literal addresses only, IPv6 too", arguments: ["localhost", "127.0.0", "::1%", "", "300.1.1.1"])
    func literal(host: String) throws {
        if host != "127.0.0" {
            #expect(throws: SocketError.self) { try Sockets.udp(host: host.isEmpty ? "example.invalid" : host, port: 0) }
        }
        let four = try Sockets.udp(host: "127.0.0.1", port: 0)
        #expect(four.descriptor >= 0)
    }

    @Test(
        "networks in CIDR form",
        arguments: [
            (["10.0.0.0/8"], "10.255.0.1", true), (["10.0.0.0/8"], "11.0.0.1", false), (["10.1.2.3/8"], "10.9.9.9", true),
            (["192.168.1.7"], "192.168.1.7", true), (["192.168.1.7"], "192.168.1.8", false), (["0.0.0.0/0"], "8.8.8.8", true),
            (["10.0.0.0/8", "172.16.0.0/12"], "172.31.255.255", true), (["10.0.0.0/8", "172.16.0.0/12"], "172.32.0.0", false),
            (["127.0.0.1/32"], "127.0.0.1", true), (["127.0.0.0/31"], "127.0.0.2", false), ([], "127.0.0.1", false),
        ])
    func networks(rule: [String], address: String, admitted: Bool) throws {
        var parsed = in_addr()
        #expect(inet_pton(AF_INET, address, &parsed) == 1)
        #expect(try #require(NetworkRule(rule)).admits(UInt32(bigEndian: parsed.s_addr)) == admitted)
    }

    @Test(
        "what is no network is none",
        arguments: [
            "", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/x", "10.0.0/8", "::1/128", "host/8",
            "10.0.0.0/+8",
        ])
    func noNetwork(text: String) { #expect(NetworkRule([text]) == nil && NetworkRule(["127.0.0.1", text]) == nil) }

    @Test("a rule on peers knows users and groups by name and number, and the unknown ones by name")
    func peers() throws {
        let mine = try PeerRule(users: ["\(getuid())"], groups: [])
        #expect(mine.admits(uid: getuid(), gid: 99_999) && !mine.admits(uid: 54_321, gid: getgid()))
        let group = try PeerRule(users: [], groups: ["\(getgid())"])
        #expect(group.admits(uid: 54_321, gid: getgid()) && !group.admits(uid: 54_321, gid: 54_321))
        #expect(try !PeerRule(users: [], groups: []).admits(uid: 0, gid: 0))
        #expect { try PeerRule(users: ["root", "nobody-at-all"], groups: ["none-such"]) } throws: {
            "\($0)".contains("nobody-at-all, none-such") && !"\($0)".contains("root")
        }
    }
}
