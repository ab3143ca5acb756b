import Delivery
import Foundation
import SpanModel
import TestSupport
import Testing

@testable import Destinations

/// A directory that goes with its test.
private final class Folder {
    let path = NSTemporaryDirectory() + "tracefwd-" + UUID().uuidString

    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
    func bytes(_ name: String) -> [UInt8]? { FileManager.default.contents(atPath: path + "/" + name).map { [UInt8]($0) } }
    func text(_ name: String) -> String? { bytes(name).map { String(decoding: $0, as: UTF8.self) } }
    func put(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name)) }
}

/// A clock that stands until it is moved.
private final class TestClock: Sendable {
    private let time: LockedTime

    init(_ seconds: UInt64) { time = LockedTime(seconds) }
    var now: @Sendable () -> UInt64 { { [time] in time.get() * 1_000_000_000 } }
    func advance(_ seconds: UInt64) { time.add(seconds) }

    private final class LockedTime: @unchecked Sendable {
        private let lock = NSLock()  // guards `seconds`, the only state
        private var seconds: UInt64
        init(_ seconds: UInt64) { self.seconds = seconds }
        func get() -> UInt64 { lock.withLock { seconds } }
        func add(_ more: UInt64) { lock.withLock { seconds += more } }
    }
}

private func write(_ text: String) -> Request { Request(url: "", body: Array(text.utf8), spans: 0..<1) }

@Suite("file")
struct FileTests {
    private let folder = Folder()
    private var path: String { folder.path + "/spans.ndjson" }
    /// 2026-11-26T09:30:00Z
    private let clock = TestClock(1_795_685_400)

    private func sink(_ change: (inout FileSink.Options) -> Void = { _ in }) throws(SinkError) -> FileSink {
        var options = FileSink.Options(path: path, now: clock.now)
        change(&options)
        return try FileSink(options)
    }

    // MARK: Writing

    @Test("spans are appended, a line each, over openings")
    func appends() throws {
        let first = try sink()
        try first.write(write("{1}\n"))
        try first.write(write("{2}\n{3}\n"))
        first.close()
        try sink().write(write("{4}\n"))
        #expect(folder.text("spans.ndjson") == "{1}\n{2}\n{3}\n{4}\n")
    }

    @Test("it can be opened again at once, whatever children begin meanwhile")
    func children() throws {
        try whileChildrenBegin {
            for _ in 0..<5000 { try sink().close() }
        }
    }

