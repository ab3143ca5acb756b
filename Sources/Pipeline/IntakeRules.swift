import CEL
import Redaction
public import SpanModel
import Synchronization

/// `intake:`, what is done to a span before it touches the disk.
public final class IntakeRules: Sendable {
    /// When content is left out.
    enum ContentDrop: Sendable {
        case never, always
        case when(Program)
    }

    let redaction: SpanRedaction?
    let contentDrop: ContentDrop
    let host: RuleHost

    init(redaction: SpanRedaction?, contentDrop: ContentDrop, host: RuleHost) {
        (self.redaction, self.contentDrop, self.host) = (redaction, contentDrop, host)
    }

    /// Whether every span is stored as it came.
    var areNone: Bool { if case .never = contentDrop { redaction == nil } else { false } }
}

/// Hands the intake's rules to the threads of the sources, over reloads. Any thread may ask.
public final class IntakeGate: Sendable {
    private struct State: Sendable {
        var rules: IntakeRules?
        var redactions: [String: Int64] = [:]
        var failures: Int64 = 0
    }

    private let state = Mutex(State())
    /// Changes with the rules, so that a source looks at no lock while they stay.
    private let generation = Atomic(0)

    /// A gate that changes nothing yet.
    public init() {}

    /// The rules for what comes in from now on.
    public func set(_ rules: Rules) {
        state.withLock { $0.rules = rules.intake.areNone ? nil : rules.intake }
        generation.add(1, ordering: .releasing)
    }

    /// What was replaced before the disk since the start, by entity, and how often the condition of `drop_content` failed.
    public var counters: (redactions: [String: Int64], failures: Int64) { state.withLock { ($0.redactions, $0.failures) } }

    /// What one thread does with its batches before it offers them to the spool.
    public func cleaner() -> (inout SpanBatch) -> Void {
        var seen = -1
        var cleaner: IntakeCleaner?
        return { [self] batch in
            let now = generation.load(ordering: .acquiring)
            if now != seen {
                seen = now
                cleaner = state.withLock { $0.rules }.map { IntakeCleaner($0) }
            }
            guard let cleaner, !batch.isEmpty else { return }
            cleaner.clean(&batch)
            guard cleaner.hasCounts else { return }
            let (redactions, failures) = cleaner.takeCounts()
            state.withLock { state in
                state.redactions.merge(redactions) { $0 + $1 }
                state.failures += failures
            }
        }
    }
}

/// One thread's part of the gate.
private final class IntakeCleaner {
    private let rules: IntakeRules
    private let activation: SpanActivation
    private let workspace = RedactionWorkspace()
    private var counts: [Int]
    private var failures: Int64 = 0

    init(_ rules: IntakeRules) {
        self.rules = rules
        activation = SpanActivation(rules.host)
        counts = [Int](repeating: 0, count: rules.redaction?.count ?? 0)
    }

    func clean(_ batch: inout SpanBatch) {
        let segment = Segment(firstID: 1, payload: batch.payload, entries: batch.entries)
        var clean = SpanBatch()
        clean.payload.reserveCapacity(batch.payload.count)
        for index in segment.entries.indices {
            let view = SpanView(segment: segment, index: index)
            guard var draft = SpanDraft(view) else { continue }
            if dropsContent(view) { ContentNames.drop(from: &draft) }
            rules.redaction?.apply(to: &draft, workspace: workspace, counts: &counts)
            draft.append(to: &clean)
        }
        batch = clean
    }

    /// A condition that fails drops: what may be a secret is not stored by mistake.
    private func dropsContent(_ view: SpanView) -> Bool {
        switch rules.contentDrop {
        case .never: return false
        case .always: return true
        case .when(let condition):
            return activation.withSpan(view) { _ in
                do throws(EvaluationError) {
                    return try condition.test(activation)
                } catch {
                    failures += 1
                    return true
                }
            }
        }
    }

    var hasCounts: Bool { failures > 0 || counts.contains { $0 > 0 } }

    func takeCounts() -> (redactions: [String: Int64], failures: Int64) {
        var redactions: [String: Int64] = [:]
        for (rule, count) in counts.enumerated() where count > 0 {
            redactions[rules.redaction?.name(of: rule) ?? "", default: 0] += Int64(count)
            counts[rule] = 0
        }
        defer { failures = 0 }
        return (redactions, failures)
    }
}
