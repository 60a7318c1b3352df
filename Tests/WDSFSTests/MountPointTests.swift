import FoundationEssentials
import Glibc
import Logging
import TestSupport
import Testing
import WDSFS

@Suite struct MountPointTests {
  private let events = EventLog()

  private var log: Logger {
    let writer = LogWriter(level: .info, output: NoOutput(), events: events)
    return Logger(label: "t") { _ in LineLogHandler(writer: writer) }
  }

  private final class NoOutput: LogOutput {
    func write(_ line: LogLine, level: Logger.Level, time: timespec) {}
  }

  /// Tests of the folder alone go without FUSE.
  private let mountPoint = MountPoint(fuseDevice: "/dev/null")

  private func refusal(_ path: String, by mountPoint: MountPoint? = nil) throws -> String {
    let failure = try #require(throws: Failure.self) {
      try (mountPoint ?? self.mountPoint).prepare(path, log: log)
    }
    #expect(failure.code == .cannotMount)
    return failure.sentence
  }

  @Test func anEmptyDirectoryIsTakenByItsRealPath() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m m")
    try #require(symlink("m m", folder.path + "/link") == 0)
    try #require(symlink(folder.path + "/link", folder.path + "/link2") == 0)
    for path in ["/m m", "/m m/", "//m m/.", "/link", "/link2/", "/m m/../m m"] {
      #expect(try mountPoint.prepare(folder.path + path, log: log) == place)
    }
    #expect(events.lines.isEmpty)
  }

  @Test func whatCannotBeMountedOnIsToldApart() throws {
    let folder = try TemporaryDirectory()
    let file = try folder.write([], to: "file")
    let full = try folder.makeDirectory("full")
    try folder.write([], to: "full/a\u{1b}b")
    try #require(symlink("loop", folder.path + "/loop") == 0)
    #expect(
      try refusal(folder.path + "/none")
        == "no such directory: \(folder.path)/none; make it with mkdir -p \(folder.path)/none"
    )
    #expect(try refusal(folder.path + "/no/ne").hasPrefix("no such directory: "))
    #expect(try refusal(file).hasPrefix("not a directory: \(file);"))
    #expect(try refusal(file + "/m").hasPrefix("not a directory: "))
    #expect(try refusal(full).hasPrefix(#"not empty: \#(full) holds a\x1Bb;"#))
    #expect(try refusal("/proc").hasPrefix("already a mount: /proc (proc of "))
    #expect(try refusal("/").hasPrefix("already a mount: / "))
    #expect(try refusal(folder.path + "/loop").hasPrefix("not accessible: "))
  }

  @Test func withoutFuseItSaysHowToGetIt() throws {
    let folder = try TemporaryDirectory()
    let missing = MountPoint(fuseDevice: folder.path + "/fuse")
    #expect(try refusal(folder.makeDirectory("m"), by: missing).contains("modprobe fuse"))
    let forbidden = MountPoint(fuseDevice: folder.path)
    #expect(try refusal(folder.path + "/m", by: forbidden).contains("no right to FUSE"))
  }

  @Test(.enabled(if: FuseStandIn.isPossible))
  func whatAKilledWdsfsLeftIsDetached() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m")
    let below = try FuseStandIn(at: place)
    let above = try FuseStandIn(at: place)
    below.kill()
    above.kill()
    #expect(MountPoint.isStale(place))
    #expect(try mountPoint.prepare(folder.path + "/./m/", log: log) == place)
    #expect(MountTable.current().top(at: place) == nil)
    #expect(events.lines.count { $0.contains("event=mount.stale_detached") } >= 1)
    #expect(events.lines.first?.contains(#"source="s3://bucket/a b""#) == true)
  }

  @Test(.enabled(if: FuseStandIn.isPossible))
  func aStaleMountOfSomethingElseIsLeftAlone() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m")
    let other = try FuseStandIn(at: place, type: "fuse.sshfs")
    other.kill()
    #expect(try refusal(place).hasPrefix("already a mount: \(place) (fuse.sshfs of s3://"))
    #expect(MountTable.current().top(at: place) != nil)
    #expect(try refusal(place + "/inside").hasPrefix("a dead mount is in the way"))
  }

  @Test(.enabled(if: FuseStandIn.isPossible), .timeLimit(.minutes(10)))
  func aMountThatHangsIsNotTakenForDead() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m")
    // Nobody reads the device: every question to it waits.
    let hanging = try FuseStandIn(at: place)
    #expect(try refusal(place).hasPrefix("already mounted: \(place) ("))
    hanging.kill()
  }
}

