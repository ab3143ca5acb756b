/// Guesses what name was meant.
enum NearMiss {
    /// The known name nearest to one that is not known, where it is near enough to be worth a guess; the first of equals.
    static func best(for name: String, among known: some Sequence<String>) -> String? {
        // A third of the name, and one mistake in a short one.
        let limit = max(1, name.unicodeScalars.count / 3)
        var best: (name: String, distance: Int)?
        for candidate in known.sorted() {
            let distance =
                candidate.lowercased() == name.lowercased() ? 0 : distance(Array(name.utf8), Array(candidate.utf8), atMost: limit)
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// `; did you mean 'model'?` or nothing.
    static func hint(for name: String, among known: some Sequence<String>) -> String {
        best(for: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
    }

    /// How many letters must be put in, taken out, changed or swapped with their neighbour; more than `atMost` is just more.
    static func distance(_ a: [UInt8], _ b: [UInt8], atMost limit: Int) -> Int {
        guard abs(a.count - b.count) <= limit else { return limit + 1 }
        var before: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), row[j] + 1, last[j + 1] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
                row.append(cost)
            }
            (before, last) = (last, row)
        }
        return last[b.count]
    }
}
