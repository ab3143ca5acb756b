import ArgumentParser
import Foundation
import Glibc
import Spool

struct SpoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool", abstract: "Looks into the spool's file, copies it and puts a copy in its place.",
        discussion: "All but restore work with the daemon running and with it stopped.",
        subcommands: [Info.self, Verify.self, Backup.self, Restore.self, Recover.self])

    /// Where the file is.
    struct Place: ParsableArguments {
        @OptionGroup var config: ConfigOption
        @Option(help: "The spool's file, in place of the configuration's.", completion: .file()) var path: String?

        func file() throws -> String { try path ?? pathsOrExit(config.path).spool }

        func reader() throws -> LogReader {
            let file = try file()
            do throws(SpoolError) {
                return try LogReader.open(path: file)
            } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
    }

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows what is in the file.")
        @OptionGroup var place: Place
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            let rows = try place.reader().info()
            if json {
                let object = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0.value) })
                print(String(decoding: try encoder().encode(object), as: UTF8.self))
            } else {
                for (name, value) in rows { print("\(name.padding(toLength: 20, withPad: " ", startingAt: 0)) \(value)") }
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the whole file: SQLite's own check, every segment, dense ids, balanced books.",
            discussion: "Reads all of it. Exit status 1 where something is wrong; what was found is printed.")
        @OptionGroup var place: Place

        func run() throws {
            try SpoolCommand.verify(try place.reader())
            print("the spool is sound")
        }
    }

    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copies the spool into one file, while the daemon runs or without it.",
            discussion: """
                The copy holds all spans that are not settled for every destination, history, dead letters and the books, which balance at one \
                instant. It is a spool of its own, with another id. TO gets its name when it is whole and synced; until then it is \
                TO.partial. It holds whatever spans hold, prompts too, and only its owner may read it.
                An example:  tracefwd spool backup /backup/spool-$(date +%F).db
                """)
        @OptionGroup var place: Place
        @Argument(help: "The file to write; it must not be there yet.", completion: .file()) var to: String
        @Flag(help: "Check the whole copy too, as spool verify does.") var verify = false
        @Flag(help: "Print what was copied as JSON.") var json = false

        func run() throws {
            let source = try place.file()
            var line = ProgressLine()
            Interrupt.watch()
            let summary: BackupSummary
            do throws(BackupError) {
                summary = try Spool.Backup(of: source).write(to: to) { progress in
                    line.show(SpoolCommand.text(progress))
                    return !Interrupt.came
                }
            } catch {
                line.end()
                complain("\(error)")
                throw ExitCode(1)
            }
            line.end()
            if verify { try SpoolCommand.verify(try LogReader.open(path: to)) }
            print(json ? String(decoding: try encoder().encode(summary), as: UTF8.self) : "\(to): \(summary.text)")
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts a copy in the place of the spool; the daemon must be stopped.",
            discussion: """
                FROM is copied beside the spool and verified first; it stays as it is. The spool that stood there is set aside as \
                spool.db.before-restore-TIME. Each destination then gets again what it got since the copy was made; spans that were accepted \
                since are in the file that was set aside.
                An example:  systemctl stop tracefwd && tracefwd spool restore /backup/spool.db && systemctl start tracefwd
                """)
        @OptionGroup var place: Place
        @Argument(help: "A copy that spool backup made.", completion: .file()) var from: String
        @Flag(help: "Print what was restored as JSON.") var json = false

        func run() throws {
            let spool = try place.file()
            var line = ProgressLine()
            Interrupt.watch()
            let summary: RestoreSummary
            do throws(RestoreError) {
                summary = try Spool.Restore(into: spool).run(from: from) { progress in
                    line.show(SpoolCommand.text(progress))
                    return !Interrupt.came
                }
            } catch {
                line.end()
                complain("\(error)")
                throw ExitCode(1)
            }
            line.end()
            guard !json else { return print(String(decoding: try encoder().encode(summary), as: UTF8.self)) }
            print("\(spool): restored: \(summary.spool.text)")
            if let aside = summary.setAside { print("what stood there is \(aside); delete it when you do not need it any more") }
        }
    }

    struct Recover: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a fresh spool of all that can be read of this one; the daemon must be stopped.",
            discussion: """
                The daemon does so by itself where it finds damage. The old file is set aside as spool.db.corrupt-TIME and never deleted; ids \
                stay as they are, and what cannot be read is counted as lost by each destination that has not delivered it.
                """)
        @OptionGroup var place: Place

        func run() throws {
            let spool = try place.file()
            do throws(SpoolError) {
                print(try Recovery(path: spool).run().sentence)
            } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
    }

    private static func verify(_ reader: LogReader) throws {
        var line = ProgressLine()
        let findings = try reader.verify { spans in line.show("\(spans) spans verified") }
        line.end()
        guard findings.isEmpty else {
            for finding in findings { complain(finding) }
            throw ExitCode(1)
        }
    }

    private static func text(_ progress: BackupProgress) -> String {
        "\(human(bytes: progress.bytes)) of \(human(bytes: progress.totalBytes)) copied"
    }
}

extension BackupSummary {
    fileprivate var text: String {
        let spans = lastID == 0 ? "no spans" : "spans \(firstID) to \(lastID)"
        return
            "\(spans) in \(counted(Int(segments), "segment")), \(counted(Int(deadLetters), "dead letter")), \(human(bytes: bytes)), id \(spoolID)"
    }
}
