import Decompression
import Glibc
import Remote
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

@Suite(.timeLimit(.minutes(10))) struct WholeShardTests {
  /// A tar of about so many MiB, whose bodies do not compress.
  private static func tar(_ mebis: Int, seed: UInt64 = 1) -> [UInt8] {
    TestShard.samples([Int](repeating: 250_000, count: mebis * 4), seed: seed)
  }

  /// Reads the whole inflated plane and holds it against the tar.
  private func isRight(_ reader: ShardReader, _ tar: [UInt8], ofShard shard: Int = 0) throws -> Bool
  {
    for start in stride(from: 0, to: tar.count, by: mebi) {
      let end = min(tar.count, start + mebi)
      let range = Int64(start)..<Int64(end)
      let got = try reader.read(range, ofShard: shard, plane: .inflated)
      guard isSame(got, tar[start..<end]) else { return false }
    }
    return true
  }

  @Test(
    "A compressed shard of any format is inflated once and read at any place",
    arguments: CompressionFormat.allCases,
    [CacheSettings.Place.memory, .disk]
  )
  func formats(format: CompressionFormat, place: CacheSettings.Place) throws {
    let tar = Self.tar(2)
    let packed = try Compressed.bytes(tar, format)
    let bench = try CacheBench(["a.tar.\(format)": packed])
    let settings = CacheSettings(place: place, budgetBytes: 64 << 20)
    let store = try bench.store(maxPieceBytes: 300_000)
    let reader = try bench.reader(over: store, settings, keepsIndexes: true)
    let index = try reader.index(upTo: .max)
    #expect(index.sampleCount == 8)
    #expect(index.objectBytes == Int64(tar.count))
    #expect(reader.indexAndPlane(ofShard: 0)?.plane == .inflated)
    #expect(try isRight(reader, tar))
    // The first bytes are read twice: to see what it is, and as the stream's start.
    #expect(store.requestedBytes <= 2 * Int64(packed.count))
    let count = store.requests.count
    #expect(try isRight(reader, tar))
    #expect(store.requests.count == count)
    bench.end(reader)
    let again = try bench.store()
    let second = try bench.reader(over: again, settings, keepsIndexes: true)
    #expect(try second.index(upTo: .max).sampleCount == 8)
    #expect(again.requests.isEmpty)
    #expect(try isRight(second, tar))
    #expect(again.requests.isEmpty == (place == .disk))
  }

  @Test(
    "A compressed shard that is damaged has no samples",
    arguments: CompressionFormat.allCases
  )
  func corrupt(format: CompressionFormat) throws {
    var packed = try Compressed.bytes(Self.tar(2), format)
    packed[packed.count * 3 / 4] ^= 0x11
    let cut = Array(packed[..<(packed.count / 2)])
    let bench = try CacheBench(["a.tar.x": packed, "b.tar.x": cut])
    let reader = try bench.reader(over: try bench.store())
    for shard in 0..<2 {
      let index = try reader.index(upTo: .max, ofShard: shard)
      #expect(index.sampleCount == 0)
      #expect(index.damage?.errorClass == .corruptCompression)
    }
    #expect(reader.statistics.damagedShards == 2)
    var settings = CacheSettings(place: .memory, budgetBytes: 64 << 20)
    settings.isStrict = true
    let strict = try bench.reader(over: try bench.store(), settings)
    #expect(throws: CacheError.self) { try strict.index(upTo: .max) }
  }

  @Test("Nothing that a corrupt transfer brought is taken for good by the next mount")
  func corruptTransfer() throws {
    let tar = Self.tar(7)
    // Its window is too short to find the bodies alike.
    let packed = try Compressed.bytes(tar, .gzip)
    let bench = try CacheBench(["a.tar.gz": packed])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let bad = try bench.store { _, request in
      request.range.lowerBound >= 4 << 20 ? .flip : .none
    }
    let first = try bench.reader(over: bad, settings)
    #expect(try first.index(upTo: .max).damage?.errorClass == .corruptCompression)
    bench.end(first)
    let second = try bench.reader(over: try bench.store(), settings)
    #expect(try second.index(upTo: .max).sampleCount == 28)
    #expect(try isRight(second, tar))
  }

  @Test("What inflates beyond the limit is refused, and takes no more than the limit")
  func tooLarge() throws {
    let packed = try Compressed.bytes([UInt8](repeating: 0, count: 40 * mebi), .zstd)
    let bench = try CacheBench(["a.tar.zst": packed])
    var settings = CacheSettings(place: .memory, budgetBytes: 64 << 20)
    settings.maxInflatedBytes = 8 << 20
    let reader = try bench.reader(over: try bench.store(), settings)
    let index = try reader.index(upTo: .max)
    #expect(index.damage?.errorClass == .decompressedTooLarge)
    let spareBytes = Int64(ChunkArena.maxSpareCount * ChunkID.sizeBytes)
    #expect(reader.statistics.memoryBytes <= 10 << 20 + spareBytes)
  }

  @Test(
    "A shard that does not fit into the cache whole is refused for good, with what it needs",
    arguments: [CacheSettings.Place.memory, .disk]
  )
  func cacheTooSmall(place: CacheSettings.Place) throws {
    let packed = try Compressed.bytes(Self.tar(20), .lz4)
    let bench = try CacheBench(["a.tar.lz4": packed])
    let store = try bench.store()
    let settings = CacheSettings(place: place, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    for _ in 0..<2 {
      do {
        _ = try reader.index(upTo: .max)
        Issue.record("it was taken")
      } catch {
        guard case .some(.cacheTooSmall(_, let needed, settings.budgetBytes)) = error as? CacheError
        else {
          Issue.record("\(error)")
          continue
        }
        #expect(needed > settings.budgetBytes)
      }
    }
    #expect(store.requestedBytes <= 2 * Int64(packed.count))
  }

  @Test("What was evicted of a compressed shard is inflated again", arguments: [1, 2])
  func evicted(threads: Int) throws {
    let tars = (0..<3).map { Self.tar(9, seed: UInt64($0) + 1) }
    var files: [String: [UInt8]] = [:]
    for (number, tar) in tars.enumerated() {
      files["\(number).tar.zst"] = try Compressed.bytes(tar, .zstd)
    }
    let bench = try CacheBench(files)
    let settings = CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: try bench.store(), settings)
    onThreads(threads) { thread in
      for turn in 0..<4 {
        let shard = (turn + thread) % 3
        do {
          _ = try reader.index(upTo: .max, ofShard: shard)
          #expect(
            try isRight(reader, tars[shard], ofShard: shard),
            "thread \(thread), turn \(turn)"
          )
        } catch {
          Issue.record("thread \(thread), turn \(turn): \(error)")
        }
      }
    }
    #expect(reader.statistics.memoryBytes <= settings.budgetBytes)
    #expect(reader.statistics.evictions > 0)
  }

  @Test("An inflated shard whose files are gone from the disk is inflated again")
  func evictedFromDisk() throws {
    let tar = Self.tar(3)
    let bench = try CacheBench(["a.tar.gz": try Compressed.bytes(tar, .gzip)])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let first = try bench.reader(over: try bench.store(), settings)
    _ = try first.index(upTo: .max)
    #expect(try isRight(first, tar))
    bench.end(first)
    let second = try bench.reader(over: try bench.store(), settings)
    _ = try second.index(upTo: .max)
    let directory = try CacheDirectory(path: bench.cachePath)
    forEachName(in: directory.chunks) { folder in
      for number in 1..<3 { unlinkat(directory.chunks, "\(folder)/i\(number)", 0) }
    }
    #expect(try isRight(second, tar))
  }

  // MARK: Without ranges

  @Test("A shard of a server without ranges is read by one request, for its index and its bytes")
  func withoutRanges() throws {
    let tar = Self.tar(6)
    let bench = try CacheBench(["a.tar": tar], acceptsRanges: false)
    let store = try bench.store(maxPieceBytes: 100_000)
    let reader = try bench.reader(over: store)
    #expect(try reader.index(upTo: .max).sampleCount == 24)
    for start in stride(from: 0, to: tar.count, by: mebi) {
      let end = min(tar.count, start + mebi)
      #expect(isSame(try reader.read(Int64(start)..<Int64(end)), tar[start..<end]))
    }
    #expect(store.requests.map(\.range) == [0..<Int64(tar.count)])
  }

  @Test("A reader does not wait for more of it than it reads")
  func withoutRangesEarly() throws {
    let tar = Self.tar(6)
    let bench = try CacheBench(["a.tar": tar], acceptsRanges: false)
    let reader = try bench.reader(over: try bench.store(maxPieceBytes: 30_000))
    #expect(isSame(try reader.read(0..<1000), tar[..<1000]))
    #expect(isSame(try reader.read(5 << 20..<(5 << 20) + 9), tar[(5 << 20)..<(5 << 20) + 9]))
  }

  @Test("The raw bytes of a compressed shard of such a server can be read as well")
  func rawCompressed() throws {
    let tar = Self.tar(5)
    let packed = try Compressed.bytes(tar, .gzip)
    let bench = try CacheBench(["a.tar.gz": packed], acceptsRanges: false)
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    #expect(try reader.index(upTo: .max).sampleCount == 20)
    #expect(isSame(try reader.read(0..<Int64(mebi)), packed[..<mebi]))
    #expect(isSame(try reader.read(2 << 20..<3 << 20), packed[2 * mebi..<3 * mebi]))
    #expect(try isRight(reader, tar))
    #expect(store.requests.count == 2)
  }

  @Test("A failure on the way fails who waits, and the next try works")
  func failure() throws {
    let tar = Self.tar(6)
    let bench = try CacheBench(["a.tar": tar], acceptsRanges: false)
    let store = try bench.store { number, _ in number == 0 ? .cut(afterBytes: 3 << 20) : .none }
    let reader = try bench.reader(over: store)
    #expect(throws: CacheError.self) { try reader.index(upTo: .max) }
    #expect(try reader.index(upTo: .max).sampleCount == 24)
    #expect(isSame(try reader.read(0..<Int64(mebi)), tar[..<mebi]))
  }
}
