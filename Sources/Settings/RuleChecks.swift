// What can only be seen over several keys of the rules. As the other checks, each bears a section that lacks a value.

func ruleChecks(_ root: Section) -> [Mistake] {
    let routes = (root["routes"]?.items ?? []).compactMap(\.section)
    let lists = routes.map { $0["redact"] } + [root["intake"]?.section?["redact"]]
    return groupChecks(root) + nameChecks(routes) + routes.flatMap(routeChecks) + routes.flatMap(sampleChecks)
        + lists.flatMap { $0?.items ?? [] }.compactMap(\.section).flatMap(redactionChecks)
}

private func groupChecks(_ root: Section) -> [Mistake] {
    let destinations = root.namedSections("destinations").map(\.name)
    return root.pairs("groups").filter { destinations.contains($0.name) }.map { group in
        Mistake(group.place, path: "groups", "\(group.name) is named like a destination; give it a name of its own")
    }
}

private func nameChecks(_ routes: [Section]) -> [Mistake] {
    var names: Set<String> = []
    var mistakes: [Mistake] = []
    for route in routes {
        if case .text(let name) = route["name"], !names.insert(name.text).inserted {
            mistakes.append(route.mistake(at: "name", "is \"\(name.shown)\", which another route has too; give each its own"))
        }
        if routes.count > 1, route.isLeftOut("name") {
            mistakes.append(route.mistake("\"name\" is missing; where there are several routes, each has its own"))
        }
    }
    return mistakes
}

private func routeChecks(_ route: Section) -> [Mistake] {
    var mistakes: [Mistake] = []
    if route["otherwise"] == .boolean(true), !route.isLeftOut("when") {
        mistakes.append(
            route.mistake(at: "otherwise", "stands beside when; it holds where no earlier route has matched. Leave one of them"))
    }
    guard route["drop"] == .boolean(true) else {
        if route["drop"] != nil, route.isLeftOut("to") { mistakes.append(route.mistake("either \"to\" or \"drop: true\" stands here")) }
        return mistakes
    }
    if !route.isLeftOut("to") { mistakes.append(route.mistake(at: "to", "stands beside drop; a route sends or drops. Leave one of them")) }
    for name in ["sample", "transform", "redact"] where !route.isLeftOut(name) {
        mistakes.append(route.mistake(at: name, "stands beside drop, which leaves nothing to send; leave it out"))
    }
    return mistakes
}

private func sampleChecks(_ route: Section) -> [Mistake] {
    guard let tail = route["sample"]?.section?["tail"]?.section, tail.isLeftOut("keep"), tail.entries["rate"]?.place == nil else {
        return []
    }
    return [tail.mistake("says neither by \"keep\" nor by \"rate\" what is kept")]
}

private func redactionChecks(_ redaction: Section) -> [Mistake] {
    let given = ["entity", "pattern"].filter { !redaction.isLeftOut($0) }
    switch given.count {
    case 0: return [redaction.mistake("names no entity and no pattern; it has one of them")]
    case 1: return []
    default: return [redaction.mistake("names an entity and a pattern; leave one of them")]
    }
}

// MARK: - What is hardly meant

/// Of a configuration without a mistake.
func warnings(_ root: Section) -> [Mistake] {
    guard let list = root["routes"] else { return [] }
    // Their numbers are the files', their order that of reading.
    let sections = list.items.compactMap(\.section)
    let routes = RuleSettings(root).routes ?? []
    let destinations = root.namedSections("destinations")
    var warnings: [Mistake] = []
    var open = Set(destinations.map(\.name))
    var always: (name: String, isFinal: Bool)?
    for route in routes {
        let reason = always.flatMap { before -> String? in
            if before.isFinal { return "\"\(before.name)\" before it always matches and is final" }
            if route.selection == .otherwise { return "\"\(before.name)\" before it always matches" }
            if route.drops { return open.isEmpty ? "the routes before it take every span for every destination" : nil }
            guard open.isDisjoint(with: route.to) else { return nil }
            return "the routes before it take every span for \(phrase(route.to, "and"))"
        }
        if let reason, let section = sections.first(where: { $0.place == route.place }) {
            warnings.append(section.mistake("never decides: \(reason)"))
        }
        if case .always = route.selection, always?.isFinal != true {
            open.subtract(route.to)
            always = (route.name, route.isFinal)
        }
    }
    let fallbacks = destinations.compactMap { $0.section["fallback"]?.section?["to"]?.text }
    let named = Set(routes.flatMap(\.to) + fallbacks)
    return warnings
        + destinations.filter { !named.contains($0.name) }.map { $0.section.mistake("no route names it, so nothing goes there") }
}
