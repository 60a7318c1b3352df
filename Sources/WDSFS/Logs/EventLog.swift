import Synchronization

/// The last lines of the log, in memory: what `/.wdsfs/log` shows.
package final class EventLog: Sendable {
  /// By the contract.
  package static let maxLines = 1000

  private struct Ring {
    var lines: [String] = []

    /// The oldest line, once the ring is full.
    var first = 0
  }

  private let ring = Mutex(Ring())

  package init() {}

  package func append(_ line: String) {
    ring.withLock { ring in
      if ring.lines.count < Self.maxLines {
        ring.lines.append(line)
      } else {
        ring.lines[ring.first] = line
        ring.first = (ring.first + 1) % Self.maxLines
      }
    }
  }

  /// Oldest first.
  package var lines: [String] {
    ring.withLock { Array($0.lines[$0.first...] + $0.lines[..<$0.first]) }
  }

  /// As a file: each line with its end.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for line in lines {
      bytes += line.utf8
      bytes.append(UInt8(ascii: "\n"))
    }
    return bytes
  }
}
