import CEL
import Redaction
import SpanModel

/// What a route does with a span on its way, step by step in the order written; redaction is the last. A program that answers when it likes
/// may stand between the steps, so those before it and those behind it are taken by themselves.
struct Transformation: Sendable {
    enum Step: Sendable {
        case set([Assignment])
        case rename([Renaming])
        case remove([[UInt8]])
        case only([[UInt8]])
        case truncate(bytesMax: Int, at: [[UInt8]])
        case dropContent(Program?)
        case normalize(Dialect)
        case enrich(host: [UInt8]?, attributes: [SpanDraft.Attribute], estimatesTokens: Bool)
    }

    /// What is set, and to what.
    struct Assignment: Sendable {
        enum Target: Sendable {
            case attribute([UInt8])
            case resource([UInt8])
            case name, status
        }

        let target: Target
        let value: Program
    }

    /// A glob and what its `*` become in the new name.
    struct Renaming: Sendable {
        let from: [UInt8]
        let to: [UInt8]
    }

    /// Before the program; none where there is no program.
    let first: [Step]
    let program: ExecProgram?
    let steps: [Step]
    let redaction: SpanRedaction?

    /// Takes the steps before the program.
    func prepare(_ draft: inout SpanDraft, _ activation: SpanActivation, fails: (Program, EvaluationError) -> Void) {
        take(first, &draft, activation, fails)
    }

    /// Takes the steps behind the program, which are all where there is none. `counts` are what was redacted, by rule.
    func finish(
        _ draft: inout SpanDraft, _ activation: SpanActivation, workspace: RedactionWorkspace, counts: inout [Int],
        fails: (Program, EvaluationError) -> Void
    ) {
        take(steps, &draft, activation, fails)
        redaction?.apply(to: &draft, workspace: workspace, counts: &counts)
    }

    /// Changes the draft; `activation` shows the span as it was accepted. `fails` hears of expressions that fail: those set nothing.
    private func take(
        _ steps: [Step], _ draft: inout SpanDraft, _ activation: SpanActivation, _ fails: (Program, EvaluationError) -> Void
    ) {
        for step in steps {
            switch step {
            case .set(let assignments):
                for assignment in assignments {
                    do throws(EvaluationError) {
                        set(assignment.target, try assignment.value.result(activation), in: &draft)
                    } catch {
                        fails(assignment.value, error)
                    }
                }
            case .rename(let renamings): for renaming in renamings { rename(renaming, in: &draft) }
            case .remove(let globs): draft.attributes.removeAll { attribute in globs.contains { Glob.matches(attribute.key, $0) } }
            case .only(let globs): draft.attributes.removeAll { attribute in !globs.contains { Glob.matches(attribute.key, $0) } }
            case .truncate(let bytesMax, let globs): truncate(bytesMax, globs, in: &draft)
            case .dropContent(let condition):
                do throws(EvaluationError) {
                    if try condition?.test(activation) ?? true { ContentNames.drop(from: &draft) }
                } catch {
                    if let condition { fails(condition, error) }
                }
            case .normalize(let dialect): draft.rewrite { $0.normalize($1, to: dialect) }
            case .enrich(let host, let attributes, let estimatesTokens):
                if estimatesTokens { draft.rewrite { TokenEstimate.add(to: &$0, $1) } }
                if let host { draft.setResource(Array("host.name".utf8), AnyValueBytes.string(host)) }
                for attribute in attributes { draft.set(attribute.key, attribute.value) }
            }
        }
    }

    private func set(_ target: Assignment.Target, _ value: OwnedValue, in draft: inout SpanDraft) {
        switch target {
        case .attribute(let key): draft.set(key, AnyValueBytes.value(value))
        case .resource(let key): draft.setResource(key, AnyValueBytes.value(value))
        case .name: if case .string(let name) = value { draft.name = Array(name.utf8) }
        case .status:
            guard case .string(let word) = value, let code = StatusCode.allCases.first(where: { "\($0.name)" == word }) else { return }
            draft.status = code
        }
    }

    private func rename(_ renaming: Renaming, in draft: inout SpanDraft) {
        for attribute in draft.attributes {
            guard let parts = Glob.captures(attribute.key, renaming.from) else { continue }
            let new = Glob.filled(renaming.to, with: parts)
            guard new != attribute.key else { continue }
            draft.set(attribute.key, nil)
            draft.set(new, attribute.value)
        }
    }

    private func truncate(_ bytesMax: Int, _ globs: [[UInt8]], in draft: inout SpanDraft) {
        for index in draft.attributes.indices
        where globs.isEmpty || globs.contains(where: { Glob.matches(draft.attributes[index].key, $0) }) {
            let new = draft.attributes[index].value.withUnsafeBytes { value in
                AnyValueBytes.mapTexts(value, keys: false) { TextCut.cut($0, to: bytesMax) }
            }
            if let new { draft.attributes[index].value = new }
        }
    }
}
