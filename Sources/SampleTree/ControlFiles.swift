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
    package let contents: @Sendable () -> [UInt8]

    package init(
      name: String,
      isPrivate: Bool = false,
      contents: @escaping @Sendable () -> [UInt8]
    ) {
      self.name = name
      self.isPrivate = isPrivate
      self.contents = contents
    }
  }

  private struct Snapshot {
    let bytes: [UInt8]
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
    guard let file = files.first(where: { $0.name.utf8.elementsEqual(name) }) else { return nil }
    let bytes = file.contents()
    let number = snapshots.withLock { snapshots in
      let number = snapshots.nextNumber
      snapshots.nextNumber += 1
      snapshots.byNumber[number] = Snapshot(
        bytes: bytes,
        seconds: seconds,
        isPrivate: file.isPrivate,
        lookupCount: 1
      )
      return number
    }
    return attributes(of: number)
  }

  func attributes(of number: Int) -> Attributes? {
    snapshots.withLock { snapshots in
      guard let snapshot = snapshots.byNumber[number] else { return nil }
      return Attributes(
        inode: Node.snapshot(number).inode,
        isDirectory: false,
        sizeBytes: Int64(snapshot.bytes.count),
        modifiedSeconds: snapshot.seconds,
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
