import Decompression
import Glibc
import Remote
import Synchronization
import TarIndex

/// Reads a shard from its first byte to its last into the cache: one that is compressed, or whose
/// server gives no ranges.
///
/// Runs to its end on a thread that may wait. What a compressed shard holds is shown only after its
/// last checksum was right, since nothing of a corrupt one is vouched for. Once it was right, a later
/// load shows what it brings as it comes, so that a shard is read even where not all of it stays.
final class WholeShardLoad: Sendable {
  private struct State {
    /// Which bytes of the shard it brings; not known before its first ones have come.
    var plane: BytePlane?
    var loadedBytes: Int64 = 0
    var waiting: [Waiting] = []
    var result: Result<Void, CacheError>?

    /// Who waited has left, and it is to end.
    var isDeserted = false
  }

  private struct Waiting {
    let plane: BytePlane?
    let bytes: Int64
    let waiter: any CacheWaiter
  }

  private let reader: ShardReader
  private let shard: Int
  private let wantsStored: Bool
  private let stream: ObjectStream
  private let state = Mutex(State())

  /// - Parameters:
  ///   - reader: Whose cache is filled.
  ///   - shard: Its number.
  ///   - wantsStored: Whether a compressed shard is kept as it is, and not inflated.
  init(reader: ShardReader, shard: Int, wantsStored: Bool) {
    self.reader = reader
    self.shard = shard
    self.wantsStored = wantsStored
    self.stream = ObjectStream(store: reader.store, object: reader.shards[shard])
  }

  /// Tells the waiter when a plane is loaded up to a byte, or why it will not be.
  ///
  /// Where the load turns out to bring the other plane, the waiter is told at its end to ask again.
  ///
  /// - Parameters:
  ///   - bytes: From the plane's start.
  ///   - plane: Which bytes; nil waits for the end.
  ///   - waiter: Told once.
  func wait(forBytes bytes: Int64, of plane: BytePlane?, _ waiter: any CacheWaiter) {
    let result = state.withLock { state -> Result<Void, CacheError>? in
      if let result = state.result { return result }
      state.waiting.append(Waiting(plane: plane, bytes: bytes, waiter: waiter))
      return nil
    }
    switch result {
    case nil: break
    case .success: waiter.cacheAnswered(nil)
    case .failure(let failure): waiter.cacheAnswered(failure)
    }
  }

  func run() {
    let result = Result { () throws(CacheError) in try load() }
    stream.cancel()
    reader.wholeLoadEnded(shard, isComplete: result.isSuccess)
    end(result)
  }

  /// Ends the load if nobody else waits for it.
  ///
  /// Who leaves, and whoever comes before it has ended, is told to ask again.
  ///
  /// - Returns: Whether it ends.
  func leave(_ waiter: any CacheWaiter) -> Bool {
    let isDeserted = state.withLock { state in
      guard state.result == nil, state.waiting.contains(where: { $0.waiter === waiter }) else {
        return false
      }
      state.isDeserted = state.waiting.allSatisfy { $0.waiter === waiter }
      if !state.isDeserted { state.waiting.removeAll { $0.waiter === waiter } }
      return state.isDeserted
    }
    if isDeserted { stream.cancel() }
    return isDeserted
  }

  /// Fails who waits, and has the load end as soon as it can.
  func cancel() {
    stream.cancel()
    end(.failure(.closed))
  }

  private func end(_ result: Result<Void, CacheError>) {
    let (waiting, plane, loadedBytes, isUnfinished) = state.withLock { state in
      defer { state.waiting = [] }
      // No failure of the shard's, only that nobody wanted it any more.
      let isUnfinished = state.isDeserted && !result.isSuccess
      state.result = state.result ?? (isUnfinished ? .success(()) : result)
      return (state.waiting, state.plane, state.loadedBytes, isUnfinished)
    }
    if isUnfinished {
      for waiting in waiting { waiting.waiter.cacheAnswered(nil) }
      return
    }
    for waiting in waiting {
      let waiter = waiting.waiter
      switch result {
      case .success where waiting.plane == plane && waiting.bytes > loadedBytes:
        let detail = "byte \(waiting.bytes) was listed, \(loadedBytes) came"
        waiter.cacheAnswered(.shardChanged(shard: reader.shards[shard].key, detail: detail))
      case .success: waiter.cacheAnswered(nil)
      case .failure(let failure): waiter.cacheAnswered(failure)
      }
    }
  }

