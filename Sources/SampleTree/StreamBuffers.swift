import ShardCache
import Synchronization

/// Memory for parts of streams, used again: fresh pages for each read cost more than the copy.
final class StreamBuffers: Sendable {
  /// Proof of safety: a buffer is either in here or lent to one caller.
  private struct Free: @unchecked Sendable {
    var buffers: [UnsafeMutableRawPointer] = []
  }

  /// A stream has one reader, and a mount few streams that are read at once.
  private static let maxFree = 4

  private let free = Mutex(Free())

  deinit {
    for buffer in free.withLock({ $0.buffers }) { buffer.deallocate() }
  }

  /// Lends the body room.
  ///
  /// - Parameters:
  ///   - byteCount: At most `ShardReader.maxReadBytes`.
  ///   - body: Keeps nothing of it.
  /// - Returns: What the body returns.
  /// - Throws: What the body throws.
  func withRoom<Value, Failure: Error>(
    _ byteCount: Int,
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let buffer =
      free.withLock { $0.buffers.popLast() }
      ?? UnsafeMutableRawPointer.allocate(byteCount: ShardReader.maxReadBytes, alignment: 4096)
    defer {
      let isKept = free.withLock { free in
        guard free.buffers.count < Self.maxFree else { return false }
        free.buffers.append(buffer)
        return true
      }
      if !isKept { buffer.deallocate() }
    }
    return try body(UnsafeMutableRawBufferPointer(start: buffer, count: byteCount))
  }
}
