import Glibc
import Pipeline
import SpanModel
import Threading

/// The conversation with a route's program: what was asked and has no answer yet, the bytes on their way, and when patience ends. On the
/// runner's thread.
///
/// The oldest question without an answer is what the program is at. It is the one to blame where the program dies (a few times in a row),
/// hangs, or answers what is no answer to it; those behind it are asked again of the program that is started next.
struct ExecSession {
    private struct Question {
        let token: UInt64
        let span: SpanView
        /// Of its token.
        let isLast: Bool
        /// Bytes of its line, once it is written.
        var lineBytes = 0
        /// Times that the program died at it.
        var deaths = 0
    }

    private let program: ExecProgram
    private let patience: UInt64
    private let news: (ExecNews) -> Void
    private var reader = ExecAnswerReader()

    private var questions: [Question] = []
    /// The oldest question without an answer, and the first that the program has not got.
    private var (head, asked) = (0, 0)
    /// Those of the token at the head.
    private var answers: [ExecAnswer] = []

    private var child: ChildProcess?
    private var lines = OutgoingBytes()
    private var output = LineBuffer()
    private var errors = LineBuffer()
    private var allowance = LineAllowance()
    /// Monotonic nanoseconds: when the program was started, since when it has been at the head, when it may be started (again).
    private var (startedAt, headSince, startAt) = (UInt64(0), UInt64(0), UInt64(0))
    private var hasAnswered = false
    /// Lives in a row that were short.
    private var shortLives = 0

    private static let bytesAhead = 64 << 10
    private static let deathsMax = 3
    /// A program that ends before has had a short life.
    private static let longLife: UInt64 = 10_000_000_000
    private static let backoffMax = Duration.seconds(30)

    init(_ program: ExecProgram, patience: Duration, news: @escaping (ExecNews) -> Void) {
        (self.program, self.news) = (program, news)
        self.patience = max(patience, program.timeout).nanosecondsClamped
    }

    private var now: UInt64 { Clock.system.monotonic() }

    /// Spans to be asked about; there is at least one.
    mutating func ask(_ token: UInt64, _ spans: [SpanView]) {
        if head == questions.count { headSince = now }
        for (index, span) in spans.enumerated() {
            questions.append(Question(token: token, span: span, isLast: index == spans.count - 1))
        }
    }

