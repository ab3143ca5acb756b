import SpanModel

// From the parts that were read to one ResourceSpans message, laid out as SpanEntry says, at the end of a batch.
extension SpanParser {
    /// Appends the span that was read. The batch is as it was if the span is rejected here.
    mutating func assemble(_ stamp: Stamp, into batch: inout SpanBatch) throws(Rejection) {
        if fields.hasModel { attribute(names.operationName, Text("chat"), rank: .byDefault) }
        encoder.keys.settle(&attributes, output: encoder.output)
        let (attributeBytes, attributeCount) = encoder.keys.living(in: attributes)
        guard attributeCount <= limits.attributes else { throw .tooLarge }
        if fields.name.isEmpty { fields.name = try derivedName() }
        let (startTime, endTime) = try times(receivedAt: stamp.receivedAt)
        for index in 0..<untimedEvents.count {
            var pen = Pen(at: events.base + untimedEvents[index])
            pen.fixed64(endTime)
        }
        addResourceShortForms()

        let traceID = fields.traceID ?? TraceID(high: ids.next(), low: ids.next())
        let spanID = fields.spanID ?? ids.next()
        let status = fields.status ?? fields.errorStatus
        let statusSize = status.map { textFieldSize($0.message) + countFieldSize($0.code) } ?? 0

        var spanSize = 18 + 10 + 9 + 9  // the ids and times
        spanSize += textFieldSize(fields.traceState) + (fields.parentSpanID == nil ? 0 : 10) + fieldSize(fields.name.count)
        spanSize += countFieldSize(fields.kind) + attributeBytes + countFieldSize(fields.droppedAttributes)
        spanSize += events.count + countFieldSize(fields.droppedEvents) + links.count + countFieldSize(fields.droppedLinks)
        spanSize += (statusSize == 0 ? 0 : fieldSize(statusSize)) + (fields.flags == 0 ? 0 : 6)
        let resourceLength = resource.count == 0 ? 0 : fieldSize(resource.count)
        let scopeLength = (scope.count == 0 ? 0 : fieldSize(scope.count)) + textFieldSize(fields.schemaURL)
        let scopeSpansSize = scopeLength + fieldSize(spanSize)
        let length = resourceLength + fieldSize(scopeSpansSize)
        guard let offset = UInt32(exactly: batch.payload.count), let length32 = UInt32(exactly: length),
            !offset.addingReportingOverflow(length32).overflow
        else { throw .tooLarge }

        batch.payload.append(addingCapacity: length) { (output: inout OutputSpan<UInt8>) in
            output.withUnsafeMutableBufferPointer { buffer, count in
                guard let base = buffer.baseAddress else { return }
                var pen = Pen(at: base + count)
                pen.field(SpanTag.resource, resource.text)
                pen.head(SpanTag.scopeSpans, scopeSpansSize)
                pen.field(SpanTag.scope, scope.text)
                pen.field(SpanTag.scopeSchemaURL, fields.schemaURL)
                pen.head(SpanTag.spans, spanSize)

                pen.id(SpanTag.traceID, traceID)
                pen.id(SpanTag.spanID, spanID)
                pen.field(SpanTag.traceState, fields.traceState)
                if let parent = fields.parentSpanID { pen.id(SpanTag.parentSpanID, parent) }
                pen.field(SpanTag.name, fields.name)
                pen.count(SpanTag.kind, fields.kind)
                pen.byte(SpanTag.startTime)
                pen.fixed64(startTime)
                pen.byte(SpanTag.endTime)
                pen.fixed64(endTime)
                encoder.keys.write(attributes, from: encoder.output, to: &pen)
                pen.count(SpanTag.droppedAttributes, fields.droppedAttributes)
                pen.text(events.text)
                pen.count(SpanTag.droppedEvents, fields.droppedEvents)
                pen.text(links.text)
                pen.count(SpanTag.droppedLinks, fields.droppedLinks)
                if let status, statusSize > 0 {
                    pen.head(SpanTag.status, statusSize)
                    pen.field(SpanTag.statusMessage, status.message)
                    pen.count(SpanTag.statusCode, status.code)
                }
                if fields.flags != 0 {
                    pen.byte(SpanTag.flags.0)
                    pen.byte(SpanTag.flags.1)
                    pen.fixed32(fields.flags)
                }
                assert(pen.at - base - count == length, "a size was reckoned that is not the one written")
                count = pen.at - base
            }
        }
        batch.entries.append(
            SpanEntry(
                offset: offset, length: length32, resourceLength: UInt32(truncatingIfNeeded: resourceLength),
                scopeLength: UInt32(truncatingIfNeeded: scopeLength), receivedAt: stamp.receivedAt, traceHash: traceID.low,
                sender: stamp.sender, source: stamp.source.rawValue))
        if endTime < startTime { endBeforeStart += 1 }
    }

