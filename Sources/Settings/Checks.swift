// What can only be seen over several keys. Each check bears a section that lacks a value, because the value was wrong and has been reported.

func checks(_ root: Section) -> [Mistake] {
    udpChecks(root) + socketChecks(root) + destinationChecks(root) + ruleChecks(root)
}

private func udpChecks(_ root: Section) -> [Mistake] {
    guard case .section(let sources) = root["sources"], case .section(let udp) = sources["udp"], case .listen(let address) = udp["listen"],
        !address.isLoopback, udp.isLeftOut("allow")
    else { return [] }
    return [udp.mistake(at: "listen", "is \(address), which other machines reach; say in \"allow\" which networks may send")]
}

private func socketChecks(_ root: Section) -> [Mistake] {
    guard case .section(let sources) = root["sources"] else { return [] }
    let sections = [sources["unix"], sources["unix_datagram"], root["control"]]
    var seen: [String: String] = [:]
    var mistakes: [Mistake] = []
    for case .section(let section) in sections {
        guard case .text(let path) = section["path"] else { continue }
        if let other = seen[path.text] {
            mistakes.append(section.mistake(at: "path", "is \"\(path.text)\", which is the socket of \(other) too; give each its own"))
        }
        seen[path.text] = section.path
    }
    return mistakes
}

private func destinationChecks(_ root: Section) -> [Mistake] {
    let destinations = root.namedSections("destinations")
    var mistakes: [Mistake] = []
    for (name, section) in destinations {
        if case .section(let backoff) = section["backoff"], case .duration(let base) = backoff["base"],
            case .duration(let max) = backoff["max"],
            max < base
        {
            mistakes.append(backoff.mistake(at: "max", "is \(render(max)), less than base, which is \(render(base))"))
        }
        if section.keys.contains(where: { $0.name == "tls" }), case .section(let tls) = section["tls"] {
            let given = ["certificate_file", "key_file"].filter(tls.has)
            if given.count == 1 {
                mistakes.append(
                    tls.mistake(at: given[0], "stands alone; a client is known by certificate_file and key_file together"))
            }
        }
        if case .section(let fallback) = section["fallback"], case .text(let other) = fallback["to"], other.text == name {
            mistakes.append(fallback.mistake(at: "to", "is the destination itself; name another"))
        }
        if case .text(let was) = section["was"], destinations.contains(where: { $0.name == was.text }) {
            mistakes.append(section.mistake(at: "was", "is \"\(was.shown)\", which is still a destination of its own"))
        }
    }
    return mistakes
}
