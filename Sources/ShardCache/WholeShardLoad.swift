import Decompression
import Glibc
import Remote
import Synchronization
import TarIndex

/// Reads a shard from its first byte to its last into the cache: one that is compressed, or whose
/// server gives no ranges.
///
/// Runs to its end on a thread that may wait. What a compressed shard holds is shown only after its
/// last checksum was right, since nothing of a corrupt one is vouched for.
final class WholeShardLoad: Sendable {
  private struct State {
    var loadedBytes: Int64 = 0
    var waiting: [(bytes: Int64, waiter: any CacheWaiter)] = []
    var result: Result<Void, CacheError>?
  }

  private let reader: ShardReader
  private let shard: Int
  private let state = Mutex(State())

  init(reader: ShardReader, shard: Int) {
    self.reader = reader
    self.shard = shard
  }

  /// Tells the waiter when the plane is loaded up to a byte, or why it will not be.
  func wait(forBytes bytes: Int64, _ waiter: any CacheWaiter) {
    let result = state.withLock { state -> Result<Void, CacheError>? in
      if let result = state.result { return result }
      state.waiting.append((bytes, waiter))
      return nil
    }
    switch result {
    case nil: break
    case .success: waiter.cacheAnswered(nil)
    case .failure(let failure): waiter.cacheAnswered(failure)
    }
  }

  func run() {
    let result: Result<Void, CacheError>
    do throws(CacheError) {
      try load()
      result = .success(())
    } catch {
      result = .failure(error)
    }
    reader.wholeLoadEnded(shard)
    let waiting = state.withLock { state in
      state.result = result
      defer { state.waiting = [] }
      return state.waiting
    }
    for (_, waiter) in waiting {
      switch result {
      case .success: waiter.cacheAnswered(nil)
      case .failure(let failure): waiter.cacheAnswered(failure)
      }
    }
  }

  // MARK: Loading

  private func load() throws(CacheError) {
    let object = reader.shards[shard]
    let stream = ObjectStream(store: reader.store, object: object)
    defer { stream.cancel() }
    var bytes = try next(stream)
    // The first request may bring less than a block.
    while bytes.count < min(512, Int(clamping: object.sizeBytes)) {
      let more = try next(stream)
      if more.isEmpty { break }
      bytes += more
    }
    let content = bytes.withUnsafeBytes { ShardContent.detect(firstBytes: $0) }
    if case .compressed(let format) = content {
      try inflate(stream, first: bytes, format)
    } else {
      try copy(stream, first: bytes)
    }
  }

  private func next(_ stream: ObjectStream) throws(CacheError) -> [UInt8] {
    do throws(StoreError) {
      return try stream.next()
    } catch {
      throw reader.restate(error, ofShard: shard, run: 0..<1)
    }
  }

  private func copy(_ stream: ObjectStream, first: [UInt8]) throws(CacheError) {
    var scanner = TarScanner(objectBytes: reader.shards[shard].sizeBytes)
    var writer = ChunkWriter(reader: reader, shard: shard, plane: .stored)
    var bytes = first
    var offset: Int64 = 0
    while !bytes.isEmpty {
      let result = bytes.withUnsafeBytes { all -> Result<Void, CacheError> in
        scanner.feed(all, at: offset)
        return writer.write(all)
      }
      try result.get()
      offset += Int64(bytes.count)
      loaded(offset)
      bytes = try next(stream)
    }
    writer.finish()
    reader.wholeIndex(scanner.snapshot(), ofShard: shard, isInflated: false)
  }

  private func inflate(
    _ stream: ObjectStream,
    first: [UInt8],
    _ format: CompressionFormat
  ) throws(CacheError) {
    // How many bytes come out is known at the end only.
    var scanner = TarScanner(objectBytes: Int64.max)
    var writer = ChunkWriter(reader: reader, shard: shard, plane: .inflated)
    var outputBytes: Int64 = 0
    var failure: CacheError?
    do throws(DecompressionError) {
      let decompressor = try Decompressor(format, maxOutputBytes: reader.settings.maxInflatedBytes)
      func take(_ output: UnsafeRawBufferPointer) throws(DecompressionError) {
        scanner.feed(output, at: outputBytes)
        outputBytes += Int64(output.count)
        if case .failure(let error) = writer.write(output) {
          failure = error
          throw .stopped
        }
      }
      var bytes = first
      while !bytes.isEmpty, failure == nil {
        let result = bytes.withUnsafeBytes { input in
          Result { () throws(DecompressionError) in
            try decompressor.decompress(input, output: take)
          }
        }
        try result.get()
        switch Result(catching: { () throws(CacheError) in try next(stream) }) {
        case .success(let more): bytes = more
        case .failure(let error): failure = error
        }
      }
      if failure == nil { try decompressor.finish() }
      if decompressor.hasTrailingData { scanner.noteTrailingData() }
    } catch {
      writer.abandon()
      if let failure { throw failure }
      guard let errorClass = error.errorClass else {
        throw .shardBad(
          shard: reader.shards[shard].key,
          errorClass: "\(error)",
          offset: outputBytes
        )
      }
      let index = ShardIndex.rejected(errorClass, objectBytes: outputBytes)
      return reader.wholeIndex(index, ofShard: shard, isInflated: true)
    }
    if let failure {
      writer.abandon()
      throw failure
    }
    writer.finish()
    scanner.endObject(at: outputBytes)
    reader.wholeIndex(scanner.snapshot(), ofShard: shard, isInflated: true)
  }

  private func loaded(_ bytes: Int64) {
    let served = state.withLock { state in
      state.loadedBytes = bytes
      var served: [any CacheWaiter] = []
      state.waiting.removeAll { waiting in
        guard waiting.bytes <= bytes else { return false }
        served.append(waiting.waiter)
        return true
      }
      return served
    }
    for waiter in served { waiter.cacheAnswered(nil) }
  }
}
