import Glibc
import SampleOrder
import TestSupport
import Testing
import WDSFS

/// L7 to L10 of the list of faults, on real files.
@Suite struct CursorFileTests {
  private let folder: TemporaryDirectory
  private let name = "run.cursor"
  private let path: String

  init() throws {
    folder = try TemporaryDirectory()
    path = folder.path + "/" + name
  }

  private func save(_ positions: [Int]) throws {
    let (file, _) = try CursorFile.claim(path)
    try file.save(try SomeCursor.make(positions))
  }

  @Test func whatWasSavedIsLoadedAndTheOneBeforeIsKept() throws {
    do {
      let (file, none) = try CursorFile.claim(path)
      #expect(none == nil)
      #expect(try file.save(try SomeCursor.make([10, 0])))
      #expect(try file.save(try SomeCursor.make([20, 0])))
      #expect(try file.save(try SomeCursor.make([20, 0])) == false)
      #expect(file.sequence == 2)
    }
    let (file, cursor) = try CursorFile.claim(path)
    #expect(SomeCursor.positions(cursor) == [20, 0])
    #expect(cursor?.sequence == 2)
    let previous = try CursorReading.cursor(at: file.previousPath)
    #expect(SomeCursor.positions(previous) == [10, 0])
    #expect(try file.save(try SomeCursor.make([30, 0])))
    #expect(file.sequence == 3)
    #expect(try folder.names() == ["run.cursor", "run.cursor.lock", "run.cursor.previous"])
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func tornAtAnyLengthItIsRefusedAndThePreviousOneNamed() throws {
    try save([10, 0])
    try save([20, 5])
    let whole = try folder.read(name)
    for length in 0..<whole.count {
      try folder.write(whole.prefix(length), to: name)
      let failure = try #require(throws: Failure.self, "\(length)") {
        _ = try CursorFile.claim(path)
      }
      #expect(failure.code == .cursor)
      #expect(failure.sentence.contains("damaged"), "\(length): \(failure)")
      #expect(
        failure.sentence.hasSuffix("of save 1: mv \(path).previous \(path)"),
        "\(length): \(failure)"
      )
      #expect(try folder.read(name).count == length)
    }
    // What the message says, done.
    try #require(rename(path + ".previous", path) == 0)
    #expect(SomeCursor.positions(try CursorFile.claim(path).cursor) == [10, 0])
  }

  @Test func aByteThatIsOtherThanItWasIsSeen() throws {
    try save([10, 0])
    let whole = try folder.read(name)
    for place in whole.indices {
      var bytes = whole
      bytes[place] ^= 0x01
      try folder.write(bytes, to: name)
      #expect(throws: Failure.self, "byte \(place)") { _ = try CursorFile.claim(path) }
    }
  }

  @Test func withoutAGoodPreviousOneNoneIsNamed() throws {
    try save([10, 0])
    try folder.write([], to: name)
    let failure = try #require(throws: Failure.self) { _ = try CursorFile.claim(path) }
    #expect(failure.sentence.contains("it is empty") && failure.sentence.contains("move it away"))
  }

  @Test func aNewerFormatIsRefusedWithBothVersions() throws {
    try save([10, 0])
    let text = String(decoding: try folder.read(name), as: UTF8.self)
    let newer = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.contains("\"version\"") ? "  \"version\": 2," : String(line)
    }
    try folder.write(newer.joined(separator: "\n").utf8, to: name)
    let failure = try #require(throws: Failure.self) { _ = try CursorFile.claim(path) }
    #expect(failure.code == .cursor)
    #expect(failure.sentence.contains("has format 2 and this wdsfs knows 1"))
    #expect(failure.sentence.contains("--cursor"))
  }

  @Test func whoSavesNoMoreLetsOthersHaveTheFile() throws {
    let held = try CursorFile.claim(path).file
    try held.save(try SomeCursor.make([10, 0]))
    held.release()
    let next = try CursorFile.claim(path)
    #expect(next.cursor != nil && next.file.sequence == held.sequence)
  }

  @Test func aSecondHolderIsRefusedAndToldTheFirst() throws {
    var held: CursorFile? = try CursorFile.claim(path).file
    try held?.save(try SomeCursor.make([10, 0]))
    let failure = try #require(throws: Failure.self) { _ = try CursorFile.claim(path) }
    #expect(failure.code == .cursor)
    #expect(failure.sentence.contains("in use by process \(getpid()): \(path);"))
    let run = try ProgramRun(["cursor", "set", path, "--position", "0"])
    #expect(run.exitCode == 8)
    #expect(run.isOneLine && run.errors.contains("process \(getpid())"), "\(run.errors)")
    held = nil
    #expect(SomeCursor.positions(try CursorFile.claim(path).cursor) == [10, 0])
  }

  @Test func aPlaceThatCannotBeWrittenIsRefused() throws {
    let file = try folder.write([], to: "file")
    for place in [
      folder.path + "/none/c", folder.path, file + "/c", "/proc/c", "/dev/null",
    ] {
      let failure = try #require(throws: Failure.self, "\(place)") {
        _ = try CursorFile.claim(place)
      }
      #expect(failure.code == .cursor && failure.sentence.contains(place), "\(failure)")
    }
    let failure = try #require(throws: Failure.self) {
      _ = try CursorFile.claim(folder.path + "/m/c", mountPoint: folder.path + "/m")
    }
    #expect(failure.code == .cursor)
    try folder.makeDirectory("m")
    let inside = try #require(throws: Failure.self) {
      _ = try CursorFile.claim(folder.path + "/m/c", mountPoint: folder.path + "/m")
    }
    #expect(inside.sentence.contains("in the mount itself"))
  }

  @Test func aLinkStaysALink() throws {
    let target = try folder.makeDirectory("disk") + "/real.cursor"
    try #require(symlink(target, path) == 0)
    try save([10, 0])
    var status = stat()
    #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: target)) == [10, 0])
    unlink(path)
  }

  @Test func whatACrashLeftBesideItDoesNoHarm() throws {
    try save([10, 0])
    try folder.write("half".utf8, to: name + ".new")
    // The instant after the link and before its rename, and the one after it.
    try #require(link(path, path + ".previous.new") == 0)
    try save([20, 0])
    try #require(unlink(path + ".previous") == 0 && link(path, path + ".previous") == 0)
    try save([30, 0])
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [30, 0])
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path + ".previous")) == [20, 0])
    #expect(try folder.names() == ["run.cursor", "run.cursor.lock", "run.cursor.previous"])
  }

  @Test(
    "A full disk leaves the old cursor",
    .enabled(if: SmallDisk.canBeMade, "needs the right to mount a tmpfs")
  )
  func fullDisk() throws {
    let disk = try #require(SmallDisk(in: folder, kibibytes: 64))
    let path = disk.path + "/c"
    let (file, _) = try CursorFile.claim(path)
    try file.save(try SomeCursor.make([10, 0]))
    try disk.fill()
    let error = try #require(throws: CursorFile.SaveError.self) {
      try file.save(try SomeCursor.make([20, 0]))
    }
    #expect(error.description == "cannot write \(path).new: No space left on device")
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [10, 0])
    disk.free()
    #expect(try file.save(try SomeCursor.make([20, 0])))
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [20, 0])
  }

  @Test(
    "A save is on the disk in this order: file, name, folder",
    .enabled(if: access("/usr/bin/strace", X_OK) == 0, "needs strace")
  )
  func powerLoss() throws {
    try save([10, 0])
    let trace = folder.path + "/trace"
    let calls = "trace=openat,write,fsync,close,link,linkat,rename,renameat,renameat2,unlink"
    let run = try ProgramRun(
      ["cursor", "set", path, "--position", "30"],
      runner: ["/usr/bin/strace", "-f", "-y", "-o", trace, "-e", calls]
    )
    try #require(run.exitCode == 0, "\(run.errors)")
    let lines = String(decoding: try folder.read("trace"), as: UTF8.self).split(separator: "\n")
    let new = path + ".new"
    // From the last opening on: the first one tries whether the place can be written.
    let begin = try #require(
      lines.lastIndex { $0.contains("openat(") && $0.contains("\"\(new)\"") }
    )
    var rest = lines[begin...]
    let steps: [[String]] = [
      ["write(", "<\(new)>"], ["fsync(", "<\(new)>"], ["link", "\"\(path)\"", ".previous.new\""],
      ["rename", ".previous.new\"", ".previous\""], ["rename", "\"\(new)\"", "\"\(path)\""],
      ["fsync(", "<\(folder.path)>"],
    ]
    for step in steps {
      let place = rest.firstIndex { line in step.allSatisfy { line.contains($0) } }
      let found = try #require(place, "\(step) does not come in time: \(lines[begin...])")
      rest = rest[(found + 1)...]
    }
    #expect(!rest.contains { $0.contains("write(") && $0.contains(path) })
  }
}
