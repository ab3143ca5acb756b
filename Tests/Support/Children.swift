import Glibc
import Synchronization
import Threading

/// Runs `body` while another thread starts one small program after the other. Until a child has begun its program it has copies of all
/// descriptors, also of those that close on exec.
package func whileChildrenBegin<Failure>(_ body: () throws(Failure) -> Void) throws(Failure) {
    let isOver = Atomic(false)
    let spawner = startThread(name: "spawner") {
        var arguments = [strdup("true"), nil]
        defer { free(arguments[0]) }
        var child = pid_t(0)
        while !isOver.load(ordering: .relaxed), posix_spawnp(&child, "true", nil, nil, &arguments, environ) == 0 {
            waitpid(child, nil, 0)
        }
    }
    defer {
        isOver.store(true, ordering: .relaxed)
        spawner.join()
    }
    try body()
}
