import Spool

/// What moving a destination's cursor would do, counted before it is done.
struct SeekPlan: Equatable {
    /// Every id up to here is settled afterwards, or was never to be sent.
    let position: Int64
    /// Undelivered spans that are given up.
    let passedOver: Int64
    /// Settled spans that are delivered once more.
    let again: Int64
    /// Whether history does not reach as far back as was asked.
    let isCut: Bool

    /// `target` is the id before the one to go on with; `.max` is the end of the log.
    init(from cursor: Cursor, to target: Int64, oldestID: Int64, lastID: Int64) {
        if target >= cursor.position {
            position = min(target, lastID)
            passedOver =
                position > cursor.position ? cursor.unsettled(in: cursor.position + 1...position).reduce(0) { $0 + Int64($1.count) } : 0
            (again, isCut) = (0, false)
        } else {
            position = min(max(target, oldestID - 1), cursor.position)
            again = cursor.position - position + (position < cursor.position ? cursor.settledBeyond : 0)
            (passedOver, isCut) = (0, target < oldestID - 1)
        }
    }

    /// In the present tense: it stands for what is done as for what would be.
    var text: String {
        if passedOver > 0 {
            return
                "\(counted(Int(passedOver), "span")) passed over, to go on after span \(position); what is under way now may still arrive"
        }
        let cut = isCut ? "; history holds nothing older" : ""
        return again > 0
            ? "\(counted(Int(again), "span")) to be delivered again, those after span \(position)\(cut)"
            : "nothing to move: it stands after span \(position)\(cut)"
    }
}
