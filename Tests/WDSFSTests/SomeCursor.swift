import Glibc
import Logging
import SampleOrder
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

extension TemporaryFolder {
  func bytes(_ path: String) throws -> [UInt8] {
    let file = open(path, O_RDONLY)
    try #require(file >= 0, "\(path)")
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = read(file, &buffer, buffer.count), count > 0 {
      bytes += buffer.prefix(count)
    }
    return bytes
  }

  func put(_ bytes: some Sequence<UInt8>, to path: String) throws {
    let bytes = Array(bytes)
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(file >= 0, "\(path)")
    defer { close(file) }
    try #require(Glibc.write(file, bytes, bytes.count) == bytes.count)
  }

  /// What lies in it, sorted.
  func names() throws -> [String] {
    let folder = try #require(opendir(path))
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
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
  init?(in folder: TemporaryFolder, kibibytes: Int) {
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
    guard let folder = try? TemporaryFolder() else { return false }
    return SmallDisk(in: folder, kibibytes: 64) != nil
  }()
}
