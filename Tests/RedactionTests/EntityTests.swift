import Testing

@testable import Redaction

/// What the shared vectors do not say, or say only where shared/ is.
@Suite("Entities")
struct EntityTests {
    @Test(
        "what is found, and nothing around it",
        arguments: [
            (Entity.email, "mail <jane@example.com>, please", ["jane@example.com"]),
            (.email, "email=jane@example.com&x=1", ["jane@example.com"]),
            (.email, "müller@example.de und jürgen@bücher.example", ["müller@example.de", "jürgen@bücher.example"]),
            (.email, "почта@пример.рф", ["почта@пример.рф"]),
            (.email, "name='jane@example.com'", ["jane@example.com"]),
            (.email, "jane@example.com-2024", ["jane@example.com"]),
            (.email, "a@example.com.2 more", ["a@example.com"]),
            (.email, #"first line\njane@example.com"#, ["jane@example.com"]),
            (.email, "git@github.com:org/repo.git, logo@2x.png, react@18.2.0", []),
            (.phone, "+1 (415) 555-0132 ext. 5", ["+1 (415) 555-0132"]),
            (.phone, "+14155550132 4111111111111111", ["+14155550132"]),
            (.phone, "+44 (0)20 7946 0958", ["+44 (0)20 7946 0958"]),
            (.phone, "call 1 (415) 555-0132 now", ["1 (415) 555-0132"]),
            (.phone, #"\n415-555-0132"#, ["415-555-0132"]),
            (.phone, "+49.30901820", ["+49.30901820"]),
            (.phone, "+35236450.6 m, +4155.501322", []),
            (.phone, "+07 495 123-45-67, +020 7946 0958, +210 123 456 789", []),
            (.phone, "4155550132, 1790000000, 2026-11-24", []),
            (.creditCard, "4111 1111 1111 1111 12/29 123", ["4111 1111 1111 1111"]),
            (.creditCard, "4111 1111 1111 1111 123", ["4111 1111 1111 1111"]),
            (.creditCard, "卡号4111111111111111。", ["4111111111111111"]),
            (.creditCard, "order-4111111111111111", ["4111111111111111"]),
            (.creditCard, #"{\"pan\":\"x\n4111111111111111\"}"#, ["4111111111111111"]),
            (.creditCard, "4111111111111112, 41111111111111111, 4111 1111 1111 1111 1111", []),
            (.iban, "to DE89 3704 0044 0532 0130 00 today", ["DE89 3704 0044 0532 0130 00"]),
            (.iban, "nl91abna0417164300", ["nl91abna0417164300"]),
            (.iban, "DE893 704 0044 0532 0130 00", []),
            (.usSSN, "my social security number is 123456789.", ["123456789"]),
            (.usSSN, "ssn 123 45 6789", ["123 45 6789"]),
            (.usSSN, "session 123456789, lessn 123456789, 666-12-3456", []),
            (.ipAddress, "ip:192.0.2.1 addr:2001:db8::1", ["192.0.2.1", "2001:db8::1"]),
            (.ipAddress, "https://example.com/hosts/192.0.2.1", ["192.0.2.1"]),
            (.ipAddress, "2001:db8::1: no route. fe80::1.", ["2001:db8::1", "fe80::1"]),
            (.ipAddress, "a[1::2], x[::-1], ab::cd, curl/7.68.0.1, 127.0.0.53, 0:0:0:0:0:0:0:1", []),
            (.macAddress, "mac:00:1a:2b:3c:4d:5e", ["00:1a:2b:3c:4d:5e"]),
            (.macAddress, "AA-BB-CC-DD-EE-FF", ["AA-BB-CC-DD-EE-FF"]),
            (.macAddress, "face.feed.babe, 0000.0000.0000", []),
            (.macAddress, "14111111111111112:x, 14111111111111112:", []),
            (.secret, #""Authorization\": \"Bearer abcdefghijklmnopqrst\""#, ["abcdefghijklmnopqrst"]),
            (.secret, "AUTHORIZATION = token abcdefghijklmnopqrst", ["abcdefghijklmnopqrst"]),
            (.secret, "postgres://app:p:w%40rd@db:5432/x", ["p:w%40rd"]),
            (.secret, "amqp://u:{password}@h ftp://u:$FTP_PASS@h http://u:********@h", []),
            (.secret, "xoxb-1-2-3-4-abcdefghijklmnop1", ["xoxb-1-2-3-4-abcdefghijklmnop1"]),
            (.secret, "dapi5328058927a6100bd14aec97ba15617f-2 ", ["dapi5328058927a6100bd14aec97ba15617f-2"]),
            (.secret, "------BEGIN PRIVATE KEY-----\nx", ["-----BEGIN PRIVATE KEY-----\nx"]),
            (.secret, "sk-proj-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", []),
        ] as [(Entity, String, [String])])
    func examples(entity: Entity, text: String, found: [String]) throws {
        #expect(try find([.entity(entity)], in: text) == found)
    }

    @Test("each value of the pieces is found by all entities together, and no near miss is")
    func pieces() throws {
        for value in Pieces.values { #expect(try find(everything, in: "see \(value) there").count == 1, "\(value)") }
        for text in Pieces.nearMisses { #expect(try find(everything, in: "see \(text) there") == [], "\(text)") }
    }

    @Test("a kind of secret that is named alone is the only one that is found")
    func kinds() throws {
        let text = "hf_OlQT18Nr3OKeuBWQ1gblvfEwrUSEaRlwB3 and npm_ANpRoGO4k4Vj70RF0qcCAnYwUj72ZKYjUjzF"
        #expect(try redact(text, [.entity(.npmToken)]) == "hf_OlQT18Nr3OKeuBWQ1gblvfEwrUSEaRlwB3 and [npm_token]")
        #expect(try redact(text, [.entity(.secret), .entity(.npmToken)]) == "[secret] and [secret]")
        #expect(try redact(text, [.entity(.npmToken), .entity(.secret)]) == "[secret] and [npm_token]")
    }

    @Test("each row of the table of secrets is reached from its fingerprint")
    func forms() throws {
        for form in SecretForm.all {
            var text = String(decoding: form.beginning, as: UTF8.self)
            for part in form.parts {
                switch part {
                case .literal(let bytes): text += String(decoding: bytes, as: UTF8.self)
                case .run(ByteClass.digit, let count): text += String("1234567890".prefix(count.lowerBound))
                case .run(ByteClass.upperOrDigit, let count): text += String("ABCDEFGHIJKLMNOPQRST".prefix(count.lowerBound))
                case .run(ByteClass.base64URL, let count): text += String(String(repeating: "-_9zA", count: 40).prefix(count.lowerBound))
                case .run(ByteClass.base64, let count): text += String(String(repeating: "/+9zA", count: 40).prefix(count.lowerBound))
                case .run(_, let count): text += String(String(repeating: "0123456789abcdef", count: 20).prefix(count.lowerBound))
                }
            }
            let value = form.keepsBeginning ? String(text.dropFirst(form.beginning.count)) : text
            #expect(try find([.entity(form.entity)], in: "key=\(text) ") == [value])
            #expect(try find([.entity(.secret)], in: text) == [value])
        }
    }
}
