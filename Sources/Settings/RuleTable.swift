// The part of the table that says what becomes of a span (contract `rules`). What an expression, a pattern or an entity means is the
// pipeline's business.

let ruleKeys = [
    Key(
        "groups", .names(.group, .list(.destination)), .nothing("none"),
        "Destinations that routes name together: `all: [langfuse, archive]`."),
    Key(
        "define", .names(.identifier, .expression("an expression")), .nothing("none"),
        "Expressions by name, for those below and in all rules: `expensive: cost_usd > 0.25`. Each may use those above it."),
    Key("intake", .section(intakeKeys), .defaults, "What happens before the spool, so that it never touches the disk."),
    Key(
        "routes", .list(.section(routeKeys)), .nothing("everything goes to every destination"),
        "Which spans go where, and in which form. A span takes each route that matches; for a destination the first of them decides."),
    Key("prices", .section(priceKeys), .defaults, "What models cost, where the shipped table does not know it or you pay something else."),
    Key("tests", .list(.section(testKeys)), .nothing("none"), "Spans, and what must become of them: `tracefwd check` tries them."),
]

private let redaction = KeyType.list(.either([.expression("the name of an entity"), .section(redactionKeys)]))

private let intakeKeys = [
    Key("redact", redaction, .nothing("nothing"), "What is found and replaced in every text."),
    Key("drop_content", .condition, .value("false"), "Whether messages, tool arguments and results, and documents are left out."),
]

private let routeKeys = [
    Key(
        "name", .string, .nothing("its number, where it is the only route"),
        "What the route is called in the books and the journal. Required where there are several."),
    Key("when", .expression("a condition"), .nothing("always"), "When it matches: CEL of type bool."),
    Key("otherwise", .boolean, .value("false"), "True instead of `when`: matches where no earlier route has."),
    Key(
        "priority", .integer(-1_000_000...1_000_000), .value("0"), "Routes are read from high to low, equal ones in the order of the files."
    ),
    Key("to", .either([.target, .list(.target)]), .nothing("`drop: true` stands instead"), "The destinations or groups that it feeds."),
    Key(
        "drop", .boolean, .value("false"),
        "True instead of `to`: the span is filtered for every destination that no earlier route has taken it for."),
    Key("final", .boolean, .value("false"), "True: no later route is read once this one has matched. A route that drops is final."),
    Key(
        "sample", .either([.rate, .section(sampleKeys)]), .nothing("all go on"), "Which spans go on; a number or an expression is the rate."
    ),
    Key(
        "transform", .list(.step(stepKeys)), .nothing("nothing is changed"),
        "What is changed on the way, step by step in the order written."),
    Key("redact", redaction, .nothing("nothing"), "What is found and replaced in every text, after the transformation."),
]

private let sampleKeys = [
    Key("rate", .rate, .value("1"), "The share that goes on: a number, or CEL of type double. Whole traces stay or go."),
    Key("keep", .list(.expression("a condition")), .nothing("none"), "Conditions that keep a span whatever the rate."),
    Key("limit", .frequency, .nothing("no limit"), "The most that go on after the rate."),
    Key(
        "method", .choice(["hash"]), .nothing("the trace id is taken as random"),
        "`hash` hashes the trace id first, for senders whose ids are not random."),
    Key("tail", .section(tailKeys), .nothing("each span is decided by itself"), "Decides on whole traces, when they have ended."),
]

private let tailKeys = [
    Key("wait", .duration(.positive), .value("30s"), "How long after its first span a trace is decided at the latest."),
    Key("grace", .duration(.orZero), .value("2s"), "How long after its root was seen a trace is decided."),
    Key("keep", .list(.expression("a condition")), .nothing("none"), "Conditions over the trace that keep it: `errors > 0`."),
    Key("rate", .fraction("a rate"), .value("0"), "The share of the other traces that is kept."),
    Key("remember", .duration(.positive), .value("1h"), "How long a decision holds for late spans."),
    Key("max_traces", .integer(1...10_000_000), .value("100000"), "The most open traces; past it the oldest is decided early."),
]

