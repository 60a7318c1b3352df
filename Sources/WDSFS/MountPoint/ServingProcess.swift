import Glibc

/// The process behind a mount.
package struct ServingProcess {
  package let processID: Int32

  /// The process's folder in /proc: it stays that of this process, whoever gets the number next.
  private let folder: OpenFolder

  /// A mount that hangs must not hang who unmounts it.
  private static let maxAsking: Duration = .seconds(2)

  /// Asks the mount who serves it; nil where it does not say.
  static func of(_ place: String) -> ServingProcess? {
    let number = BoundedCall.result(atMost: maxAsking) { read(place + "/.wdsfs/config.json") }
    guard let number, let number else { return nil }
    guard let server = ServingProcess(processID: number) else { return nil }
    // A mount made in another container names a number that is somebody else's here.
    return server.content("comm", maxBytes: 64) == Array((ProcessSetUp.processName + "\n").utf8)
      ? server
      : nil
  }

  /// Nil where there is no such process here, for example in another container.
  package init?(processID: Int32) {
    let file = open("/proc/\(processID)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    self.processID = processID
    folder = OpenFolder(file: file)
  }

  /// - Returns: Whether it ended in time.
  package func waitForEnd(atMost limit: Duration) -> Bool {
    let end = ContinuousClock.now + limit
    while isRunning {
      guard ContinuousClock.now < end else { return false }
      BoundedCall.pause()
    }
    return true
  }

  /// One that has ended and that nobody waits for, as in containers without init, is not running; one
  /// of which only the first thread has ended is: it still has its files, and their locks.
  private var isRunning: Bool {
    let bytes = content("stat", maxBytes: 512)
    // `pid (name) state …`, and the name may hold anything.
    guard let bracket = bytes.lastIndex(of: UInt8(ascii: ")")) else { return false }
    let words = bytes[(bracket + 1)...].split(separator: UInt8(ascii: " "))
    guard let state = words.first?.first else { return false }
    let threads = words.dropFirst(Self.threadsWord).first.map {
      String(decoding: $0, as: UTF8.self)
    }
    let hasEnded = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
    return !hasEnded || (threads.flatMap { Int($0) } ?? 0) > 1
  }

  /// `num_threads` of proc(5), counted from the state.
  private static let threadsWord = 17

  /// Empty once the process is gone.
  private func content(_ name: String, maxBytes: Int) -> [UInt8] {
    let file = openat(folder.file, name, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    return FileDescriptorOutput.readAll(from: file, maxBytes: maxBytes)
  }

  // MARK: - The number

  /// The number after `"pid":` in a document of ours.
  package static func processID(in json: [UInt8]) -> Int32? {
    let name = Array("\"pid\"".utf8)
    guard json.count > name.count else { return nil }
    for start in 0...(json.count - name.count)
    where json[start..<(start + name.count)].elementsEqual(name) {
      let rest = json[(start + name.count)...].drop { Self.blanks.contains($0) }
      guard rest.first == UInt8(ascii: ":") else { continue }
      let digits = rest.dropFirst().drop { Self.blanks.contains($0) }
        .prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard let number = Int32(String(decoding: digits, as: UTF8.self)), number > 0 else {
        return nil
      }
      return number
    }
    return nil
  }

  private static let blanks: [UInt8] = Array(" \t\r\n".utf8)

  private static func read(_ path: String) -> Int32? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return processID(in: FileDescriptorOutput.readAll(from: file, maxBytes: 1 << 20))
  }
}

private final class OpenFolder: Sendable {
  let file: Int32

  init(file: Int32) {
    self.file = file
  }

  deinit {
    close(file)
  }
}