  // MARK: Loading

  private func load() throws(CacheError) {
    let object = reader.shards[shard]
    var bytes = try next()
    // The first request may bring less than a block.
    while bytes.count < min(ShardContent.decidingBytes, Int(clamping: object.sizeBytes)) {
      let more = try next()
      if more.isEmpty { break }
      bytes += more
    }
    let content = bytes.withUnsafeBytes { ShardContent.detect(firstBytes: $0) }
    guard case .compressed(let format) = content else {
      return try copy(first: bytes, isTar: true)
    }
    if wantsStored {
      try copy(first: bytes, isTar: false)
    } else {
      try inflate(first: bytes, format)
    }
  }

  private func next() throws(CacheError) -> [UInt8] {
    do throws(StoreError) {
      return try stream.next()
    } catch {
      throw reader.restate(error, ofShard: shard, run: 0..<1)
    }
  }

  private func copy(first: [UInt8], isTar: Bool) throws(CacheError) {
    state.withLock { $0.plane = .stored }
    var scanner = TarScanner(objectBytes: reader.shards[shard].sizeBytes)
    var writer = ChunkWriter(reader: reader, shard: shard, plane: .stored)
    var bytes = first
    var offset: Int64 = 0
    while !bytes.isEmpty {
      let result = bytes.withUnsafeBytes { all -> Result<Void, CacheError> in
        if isTar { scanner.feed(all, at: offset) }
        return writer.write(all)
      }
      do throws(CacheError) {
        try result.get()
        offset += Int64(bytes.count)
        loaded(offset)
        bytes = try next()
      } catch {
        writer.abandon()
        throw error
      }
    }
    writer.finish()
    guard isTar else { return }
    if !scanner.isDone { scanner.endObject(at: offset) }
    reader.wholeIndex(scanner.snapshot(), ofShard: shard, isInflated: false)
  }

  private func inflate(first: [UInt8], _ format: CompressionFormat) throws(CacheError) {
    state.withLock { $0.plane = .inflated }
    let isVouchedFor = reader.index(ofShard: shard)?.isComplete == true
    if !isVouchedFor { reader.dropInflated(shard) }
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
        defer { if isVouchedFor { loaded(outputBytes) } }
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
        switch Result(catching: { () throws(CacheError) in try next() }) {
        case .success(let more): bytes = more
        case .failure(let error): failure = error
        }
      }
      if failure == nil { try decompressor.finish() }
      if decompressor.hasTrailingData { scanner.noteTrailingData() }
    } catch {
      writer.abandon()
      reader.dropInflated(shard)
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
      reader.dropInflated(shard)
      throw failure
    }
    writer.finish()
    state.withLock { $0.loadedBytes = outputBytes }
    scanner.endObject(at: outputBytes)
    reader.wholeIndex(scanner.snapshot(), ofShard: shard, isInflated: true)
  }

  private func loaded(_ bytes: Int64) {
    let served = state.withLock { state in
      state.loadedBytes = bytes
      var served: [any CacheWaiter] = []
      state.waiting.removeAll { waiting in
        guard waiting.plane == state.plane, waiting.bytes <= bytes else { return false }
        served.append(waiting.waiter)
        return true
      }
      return served
    }
    for waiter in served { waiter.cacheAnswered(nil) }
  }
}

extension Result {
  fileprivate var isSuccess: Bool {
    if case .success = self { true } else { false }
  }
}