    /// `{operation} {model}`, or what the conventions say for agents and tools (otlp contract, B.1).
    private mutating func derivedName() throws(Rejection) -> Text {
        let model = stringAttribute(names.requestModel)
        guard let operation = stringAttribute(names.operationName) ?? model.map({ _ in Text("chat") }) else { throw .missingName }
        let subject: Text?
        if operation == Text("invoke_agent") {
            subject = stringAttribute(AttributeKey("gen_ai.agent.name"))
        } else if operation == Text("execute_tool") {
            subject = stringAttribute(AttributeKey("gen_ai.tool.name"))
        } else {
            subject = model
        }
        madeName.count = 0
        madeName.append(operation)
        if let subject {
            madeName.append(UInt8(ascii: " "))
            madeName.append(subject)
        }
        return madeName.text
    }

    /// The value of an attribute of the span where it is a string that is not empty.
    private func stringAttribute(_ key: AttributeKey) -> Text? {
        guard let message = encoder.keys.find(key, in: attributes, encoder.output) else { return nil }
        for field in ProtobufReader(message.bytes) where field.number == 2 {
            for value in ProtobufReader(field.bytes) where value.number == 1 {
                guard let base = value.bytes.baseAddress, value.bytes.count > 0 else { return nil }
                return Text(base.assumingMemoryBound(to: UInt8.self), value.bytes.count)
            }
        }
        return nil
    }

    private mutating func times(receivedAt: UInt64) throws(Rejection) -> (start: UInt64, end: UInt64) {
        let start = fields.startTime ?? fields.startTimeUnixNano
        let end = fields.endTime ?? fields.endTimeUnixNano
        switch (start, end, fields.duration) {
        case (let start?, let end?, _): return (start, end)
        case (let start?, nil, nil): return (start, max(start, receivedAt))
        case (nil, let end?, nil): return (end, end)
        case (nil, nil, nil): return (receivedAt, receivedAt)
        case (let start?, nil, .nanoseconds(let duration)?):
            let (end, over) = start.addingReportingOverflow(duration)
            if over { throw .badTimestamp }
            return (start, end)
        case (nil, _, .nanoseconds(let duration)?):
            let end = end ?? receivedAt
            guard duration <= end else { throw .badTimestamp }
            return (end - duration, end)
        case (_, _, .beyond?): throw .badTimestamp
        case (_, _, .negative?): throw .badType(.durationMS)
        }
    }

    private mutating func addResourceShortForms() {
        if let service = fields.service, !fields.resourceHasService { addToResource(names.serviceName, service) }
        if let environment = fields.environment, !fields.resourceHasEnvironment {
            addToResource(names.environmentName, environment)
        }
    }

    private mutating func addToResource(_ key: AttributeKey, _ value: Text) {
        let slot = Slot.keyed(SpanTag.resourceAttributes, key.text)
        var pen = resource.pen(room: slot.room + value.room)
        pen.write(slot, string: value)
        resource.close(pen)
    }
}