/// One of these is a step.
private let stepKeys = [
    Key(
        "set", .names(.attribute, .expression("an expression", orNull: true)), .nothing("another step"),
        "Attributes with CEL values: `team: '\"search\"'`. `resource.NAME`, `name` and `status` set those; `null` removes."),
    Key(
        "rename", .names(.glob, .string), .nothing("another step"),
        "Attributes with their new names. A `*` stands for any text and is kept."),
    Key("remove", .list(.string), .nothing("another step"), "Attributes that go; `*` stands for any text."),
    Key("only", .list(.string), .nothing("another step"), "Attributes that stay, all others go; `*` stands for any text."),
    Key("truncate", .section(truncateKeys), .nothing("another step"), "Cuts long texts; JSON in a text stays JSON."),
    Key(
        "normalize", .choice(TransformSettings.Dialect.allCases.map(\.rawValue)), .nothing("another step"),
        "Gives the attributes the names of one convention."),
    Key("drop_content", .condition, .nothing("another step"), "Messages, tool arguments and results, and documents are left out."),
    Key("enrich", .section(enrichKeys), .nothing("another step"), "Adds what the sender could not know."),
    Key("exec", .section(execKeys), .nothing("another step"), "Hands the span to a program that runs beside the daemon."),
]

private let truncateKeys = [
    Key("max", .bytes(16...1 << 30), .required, "The most bytes of a text."),
    Key("at", .list(.string), .nothing("every text"), "The attributes whose texts are cut; `*` stands for any text."),
]

private let enrichKeys = [
    Key("host", .boolean, .value("false"), "The name of this machine, as `host.name` of the resource."),
    Key("static", .names(.attribute, .string), .nothing("none"), "Attributes with fixed texts."),
    Key("tokens", .choice(["estimate"]), .nothing("only what the sender counted"), "`estimate` counts tokens where the sender did not."),
]

private let execKeys = [
    Key("command", .list(.string), .required, "The program and its arguments: one native span a line in, one line each out."),
    Key("timeout", .duration(.positive), .value("2s"), "How long an answer may take."),
    Key("on_error", .choice(["keep", "dead"]), .value("dead"), "A span without an answer goes on as it is, or to the dead letters."),
]

private let redactionKeys = [
    Key(
        "entity", .expression("the name of an entity"), .nothing("`pattern` stands instead"),
        "What is found: an email, a credit_card, a secret."),
    Key("pattern", .expression("a pattern"), .nothing("`entity` stands instead"), "What is found, in RE2's syntax."),
    Key("as", .string, .nothing("the entity's name in brackets"), "What takes its place."),
    Key("hash", .boolean, .value("false"), "A hash stands with it: equal values can be told, not read."),
    Key("in", .list(.string), .nothing("every text"), "The attributes that are looked at; `*` stands for any text."),
]

private let priceKeys = [
    Key("file", .path, .nothing("the table that tracefwd ships"), "A price table to use instead, as JSON of the same form."),
    Key("models", .anything("a section by model"), .nothing("none"), "Own prices by model, which come first, in USD per 1,000,000 tokens."),
]

private let testKeys = [
    Key("name", .string, .nothing("its number"), "What must hold, in a sentence."),
    Key("span", .anything("a span"), .required, "A native span."),
    Key("random", .fraction("it"), .nothing("the trace id decides"), "Takes the place of chance in sampling: below the rate is kept."),
    Key(
        "expect", .names(.destination, .either([.choice(RuleTest.words), .section(deliveredKeys)])), .required,
        "What becomes of it, by destination."),
]

private let deliveredKeys = [
    Key(
        "delivered", .anything("members of the span"), .required,
        "Members of the span that arrives; `null` is one that is absent.")
]
