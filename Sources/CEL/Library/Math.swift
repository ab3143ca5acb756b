/// The extension "math".
extension StandardLibrary {
    static let math: [Function] = [
        extremum("math.@greatest") { $0 > 0 },
        extremum("math.@least") { $0 < 0 },
        real("math.ceil") { $0.rounded(.up) },
        real("math.floor") { $0.rounded(.down) },
        real("math.round") { $0.rounded(.toNearestOrAwayFromZero) },
        real("math.trunc") { $0.rounded(.towardZero) },
        Function(
            "math.sqrt", [.int, .uint, .double].map { .init([$0], .double) },
            body: .one { value, _ in
                switch value {
                case .int(let int): .double(Double(int).squareRoot())
                case .uint(let uint): .double(Double(uint).squareRoot())
                case .double(let double): .double(double.squareRoot())
                default: .failure(.noSuchOverload)
                }
            }),
        Function(
            "math.abs", numeric,
            body: .one { value, _ in
                switch value {
                case .int(let int): int == .min ? .failure(.overflow) : .int(abs(int))
                case .uint: value
                case .double(let double): .double(abs(double))
                default: .failure(.noSuchOverload)
                }
            }),
        Function(
            "math.sign", numeric,
            body: .one { value, _ in
                switch value {
                case .int(let int): .int(int.signum())
                case .uint(let uint): .uint(uint.signum())
                case .double(let double): .double(double > 0 ? 1 : double < 0 ? -1 : double)
                default: .failure(.noSuchOverload)
                }
            }),
        question("math.isNaN") { $0.isNaN },
        question("math.isInf") { $0.isInfinite },
        question("math.isFinite") { $0.isFinite },
        bits("math.bitAnd", { $0 & $1 }, { $0 & $1 }),
        bits("math.bitOr", { $0 | $1 }, { $0 | $1 }),
        bits("math.bitXor", { $0 ^ $1 }, { $0 ^ $1 }),
        Function(
            "math.bitNot", [.init([.int], .int), .init([.uint], .uint)],
            body: .one { value, _ in
                switch value {
                case .int(let int): .int(~int)
                case .uint(let uint): .uint(~uint)
                default: .failure(.noSuchOverload)
                }
            }),
        shift("math.bitShiftLeft") { $1 < 64 ? $0 << $1 : 0 },
        // No sign comes in from the left, for ints neither.
        shift("math.bitShiftRight") { $1 < 64 ? $0 >> $1 : 0 },
    ]

    private static let numeric: [Function.Overload] = [ValueType.int, .uint, .double].map { .init([$0], $0) }

    private static func real(_ name: String, _ body: @escaping @Sendable (Double) -> Double) -> Function {
        Function(name, .double, returns: .double) { value, _ in
            guard case .double(let double) = value else { return .failure(.noSuchOverload) }
            return .double(body(double))
        }
    }

    private static func question(_ name: String, _ body: @escaping @Sendable (Double) -> Bool) -> Function {
        Function(name, .double, returns: .bool) { value, _ in
            guard case .double(let double) = value else { return .failure(.noSuchOverload) }
            return .bool(body(double))
        }
    }

    private static func bits(
        _ name: String, _ ints: @escaping @Sendable (Int64, Int64) -> Int64, _ uints: @escaping @Sendable (UInt64, UInt64) -> UInt64
    ) -> Function {
        Function(
            name, [.init([.int, .int], .int), .init([.uint, .uint], .uint)],
            body: .two { left, right, _ in
                switch (left, right) {
                case (.int(let a), .int(let b)): .int(ints(a, b))
                case (.uint(let a), .uint(let b)): .uint(uints(a, b))
                default: .failure(.noSuchOverload)
                }
            })
    }

    private static func shift(_ name: String, _ body: @escaping @Sendable (UInt64, Int64) -> UInt64) -> Function {
        Function(
            name, [.init([.int, .int], .int), .init([.uint, .int], .uint)],
            body: .two { value, count, _ in
                guard case .int(let count) = count else { return .failure(.noSuchOverload) }
                switch value {
                case .int(let int): return count < 0 ? .failure(.outOfRange) : .int(Int64(bitPattern: body(UInt64(bitPattern: int), count)))
                case .uint(let uint): return count < 0 ? .failure(.outOfRange) : .uint(body(uint, count))
                default: return .failure(.noSuchOverload)
                }
            })
    }

    /// `math.greatest(...)` and `math.least(...)`: a number, two, or a list of them; of equal ones the first.
    private static func extremum(_ name: String, _ wins: @escaping @Sendable (Int) -> Bool) -> Function {
        let types: [ValueType] = [.int, .uint, .double]
        let pairs = types.flatMap { a in types.map { Function.Overload([a, $0], a == $0 ? a : .dyn) } }
        let lists = (types + [.dyn]).map { Function.Overload([.list($0)], $0) }
        return Function(
            name, numeric + pairs + lists,
            body: .any { arguments, arena in
                guard arguments.count == 1, case .list(let reference) = arguments[0] else { return best(arguments) }
                let list = reference.takeUnretainedValue()
                guard arena.spend(list.count) else { return .failure(.tooExpensive) }
                var elements: [Value] = []
                for index in 0..<list.count { elements.append(list.element(at: index, in: &arena)) }
                return best(elements)
            })

        @Sendable func best(_ values: [Value]) -> Value {
            guard var best = values.first, values.allSatisfy(Equality.isNumber) else { return .failure(.noSuchOverload) }
            for value in values.dropFirst() {
                if let order = Equality.compareNumbers(value, best), wins(order) { best = value }
            }
            return best
        }
    }
}
