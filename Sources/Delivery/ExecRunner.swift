public import Pipeline
public import SpanModel
import Synchronization
import Threading

/// What a route's program made of one span.
public enum ExecAnswer: Sendable {
    case span(SpanView)
    /// It leaves the span out.
    case discarded
    /// It has no answer for it; `reason` is a code as in the ledger, `detail` words for a person.
    case failed(reason: String, detail: String)
}

/// What happens to a route's program.
enum ExecNews: Sendable {
    /// Answers to what was asked under a token, in the order of the spans.
    case answered(UInt64, [ExecAnswer])
    case started
    /// It does not run; it is started again after `wait`.
    case stopped(detail: String, wait: Duration)
    /// A line that it wrote to its standard error.
    case said(String)
}

/// A route's program, on a thread of its own: it is kept running, asked span by span, and every question gets an answer, whatever the program
/// does. Several spans are on their way to it at a time, so that a pipe is no turn-taking.
final class ExecRunner: Sendable {
    private struct Queue: Sendable {
        var questions: [(token: UInt64, spans: [SpanView])] = []
        var stopping = false
    }

    private let queue = Mutex(Queue())
    private let bell = Bell()
    private let state: Mutex<String?>
    private let ended = Monitor(false)

    /// Why the program does not run; nil while it does.
    var trouble: String? { state.withLock { $0 } }

    /// `patience` is how long the first answer after a start may take: interpreters and models take their time to load. `news` is called on
    /// the runner's thread.
    init(_ program: ExecProgram, route: String, patience: Duration = .seconds(30), news: @escaping @Sendable (ExecNews) -> Void) {
        state = Mutex(nil)
        _ = startThread(name: "exec-\(route)") { [self] in
            var session = ExecSession(program, patience: patience) { [self] in
                switch $0 {
                case .started: state.withLock { $0 = nil }
                case .stopped(let detail, _): state.withLock { $0 = detail }
                case .answered, .said: break
                }
                news($0)
            }
            while true {
                let (questions, stopping) = queue.withLock { queue in
                    defer { queue.questions = [] }
                    return (queue.questions, queue.stopping)
                }
                for (token, spans) in questions { session.ask(token, spans) }
                if stopping { break }
                session.turn(bell.descriptor)
                bell.silence()
            }
            session.stop()
            ended.withLock { $0 = true }
            ended.broadcast()
        }
    }

    /// Hands spans to the program; `news` hears `answered` with this token.
    func ask(_ token: UInt64, _ spans: [SpanView]) {
        queue.withLock { $0.questions.append((token, spans)) }
        bell.ring()
    }

    /// Ends the program. What is not answered is answered as failed.
    func stop() {
        queue.withLock { $0.stopping = true }
        bell.ring()
    }

    /// Returns when the program has ended, after `limit` at the latest.
    func wait(_ limit: Duration) { _ = ended.wait(for: limit) { $0 ? true : nil } }
}

extension ExecProgram {
    /// Starts the program for one span, waits for its answer, and ends it: to try rules on.
    public func tried(on span: SpanView) -> ExecAnswer {
        let answer = Monitor<ExecAnswer?>(nil)
        let runner = ExecRunner(self, route: "trial") { news in
            switch news {
            case .answered(_, let answers): answer.withLock { $0 = $0 ?? answers.first }
            case .stopped(let detail, _): answer.withLock { $0 = $0 ?? .failed(reason: "exec_down", detail: "the program \(detail)") }
            case .started, .said: return
            }
            answer.broadcast()
        }
        runner.ask(1, [span])
        defer {
            runner.stop()
            runner.wait(.seconds(2))
        }
        return answer.wait { state in state.map { Look.go($0) } ?? .sleep }
    }
}
