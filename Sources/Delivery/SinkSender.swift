import Synchronization
import Threading

/// A sink on a thread of its own: it may block as long as it likes, and costs nobody else anything.
final class SinkSender: Sendable {
    private struct Queue: Sendable {
        var waiting: [(token: UInt64, request: Request)] = []
        var stopping = false
    }

    private let queue: Monitor<Queue>
    private let thread: ThreadHandle

    /// `done` is called on the sink's thread.
    init(
        name: String, make: @escaping @Sendable () throws(SinkError) -> any Sink, done: @escaping @Sendable (UInt64, SinkError?) -> Void
    ) {
        let queue = Monitor(Queue())
        self.queue = queue
        thread = startThread(name: "sink-\(name)") {
            var sink: (any Sink)?
            while true {
                let next = queue.wait { (queue: inout Queue) -> Look<(token: UInt64, request: Request)?> in
                    if !queue.waiting.isEmpty { return .go(queue.waiting.removeFirst()) }
                    return queue.stopping ? .go(nil) : .sleep
                }
                guard let (token, request) = next else { break }
                do throws(SinkError) {
                    // Made at the first write, and again after a failure: a directory may have appeared since.
                    let open: any Sink
                    if let sink { open = sink } else { open = try make() }
                    sink = open
                    try open.write(request)
                    done(token, nil)
                } catch {
                    sink?.close()
                    sink = nil
                    done(token, error)
                }
            }
            sink?.close()
        }
    }

    func start(_ request: Request, token: UInt64) {
        queue.withLock { $0.waiting.append((token, request)) }
        queue.signal()
    }

    /// Ends the thread after what waits. A sink that hangs is left behind: the process ends without it.
    func stop() {
        queue.withLock { $0.stopping = true }
        queue.signal()
    }
}
