import Foundation
import Glibc
import Synchronization

/// One line on the terminal that long work writes over and over; nothing where standard error is none.
struct ProgressLine {
    private let shows = isatty(2) != 0
    private var told = Date.distantPast

    /// Shows `text`, five times a second at most.
    mutating func show(_ text: @autoclosure () -> String) {
        guard shows, Date().timeIntervalSince(told) > 0.2 else { return }
        told = Date()
        FileHandle.standardError.write(Data("\r\(text())\u{1b}[K".utf8))
    }

    /// Leaves the line empty.
    func end() { if shows { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) } }
}

/// Ctrl-C and SIGTERM as something that long work looks at, so that it cleans up behind itself.
enum Interrupt {
    private static let isCaught = Atomic(false)

    static func watch() {
        // Touched here first: a signal handler must not be the one that makes it.
        isCaught.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interrupt.isCaught.store(true, ordering: .relaxed)
                // Who asks twice does not want to wait.
                signal(number, SIG_DFL)
            }
        }
    }

    static var came: Bool { isCaught.load(ordering: .relaxed) }
}
