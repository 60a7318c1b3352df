import Glibc

/// The bytes of an index: a block of our own, or a mapped file.
///
/// `@unchecked Sendable`: nobody writes to the bytes once the initialiser has returned.
package final class IndexStorage: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  /// What is unmapped at the end; nil for a block.
  private let mapping: UnsafeRawBufferPointer?

  /// Allocates a block and has it filled.
  ///
  /// - Parameters:
  ///   - byteCount: Its length.
  ///   - fill: Writes every byte of it.
  package init(byteCount: Int, filledBy fill: (UnsafeMutableRawBufferPointer) -> Void) {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
    fill(block)
    bytes = UnsafeRawBufferPointer(block)
    mapping = nil
  }

  /// Copies bytes into a block.
  package convenience init(copying source: UnsafeRawBufferPointer) {
    self.init(byteCount: source.count) { $0.copyMemory(from: source) }
  }

  /// Takes over a region that `mmap` gave; it is unmapped with the last reference.
  ///
  /// Nobody else may have a way to the file behind it: cut short, it would end this process.
  ///
  /// - Parameters:
  ///   - region: All of the mapping.
  ///   - headerBytes: What comes before the index, a multiple of 8.
  package init(adoptingMapping region: UnsafeRawBufferPointer, headerBytes: Int = 0) {
    bytes = UnsafeRawBufferPointer(rebasing: region.dropFirst(headerBytes))
    mapping = region
  }

  deinit {
    guard let mapping else { return bytes.deallocate() }
    guard let base = mapping.baseAddress else { return }
    munmap(UnsafeMutableRawPointer(mutating: base), mapping.count)
  }
}
