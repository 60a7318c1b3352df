import Glibc
package import Logging
import Remote
import Synchronization

/// Writes a line for each sample that a mount serves, and never makes a read wait.
///
/// Lines are gathered in memory and written by a thread of its own. A disk that is full is tried again
/// each second; what then does not fit into memory is lost, counted, and named in the file.
package final class Ledger: Sendable {
  /// Absolute.
  package let path: String

  private let file: Int32
  private let log: Logger
  private let wakeUp = WakeUp()
  private let ended = ReadySignal()
  private let pending = Mutex(Pending())
  private let output = Mutex(Output())

  /// Asked each second and at the end for what is to be noted beside samples.
  private let source = Mutex<(@Sendable () -> [LedgerLine])?>(nil)

  /// What is gathered at most while the disk takes nothing: some 600,000 lines.
  package static let maxPendingBytes = 64 << 20

  /// From this much on the thread is woken before its second is over.
  private static let eagerBytes = 1 << 20

  private static let interval: Duration = .seconds(1)

  private struct Pending {
    var bytes: [UInt8] = []
    var lostCount = 0
    var isEnding = false

    /// The time as it stands in lines, made once a millisecond at most.
    var time = ""
    var milliseconds: Int = -1

    mutating func now() -> String {
      var instant = timespec()
      clock_gettime(CLOCK_REALTIME, &instant)
      let now = instant.tv_sec &* 1000 &+ instant.tv_nsec / 1_000_000
      if now != milliseconds {
        milliseconds = now
        time = LogLine.timeStamp(instant)
      }
      return time
    }
  }

  private struct Output {
    /// Taken from `Pending` and not written yet.
    var unwritten: ArraySlice<UInt8> = []

    var isFailing = false
    var lostCount = 0
  }

  /// Opens a ledger, new or to go on with, and starts its thread.
  ///
  /// - Parameters:
  ///   - path: Absolute.
  ///   - log: Hears once that writing fails, and once that it works again.
  /// - Returns: The ledger, held by this process alone.
  /// - Throws: `.usage` for a file that cannot be written, is in use, or is no ledger.
  package static func open(_ path: String, log: Logger) throws(Failure) -> Ledger {
    let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    let file = Glibc.open(path, flags, 0o600)
    guard file >= 0 else {
      throw Failure(
        .usage,
        "cannot write the ledger: \(path): \(SystemCallError.latest); see --ledger"
      )
    }
    do {
      let ledger = Ledger(path, file, log, try beginning(of: file, path))
      WorkerThread.start(name: "ledger") { ledger.run() }
      return ledger
    } catch {
      close(file)
      throw error
    }
  }

  private init(_ path: String, _ file: Int32, _ log: Logger, _ beginning: [UInt8]) {
    self.path = path
    self.file = file
    self.log = log
    pending.withLock { $0.bytes = beginning }
  }

  deinit {
    close(file)
  }

  /// What is to be written first: the head of a new ledger, or the line end that a crash left out.
  private static func beginning(of file: Int32, _ path: String) throws(Failure) -> [UInt8] {
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.usage, "the ledger is not a regular file: \(path); name another --ledger")
    }
    do {
      try ExclusiveLock.take(file)
    } catch {
      throw Failure(
        .usage,
        "the ledger is in use by another mount: \(path); give each mount a --ledger of its own"
      )
    }
    let head = Array("\(LedgerLine.versionLine)\n\(LedgerLine.headerLine)\n".utf8)
    guard status.st_size > 0 else { return head }
    var found = [UInt8](repeating: 0, count: LedgerLine.versionLine.utf8.count + 1)
    var last: UInt8 = 0
    let count = pread(file, &found, found.count, 0)
    guard count == found.count, found.elementsEqual(head.prefix(found.count)),
      pread(file, &last, 1, status.st_size - 1) == 1
    else {
      throw Failure(
        .usage,
        "not a ledger of version \(LedgerLine.version): \(path); name another --ledger"
      )
    }
    return last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]
  }

  /// Notes a line; returns at once.
  ///
  /// Note a sample before it counts as consumed, so that no saved cursor knows of one that the ledger
  /// lacks.
  package func note(_ line: LedgerLine) {
    let isEager = pending.withLock { pending -> Bool in
      guard pending.bytes.count < Self.maxPendingBytes else {
        pending.lostCount += 1
        return false
      }
      let before = pending.bytes.count
      line.append(to: &pending.bytes, time: pending.now())
      return before < Self.eagerBytes && pending.bytes.count >= Self.eagerBytes
    }
    if isEager { wakeUp.wake() }
  }

  /// Has lines noted that come of themselves; asked by the ledger's own thread.
  package func noteEachSecond(_ lines: @escaping @Sendable () -> [LedgerLine]) {
    source.withLock { $0 = lines }
  }

  /// Writes what was noted, as far as the disk takes it; for the cursor's saver to call.
  package func flush() {
    output.withLock { output in
      let (bytes, lostCount) = take(mayTake: output.unwritten.count < Self.maxPendingBytes)
      if output.unwritten.isEmpty {
        output.unwritten = bytes[...]
      } else {
        output.unwritten += bytes
      }
      output.lostCount += lostCount
      write(&output)
    }
  }

  /// Writes the rest and ends the thread; a second call waits for the first.
  ///
  /// - Returns: Whether all that was ever noted stands in the file.
  package func finish() -> Bool {
    pending.withLock { $0.isEnding = true }
    wakeUp.wake()
    ended.wait()
    ended.signal()
    return output.withLock { $0.unwritten.isEmpty && $0.lostCount == 0 && !$0.isFailing }
  }

  /// Lines that found no place in memory while the disk took none.
  package var lostCount: Int {
    output.withLock { $0.lostCount } + pending.withLock { $0.lostCount }
  }

  private func run() {
    while true {
      let isLast = pending.withLock { $0.isEnding }
      let lines = source.withLock { $0 }
      for line in lines?() ?? [] { note(line) }
      flush()
      if isLast { break }
      wakeUp.sleep(atMost: Self.interval)
    }
    source.withLock { $0 = nil }
    // Whoever waited for the end may open it again, though this thread still holds the object.
    ExclusiveLock.release(file)
    ended.signal()
  }

  private func take(mayTake: Bool) -> (bytes: [UInt8], lostCount: Int) {
    pending.withLock { pending in
      guard mayTake else { return ([], 0) }
      var bytes: [UInt8] = []
      swap(&bytes, &pending.bytes)
      let lostCount = pending.lostCount
      pending.lostCount = 0
      if lostCount > 0 { bytes += "\(Self.lostMark)\(lostCount)\n".utf8 }
      return (bytes, lostCount)
    }
  }

  /// Begins a line that says how many are missing at its place.
  static let lostMark = "# lost lines: "

  private func write(_ output: inout Output) {
    while !output.unwritten.isEmpty {
      let count = output.unwritten.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        noteFailure(.latest, &output)
        return
      }
      output.unwritten = output.unwritten.dropFirst(count)
    }
    output.unwritten = []
    guard output.isFailing else { return }
    output.isFailing = false
    log.notice(
      "the ledger is written again: \(path)",
      metadata: ["event": "ledger.write_recovered", "lost": "\(output.lostCount)"]
    )
  }

  private func noteFailure(_ error: SystemCallError, _ output: inout Output) {
    guard !output.isFailing else { return }
    output.isFailing = true
    log.error(
      "the ledger cannot be written: \(path): \(error); its lines wait in memory, tried each second",
      metadata: ["event": "ledger.write_failed", "file": "\(path)"]
    )
  }
}