@Suite struct UnmountTests {
  private func refusal(_ path: String) throws -> String {
    let failure = try #require(throws: Failure.self) { try Unmount(isLazy: false).run(path) }
    #expect(failure.code == .cannotMount)
    return failure.sentence
  }

  @Test func whatIsNoMountOfOursIsRefused() throws {
    let folder = try TemporaryDirectory()
    #expect(try refusal(folder.path + "/no/ne").hasPrefix("cannot unmount: "))
    #expect(try refusal(folder.path).hasPrefix("not mounted: \(folder.path);"))
    #expect(try refusal("/proc").hasPrefix("not a mount of wdsfs: /proc is proc of "))
  }

  @Test(.enabled(if: FuseStandIn.isPossible), .timeLimit(.minutes(10)))
  func aDeadMountIsTakenOff() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m")
    let mount = try FuseStandIn(at: place)
    mount.kill()
    try Unmount(isLazy: false).run(place)
    #expect(MountTable.current().top(at: place) == nil)
  }

  @Test(.enabled(if: FuseStandIn.isPossible), .timeLimit(.minutes(10)))
  func aBusyMountNamesWhoHoldsIt() throws {
    let folder = try TemporaryDirectory()
    let place = try folder.makeDirectory("m")
    let mount = try FuseStandIn(at: place)
    let holder = try HoldingProcess(holding: place)
    mount.kill()
    let sentence = try refusal(place)
    #expect(sentence.hasPrefix("busy: \(place): held by "), "\(sentence)")
    #expect(sentence.contains("(pid \(holder.processID))"), "\(sentence)")
    #expect(sentence.contains("--lazy"))
    try Unmount(isLazy: true).run(place)
    #expect(MountTable.current().top(at: place) == nil)
  }

  @Test func theServingProcessIsReadFromOurDocument() {
    let json = #"{"version": 1, "apid": 2, "pid" : 4711, "log": "x"}"#
    #expect(ServingProcess.processID(in: Array(json.utf8)) == 4711)
    for odd in [#"{"pid": -1}"#, #"{"pid": "#, #"{"pid": 99999999999}"#, #""pid""#, "", "{}"] {
      #expect(ServingProcess.processID(in: Array(odd.utf8)) == nil)
    }
  }

  @Test func theEndOfAProcessIsWaitedFor() throws {
    let child = try HoldingProcess(holding: "/")
    let server = try #require(ServingProcess(processID: child.processID))
    #expect(!server.waitForEnd(atMost: .milliseconds(20)))
    // It stays a zombie until its holder is let go, and has ended all the same.
    child.kill()
    #expect(server.waitForEnd(atMost: .seconds(120)))
    #expect(ServingProcess(processID: Int32.max) == nil)
  }

  @Test func aProcessRunsAsLongAsAnyOfItsThreads() async throws {
    let program = """
      import ctypes, threading, time
      threading.Thread(target=time.sleep, args=(600,)).start()
      ctypes.CDLL(None).pthread_exit(None)
      """
    let child = try HoldingProcess(holding: "/", running: ["python3", "-c", program])
    let server = try #require(ServingProcess(processID: child.processID))
    let end = ContinuousClock.now + .seconds(120)
    let status = "/proc/\(child.processID)/status"
    while try !String(contentsOfFile: status, encoding: .utf8).contains("State:\tZ"),
      ContinuousClock.now < end
    {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(!server.waitForEnd(atMost: .milliseconds(100)))
    child.kill()
    #expect(server.waitForEnd(atMost: .seconds(120)))
  }
}
