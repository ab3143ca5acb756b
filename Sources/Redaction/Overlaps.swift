/// Where matches overlap the longest stays, then the one whose rule is first in the list, then the one that begins first. Sorts what stays
/// by its begin. Time is linear in the text, but for the sort, as long as each rule finds few things that begin at one place.
func resolveOverlaps(_ matches: inout [Match]) {
    if isDisjoint(matches) { return }
    matches.sort { ($0.start, -$0.end, $0.rule) < ($1.start, -$1.end, $1.rule) }
    if isDisjoint(matches) { return }
    let byRank = matches.indices.sorted { left, right in
        let (a, b) = (matches[left], matches[right])
        return (b.end - b.start, a.rule, left) < (a.end - a.start, b.rule, right)
    }
    var isDropped = [Bool](repeating: false, count: matches.count)
    for index in byRank where !isDropped[index] {
        // What is left is no longer than this one, so it overlaps only if it begins less than this one's length before.
        let match = matches[index]
        var other = index - 1
        while other >= 0, matches[other].start > match.start - (match.end - match.start) {
            if matches[other].end > match.start { isDropped[other] = true }
            other -= 1
        }
        other = index + 1
        while other < matches.count, matches[other].start < match.end {
            isDropped[other] = true
            other += 1
        }
    }
    var kept = 0
    for index in matches.indices where !isDropped[index] {
        matches[kept] = matches[index]
        kept += 1
    }
    matches.removeLast(matches.count - kept)
}

private func isDisjoint(_ matches: [Match]) -> Bool {
    for index in matches.indices.dropFirst() where matches[index].start < matches[index - 1].end { return false }
    return true
}
