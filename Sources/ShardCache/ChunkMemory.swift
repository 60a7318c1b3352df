import Glibc

/// Blocks of one chunk each, straight from the kernel.
///
/// A fresh page costs a fault of about 2 us, so `FetchPlan` uses its blocks again and again.
enum ChunkMemory {
  /// A block of zeroes; nil where the kernel has no memory.
  static func allocate() -> UnsafeMutableRawPointer? {
    let protection = PROT_READ | PROT_WRITE
    let block = mmap(nil, ChunkID.sizeBytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return block == MAP_FAILED ? nil : block
  }

  static func free(_ block: UnsafeMutableRawPointer) {
    munmap(block, ChunkID.sizeBytes)
  }
}
