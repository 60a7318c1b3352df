import Glibc
package import SampleOrder
import Synchronization

/// The file that a cursor is saved in, held by this process alone.
///
/// A crash at any instant leaves the old cursor or the new one, and never a torn one.
package final class CursorFile: Sendable {
  /// Absolute and without links, so that a rename replaces the file and not a link to it.
  package let path: String

  private let lock: CursorLock
  private let folder: String
  private let known: Mutex<Known>

  private struct Known {
    /// What the file holds; nil where there is none.
    var cursor: Cursor?

    var sequence = 0
  }

  /// The one before the present, kept beside it.
  package var previousPath: String { Self.previous(of: path) }

  package static func previous(of path: String) -> String { path + ".previous" }

  /// Takes hold of a file, reads it if it is there, and tries whether it can be written.
  ///
  /// - Parameters:
  ///   - path: Absolute; the file need not be there, its folder must.
  ///   - mountPoint: Where the file must not lie; without links. Nil where nothing is mounted.
  /// - Returns: The file, and what it holds.
  /// - Throws: `.cursor`: in use, not to be written, damaged, of a newer format. Nothing has changed.
  package static func claim(
    _ path: String,
    mountPoint: String? = nil
  ) throws(Failure) -> (file: CursorFile, cursor: Cursor?) {
    let path = try resolved(path)
    if let mountPoint, path == mountPoint || path.hasPrefix(mountPoint + "/") {
      throw Failure(
        .cursor,
        "the cursor lies in the mount itself: \(path); name a --cursor outside of \(mountPoint)"
      )
    }
    var status = stat()
    let isThere = lstat(path, &status) == 0
    guard !isThere || status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.cursor, "the cursor is not a regular file: \(path); name another --cursor")
    }
    let file = CursorFile(path, try CursorLock(of: path))
    try file.probe()
    let cursor = isThere ? try CursorReading.cursor(at: path) : nil
    file.known.withLock { $0 = Known(cursor: cursor, sequence: cursor?.sequence ?? 0) }
    return (file, cursor)
  }

  private init(_ path: String, _ lock: CursorLock) {
    self.path = path
    self.lock = lock
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    folder = slash == path.startIndex ? "/" : String(path[..<slash])
    known = Mutex(Known())
  }

  /// Lets others have the file: nothing is saved any more.
  package func release() {
    lock.release()
  }

  /// How often the cursor has been saved, in all its mounts.
  package var sequence: Int { known.withLock { $0.sequence } }

  /// Saves the cursor, with the next sequence number; one that the file holds already is not written.
  ///
  /// The order is what makes it last: the new file is on the disk before it gets the name, and the
  /// folder before this returns. Blocks as long as the disk takes.
  ///
  /// - Returns: Whether anything was written.
  /// - Throws: `SaveError`; the file is what it was.
  @discardableResult
  package func save(_ cursor: Cursor) throws(SaveError) -> Bool {
    // Nobody waits at this lock but another save, which has to come after this one.
    let result = known.withLock { known -> Result<Bool, SaveError> in
      var next = cursor
      next.sequence = known.cursor?.sequence ?? next.sequence
      if known.cursor == next { return .success(false) }
      next.sequence = max(known.sequence, cursor.sequence) + 1
      do throws(SaveError) {
        try write(next.encoded(), over: known.cursor)
      } catch {
        return .failure(error)
      }
      known = Known(cursor: next, sequence: next.sequence)
      return .success(true)
    }
    return try result.get()
  }

  private func write(_ bytes: [UInt8], over old: Cursor?) throws(SaveError) {
    let new = path + ".new"
    try attempt(new) { () throws(SystemCallError) in try WholeFile.write(bytes, to: new) }
    if let old { try keep(old) }
    try attempt(path) { () throws(SystemCallError) in try WholeFile.rename(new, to: path) }
    try attempt(folder) { () throws(SystemCallError) in try WholeFile.syncFolder(folder) }
  }

  /// Gives the present file a second name, which it keeps when the new one takes the first.
  private func keep(_ old: Cursor) throws(SaveError) {
    let kept = previousPath
    let spare = kept + ".new"
    try attempt(spare) { () throws(SystemCallError) in
      // A leftover would make the link fail; and a rename between two names of one file does nothing.
      try WholeFile.remove(spare)
      if link(path, spare) != 0 {
        // Some file systems know no links.
        try WholeFile.write(old.encoded(), to: spare)
      }
    }
    try attempt(kept) { () throws(SystemCallError) in
      try WholeFile.rename(spare, to: kept)
      try WholeFile.remove(spare)
    }
  }

  private func attempt(
    _ path: String,
    _ body: () throws(SystemCallError) -> Void
  ) throws(SaveError) {
    do {
      try body()
    } catch {
      throw SaveError(path: path, reason: error)
    }
  }

  /// Whether a save could begin: what fails here would fail each second.
  private func probe() throws(Failure) {
    let new = path + ".new"
    do throws(SystemCallError) {
      try WholeFile.write([], to: new)
      try WholeFile.remove(new)
    } catch {
      throw Failure(
        .cursor,
        "cannot write the cursor there: \(new): \(error); name a --cursor in a directory of yours"
      )
    }
  }

  private static func resolved(_ path: String) throws(Failure) -> String {
    do {
      return try CanonicalPath.of(path)
    } catch {
      throw Failure(
        .cursor,
        "no place for the cursor: \(path): \(error); its directory must be there"
      )
    }
  }

  /// A save that did not come about, and why.
  package struct SaveError: Error, Hashable, Sendable, CustomStringConvertible {
    package let path: String
    let reason: SystemCallError

    package var description: String { "cannot write \(path): \(reason)" }
  }
}
