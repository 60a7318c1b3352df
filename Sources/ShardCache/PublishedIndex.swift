import Glibc
package import Logging
package import Remote
import TarIndex

/// The indexes that lie in the bucket itself: which shards they are of, and how to get one.
///
/// A shard's entry counts only while key, ETag and size are those that the listing gives. Small
/// packs are read whole at mount; of large ones the table, and each index when it is wanted.
package final class PublishedIndex: Sendable {
  /// Where packs lie below the remote, and how their names end.
  package static let folder = ".wdsfs/index/"
  package static let suffix = ".pack"

  /// What is read of a pack at first: all of it, for a few hundred thousand samples.
  static let firstBytes: Int64 = 4 << 20

  /// Whole packs are kept up to so many bytes together.
  package static let maxKeptBytes: Int64 = 32 << 20

  /// More objects there are not packs that anybody needs.
  private static let maxPacks = 4096

  /// Packs read side by side, so that what is read of them stays small.
  private static let packsAtOnce = 8

  private struct Place {
    let pack: Int
    let range: Range<Int64>
    let sampleCount: Int
    let isInflated: Bool
  }

  private struct Pack {
    let object: ObjectInfo

    /// All of it, where it is small.
    let bytes: [UInt8]?
  }

  private let store: any ObjectStore
  private let shards: [ObjectInfo]
  private let packs: [Pack]

  /// By shard number.
  private let places: [Place?]

  private let logger: Logger

  /// Whether an object of a listing is a pack, by its key.
  package static func isPack(_ key: ObjectKey, below prefix: [UInt8]) -> Bool {
    let folder = prefix + Array(Self.folder.utf8)
    return key.bytes.starts(with: folder) && key.bytes.count > folder.count + suffix.utf8.count
      && key.bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
      && !key.bytes[folder.count...].contains(UInt8(ascii: "/"))
  }

  /// Reads the packs' tables; blocks until they are there.
  ///
  /// A pack that is damaged, or may not be read, is none: it is logged and left aside. Where several
  /// know a shard, the one written last counts.
  ///
  /// - Parameters:
  ///   - packs: As listed.
  ///   - store: Has them.
  ///   - shards: The dataset's.
  ///   - prefix: What all keys of the remote begin with.
  ///   - maxKeptBytes: Whole packs are kept in memory up to so many bytes together.
  ///   - logger: Hears of packs that are no good.
  /// - Throws: Where the store does not answer: another order must not come of that.
  package init(
    _ packs: [ObjectInfo],
    in store: any ObjectStore,
    shards: [ObjectInfo],
    below prefix: [UInt8],
    maxKeptBytes: Int64 = maxKeptBytes,
    logger: Logger
  ) throws(StoreError) {
    self.store = store
    self.shards = shards
    self.logger = logger
    var numbers: [ShardIdentity: Int] = [:]
    numbers.reserveCapacity(shards.count)
    for (number, shard) in shards.enumerated() {
      numbers[PublishedPack.identity(of: shard, prefixCount: prefix.count)] = number
    }
    let newest = packs.sorted {
      ($0.modifiedSeconds, $0.key) > ($1.modifiedSeconds, $1.key)
    }
    var read: [Pack] = []
    var places = [Place?](repeating: nil, count: shards.count)
    var keptBytes: Int64 = 0
    let chosen = newest.prefix(Self.maxPacks)
    for start in stride(from: 0, to: chosen.count, by: Self.packsAtOnce) {
      let some = chosen[start..<min(start + Self.packsAtOnce, chosen.count)]
      let heads = some.map { pack in
        SmallFetch.start(0..<min(pack.sizeBytes, Self.firstBytes), of: pack, in: store)
      }
      for (object, head) in zip(some, heads) {
        do {
          let first = try head.wait()
          let entries = try Self.entries(first, of: object, in: store)
          for entry in entries {
            guard let shard = numbers[entry.identity], places[shard] == nil else { continue }
            places[shard] = Place(
              pack: read.count,
              range: entry.range,
              sampleCount: entry.sampleCount,
              isInflated: entry.isInflated
            )
          }
          let isWhole = Int64(first.count) == object.sizeBytes
          let isKept = isWhole && keptBytes + object.sizeBytes <= maxKeptBytes
          if isKept { keptBytes += object.sizeBytes }
          read.append(Pack(object: object, bytes: isKept ? first : nil))
        } catch let error as PackError {
          Self.leaveAside(object, "\(error)", logger)
        } catch let error as StoreError {
          guard case .refused = error else { throw error }
          Self.leaveAside(object, "\(error)", logger)
        } catch {
          preconditionFailure("\(error)")
        }
      }
    }
    self.packs = read
    self.places = places
  }

  private static func entries(
    _ first: [UInt8],
    of object: ObjectInfo,
    in store: any ObjectStore
  ) throws -> [PublishedPack.Entry] {
    let end = try first.withUnsafeBytes { bytes throws(PackError) in
      try PublishedPack.tableEnd(bytes, packBytes: object.sizeBytes)
    }
    var table = first
    if table.count < end {
      table += try SmallFetch.start(Int64(table.count)..<Int64(end), of: object, in: store).wait()
    }
    return try table.withUnsafeBytes { bytes throws(PackError) in
      try PublishedPack.entries(
        UnsafeRawBufferPointer(rebasing: bytes[..<end]),
        packBytes: object.sizeBytes
      )
    }
  }

  private static func leaveAside(_ object: ObjectInfo, _ reason: String, _ logger: Logger) {
    logger.warning(
      "a published index is not used: \(reason); write it anew with wdsfs index --publish",
      metadata: ["event": "index.refused", "object": "\(object.key)", "reason": "\(reason)"]
    )
  }

  // MARK: What it says

  /// The number of a shard's samples.
  package func sampleCount(ofShard shard: Int) -> Int? { places[shard]?.sampleCount }

  /// How many shards it knows.
  package var shardCount: Int { places.count { $0 != nil } }

  /// Brings a shard's index.
  ///
  /// - Parameters:
  ///   - shard: Its number.
  ///   - completion: Told once, on a thread of the store or this one: nil where there is none, or none
  ///     that can be used.
  /// - Returns: A hold on the fetch, if there is one.
  func fetch(
    ofShard shard: Int,
    completion: @escaping @Sendable (IndexedShard?) -> Void
  ) -> (any FetchTicket)? {
    guard let place = places[shard], !place.range.isEmpty else {
      completion(nil)
      return nil
    }
    let pack = packs[place.pack]
    if let bytes = pack.bytes {
      let part = bytes[Int(place.range.lowerBound)..<Int(place.range.upperBound)]
      completion(part.withUnsafeBytes { checked($0, place, ofShard: shard) })
      return nil
    }
    let receiver = ReceivedBytes(expectedBytes: place.range.count) { [self] result in
      switch result {
      case .success(let bytes):
        completion(bytes.withUnsafeBytes { checked($0, place, ofShard: shard) })
      case .failure(let error):
        if error != .cancelled { refuse(shard, "\(error)") }
        completion(nil)
      }
    }
    let request = RangeRequest(object: pack.object, range: place.range, priority: .reader)
    return store.fetch(request, into: receiver)
  }

  /// The same for a thread that may wait.
  package func index(ofShard shard: Int) -> IndexedShard? {
    let answer = Answer<IndexedShard?>()
    _ = fetch(ofShard: shard) { answer.give(.success($0)) }
    return (try? answer.wait()) ?? nil
  }

  /// Makes an index of bytes from the bucket, if it is one of this very shard.
  private func checked(
    _ bytes: UnsafeRawBufferPointer,
    _ place: Place,
    ofShard shard: Int
  ) -> IndexedShard? {
    guard let index = try? ShardIndex(validating: IndexStorage(copying: bytes)) else {
      refuse(shard, "it is damaged")
      return nil
    }
    let fits = place.isInflated || index.objectBytes == shards[shard].sizeBytes
    guard index.isComplete, index.damage == nil, fits, index.sampleCount == place.sampleCount else {
      refuse(shard, "it is of another shard")
      return nil
    }
    return IndexedShard(index: index, isInflated: place.isInflated)
  }

  private func refuse(_ shard: Int, _ reason: String) {
    logger.warning(
      "a shard's published index is not used: \(reason); its headers are read",
      metadata: [
        "event": "index.refused", "shard": "\(shards[shard].key)", "reason": "\(reason)",
      ]
    )
  }
}

/// A fetch of a few bytes that a thread waits for.
package struct SmallFetch {
  private let answer: Answer<[UInt8]>

  /// Begins it; nothing is fetched where the range is empty.
  package static func start(
    _ range: Range<Int64>,
    of object: ObjectInfo,
    in store: any ObjectStore
  ) -> SmallFetch {
    let answer = Answer<[UInt8]>()
    if range.isEmpty {
      answer.give(.success([]))
    } else {
      let request = RangeRequest(object: object, range: range, priority: .reader)
      let receiver = ReceivedBytes(expectedBytes: range.count) { answer.give($0) }
      _ = store.fetch(request, into: receiver)
    }
    return SmallFetch(answer: answer)
  }

  /// Blocks until the bytes are there; once.
  package func wait() throws(StoreError) -> [UInt8] { try answer.wait() }
}
