import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Source

/// The http source: today liveness, readiness and metrics, for anyone who may connect (DESIGN.md section 8). Hummingbird does HTTP; the
/// socket is ours to bind, because systemd may have handed it over.
struct HTTPServer: Service {
    /// What is behind the paths. Each may block for a moment, so it runs on a thread of its own.
    struct Pages: Sendable {
        /// nil: ready; otherwise what is missing.
        var unready: @Sendable () -> String?
        var metrics: @Sendable () -> String
    }

    private let descriptor: Int32
    private let pages: Pages
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Serves a listening TCP socket, which it owns from now on.
    init(descriptor: Int32, pages: Pages, logger: Logger) {
        (self.descriptor, self.pages, self.logger) = (descriptor, pages, logger)
    }

    func run() async throws {
        let responder = router().buildResponder()
        let logger = logger
        let http = HTTP1Channel(
            responder: { request, writer, channel in
                let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
                let response: Response
                do {
                    response = try await responder.respond(to: request, context: context)
                } catch {
                    response = Response(status: .internalServerError)
                }
                try await writer.write(response: response.head, body: response.body)
            }, configuration: .init(idleTimeout: .seconds(60)))
        let bootstrap = ServerBootstrap(group: group).serverChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(ConnectionLimit(most: Descriptors.httpConnectionsMax))
            }
        }
        let server = try await bootstrap.bind(descriptor) { channel in http.setup(channel: channel, logger: logger) }
        try await withGracefulShutdownHandler {
            try await withThrowingDiscardingTaskGroup { tasks in
                try await server.executeThenClose { inbound in
                    for try await connection in inbound { tasks.addTask { await http.handle(value: connection, logger: logger) } }
                    tasks.cancelAll()
                }
            }
        } onGracefulShutdown: {
            server.channel.close(promise: nil)
        }
        try await group.shutdownGracefully()
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { [pages] _, _ in
            guard let missing = await offThread(pages.unready) else {
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "ready\n")))
            }
            return Response(status: .serviceUnavailable, body: .init(byteBuffer: ByteBuffer(string: missing + "\n")))
        }
        router.get("metrics") { [pages] _, _ in
            let page = await offThread(pages.metrics)
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: page)))
        }
        return router
    }
}

/// Takes so many connections at a time; who comes then waits in the kernel's queue until one ends.
private final class ConnectionLimit: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let most: Int
    private var open = 0
    private var isReadHeld = false

    init(most: Int) { self.most = most }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        open += 1
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.value.eventLoop).assumeIsolated().whenComplete { [self] _ in
            open -= 1
            guard isReadHeld else { return }
            isReadHeld = false
            context.value.read()
        }
        context.value.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        if open < most { context.read() } else { isReadHeld = true }
    }
}
