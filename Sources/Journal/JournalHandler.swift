public import Logging

/// swift-log's backend: it turns an event into a line and hands it to the writer. Metadata keys become the journal's TRACEFWD_ fields.
public struct JournalHandler: LogHandler {
    private let writer: JournalWriter
    /// Fields of every line of this logger.
    public var metadata: Logger.Metadata = [:]
    /// Fields that come from the task's context.
    public var metadataProvider: Logger.MetadataProvider?
    /// The lowest level that is written.
    public var logLevel: Logger.Level

    init(_ writer: JournalWriter, level: Logger.Level) { (self.writer, logLevel) = (writer, level) }

    /// One field of every line of this logger.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Never blocks. The values are made text here, so that the ring knows what it holds and nothing of the caller's lives on.
    public func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error { fields["error"] = "\(error)" }
        let text = fields.map { Line.Field(name: $0.key, value: $0.value.description) }
        writer.add(Line(level: event.level, message: event.message.description, fields: text))
    }
}
