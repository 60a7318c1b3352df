import Glibc
import SampleOrder
import Synchronization
import TestSupport
import Testing
import WDSFS

@Suite struct CursorSaverTests {
  /// Progress of which each version is one sample.
  private final class Progressing: Sendable {
    let version = Mutex(0)
    let askedCount = Mutex(0)

    func set(_ value: Int) { version.withLock { $0 = value } }

    var source: CursorSaver.Source {
      { [self] saved in
        askedCount.withLock { $0 += 1 }
        let now = version.withLock { $0 }
        guard saved != now, let cursor = try? SomeCursor.make([now, 0]) else { return nil }
        return CursorSaver.Snapshot(version: now, cursor: cursor)
      }
    }

    /// Waits until the saver has come round so often again.
    func waitForRounds(_ count: Int) {
      let goal = askedCount.withLock { $0 } + count
      while askedCount.withLock({ $0 }) < goal { sched_yield() }
    }
  }

  private let folder: TemporaryDirectory
  private let path: String
  private let log = KeptLog()

  init() throws {
    folder = try TemporaryDirectory()
    path = folder.path + "/run.cursor"
  }

  @Test func itSavesAtOnceWhileItChangesAndAtTheEnd() throws {
    let progress = Progressing()
    let file = try CursorFile.claim(path).file
    let saver = CursorSaver.start(
      file,
      log: log.logger,
      interval: .milliseconds(5),
      source: progress.source
    )
    progress.waitForRounds(2)
    #expect(file.sequence == 1)
    progress.set(5)
    progress.waitForRounds(2)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [5, 0])
    progress.waitForRounds(3)
    #expect(file.sequence == 2)
    progress.set(9)
    #expect(saver.finish())
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [9, 0])
    #expect(saver.finish())
  }

  @Test func theEndDoesNotWaitForTheInterval() throws {
    let progress = Progressing()
    progress.set(3)
    let saver = CursorSaver.start(
      try CursorFile.claim(path).file,
      log: log.logger,
      interval: .seconds(3600),
      source: progress.source
    )
    progress.set(4)
    #expect(saver.finish())
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [4, 0])
  }

  @Test func whatMustBeWrittenBeforeComesBetweenSnapshotAndSave() throws {
    let progress = Progressing()
    let seen = Mutex<[Int]>([])
    let path = path
    let saver = CursorSaver.start(
      try CursorFile.claim(path).file,
      log: log.logger,
      interval: .seconds(3600),
      beforeSave: {
        let saved = try? CursorReading.cursor(at: path).sequence
        seen.withLock { $0.append(saved ?? 0) }
      },
      source: progress.source
    )
    progress.set(1)
    #expect(saver.finish())
    let sequences = seen.withLock { $0 }
    #expect(sequences == Array(0..<sequences.count) && !sequences.isEmpty)
  }

  @Test(
    "A full disk is said once, tried again, and at the end answered with no",
    .enabled(if: SmallDisk.canBeMade, "needs the right to mount a tmpfs")
  )
  func fullDisk() throws {
    let disk = try #require(SmallDisk(in: folder, kibibytes: 64))
    let path = disk.path + "/c"
    let progress = Progressing()
    let saver = CursorSaver.start(
      try CursorFile.claim(path).file,
      log: log.logger,
      interval: .milliseconds(5),
      source: progress.source
    )
    progress.waitForRounds(2)
    try disk.fill()
    progress.set(7)
    progress.waitForRounds(4)
    #expect(saver.failure != nil)
    #expect(log.count("cursor.write_failed") == 1)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [0, 0])
    disk.free()
    progress.waitForRounds(2)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [7, 0])
    #expect(log.count("cursor.write_recovered") == 1)
    try disk.fill()
    progress.set(8)
    #expect(!saver.finish())
    #expect(!saver.finish())
    #expect(log.count("cursor.write_failed") >= 1)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path)) == [7, 0])
  }
}
