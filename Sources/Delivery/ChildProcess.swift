import CShim
import Glibc

/// A program that was started, and its three streams, which do not block. Used by one thread; whoever starts it must call `end`.
final class ChildProcess {
    /// Why it could not be started.
    struct StartError: Error, CustomStringConvertible {
        let command: String
        let code: Int32
        var description: String { "cannot be started (\(command)): \(String(cString: strerror(code)))" }
    }

    let pid: pid_t
    /// Our ends. `input` is -1 once it is closed.
    private(set) var input: Int32
    let output: Int32
    let errors: Int32

    /// What it gets of the daemon's environment: never a secret that the daemon was given there.
    private static let environment: [String] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"].compactMap { (name: String) in
        getenv(name).map { value in "\(name)=\(String(cString: value))" }
    }

    init(command: [String]) throws(StartError) {
        var child = tracefwd_child()
        let code = withCStrings(command) { arguments in
            withCStrings(Self.environment) { environment in tracefwd_start_child(arguments, environment, &child) }
        }
        guard code == 0 else { throw StartError(command: command.first ?? "", code: code) }
        (pid, input, output, errors) = (child.pid, child.input, child.output, child.errors)
    }

    /// Writes what the pipe takes now; nil where the program reads no more.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let count = Glibc.write(input, bytes.baseAddress, bytes.count)
        return count >= 0 ? count : errno == EAGAIN || errno == EINTR ? 0 : nil
    }

    /// Says that nothing more comes.
    func closeInput() {
        guard input >= 0 else { return }
        close(input)
        input = -1
    }

    /// Whether it runs no more. It is not waited for by that, so its number stays its own until `end`.
    var hasEnded: Bool {
        var found = siginfo_t()
        return waitid(P_PID, id_t(pid), &found, WEXITED | WNOHANG | WNOWAIT) == 0 && found.si_signo == SIGCHLD
    }

    /// Ends it and all that it has started, waits for it, and closes the streams. How it ended, in words.
    @discardableResult
    func end() -> String {
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        closeInput()
        close(output)
        close(errors)
        return status & 0x7f == 0 ? "ended with status \(status >> 8 & 0xff)" : "was ended by signal \(status & 0x7f)"
    }
}

/// Calls `body` with an array of C strings that ends with a null pointer.
private func withCStrings<Result>(_ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    var pointers = texts.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    pointers.append(nil)
    return body(pointers)
}
