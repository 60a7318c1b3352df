package import SampleOrder

/// Reads cursor files, whoever holds them, and says of a bad one what to do.
package enum CursorReading {
  /// Reads one file.
  ///
  /// - Parameter path: Absolute.
  /// - Returns: The cursor, checked as far as it can be by itself.
  /// - Throws: `.cursor`, naming the file, and its previous generation where that is good.
  package static func cursor(at path: String) throws(Failure) -> Cursor {
    let error: CursorError
    switch try read(path) {
    case .success(let cursor): return cursor
    case .failure(let failure): error = failure
    }
    switch error {
    case .damaged, .tooLarge:
      throw Failure(.cursor, "\(path): \(what(error)); \(advice(path))")
    case .newerFormat, .otherOrder:
      throw Failure(.cursor, "\(path): \(error), or name another --cursor to start afresh")
    default:
      throw Failure(.cursor, "\(path): \(error)")
    }
  }

  private static func read(_ path: String) throws(Failure) -> Result<Cursor, CursorError> {
    let bytes: [UInt8]
    do {
      bytes = try WholeFile.read(path, maxBytes: Cursor.maxBytes)
    } catch {
      let help =
        error.number == SystemError.noEntry
        ? "name a file that wdsfs mount --cursor has written"
        : "it must be a file that you may read"
      throw Failure(.cursor, "cannot read the cursor: \(path): \(error); \(help)")
    }
    do {
      return .success(try Cursor(decoding: bytes))
    } catch {
      return .failure(error)
    }
  }

  private static func what(_ error: CursorError) -> String {
    if case .damaged(let detail) = error { return "the cursor is damaged: \(detail)" }
    return "\(error)"
  }

  /// What helps against a damaged file; nothing is done by itself.
  private static func advice(_ path: String) -> String {
    let kept = CursorFile.previous(of: path)
    guard let result = try? read(kept), case .success(let previous) = result else {
      return "there is no good \(kept) either; move it away to start afresh"
    }
    return "the one before it is good, of save \(previous.sequence): mv \(kept) \(path)"
  }
}
