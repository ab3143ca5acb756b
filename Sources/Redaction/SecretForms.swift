// Keys and tokens that have a fixed beginning: each form is a row here. What needs code of its own stands in Secrets.swift.
import CShim

/// What a key looks like: parts in a row, each as long as it can be.
struct SecretForm {
    enum Part {
        case literal([UInt8])
        /// Bytes of a class, as many as there are, within bounds.
        case run(UInt8, ClosedRange<Int>)
    }

    /// What may stand before and behind it.
    enum Bounds {
        /// No letter, digit, `_` or `-` before.
        case begins
        /// No letter or digit before or behind.
        case alone
        /// Anything before, no letter or digit behind.
        case ends
        case any
    }

    let entity: Entity
    /// The index in the beginning of the byte that the candidates' loop stops at. The byte before it sorts the forms.
    let anchor: Int
    let beginning: [UInt8]
    let parts: [Part]
    let bounds: Bounds
    /// Whether the beginning stays in the text.
    let keepsBeginning: Bool

    init(_ entity: Entity, _ beginning: String, at anchor: Int, _ parts: Part..., bounds: Bounds = .begins, keepsBeginning: Bool = false) {
        self.entity = entity
        self.anchor = anchor
        self.beginning = Array(beginning.utf8)
        self.parts = parts
        self.bounds = bounds
        self.keepsBeginning = keepsBeginning
    }
}

extension SecretForm.Part: ExpressibleByStringLiteral {
    init(stringLiteral text: String) { self = .literal(Array(text.utf8)) }

    static func alnum(_ count: ClosedRange<Int>) -> Self { .run(ByteClass.alnum, count) }
    static func alnum(_ count: Int) -> Self { .run(ByteClass.alnum, count...count) }
    static func base64URL(_ count: ClosedRange<Int>) -> Self { .run(ByteClass.base64URL, count) }
    static func base64URL(_ count: Int) -> Self { .run(ByteClass.base64URL, count...count) }
    static func hexLower(_ count: Int) -> Self { .run(ByteClass.hexLower, count...count) }
    static func upper(_ count: ClosedRange<Int>) -> Self { .run(ByteClass.upperOrDigit, count) }
    static func digits(_ count: ClosedRange<Int>) -> Self { .run(ByteClass.digit, count) }
}

extension SecretForm {
    static let all: [SecretForm] =
        openAI + github + gitlab + other + [
            .init(.anthropicKey, "sk-ant-api", at: 2, .digits(2...2), "-", .base64URL(80...120)),
            .init(.anthropicKey, "sk-ant-admin", at: 2, .digits(2...2), "-", .base64URL(80...120)),
            .init(.anthropicKey, "sk-ant-oat", at: 2, .digits(2...2), "-", .base64URL(80...120)),
            .init(.anthropicKey, "sk-ant-ort", at: 2, .digits(2...2), "-", .base64URL(80...120)),
            .init(.googleAPIKey, "AIza", at: 1, .base64URL(35)),
            .init(.awsAccessKey, "AKIA", at: 2, .upper(16...16), bounds: .alone),
            .init(.awsAccessKey, "ASIA", at: 2, .upper(16...16), bounds: .alone),
            .init(.awsAccessKey, "ABIA", at: 2, .upper(16...16), bounds: .alone),
            .init(.awsAccessKey, "ACCA", at: 2, .upper(16...16), bounds: .alone),
            .init(.stripeKey, "sk_live_", at: 2, .alnum(24...120)),
            .init(.stripeKey, "sk_test_", at: 2, .alnum(24...120)),
            .init(.stripeKey, "rk_live_", at: 2, .alnum(24...120)),
            .init(.stripeKey, "rk_test_", at: 2, .alnum(24...120)),
            .init(.stripeKey, "whsec_", at: 5, .run(ByteClass.base64, 24...80)),
            .init(.langsmithKey, "lsv2_pt_", at: 4, .hexLower(32), "_", .hexLower(10)),
            .init(.langsmithKey, "lsv2_sk_", at: 4, .hexLower(32), "_", .hexLower(10)),
            .init(.digitalOceanToken, "dop_v1_", at: 3, .hexLower(64)),
            .init(.digitalOceanToken, "doo_v1_", at: 3, .hexLower(64)),
            .init(.digitalOceanToken, "dor_v1_", at: 3, .hexLower(64)),
            .init(.shopifyToken, "shpat_", at: 5, .run(ByteClass.hex, 32...32)),
            .init(.shopifyToken, "shpca_", at: 5, .run(ByteClass.hex, 32...32)),
            .init(.shopifyToken, "shppa_", at: 5, .run(ByteClass.hex, 32...32)),
            .init(.shopifyToken, "shpss_", at: 5, .run(ByteClass.hex, 32...32)),
        ]

