import Glibc

/// Reads ledgers line by line, however large they are and whoever wrote them.
enum LedgerReading {
  /// Adds all lines of a ledger.
  ///
  /// - Parameters:
  ///   - path: Absolute.
  ///   - verification: Takes the lines.
  /// - Throws: `.usage` for a file that cannot be read, or is no ledger of this version.
  static func add(
    _ path: String,
    to verification: inout Verification
  ) throws(Failure) {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard file >= 0 else {
      throw Failure(
        .usage,
        "cannot read the ledger: \(path): \(SystemCallError.latest); name a file that wdsfs mount "
          + "--ledger has written"
      )
    }
    defer { close(file) }
    var lines = Lines()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw Failure(.usage, "cannot read the ledger: \(path): \(SystemCallError.latest)")
      }
      lines.add(buffer[..<count], isEnd: count == 0, to: &verification)
      guard lines.isLedger != false else {
        throw Failure(
          .usage,
          "not a ledger of version \(LedgerLine.version): \(path); "
            + "name files that wdsfs mount --ledger has written"
        )
      }
      if count == 0 { return }
    }
  }

  /// Cuts bytes into lines across the borders of buffers.
  private struct Lines {
    /// Nil before the first line is whole.
    var isLedger: Bool?

    private var rest: [UInt8] = []

    /// Within a line that is longer than any of ours.
    private var isSkipping = false

    mutating func add(
      _ bytes: ArraySlice<UInt8>,
      isEnd: Bool,
      to verification: inout Verification
    ) {
      var bytes = bytes
      while let end = bytes.firstIndex(of: UInt8(ascii: "\n")), isLedger != false {
        take(bytes[..<end], &verification)
        bytes = bytes[(end + 1)...]
      }
      if !isSkipping { rest += bytes }
      if rest.count > LedgerLine.maxBytes {
        isSkipping = true
        rest = []
      }
      if isEnd, !rest.isEmpty || isSkipping || isLedger == nil { take([], &verification) }
    }

    private mutating func take(_ end: ArraySlice<UInt8>, _ verification: inout Verification) {
      let wasSkipping = isSkipping
      let line = rest.isEmpty ? end : (rest + end)[...]
      rest = []
      isSkipping = false
      if isLedger == nil {
        isLedger = !wasSkipping && line.elementsEqual(LedgerLine.versionLine.utf8)
        return
      }
      if wasSkipping {
        verification.addBadLine()
      } else if let lost = Self.lostCount(line) {
        verification.addLostLines(lost)
      } else if let row = LedgerLine(line) {
        verification.add(row)
      } else if !line.isEmpty, line.first != UInt8(ascii: "#"),
        !line.elementsEqual(LedgerLine.headerLine.utf8)
      {
        verification.addBadLine()
      }
    }

    private static func lostCount(_ line: ArraySlice<UInt8>) -> Int? {
      guard line.starts(with: Ledger.lostMark.utf8) else { return nil }
      let digits = line.dropFirst(Ledger.lostMark.utf8.count)
      return Int(String(decoding: digits, as: UTF8.self)).flatMap { $0 >= 0 ? $0 : nil }
    }
  }
}