    /// Sleeps until the program, the clock or the bell has something to say, and acts on it.
    mutating func turn(_ bell: Int32) {
        if child == nil { startIfDue() }
        guard let child else {
            // Without a program there is no answer to wait for.
            if program.keepsOnError {
                while head < questions.count { settle(.failed(reason: "exec_down", detail: "the program does not run")) }
            }
            var files = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
            return wait(&files, until: startAt)
        }
        fill()
        // The kernel passes over files below 0.
        let input = lines.isEmpty ? -1 : child.input
        var files = [
            pollfd(fd: bell, events: Int16(POLLIN), revents: 0), pollfd(fd: child.output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errors.isOver ? -1 : child.errors, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
        ]
        wait(&files, until: deadline)
        if files[2].revents != 0 { readErrors(child) }
        // Before anything is written: of a program that has ended, what it said counts.
        if files[1].revents != 0 { readAnswers(child) }
        guard self.child === child else { return }
        if files[3].revents != 0, !lines.write(to: child) { return died() }
        if let deadline, now >= deadline { hung() }
    }

    /// Ends the program: it is told, has a second, and is killed. What is not answered is answered as failed.
    mutating func stop() {
        if let child {
            child.closeInput()
            for _ in 0..<100 where !child.hasEnded { poll(nil, 0, 10) }
            child.end()
        }
        child = nil
        while head < questions.count { settle(.failed(reason: "exec_stopped", detail: "the program was stopped")) }
    }

    // MARK: Time

    /// When the answer to the oldest question is late; nil where there is none.
    private var deadline: UInt64? {
        guard head < asked else { return nil }
        let answersBy = max(headSince, startedAt) + program.timeout.nanosecondsClamped
        return hasAnswered ? answersBy : max(answersBy, startedAt + patience)
    }

    private func wait(_ files: inout [pollfd], until deadline: UInt64?) {
        let now = now
        let milliseconds = deadline.map { $0 > now ? Int32(min(($0 - now) / 1_000_000 + 1, 1 << 30)) : 0 }
        poll(&files, nfds_t(files.count), milliseconds ?? -1)
    }

    // MARK: The program's life

    private mutating func startIfDue() {
        guard now >= startAt else { return }
        do throws(ChildProcess.StartError) {
            child = try ChildProcess(command: program.command)
            (startedAt, hasAnswered) = (now, false)
            news(.started)
        } catch {
            restartLater(error.description, isShort: true)
        }
    }

    private mutating func restartLater(_ detail: String, isShort: Bool) {
        shortLives = isShort ? min(shortLives + 1, 20) : 0
        let wait = min(.milliseconds(100) * (1 << shortLives), Self.backoffMax)
        startAt = now + wait.nanosecondsClamped
        news(.stopped(detail: detail, wait: wait))
    }

    /// Ends the program, if it has not ended; the questions that it has got are asked again.
    private mutating func end(_ why: String? = nil) {
        guard let child else { return }
        readErrors(child)
        if let rest = errors.takeRest() { say(rest, now) }
        let end = child.end()
        self.child = nil
        (asked, lines, output, errors) = (head, OutgoingBytes(), LineBuffer(), LineBuffer())
        restartLater(why ?? end, isShort: now - startedAt < Self.longLife)
    }

    private mutating func died() {
        let wasAsked = head < asked
        end()
        guard wasAsked else { return }
        questions[head].deaths += 1
        guard program.keepsOnError || questions[head].deaths == Self.deathsMax else { return }
        settle(.failed(reason: "exec_died", detail: "the program ended at this span"))
    }

    private mutating func hung() {
        let why = hasAnswered ? "gave no answer within \(program.timeout)" : "gave no answer since its start"
        end(why)
        settle(.failed(reason: "exec_timeout", detail: "the program \(why)"))
    }

    /// The program says what cannot belong to the question: what comes next would be taken for another span's.
    private mutating func lost(_ why: String) {
        let wasAsked = head < asked
        end(why)
        if wasAsked { settle(.failed(reason: "exec_answer", detail: why)) }
    }

    // MARK: Questions and answers

    private mutating func fill() {
        while asked < questions.count, lines.count < Self.bytesAhead {
            questions[asked].lineBytes = lines.append(questions[asked].span)
            asked += 1
        }
    }

    private mutating func readAnswers(_ child: ChildProcess) {
        var isOpen = true
        while isOpen {
            switch output.read(child.output) {
            case .some: break
            case .nothing: return
            case .end: isOpen = false
            }
            while let line = output.takeLine() {
                answer(line)
                // What it had said behind a wrong answer is worth nothing.
                if self.child !== child { return }
            }
            let bytesMax = head < asked ? 4 * questions[head].lineBytes + (1 << 20) : 1 << 20
            if output.count > bytesMax { return lost("answers with a line of more than \(bytesMax) bytes") }
        }
        died()
    }

    private mutating func answer(_ line: [UInt8]) {
        guard head < asked else { return lost("answers what it was not asked") }
        switch reader.read(line, to: questions[head].span) {
        case .answer(let answer):
            hasAnswered = true
            settle(answer)
        case .another: lost("answers with another span than it was asked about, or without its ids")
        }
    }

    private mutating func settle(_ answer: ExecAnswer) {
        let question = questions[head]
        answers.append(answer)
        head += 1
        (asked, headSince) = (max(asked, head), now)
        if head == questions.count { (questions, head, asked) = ([], 0, 0) }
        guard question.isLast else { return }
        news(.answered(question.token, answers))
        answers = []
    }

    // MARK: Its standard error

    /// Reads once, so that a flood of it never comes before the answers.
    private mutating func readErrors(_ child: ChildProcess) {
        guard errors.read(child.errors) == .some else { return }
        let now = now
        while allowance.permits(now: now), let line = errors.takeLine() { say(line, now) }
        if !allowance.permits(now: now) { allowance.leaveOut(errors.dropLines()) }
        // A line without an end is told in pieces.
        if errors.count > 4 << 10, let piece = errors.takeRest() { say(piece, now) }
    }

    private mutating func say(_ line: [UInt8], _ now: UInt64) {
        guard !line.isEmpty, let leftOut = allowance.take(now: now) else { return }
        let text = String(decoding: line.prefix(1000).map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 }, as: UTF8.self)
        news(.said(leftOut > 0 ? "\(text) (\(leftOut) lines before it are left out)" : text))
    }
}
