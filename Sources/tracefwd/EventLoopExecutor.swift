import NIOCore

/// Runs Swift's tasks on an event loop: a task that is started with it, and all that it awaits, never comes to Swift's own threads. Those
/// are libdispatch's, which wakes once a second for as long as the process lives, once it has run anything (Docs/architecture/0015).
///
/// Not for what blocks or waits by `Task.sleep`: the first holds up every connection, the second waits in libdispatch.
final class EventLoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    /// The loop must outlive the tasks.
    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
