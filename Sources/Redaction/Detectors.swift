import CShim
import Patterns

/// Which rule wants what: for each entity the index of the first rule that does, -1 where none does.
final class Detectors: Sendable {
    let email, phone, creditCard, iban, usSSN, ipAddress, macAddress: Int
    let slackToken, telegramToken, basicAuth, bearerToken, jwt, privateKey: Int
    /// Keys with a fixed beginning.
    let forms: SecretTable
    let ibanLengths = IBANLengths()
    /// Own patterns, with their rules.
    let patterns: [(pattern: Pattern, rule: Int)]
    /// What the candidates' loop looks for.
    let fingerprints: tracefwd_fingerprints
    /// Whether any entity is wanted.
    let wantsEntities: Bool

    init(rules: [RedactionRule], isUsed: (Int) -> Bool, patterns compiled: [Int: Pattern]) {
        var wanted: [Entity: Int] = [:]
        for (index, rule) in rules.enumerated() where isUsed(index) {
            guard case .entity(let entity) = rule.target else { continue }
            for part in entity == .secret ? Entity.allCases.filter(\.isSecret) : [entity] where wanted[part] == nil { wanted[part] = index }
        }
        func rule(_ entity: Entity) -> Int { wanted[entity] ?? -1 }
        (email, phone, creditCard, iban) = (rule(.email), rule(.phone), rule(.creditCard), rule(.iban))
        (usSSN, ipAddress, macAddress) = (rule(.usSSN), rule(.ipAddress), rule(.macAddress))
        (slackToken, telegramToken, basicAuth) = (rule(.slackToken), rule(.telegramToken), rule(.basicAuth))
        (bearerToken, jwt, privateKey) = (rule(.bearerToken), rule(.jwt), rule(.privateKey))
        forms = SecretTable { wanted[$0] }
        patterns = compiled.filter { isUsed($0.key) }.sorted { $0.key < $1.key }.map { (pattern: $0.value, rule: $0.key) }
        fingerprints = Fingerprints.make(secrets: wanted.keys.contains(where: \.isSecret), numbers: !wanted.keys.allSatisfy(\.isSecret))
        wantsEntities = !wanted.isEmpty
    }
}