    private static let openAI: [SecretForm] = [
        .init(.openAIKey, "sk-proj-", at: 2, .base64URL(40...200)),
        .init(.openAIKey, "sk-svcacct-", at: 2, .base64URL(40...200)),
        .init(.openAIKey, "sk-admin-", at: 2, .base64URL(40...200)),
        .init(.openAIKey, "sk-None-", at: 2, .base64URL(40...200)),
        .init(.openAIKey, "sk-", at: 2, .alnum(20), "T3BlbkFJ", .alnum(20)),
    ]

    private static let github: [SecretForm] =
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map { .init(.githubToken, $0, at: 3, .alnum(36...251)) } + [
            .init(.githubToken, "github_pat_", at: 6, .alnum(22), "_", .alnum(59))
        ]

    private static let gitlab: [SecretForm] =
        ["glpat-", "gldt-", "glrt-", "glft-", "glsoat-", "glptt-", "glagent-", "glcbt-"].map {
            .init(.gitlabToken, $0, at: $0.utf8.count - 1, .base64URL(20...64))
        }

    private static let other: [SecretForm] = [
        .init(
            .slackToken, "xapp-", at: 4, .digits(1...1), "-", .upper(1...64), "-", .digits(1...64), "-", .run(ByteClass.hexLower, 32...64)),
        .init(
            .slackWebhook, "https://hooks.slack.com/services/T", at: 5, .upper(6...12), "/B", .upper(6...12), "/", .alnum(20...32),
            bounds: .ends),
        .init(.sendgridKey, "SG.", at: 1, .base64URL(22), ".", .base64URL(43)),
        .init(.huggingFaceToken, "hf_", at: 2, .alnum(34...40)),
        .init(.groqKey, "gsk_", at: 3, .alnum(52)),
        .init(.xaiKey, "xai-", at: 3, .alnum(70...90)),
        .init(.perplexityKey, "pplx-", at: 4, .alnum(48...56)),
        .init(.replicateToken, "r8_", at: 2, .alnum(37)),
        .init(
            .langfuseSecretKey, "sk-lf-", at: 2, .hexLower(8), "-", .hexLower(4), "-", .hexLower(4), "-", .hexLower(4), "-", .hexLower(12)),
        .init(.openRouterKey, "sk-or-v1-", at: 2, .hexLower(64)),
        .init(.npmToken, "npm_", at: 3, .alnum(36)),
        .init(.pypiToken, "pypi-AgEIcHlwaS5vcmc", at: 4, .base64URL(50...200)),
        .init(.databricksToken, "dapi", at: 1, .hexLower(32)),
        .init(.azureStorageKey, "AccountKey=", at: 10, .run(ByteClass.base64, 86...86), "==", bounds: .any, keepsBeginning: true),
        .init(.tracefwdKey, "tfwd_", at: 4, .alnum(32...64)),
    ]
}

/// The forms that a redactor looks for, sorted by the byte before their anchor.
struct SecretTable {
    /// With the rule that each belongs to.
    private let forms: [(form: SecretForm, rule: Int)]
    /// Where in `forms` those of a byte begin; those of the next byte end them.
    private let starts: [Int]

    init(rule: (Entity) -> Int?) {
        let wanted = SecretForm.all.compactMap { form in rule(form.entity).map { (form, $0) } }
        let sorted = wanted.sorted { $0.0.beginning[$0.0.anchor - 1] < $1.0.beginning[$1.0.anchor - 1] }
        forms = sorted.map { (form: $0.0, rule: $0.1) }
        starts = (0...256).map { byte in sorted.prefix { Int($0.0.beginning[$0.0.anchor - 1]) < byte }.count }
    }

    @inline(__always)
    func indices(after byte: UInt8) -> Range<Int> { starts[Int(byte)]..<starts[Int(byte) + 1] }

    subscript(_ index: Int) -> (form: SecretForm, rule: Int) { forms[index] }
}
