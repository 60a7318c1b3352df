import Glibc

/// A store that takes objects as well.
package protocol WritableStore: ObjectStore {
  /// Puts an object in the place of what may be there, whole or not at all.
  ///
  /// Blocks until the store has it.
  ///
  /// - Parameters:
  ///   - content: Its bytes.
  ///   - key: Its key.
  /// - Throws: Why it does not have it; what was there before is there still.
  func put(_ content: ObjectContent, to key: ObjectKey) throws(StoreError)
}

/// The bytes of an object that is to be put: in memory, or a mapped file.
///
/// Proof of `@unchecked Sendable`: nobody writes to the bytes once the initialiser has returned.
package final class ObjectContent: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool

  package init(copying source: [UInt8]) {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 16)
    block.copyBytes(from: source)
    bytes = UnsafeRawBufferPointer(block)
    isMapped = false
  }

  /// Maps a file, which may be closed and removed afterwards.
  ///
  /// - Parameters:
  ///   - file: Open for reading; not empty.
  ///   - path: For messages.
  /// - Throws: `StoreError.file`.
  package init(mapping file: Int32, path: String) throws(StoreError) {
    var status = stat()
    guard fstat(file, &status) == 0 else { throw .file(path: path, errno: errno) }
    let size = Int(status.st_size)
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), base != MAP_FAILED else {
      throw .file(path: path, errno: errno)
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
    isMapped = true
  }

  deinit {
    guard isMapped, let base = bytes.baseAddress else { return bytes.deallocate() }
    munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
  }
}
