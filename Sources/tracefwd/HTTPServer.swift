import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Source
import Threading

/// The http source: today liveness, readiness and metrics, for anyone who may connect (DESIGN.md section 8). Hummingbird does HTTP; the
/// socket is ours to bind, because systemd may have handed it over.
///
/// One event loop's thread runs all of it, Swift's tasks included: see `EventLoopExecutor`.
final class HTTPServer: Sendable {
    /// What is behind the paths. Each may block for a moment, so it runs on a thread of its own.
    struct Pages: Sendable {
        /// nil: ready; otherwise what is missing.
        var unready: @Sendable () -> String?
        var metrics: @Sendable () -> String
    }

    private struct Life {
        var isStopping = false
        var hasEnded = false
        /// Why it ended though nobody had asked.
        var failure: String?
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let life = Monitor(Life())
    private let task: Task<Void, Never>

    /// Serves a listening TCP socket, which it owns from now on. Where it cannot go on it stops the daemon; `failure` says why.
    init(descriptor: Int32, pages: Pages, logger: Logger) {
        let (group, life) = (group, life)
        task = Task(executorPreference: EventLoopExecutor(group.next())) {
            let failure: String
            do {
                try await Self.serve(descriptor, group: group, pages: pages, logger: logger)
                failure = "its socket takes no connections any more"
            } catch {
                failure = "\(error)"
            }
            life.withLock { life in
                if !life.isStopping {
                    life.failure = failure
                    Signals.stop()
                }
                life.hasEnded = true
            }
            life.broadcast()
        }
    }

    /// Why it could not go on; nil where that is not so.
    var failure: String? { life.withLock { $0.failure } }

    /// Takes no connection any more, closes those that are open, and returns when the thread has ended.
    func stop() {
        life.withLock { $0.isStopping = true }
        task.cancel()
        life.wait { $0.hasEnded ? Look.go(()) : .sleep }
        try? group.syncShutdownGracefully()
    }

    private static func serve(_ descriptor: Int32, group: MultiThreadedEventLoopGroup, pages: Pages, logger: Logger) async throws {
        let responder = router(pages).buildResponder()
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
        try await withTaskCancellationHandler {
            try await withThrowingDiscardingTaskGroup { tasks in
                try await server.executeThenClose { inbound in
                    for try await connection in inbound { tasks.addTask { await http.handle(value: connection, logger: logger) } }
                    tasks.cancelAll()
                }
            }
        } onCancel: {
            server.channel.close(promise: nil)
        }
    }

    private static func router(_ pages: Pages) -> Router<BasicRequestContext> {
        let router = Router()
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in
            guard let missing = await offThread(pages.unready) else {
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "ready\n")))
            }
            return Response(status: .serviceUnavailable, body: .init(byteBuffer: ByteBuffer(string: missing + "\n")))
        }
        router.get("metrics") { _, _ in
            let page = await offThread(pages.metrics)
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: page)))
        }
        return router
    }
}

/// Runs what may block on a thread of its own, so that the event loop goes on.
private func offThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        _ = startThread(name: "errand") { continuation.resume(returning: body()) }
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
