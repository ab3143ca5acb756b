import ArgumentParser
import Foundation
import Glibc
import Settings
import Spool

/// What live commands ask of the daemon: one JSON object a line, over the control socket.
struct ControlRequest: Codable, Sendable {
    enum Command: String, Codable, Sendable {
        case status, reload, tail, pause, resume, skip, seek
        case trustClock = "trust_clock"
        case deadList = "dead_list"
        case deadShow = "dead_show"
        case deadReplay = "dead_replay"
        case deadPurge = "dead_purge"
    }

    var command: Command
    var destination: String?
    var dryRun: Bool?
    var json: Bool?
    var spans: Bool?
    var events: Bool?
    var position: Int64?
    var secondsAgo: Double?
    var filter: DeadLetterFilter?
    var span: Int64?
    var limit: Int?
    var wait: Bool?

    init(
        _ command: Command, destination: String? = nil, dryRun: Bool? = nil, json: Bool? = nil, spans: Bool? = nil, events: Bool? = nil
    ) {
        (self.command, self.destination, self.dryRun) = (command, destination, dryRun)
        (self.json, self.spans, self.events) = (json, spans, events)
    }
}

/// A sentence for a person.
struct TextReply: Codable, Sendable { var text: String }

/// What a reload changed.
struct ReloadReply: Codable, Sendable { var lines: [String] }

/// The frame of every answer: a result, or why there is none.
struct ControlAnswer<Result: Codable>: Codable {
    var result: Result?
    var error: String?
}

func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return encoder
}

func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
}

/// One answer as it goes over the socket.
func answerFrame<Result: Codable>(_ result: Result) throws -> Data {
    try encoder().encode(ControlAnswer(result: result, error: nil)) + Data("\n".utf8)
}

/// The command line's side of the control socket.
struct ControlClient {
    private let path: String

    init(_ config: ConfigOption) throws { path = try pathsOrExit(config.path).control }

    /// The answer's result, decoded; an error of the daemon ends the command with status 1.
    func ask<Result: Codable>(_ request: ControlRequest) throws -> Result {
        let answer = try decoder().decode(ControlAnswer<Result>.self, from: Data(send(request).utf8))
        if let result = answer.result { return result }
        complain(answer.error ?? "the daemon gave no result")
        throw ExitCode(1)
    }

    /// The answer's result as the daemon wrote it.
    func raw(_ request: ControlRequest) throws -> String {
        let line = try send(request)
        guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw Failure("the daemon's answer is no JSON")
        }
        if let error = object["error"] as? String {
            complain(error)
            throw ExitCode(1)
        }
        // Cut out, not written anew: the daemon's numbers stay as they are.
        return String(line.dropFirst(#"{"result":"#.count).dropLast())
    }

    /// Each line that comes, until the daemon ends or the user does.
    func stream(_ request: ControlRequest, _ take: (String) -> Void) throws {
        let peer = try UnixClient(path: path)
        try peer.write(try encoder().encode(request) + Data("\n".utf8))
        while let line = try peer.readLine() { take(line) }
    }

    /// The result of each answer that comes, until the daemon has no more or ends.
    func stream<Result: Codable>(_ request: ControlRequest, of: Result.Type, _ take: (Result) -> Void) throws {
        var failure: String?
        try stream(request) { line in
            let answer = try? decoder().decode(ControlAnswer<Result>.self, from: Data(line.utf8))
            if let result = answer?.result { take(result) } else { failure = answer?.error ?? "the daemon's answer cannot be read" }
        }
        guard let failure else { return }
        complain(failure)
        throw ExitCode(1)
    }

    private func send(_ request: ControlRequest) throws -> String {
        let peer = try UnixClient(path: path)
        try peer.write(try encoder().encode(request) + Data("\n".utf8))
        guard let line = try peer.readLine() else {
            throw Failure("\(path): the daemon closed the connection without an answer; may you use it?")
        }
        return line
    }
}
