#if canImport(Glibc)
    import Glibc
#endif

/// Which entries hold for a call: indices of own prices and of the table's. Own ones may begin later than the table's, so both are kept.
struct FoundPrices: Equatable {
    var own: Int?
    var table: Int?
}

/// What was found for names before, and which unknown ones were told. Bounded whatever names come: 256 sets of 4, the oldest of a set gives
/// way, so that names made up to collide cost a search and no more.
struct NameCache {
    /// Names that are longer together are looked for each time.
    static let keyBytesMax = 512
    /// As many unknown names are told.
    static let newsMax = 1_024
    static let ways = 4
    static let sets = 256

    private struct Slot {
        var hash: UInt64 = 0
        /// Of the four names, 16 bits each, so that no two calls with other names are taken for one another.
        var lengths: UInt64 = 0
        /// The names, one behind the other.
        var key: [UInt8] = []
        var found = FoundPrices()
    }

    private let seed: UInt64
    private var slots = [Slot](repeating: Slot(), count: sets * ways)
    private var next: [UInt8] = Array(repeating: 0, count: sets)
    private var told: Set<UInt64> = []

    init(seed: UInt64) { self.seed = seed }

    func found(_ call: PricedCall) -> FoundPrices? {
        guard call.nameBytes <= Self.keyBytesMax else { return nil }
        let hash = call.hash(seed: seed)
        let first = Int(hash % UInt64(Self.sets)) * Self.ways
        for index in first..<first + Self.ways
        where slots[index].hash == hash && slots[index].lengths == call.nameLengths && call.hasNames(slots[index].key) {
            return slots[index].found
        }
        return nil
    }

    mutating func keep(_ found: FoundPrices, for call: PricedCall) {
        guard call.nameBytes <= Self.keyBytesMax, self.found(call) == nil else { return }
        let hash = call.hash(seed: seed)
        let set = Int(hash % UInt64(Self.sets))
        slots[set * Self.ways + Int(next[set])] = Slot(hash: hash, lengths: call.nameLengths, key: call.key, found: found)
        next[set] = (next[set] + 1) % UInt8(Self.ways)
    }

    /// Whether the provider's model is unknown for the first time. Told ones are known by their hash: of 2^64, so that two names are one by chance
    /// only.
    mutating func isNews(_ call: PricedCall) -> Bool {
        let hash = call.modelHash(seed: seed)
        guard told.count < Self.newsMax else { return false }
        return told.insert(hash).inserted
    }
}

extension PricedCall {
    fileprivate var nameBytes: Int { provider.count + responseModel.count + requestModel.count + serverAddress.count }

    fileprivate var nameLengths: UInt64 {
        func length(_ name: UnsafeRawBufferPointer) -> UInt64 { UInt64(UInt16(truncatingIfNeeded: name.count)) }
        return length(provider) << 48 | length(responseModel) << 32 | length(requestModel) << 16 | length(serverAddress)
    }

    fileprivate var key: [UInt8] { [UInt8](provider) + responseModel + requestModel + serverAddress }

    /// Whether the names are those of a key, whose lengths are theirs.
    fileprivate func hasNames(_ key: [UInt8]) -> Bool {
        key.withUnsafeBytes { key in
            var at = 0
            return Self.take(provider, &at, key) && Self.take(responseModel, &at, key) && Self.take(requestModel, &at, key)
                && Self.take(serverAddress, &at, key)
        }
    }

    @inline(__always)
    private static func take(_ name: UnsafeRawBufferPointer, _ at: inout Int, _ key: UnsafeRawBufferPointer) -> Bool {
        guard let known = key.baseAddress, let asked = name.baseAddress, !name.isEmpty else { return name.isEmpty }
        let begin = at
        at += name.count
        guard at <= key.count else { return false }
        return memcmp(known + begin, asked, name.count) == 0
    }

    fileprivate func hash(seed: UInt64) -> UInt64 { Self.mix(modelHash(seed: seed), serverAddress) }

    /// Without the server: one model behind many addresses is one model.
    fileprivate func modelHash(seed: UInt64) -> UInt64 { Self.mix(Self.mix(Self.mix(seed, provider), responseModel), requestModel) }

    /// Multiply and fold, eight bytes a step (Wang Yi, wyhash). The seed is random, so that no sender can aim.
    private static func mix(_ seed: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
        func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let product = a.multipliedFullWidth(by: b)
            return product.high ^ product.low
        }
        var hash = seed ^ UInt64(bytes.count) &* 0xa076_1d64_78bd_642f
        let count = bytes.count
        var at = 0
        while at + 8 < count {
            hash = fold(hash ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self), 0xe703_7ed1_a0b4_28db)
            at += 8
        }
        var rest: UInt64 = 0
        if count >= 8 {
            rest = bytes.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
        } else {
            for byte in bytes { rest = rest << 8 | UInt64(byte) }
        }
        return fold(hash ^ rest, 0x8ebc_6af0_9c88_c6e3)
    }
}
