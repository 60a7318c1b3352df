import Glibc
import Logging
import SampleOrder
import TestSupport
import Testing
import WDSFS

/// Cursors for tests, of a run with one split.
enum SomeCursor {
  // Positions by rank, below which all is consumed; another seed is another run.
  static func make(
    _ positions: [Int],
    held: [Int]? = nil,
    seed: UInt64 = 7
  ) throws -> Cursor {
    let ranks = positions.map { Progress(consumed: Consumed(below: $0)) }
    let leg = try Leg(worldSize: ranks.count, lanes: ranks.count * 8, ranks: ranks)
    let split = SplitCursor(fingerprint: "f", partition: .samples, present: leg)
    return Cursor(shuffle: .full, seed: seed, ranks: held, splits: ["train": split])
  }

  /// Where the ranks of a cursor are.
  static func positions(_ cursor: Cursor?) -> [Int]? {
    cursor?.splits["train"]?.present.ranks.map(\.consumed.next)
  }
}

/// A log of which only the lines count.
final class KeptLog: Sendable {
  private final class Nowhere: LogOutput {
    func write(_ line: LogLine, level: Logger.Level, time: timespec) {}
  }

  private let events = EventLog()
  let logger: Logger

  init() {
    let writer = LogWriter(level: .trace, output: Nowhere(), events: events)
    logger = Logger(label: "test") { _ in LineLogHandler(writer: writer) }
  }

  func count(_ event: String) -> Int {
    events.lines.count { $0.contains("event=\(event) ") }
  }
}

/// A disk of a few pages, where whoever tests may mount one.
final class SmallDisk {
  let path: String

  /// Nil where it cannot be mounted.
  init?(in folder: TemporaryDirectory, kibibytes: Int) {
    path = folder.path + "/disk"
    guard mkdir(path, 0o700) == 0 else { return nil }
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(kibibytes)k") == 0 else { return nil }
  }

  deinit {
    umount2(path, 2)
  }

  /// Takes all space that is left, in a file of its own.
  func fill() throws {
    let file = open(path + "/filling", O_WRONLY | O_CREAT, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let page = [UInt8](repeating: 1, count: 4096)
    while write(file, page, page.count) > 0 {}
    try #require(errno == ENOSPC)
  }

  func free() {
    unlink(path + "/filling")
  }

  static let canBeMade: Bool = {
    guard let folder = try? TemporaryDirectory() else { return false }
    return SmallDisk(in: folder, kibibytes: 64) != nil
  }()
}
