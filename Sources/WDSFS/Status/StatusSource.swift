import FoundationEssentials
import Glibc

/// Asks a mount how it is, through its control files.
struct StatusSource: Sendable {
  /// What is mounted: of `/.wdsfs/config.json` what a status shows.
  struct Description: Decodable, Sendable {
    let pid: Int32
    let program: String
    let remote: String
    let mountpoint: String
    let worldSize: Int
    let cachePlace: String
  }

  /// As the user named it, absolute.
  let mountPoint: String

  /// A mount that serves answers such a look in milliseconds, however busy it is.
  private static let patience: Duration = .seconds(5)

  /// No honest answer is longer: some 300 bytes for each of a hundred thousand ranks.
  private static let maxBytes = 64 << 20

  /// Looks what is mounted.
  ///
  /// - Throws: `.notFound` where no wdsfs is mounted, `.internalError` where it does not answer.
  func description() throws(Failure) -> Description {
    try decoded(try file("config.json"), as: Description.self)
  }

  /// The mount's numbers as they are now.
  ///
  /// - Throws: `.notFound` where it is gone, `.internalError` where it does not answer.
  func statistics() throws(Failure) -> MountStatistics {
    let statistics = try decoded(try file("stats.json"), as: MountStatistics.self)
    guard statistics.version == ControlContents.version else {
      throw Failure(
        .internalError,
        "\(mountPoint) speaks version \(statistics.version) of stats.json, and this wdsfs only "
          + "\(ControlContents.version); use the one that mounted it"
      )
    }
    return statistics
  }

  private func decoded<Value: Decodable>(
    _ bytes: [UInt8],
    as type: Value.Type
  ) throws(Failure) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw Failure(
        .internalError,
        "cannot make sense of what \(mountPoint) says of itself; use the wdsfs that mounted it"
      )
    }
  }

  private func file(_ name: String) throws(Failure) -> [UInt8] {
    let path = mountPoint + (mountPoint.hasSuffix("/") ? "" : "/") + ".wdsfs/" + name
    let answer = BoundedCall.result(atMost: Self.patience) { Self.read(path) }
    switch answer {
    case .success(let bytes)?: return bytes
    case .failure(let error)? where error.number == ENOTCONN:
      throw Failure(
        .notFound,
        "the mount's process is gone: \(mountPoint); mount again, or wdsfs unmount \(mountPoint)"
      )
    case .failure(let error)? where error.number == ENOENT || error.number == ENOTDIR:
      throw Failure(
        .notFound,
        "no wdsfs is mounted there: \(mountPoint); see findmnt -t fuse.wdsfs"
      )
    case .failure(let error)?:
      throw Failure(.internalError, "cannot read \(path): \(error)")
    case nil:
      throw Failure(
        .internalError,
        "the mount does not answer: \(mountPoint); its process may be stopped, see its log"
      )
    }
  }

  private static func read(_ path: String) -> Result<[UInt8], SystemCallError> {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard file >= 0 else { return .failure(.latest) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 128 << 10)
    while bytes.count < maxBytes {
      let count = Glibc.read(file, &buffer, buffer.count)
      guard count >= 0 else { return .failure(.latest) }
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    return .success(bytes)
  }
}
