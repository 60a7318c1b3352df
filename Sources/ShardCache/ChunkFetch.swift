import Glibc
import Remote

/// Takes the bytes of one range GET into the chunks that wait for them.
///
/// Proof of `@unchecked Sendable`: the store calls a receiver from one thread at a time, and nobody
/// else touches its state.
final class ChunkFetch: RangeReceiver, @unchecked Sendable {
  private let reader: ShardReader
  private let shard: Int32
  private let run: Range<Int32>
  private let number: FetchPlan.FetchNumber
  private var chunkNumber: Int32
  private var filling: ShardReader.Filling?

  init(
    reader: ShardReader,
    shard: Int32,
    run: Range<Int32>,
    number: FetchPlan.FetchNumber
  ) {
    self.reader = reader
    self.shard = shard
    self.run = run
    self.number = number
    self.chunkNumber = run.lowerBound
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    var rest = bytes
    while !rest.isEmpty {
      if filling == nil {
        guard chunkNumber < run.upperBound else { return .stop }
        let chunk = ChunkID(shard: shard, plane: .stored, number: chunkNumber)
        filling = reader.beginFilling(chunk, number: number)
      }
      guard var current = filling else { return .stop }
      let count = min(rest.count, current.lengthBytes - current.filledBytes)
      guard let source = rest.baseAddress else { break }
      memcpy(current.memory + current.filledBytes, source, count)
      current.filledBytes += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      filling = current.filledBytes < current.lengthBytes ? current : nil
      if filling == nil { chunkNumber += 1 }
      reader.advance(current)
    }
    return .more
  }

  func finish(_ result: Result<Void, StoreError>) {
    let rest = min(chunkNumber, run.upperBound)..<run.upperBound
    let chunk = ChunkID(shard: shard, plane: .stored, number: run.lowerBound)
    reader.finished(chunks: rest, of: chunk, number: number, result)
  }
}
