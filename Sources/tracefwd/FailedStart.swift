import Journal
import Logging
import Settings

/// Tells why the daemon does not start: events at error level where standard error is the journal, else the sentences alone.
func tellFailedStart(_ error: SettingsError, path: String) {
    tellFailedStart("\(error)") { logger in
        for mistake in error.mistakes { logger.configurationMistake(mistake.text, place: "\(mistake.place)") }
        logger.startFailed("\(counted(error.mistakes.count, "mistake")) in \(path); try `tracefwd check`")
    }
}

/// The same, of what came after the configuration was read.
func tellFailedStart(_ failure: Failure) { tellFailedStart("tracefwd: \(failure)") { $0.startFailed("\(failure)") } }

private func tellFailedStart(_ text: String, _ tell: (Logger) -> Void) {
    guard JournalWriter.isJournalHere else { return complain(text) }
    let journal = JournalWriter()
    tell(Logger(label: "tracefwd", factory: { _ in journal.handler() }))
    journal.stop()
}
