import Glibc

/// The bytes of an index: a block of our own, or a mapped file.
///
/// `@unchecked Sendable`: nobody writes to the bytes once the initialiser has returned.
package final class IndexStorage: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool

  /// Allocates a block and has it filled.
  ///
  /// - Parameters:
  ///   - byteCount: Its length.
  ///   - fill: Writes every byte of it.
  package init(byteCount: Int, filledBy fill: (UnsafeMutableRawBufferPointer) -> Void) {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
    fill(block)
    bytes = UnsafeRawBufferPointer(block)
    isMapped = false
  }

  /// Copies bytes into a block.
  package convenience init(copying source: UnsafeRawBufferPointer) {
    self.init(byteCount: source.count) { $0.copyMemory(from: source) }
  }

  /// Takes over a region that `mmap` gave; it is unmapped with the last reference.
  ///
  /// The file behind it must not be cut short meanwhile: writers replace it by a new file.
  package init(adoptingMapping region: UnsafeRawBufferPointer) {
    bytes = region
    isMapped = true
  }

  deinit {
    if isMapped {
      guard let base = bytes.baseAddress else { return }
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    } else {
      bytes.deallocate()
    }
  }
}
