import Synchronization

/// `/.wdsfs`: files that show the mount's state as it is at each lookup.
///
/// A lookup makes a snapshot with an inode of its own, so that its size is exact and no page of an
/// older state can answer for it. The kernel's `forget` ends a snapshot.
package final class ControlFiles: Sendable {
  /// A file, and what makes its bytes.
  package struct File: Sendable {
    package let name: String
    package let isPrivate: Bool

    /// Whether a cursor may be written to it, which moves every rank it holds.
    package let takesCursors: Bool
    package let contents: @Sendable () -> [UInt8]

    package init(
      name: String,
      isPrivate: Bool = false,
      takesCursors: Bool = false,
      contents: @escaping @Sendable () -> [UInt8]
    ) {
      self.name = name
      self.isPrivate = isPrivate
      self.takesCursors = takesCursors
      self.contents = contents
    }
  }

  /// Whom a write to a file concerns.
  enum Target: Hashable {
    case nobody
    case rank(TrainingRun.RankName)
    case everyRank
  }

  private struct Snapshot {
    /// Tells files apart, not their states.
    let name: Int
    var bytes: [UInt8]
    let target: Target

    /// What was written last, as far as it makes one piece, and where in the file that begins.
    var written: [UInt8] = []
    var writtenOffset: Int64 = 0

    /// Whether the piece is whole, and what follows is another one.
    var isWritten = false
    let seconds: Int64
    let isPrivate: Bool
    var lookupCount: UInt64
  }

  private struct Snapshots {
    var byNumber: [Int: Snapshot] = [:]
    var nextNumber = 1
  }

  package let files: [File]
  private let snapshots = Mutex(Snapshots())

  package init(files: [File]) {
    self.files = files
  }

  /// How many states the kernel may still ask for.
  package var snapshotCount: Int { snapshots.withLock { $0.byNumber.count } }

  func lookUp(_ name: UnsafeRawBufferPointer, seconds: Int64) -> Attributes? {
    let place = files.firstIndex { $0.name.utf8.elementsEqual(name) }
    guard let place else { return nil }
    let file = files[place]
    return snapshot(
      file.contents(),
      ofFile: place,
      seconds: seconds,
      isPrivate: file.isPrivate,
      target: file.takesCursors ? .everyRank : .nobody
    )
  }

  /// Keeps one state of a file until the kernel forgets it.
  func snapshot(
    _ bytes: [UInt8],
    ofFile name: Int,
    seconds: Int64,
    isPrivate: Bool,
    target: Target
  ) -> Attributes? {
    let number = snapshots.withLock { snapshots in
      let number = snapshots.nextNumber
      snapshots.nextNumber += 1
      snapshots.byNumber[number] = Snapshot(
        name: name,
        bytes: bytes,
        target: target,
        seconds: seconds,
        isPrivate: isPrivate,
        lookupCount: 1
      )
      return number
    }
    return attributes(of: number)
  }

  func target(of number: Int) -> Target {
    snapshots.withLock { $0.byNumber[number]?.target ?? .nobody }
  }

  /// Empties a file that is about to be written.
  func truncate(_ number: Int) {
    snapshots.withLock { snapshots in
      snapshots.byNumber[number]?.bytes = []
      snapshots.byNumber[number]?.written = []
      snapshots.byNumber[number]?.writtenOffset = 0
    }
  }

  /// Takes up a part of what is written.
  ///
  /// Who keeps the file open writes one piece behind the other, and who appends begins behind what
  /// the file shows.
  ///
  /// - Returns: Whether it goes on where the last part ended, or begins anew, and all together is
  ///   not more than any cursor.
  func write(_ part: [UInt8], at offset: Int64, to number: Int, maxBytes: Int) -> Bool {
    snapshots.withLock { snapshots in
      guard let snapshot = snapshots.byNumber[number] else { return false }
      let end = snapshot.writtenOffset + Int64(snapshot.written.count)
      let isFirst = snapshot.written.isEmpty && offset == Int64(snapshot.bytes.count)
      let isNew =
        offset == 0 || offset == snapshot.writtenOffset || isFirst
        || (snapshot.isWritten && offset == end)
      let startBytes = isNew ? 0 : snapshot.written.count
      guard isNew || offset == end, startBytes + part.count <= maxBytes else { return false }
      if isNew {
        snapshots.byNumber[number]?.written = []
        snapshots.byNumber[number]?.writtenOffset = offset
        snapshots.byNumber[number]?.isWritten = false
      }
      snapshots.byNumber[number]?.written += part
      return true
    }
  }

  /// Notes that what was written is whole.
  func endWritten(to number: Int) {
    snapshots.withLock { $0.byNumber[number]?.isWritten = true }
  }

  /// Looks at all that makes one piece with what was written last.
  func withWritten<Value>(to number: Int, _ body: ([UInt8]) -> Value) -> Value {
    snapshots.withLock { body($0.byNumber[number]?.written ?? []) }
  }

  func attributes(of number: Int) -> Attributes? {
    snapshots.withLock { snapshots in
      guard let snapshot = snapshots.byNumber[number] else { return nil }
      return Attributes(
        inode: Node.snapshot(number).inode,
        isDirectory: false,
        sizeBytes: Int64(snapshot.bytes.count),
        modifiedSeconds: snapshot.seconds,
        // `cp` looks twice and wants the same file both times.
        shownInode: Node.shownInode(ofFile: snapshot.name),
        isPrivate: snapshot.isPrivate
      )
    }
  }

  func bytes(of number: Int) -> [UInt8]? {
    snapshots.withLock { $0.byNumber[number]?.bytes }
  }

  func forget(_ number: Int, lookupCount: UInt64) {
    snapshots.withLock { snapshots in
      guard let snapshot = snapshots.byNumber[number] else { return }
      if snapshot.lookupCount <= lookupCount {
        snapshots.byNumber[number] = nil
      } else {
        snapshots.byNumber[number]?.lookupCount -= lookupCount
      }
    }
  }
}
