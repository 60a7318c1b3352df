import Glibc
import Remote

/// Lays a plane's bytes into chunks, from the first to the last, evicting as it goes.
///
/// Blocks where every chunk in memory is in use, so it runs on a worker of its own.
struct ChunkWriter {
  private let reader: ShardReader
  private let shard: Int
  private let plane: BytePlane
  private var chunkNumber: Int32 = 0
  private var filled = 0
  private var filling: ShardReader.Filling?

  init(reader: ShardReader, shard: Int, plane: BytePlane) {
    self.reader = reader
    self.shard = shard
    self.plane = plane
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) -> Result<Void, CacheError> {
    var rest = bytes
    while let source = rest.baseAddress, !rest.isEmpty {
      if filled == 0 {
        if let failure = beginChunk() { return .failure(failure) }
      }
      let count = min(rest.count, ChunkID.sizeBytes - filled)
      if let filling { memcpy(filling.memory + filled, source, count) }
      filled += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if filled == ChunkID.sizeBytes { endChunk() }
    }
    return .success(())
  }

  /// Ends the last chunk, which may be short.
  mutating func finish() {
    if filled > 0 { endChunk() }
  }

  /// Gives up the chunk at hand.
  mutating func abandon() {
    guard let filling else { return }
    self.filling = nil
    reader.abandon(filling)
  }

  private mutating func beginChunk() -> CacheError? {
    let chunk = ChunkID(shard: Int32(shard), plane: plane, number: chunkNumber)
    let neededBytes = (Int64(chunkNumber) + 1) * reader.settings.chunkCostBytes
    guard neededBytes <= reader.settings.budgetBytes else {
      let failure = CacheError.cacheTooSmall(
        shard: reader.shards[shard].key,
        neededBytes: max(neededBytes, reader.shards[shard].sizeBytes),
        budgetBytes: reader.settings.budgetBytes
      )
      reader.fail(shard: shard, for: failure, event: "cache.too_small")
      return failure
    }
    let latch = Latch()
    while true {
      switch reader.beginWhole(chunk, latch) {
      case .filling(let begun):
        filling = begun
        return nil
      case .noRoom: latch.wait()
      // Its bytes are passed over.
      case .there: return nil
      case .closed: return .closed
      }
    }
  }

  private mutating func endChunk() {
    if var done = filling {
      done.filledBytes = filled
      reader.endWhole(done)
    }
    filling = nil
    filled = 0
    chunkNumber += 1
  }
}
