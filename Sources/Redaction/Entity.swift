/// What redaction can look for by name. The vectors in `../shared/data/pii-vectors.json` define what each one is.
public enum Entity: String, CaseIterable, Sendable {
    case email
    case phone
    case creditCard = "credit_card"
    case iban
    case usSSN = "us_ssn"
    /// IPv4 and IPv6.
    case ipAddress = "ip_address"
    case macAddress = "mac_address"
    /// All of the kinds below at once.
    case secret

    case openAIKey = "openai_key"
    case anthropicKey = "anthropic_key"
    case googleAPIKey = "google_api_key"
    case awsAccessKey = "aws_access_key"
    case githubToken = "github_token"
    case gitlabToken = "gitlab_token"
    case slackToken = "slack_token"
    case slackWebhook = "slack_webhook"
    case stripeKey = "stripe_key"
    case sendgridKey = "sendgrid_key"
    case huggingFaceToken = "huggingface_token"
    case groqKey = "groq_key"
    case xaiKey = "xai_key"
    case perplexityKey = "perplexity_key"
    case replicateToken = "replicate_token"
    case langfuseSecretKey = "langfuse_secret_key"
    case langsmithKey = "langsmith_key"
    case openRouterKey = "openrouter_key"
    case npmToken = "npm_token"
    case pypiToken = "pypi_token"
    case databricksToken = "databricks_token"
    case digitalOceanToken = "digitalocean_token"
    case shopifyToken = "shopify_token"
    case telegramToken = "telegram_token"
    case azureStorageKey = "azure_storage_key"
    case tracefwdKey = "tracefwd_key"
    case privateKey = "private_key"
    /// The password in `scheme://user:password@host`.
    case basicAuth = "basic_auth"
    /// What follows `Authorization: Bearer`.
    case bearerToken = "bearer_token"
    case jwt

    /// Whether `secret` takes it in.
    public var isSecret: Bool {
        switch self {
        case .email, .phone, .creditCard, .iban, .usSSN, .ipAddress, .macAddress: false
        default: true
        }
    }
}
