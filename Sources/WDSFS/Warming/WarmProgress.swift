import Glibc
import Remote
import Synchronization

/// Says how far a warm-up is: a line that fills up on a terminal, one now and then elsewhere.
final class WarmProgress: Sendable {
  private static let terminalPause: Duration = .milliseconds(200)
  private static let linePause: Duration = .seconds(10)

  private let run: WarmRun
  private let shardCount: Int
  private let totalBytes: Int64
  private let terminal: Terminal
  private let begin = ContinuousClock.now
  private let isOver = Atomic<Bool>(false)
  private let ended = ReadySignal()

  init(_ run: WarmRun, shardCount: Int, totalBytes: Int64, terminal: Terminal) {
    self.run = run
    self.shardCount = shardCount
    self.totalBytes = totalBytes
    self.terminal = terminal
  }

  func start() {
    WorkerThread.start(name: "progress") { [self] in
      var shown = ContinuousClock.now
      while !isOver.load(ordering: .acquiring) {
        var pause = timespec(tv_sec: 0, tv_nsec: 50_000_000)
        nanosleep(&pause, nil)
        let period = terminal.isTerminal ? Self.terminalPause : Self.linePause
        guard shown.duration(to: .now) >= period else { continue }
        shown = .now
        let line = text
        write(terminal.isTerminal ? "\r\(line)\u{1B}[K" : "\(line)\n")
      }
      if terminal.isTerminal { write("\r\u{1B}[K") }
      ended.signal()
    }
  }

  func finish() {
    isOver.store(true, ordering: .releasing)
    ended.wait()
  }

  private var text: String {
    let standing = run.standing
    let seconds = begin.duration(to: .now) / .seconds(1)
    let rate = seconds > 0 ? Double(standing.doneBytes) / seconds : 0
    var words = "\(SizeText.bytes(standing.doneBytes)) of \(SizeText.bytes(totalBytes))  "
    words += "\(NumberText.grouped(standing.doneShards)) of "
    words += "\(NumberText.counted(shardCount, "shard"))  \(SizeText.rate(bytesPerSecond: rate))"
    if rate > 0 {
      let rest = Double(max(0, totalBytes - standing.doneBytes)) / rate
      words += "  \(SizeText.clock(seconds: rest)) to go"
    }
    guard terminal.isTerminal, terminal.width - words.count > 15 else {
      return String(words.prefix(max(20, terminal.isTerminal ? terminal.width - 1 : 200)))
    }
    let width = min(40, terminal.width - words.count - 5)
    let scale = max(1, totalBytes >> 30)
    let (part, whole) = (Int(standing.doneBytes / scale), Int(totalBytes / scale))
    return "\(NumberText.bar(part, of: whole, width: width))  \(words)"
  }

  private func write(_ text: String) {
    FileDescriptorOutput.writeAll(Array(text.utf8), to: STDERR_FILENO)
  }
}
