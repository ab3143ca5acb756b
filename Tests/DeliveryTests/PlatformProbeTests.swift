import Settings
import SpanModel
import Testing

@testable import Delivery

@Suite("Asking a platform, against a real server", .serialized)
struct PlatformProbeTests {
    /// A platform with a door for its health and one for the key.
    private struct Asked: Destination {
        static let type = "asked"
        let base: String
        var declaration: Declaration { Declaration(limits: BatchLimits(spans: 1, bytes: 1 << 20)) }
        var outlet: Outlet {
            var options = HTTPOptions()
            options.proxy = ""  // loopback is reached without the proxy that the environment may name
            return .http(options)
        }
        var target: String { base }
        func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] { [] }
        func judge(_ response: Response, to request: Request) -> Verdict { .delivered() }
        var probes: [Request] {
            ["/health", "/key"].map {
                Request(url: base + $0, method: "GET", headers: [Header("x-api-key", secret: Secret("s3cret"))], body: [], spans: 0..<0)
            }
        }
        func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict {
            response.status == 200 ? .works(probe.url) : .fails("answered \(response.status)", remedy: "see the key")
        }
    }

    private func probe(_ base: String) -> PlatformProbe {
        PlatformProbe(of: Asked(base: base), connect: .seconds(5), total: .seconds(10))
    }

    @Test("asks each door in its order, with a GET that has no body, up to the first that does not work")
    func order() throws {
        let server = LoopbackServer { _ in [.response("200 OK")] }
        let works = probe(server.url)
        #expect(works.works && works.verdicts == [.works(server.url + "/health"), .works(server.url + "/key")])
        #expect(server.received.map(\.line) == ["GET /v1/health HTTP/1.1", "GET /v1/key HTTP/1.1"])
        #expect(
            server.received.allSatisfy { $0.headers["x-api-key"] == "s3cret" && $0.headers["content-length"] == nil && $0.body.isEmpty })
        let refusing = LoopbackServer { _ in [.response("401 Unauthorized")] }
        let fails = probe(refusing.url)
        #expect(!fails.works && fails.verdicts == [.fails("answered 401", remedy: "see the key")])
        #expect(refusing.received.count == 1)
    }

    @Test("says what libcurl says where nobody answers")
    func nobody() throws {
        let server = LoopbackServer { _ in [] }
        server.stop()
        let probe = probe("http://127.0.0.1:\(server.port)")
        #expect(!probe.works)
        if case .fails(let text, _)? = probe.verdicts.first { #expect(!text.isEmpty) } else { Issue.record("\(probe.verdicts)") }
    }
}
