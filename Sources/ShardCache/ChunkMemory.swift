import Glibc
import Synchronization

/// Blocks of one chunk each, used again and again.
///
/// A fresh page costs a fault of about 2 us; a block that was used before costs none, so what is
/// freed is kept up to a limit and only then given back to the kernel.
final class ChunkMemory: Sendable {
  private struct Pool: ~Copyable {
    var free: [UnsafeMutableRawPointer] = []
    var allocatedCount = 0
  }

  private let pool = Mutex(Pool())
  private let maxFreeCount: Int

  init(maxFreeCount: Int) {
    self.maxFreeCount = maxFreeCount
  }

  deinit {
    pool.withLock { pool in
      for block in pool.free {
        munmap(block, ChunkID.sizeBytes)
      }
    }
  }

  /// A block with whatever bytes it held before; nil where the kernel has no memory.
  func take() -> UnsafeMutableRawPointer? {
    let kept = pool.withLock { pool in
      let block = pool.free.popLast()
      if block == nil { pool.allocatedCount += 1 }
      return Address(block)
    }
    if let block = kept.pointer { return block }
    let block = mmap(
      nil,
      ChunkID.sizeBytes,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0
    )
    if block == MAP_FAILED {
      pool.withLock { $0.allocatedCount -= 1 }
      return nil
    }
    return block
  }

  func give(back block: UnsafeMutableRawPointer) {
    let address = Address(block)
    let isKept = pool.withLock { pool in
      guard pool.free.count < maxFreeCount, let block = address.pointer else {
        pool.allocatedCount -= 1
        return false
      }
      pool.free.append(block)
      return true
    }
    if !isKept { munmap(block, ChunkID.sizeBytes) }
  }

  /// Blocks in use or kept, each of one chunk's size.
  var allocatedCount: Int { pool.withLock { $0.allocatedCount } }
}

/// A block's address on its way into or out of a lock.
///
/// Proof of `@unchecked Sendable`: a block has one owner at a time, the pool or who took it.
private struct Address: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer?

  init(_ pointer: UnsafeMutableRawPointer?) {
    self.pointer = pointer
  }
}
