import CShim

/// Three bytes in a row that are in every secret at a fixed place. The rarer they are in texts, the fewer secrets are looked for in vain.
/// `Scan.look` knows each group by its first two bytes.
enum Fingerprints {
    private static let digits = "0123456789"
    private static let capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let token = digits + capitals + capitals.lowercased()

    /// First, second and third bytes of each group; the keys are those of SecretForms.swift.
    private static let secrets: [(String, String, String)] = [
        ("kptix", "-", token + "-_"),  // sk-, gl…t-, xapp-, xai-, pypi-, pplx-
        ("kpousrtacf8mdb2", "_", token + "+/="),  // ghp_, sk_live_, hf_, …
        ("x-", "oB", "xE"),  // xox (Slack), -BEGIN
        ("iIed", "zZya", "aAJp"),  // AIza and authorization, eyJ (a JSON web token), dapi
        ("ICS", "AG", digits + capitals + "."),  // AKIA, ASIA, ABIA, ACCA; SG.
        (":", "/", "/"),  // user:password@, Slack's webhooks
        ("y", "=", token + "+/"),  // AccountKey=
        (digits, ":", token + "_-"),  // Telegram's tokens
    ]

    static func make(secrets isSecretWanted: Bool, numbers: Bool) -> tracefwd_fingerprints {
        var fingerprints = tracefwd_fingerprints()
        fingerprints.numbers = numbers
        guard isSecretWanted else { return fingerprints }
        withUnsafeMutableBytes(of: &fingerprints.low) { low in
            withUnsafeMutableBytes(of: &fingerprints.high) { high in
                for (group, sets) in secrets.enumerated() {
                    for (position, set) in [sets.0, sets.1, sets.2].enumerated() {
                        for byte in set.utf8 {
                            low[position * 16 + Int(byte & 0xF)] |= 1 << UInt8(group)
                            high[position * 16 + Int(byte >> 4)] |= 1 << UInt8(group)
                        }
                    }
                }
            }
        }
        return fingerprints
    }
}
