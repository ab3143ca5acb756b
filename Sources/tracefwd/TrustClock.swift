import ArgumentParser

struct TrustClock: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says that the wall clock is right, after it had jumped.",
        discussion: "Until then, or until it has agreed with the boot clock for an hour, nothing expires by its age.")
    @OptionGroup var config: ConfigOption

    func run() throws {
        let reply: TextReply = try ControlClient(config).ask(ControlRequest(.trustClock))
        print(reply.text)
    }
}