    @Test("the directory is made, its parent is not")
    func directory() throws {
        try sink { $0.path = folder.path + "/new/spans.ndjson" }.write(write("{}\n"))
        #expect(folder.text("new/spans.ndjson") == "{}\n")
        #expect(throws: SinkError("\(folder.path)/a/b/spans.ndjson: cannot be opened: No such file or directory")) {
            try sink { $0.path = folder.path + "/a/b/spans.ndjson" }
        }
    }

    @Test("the file has its mode, whatever the umask", arguments: [0o640, 0o600, 0o664] as [mode_t])
    func mode(mode: mode_t) throws {
        _ = try sink { $0.mode = mode }
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == mode)
    }

    @Test(
        "a torn last line of a crash is cut back, and the zeros of a power cut", arguments: ["", "{1}\n", "{1}\n{2}\n"],
        ["", "{", "{\"a\":\"\(String(repeating: "x", count: 200_000))", String(repeating: "\0", count: 100)])
    func torn(whole: String, rest: String) throws {
        try folder.put("spans.ndjson", whole + rest)
        try sink().write(write("{9}\n"))
        #expect(folder.text("spans.ndjson") == whole + "{9}\n")
    }

    @Test("somebody else's file is left as it is")
    func foreign() throws {
        try folder.put("spans.ndjson", "root:x:0:0\nno newline")
        #expect(throws: SinkError.self) { try sink() }
        #expect(folder.text("spans.ndjson") == "root:x:0:0\nno newline")
    }

    @Test("what is no regular file is told", arguments: ["fifo", "directory"])
    func irregular(kind: String) throws {
        if kind == "fifo" { #expect(mkfifo(path, 0o600) == 0) } else { #expect(mkdir(path, 0o700) == 0) }
        #expect(throws: SinkError.self) { try sink() }
    }

    @Test("two processes do not write one file")
    func locked() throws {
        let first = try sink()
        #expect(throws: SinkError("\(path): cannot be opened: another process writes it")) { try sink() }
        first.close()
        _ = try sink()
    }

    @Test("a file that was moved away, deleted or cut (logrotate) is noticed")
    func moved() throws {
        let sink = try sink()
        try sink.write(write("{1}\n"))
        #expect(rename(path, path + ".1") == 0)
        try sink.write(write("{2}\n"))
        #expect(folder.text("spans.ndjson.1") == "{1}\n")
        #expect(folder.text("spans.ndjson") == "{2}\n")
        #expect(unlink(path) == 0)
        try sink.write(write("{3}\n"))
        #expect(folder.text("spans.ndjson") == "{3}\n")
        #expect(truncate(path, 0) == 0)
        try sink.write(write("{4}\n"))
        #expect(folder.text("spans.ndjson") == "{4}\n")
    }

    @Test("a directory that was deleted is made again")
    func vanished() throws {
        let sink = try sink { $0.path = folder.path + "/d/spans.ndjson" }
        try sink.write(write("{1}\n"))
        try FileManager.default.removeItem(atPath: folder.path + "/d")
        try sink.write(write("{2}\n"))
        #expect(folder.text("d/spans.ndjson") == "{2}\n")
    }

    @Test("a full disk leaves no torn line, and the next write goes on when there is space")
    func fullDisk() throws {
        // A small file system of its own, where we may mount one; the limit of a file's size would hit every test of this process.
        let small = folder.path + "/small"
        #expect(mkdir(small, 0o700) == 0)
        guard mount("tmpfs", small, "tmpfs", 0, "size=128k") == 0 else {
            print("skipped: no right to mount a tmpfs")
            return
        }
        defer { umount2(small, Int32(MNT_DETACH)) }
        let sink = try sink { $0.path = small + "/spans.ndjson" }
        let line = "{\"a\":\"" + String(repeating: "x", count: 50_000) + "\"}\n"
        try sink.write(write(line))
        try sink.write(write(line))
        #expect(throws: SinkError("\(small)/spans.ndjson: cannot be written: No space left on device")) { try sink.write(write(line)) }
        #expect(folder.text("small/spans.ndjson") == line + line)
        try sink.write(write("{1}\n"))
        #expect(folder.text("small/spans.ndjson") == line + line + "{1}\n")
    }

    // MARK: Rotation

    @Test("over its size a file is rotated and compressed, and no span is lost or torn")
    func bySize() throws {
        let sink = try sink {
            $0.rotation = FileSink.Rotation(sizeMax: 10)
            $0.compress = true
        }
        for number in 1...5 {
            try sink.write(write("{\(number)}\n"))
            clock.advance(1)
        }
        #expect(folder.names == ["spans.ndjson", "spans.ndjson.20261126T093002Z.gz", "spans.ndjson.20261126T093004Z.gz"])
        #expect(folder.text("spans.ndjson") == "{5}\n")
        let rotated = try folder.names.dropFirst().map { try Gzip.decompress(folder.bytes($0) ?? [], limit: 1000) }
        #expect(rotated == [Array("{1}\n{2}\n".utf8), Array("{3}\n{4}\n".utf8)])
    }

    @Test("a write larger than the size has a file of its own")
    func large() throws {
        let sink = try sink { $0.rotation = FileSink.Rotation(sizeMax: 10) }
        try sink.write(write("{12345678901234567890}\n"))
        try sink.write(write("{1}\n"))
        #expect(folder.text("spans.ndjson.20261126T093000Z") == "{12345678901234567890}\n")
        #expect(folder.text("spans.ndjson") == "{1}\n")
    }

    @Test("rotations within a second overwrite nothing, compressed ones neither")
    func sameSecond() throws {
        for compress in [false, true] {
            let sink = try sink {
                $0.path = folder.path + "/\(compress).ndjson"
                $0.rotation = FileSink.Rotation(sizeMax: 1)
                $0.compress = compress
            }
            for number in 1...4 { try sink.write(write("{\(number)}\n")) }
            let end = compress ? ".gz" : ""
            let rotated = ["", "-1", "-2"].map { "\(compress).ndjson.20261126T093000Z\($0)\(end)" }
            #expect(folder.names.filter { $0.hasPrefix("\(compress)") } == (["\(compress).ndjson"] + rotated).sorted())
            let texts = try rotated.map { name in
                let bytes = folder.bytes(name) ?? []
                return String(decoding: compress ? try Gzip.decompress(bytes, limit: 100) : bytes, as: UTF8.self)
            }
            #expect(texts == ["{1}\n", "{2}\n", "{3}\n"])
        }
    }

    @Test("a new period begins a new file, over a restart too, and an empty file is not rotated")
    func byTime() throws {
        let options: (inout FileSink.Options) -> Void = { $0.rotation = FileSink.Rotation(sizeMax: 1000, every: 86_400) }
        let first = try sink(options)
        try first.write(write("{1}\n"))
        clock.advance(14 * 3600)  // 23:30
        try first.write(write("{2}\n"))
        #expect(folder.names == ["spans.ndjson"])
        clock.advance(3600)
        try first.write(write("{3}\n"))
        #expect(folder.names == ["spans.ndjson", "spans.ndjson.20261127T003000Z"])
        first.close()
        var times = [timespec(tv_sec: 1_795_685_400, tv_nsec: 0), timespec(tv_sec: 1_795_685_400, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)  // as if it had been written the day before
        try sink(options).write(write("{4}\n"))
        #expect(folder.text("spans.ndjson") == "{4}\n")
        #expect(folder.text("spans.ndjson.20261127T003000Z-1") == "{3}\n")
    }

    @Test("only so many rotated files are kept, the newest, and no other file is touched")
    func keep() throws {
        for name in ["spans.ndjson.1", "spans.ndjson.bak", "spans.ndjson.20261126T0930Z", "other.20200101T000000Z.gz"] {
            try folder.put(name, "x")
        }
        let sink = try sink {
            $0.rotation = FileSink.Rotation(sizeMax: 1, keep: 2)
            $0.compress = true
        }
        for number in 1...13 { try sink.write(write("{\(number)}\n")) }
        #expect(folder.names.filter { $0.hasSuffix("Z-10.gz") || $0.hasSuffix("Z-11.gz") }.count == 2)
        #expect(folder.names.count == 1 + 2 + 4)
    }

    @Test("what a crash left uncompressed is compressed at the next rotation")
    func leftover() throws {
        try folder.put("spans.ndjson.20261125T000000Z", "{0}\n")
        try folder.put("spans.ndjson.20261125T000000Z.gz.part", "half")
        let sink = try sink {
            $0.rotation = FileSink.Rotation(sizeMax: 1)
            $0.compress = true
        }
        try sink.write(write("{1}\n"))
        try sink.write(write("{2}\n"))
        #expect(folder.names == ["spans.ndjson", "spans.ndjson.20261125T000000Z.gz", "spans.ndjson.20261126T093000Z.gz"])
    }

    @Test("what a death during a compression left is removed when the file is opened, and nothing else is")
    func halfCompressed() throws {
        let kept = ["other.ndjson.20261125T000000Z.gz.part", "spans.ndjson.20261125T000000Z", "spans.ndjson.mine.gz.part"]
        for name in kept + ["spans.ndjson.20261125T000000Z.gz.part", "spans.ndjson.20261125T000000Z-2.gz.part"] {
            try folder.put(name, "half")
        }
        _ = try sink { _ in }
        #expect(folder.names == (kept + ["spans.ndjson"]).sorted())
    }

    @Test("from the configuration to the file")
    func configured() throws {
        let yaml = "type: file, path: \(path), mode: '0600', sync: false, rotate: {size: 4KiB, every: 24h, keep: 7}, compress: none"
        let destination = makeDestination(try settings(yaml))
        guard case .sink(let make) = destination.outlet else {
            Issue.record("no sink")
            return
        }
        let sink = try make()
        for request in try destination.encode(views(TestSpan.many(3)), context) { try sink.write(request) }
        sink.close()
        let lines = folder.text("spans.ndjson")?.split(separator: "\n") ?? []
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.hasPrefix("{\"trace_id\":\"4bf9") })
        #expect(destination.target == path)
    }
}
