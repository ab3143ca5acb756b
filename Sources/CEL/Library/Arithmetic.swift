/// `+ - * / %` and the sign (language definition, "Arithmetic Operators", "Overflow").
extension StandardLibrary {
    static let arithmetic: [Function] = [
        Function(Operator.negate, [.init([.int], .int), .init([.double], .double)], body: .one { value, _ in negate(value) }),
        Function(
            "_+_",
            numbers + same([.string, .bytes, .list(.parameter("A")), .duration]) + [
                .init([.timestamp, .duration], .timestamp), .init([.duration, .timestamp], .timestamp),
            ], body: .two { add($0, $1, &$2) }),
        Function(
            "_-_",
            numbers + same([.duration]) + [.init([.timestamp, .duration], .timestamp), .init([.timestamp, .timestamp], .duration)],
            body: .two { left, right, _ in subtract(left, right) }),
        Function("_*_", numbers, body: .two { left, right, _ in multiply(left, right) }),
        Function("_/_", numbers, body: .two { left, right, _ in divide(left, right) }),
        Function("_%_", same([.int, .uint]), body: .two { left, right, _ in remainder(left, right) }),
    ]

    private static let numbers = same([.int, .uint, .double])

    private static func same(_ types: [ValueType]) -> [Function.Overload] { types.map { .init([$0, $0], $0) } }

    private static func checked(_ result: (partialValue: Int64, overflow: Bool)) -> Value {
        result.overflow ? .failure(.overflow) : .int(result.partialValue)
    }

    private static func checked(_ result: (partialValue: UInt64, overflow: Bool)) -> Value {
        result.overflow ? .failure(.overflow) : .uint(result.partialValue)
    }

    private static func negate(_ value: Value) -> Value {
        switch value {
        case .int(let a): checked(Int64(0).subtractingReportingOverflow(a))
        case .double(let a): .double(-a)
        default: .failure(.noSuchOverload)
        }
    }

    private static func add(_ left: Value, _ right: Value, _ arena: inout Arena) -> Value {
        switch (left, right) {
        case (.int(let a), .int(let b)): checked(a.addingReportingOverflow(b))
        case (.uint(let a), .uint(let b)): checked(a.addingReportingOverflow(b))
        case (.double(let a), .double(let b)): .double(a + b)
        case (.string(let a), .string(let b)): arena.string(capacity: a.count + b.count) { join(a, b, $0) }
        case (.bytes(let a), .bytes(let b)): arena.bytes(capacity: a.count + b.count) { join(a, b, $0) }
        case (.list(let a), .list(let b)): concatenate(a.takeUnretainedValue(), b.takeUnretainedValue(), &arena)
        case (.duration(let a), .duration(let b)): Times.duration(a.addingReportingOverflow(b))
        case (.timestamp(let a), .duration(let b)), (.duration(let b), .timestamp(let a)): Times.add(b, to: a)
        default: .failure(.noSuchOverload)
        }
    }

    private static func join(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer) -> Int {
        var writer = Writer(room)
        writer.put(a)
        writer.put(b)
        return writer.count
    }

    private static func concatenate(_ a: ListValue, _ b: ListValue, _ arena: inout Arena) -> Value {
        guard arena.spend(a.count + b.count) else { return .failure(.tooExpensive) }
        var elements: [Value] = []
        elements.reserveCapacity(a.count + b.count)
        for list in [a, b] {
            for index in 0..<list.count { elements.append(list.element(at: index, in: &arena)) }
        }
        return arena.list(elements)
    }

    private static func subtract(_ left: Value, _ right: Value) -> Value {
        switch (left, right) {
        case (.int(let a), .int(let b)): checked(a.subtractingReportingOverflow(b))
        case (.uint(let a), .uint(let b)): checked(a.subtractingReportingOverflow(b))
        case (.double(let a), .double(let b)): .double(a - b)
        case (.duration(let a), .duration(let b)): Times.duration(a.subtractingReportingOverflow(b))
        case (.timestamp(let a), .duration(let b)): b == .min ? .failure(.outOfRange) : Times.add(-b, to: a)
        case (.timestamp(let a), .timestamp(let b)): Times.between(b, a)
        default: .failure(.noSuchOverload)
        }
    }

    private static func multiply(_ left: Value, _ right: Value) -> Value {
        switch (left, right) {
        case (.int(let a), .int(let b)): checked(a.multipliedReportingOverflow(by: b))
        case (.uint(let a), .uint(let b)): checked(a.multipliedReportingOverflow(by: b))
        case (.double(let a), .double(let b)): .double(a * b)
        default: .failure(.noSuchOverload)
        }
    }

    private static func divide(_ left: Value, _ right: Value) -> Value {
        switch (left, right) {
        case (.int(let a), .int(let b)): b == 0 ? .failure(.divisionByZero) : checked(a.dividedReportingOverflow(by: b))
        case (.uint(let a), .uint(let b)): b == 0 ? .failure(.divisionByZero) : .uint(a / b)
        case (.double(let a), .double(let b)): .double(a / b)
        default: .failure(.noSuchOverload)
        }
    }

    private static func remainder(_ left: Value, _ right: Value) -> Value {
        switch (left, right) {
        case (.int(let a), .int(let b)): b == 0 ? .failure(.modulusByZero) : checked(a.remainderReportingOverflow(dividingBy: b))
        case (.uint(let a), .uint(let b)): b == 0 ? .failure(.modulusByZero) : .uint(a % b)
        default: .failure(.noSuchOverload)
        }
    }
}
