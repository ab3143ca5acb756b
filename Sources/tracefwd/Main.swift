import ArgumentParser
import Hummingbird
import ServiceLifecycle

@main
struct Tracefwd: AsyncParsableCommand {
    mutating func run() async throws {}
}
