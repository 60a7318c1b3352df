import Glibc
package import Remote
import TarIndex

/// Puts the kept indexes of shards into packs, in files that have no name, ready to be published.
package struct PackWriter {
  /// A pack's size, about: few GETs for a mount, and no upload so long that it never ends.
  private static let maxPackBytes: Int64 = 256 << 20

  private let run: IndexRun
  private let shards: [ObjectInfo]
  private let prefixCount: Int
  private let directory: CacheDirectory
  private let maxPackBytes: Int64

  /// - Parameters:
  ///   - run: Has the kept indexes.
  ///   - shards: The dataset's.
  ///   - prefix: What all keys of the remote begin with.
  ///   - directory: Takes the files while they are made.
  package init(
    _ run: IndexRun,
    shards: [ObjectInfo],
    below prefix: [UInt8],
    directory: CacheDirectory
  ) {
    self.init(
      run,
      shards: shards,
      below: prefix,
      directory: directory,
      maxPackBytes: Self.maxPackBytes
    )
  }

  init(
    _ run: IndexRun,
    shards: [ObjectInfo],
    below prefix: [UInt8],
    directory: CacheDirectory,
    maxPackBytes: Int64
  ) {
    self.run = run
    self.shards = shards
    self.directory = directory
    self.maxPackBytes = maxPackBytes
    prefixCount = prefix.count
  }

  /// Writes pack after pack and hands each on, whole.
  ///
  /// - Parameters:
  ///   - counts: The shards, with the samples that were found in each; a shard whose index is not
  ///     kept, since it is damaged, is stated by its count alone.
  ///   - publish: Takes each pack.
  /// - Throws: What `publish` throws; `StoreError.file` where a file cannot be written.
  package func write(
    _ counts: [(shard: Int, samples: Int)],
    publish: (ObjectContent) throws(StoreError) -> Void
  ) throws(StoreError) {
    var rest = counts[...]
    repeat {
      try publish(try pack(&rest))
    } while !rest.isEmpty
  }

  private func pack(
    _ rest: inout ArraySlice<(shard: Int, samples: Int)>
  ) throws(StoreError) -> ObjectContent {
    // So many shards' indexes: sizes are known before anything is written.
    var chosen: [(shard: Int, samples: Int, bytes: Int)] = []
    var bodyBytes: Int64 = 0
    while let next = rest.first, chosen.isEmpty || bodyBytes < maxPackBytes {
      guard chosen.count < PublishedPack.maxTableBytes / PublishedPack.entryBytes else { break }
      rest.removeFirst()
      let bytes = run.keptIndex(ofShard: next.shard)?.index.serializedBytes ?? 0
      chosen.append((next.shard, next.samples, bytes))
      bodyBytes += Int64(bytes)
    }
    let tableBytes = PublishedPack.headerBytes + chosen.count * PublishedPack.entryBytes
    guard let file = TemporaryFile(in: directory.indexes) else {
      throw .file(path: directory.path, errno: errno)
    }
    defer { file.remove() }
    var entries: [PublishedPack.Entry] = []
    var offset = Int64(tableBytes)
    for (shard, samples, bytes) in chosen {
      var range = offset..<offset
      var isInflated = false
      let kept = bytes > 0 ? run.keptIndex(ofShard: shard) : nil
      if let kept, kept.index.sampleCount == samples {
        try kept.index.withSerialized { (all) throws(StoreError) in
          try write(all, at: offset, to: file.descriptor)
        }
        range = offset..<offset + Int64(kept.index.serializedBytes)
        isInflated = kept.isInflated
      }
      offset = range.upperBound
      entries.append(
        PublishedPack.Entry(
          identity: PublishedPack.identity(of: shards[shard], prefixCount: prefixCount),
          range: range,
          sampleCount: samples,
          isInflated: isInflated
        )
      )
    }
    let table = PublishedPack.table(entries, packBytes: offset)
    let written = table.withUnsafeBytes { all in
      Result { () throws(StoreError) in try write(all, at: 0, to: file.descriptor) }
    }
    try written.get()
    return try ObjectContent(mapping: file.descriptor, path: directory.path)
  }

  private func write(
    _ bytes: UnsafeRawBufferPointer,
    at offset: Int64,
    to file: Int32
  ) throws(StoreError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(
        file,
        bytes.baseAddress?.advanced(by: done),
        bytes.count - done,
        Int(offset) + done
      )
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .file(path: directory.path, errno: errno) }
      done += count
    }
  }
}
