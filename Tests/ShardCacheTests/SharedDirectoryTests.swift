import Remote
import ShardCache
import Testing

/// Two mounts on one directory at the same time.
@Suite(.timeLimit(.minutes(10))) struct SharedDirectoryTests {
  private static let chunkBytes = Int64(1 << 20)

  @Test("What one has fetched the other takes from the directory, though it came after its start")
  func shared() throws {
    let bytes = testBytes(6 << 20)
    let bench = try CacheBench(["a.tar": bytes])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let stores = [try bench.store(), try bench.store()]
    let first = try bench.reader(over: stores[0], settings)
    let second = try bench.reader(over: stores[1], settings)
    _ = try second.read(5 * Self.chunkBytes..<5 * Self.chunkBytes + 100)
    #expect(eventually { second.statistics.diskBytes > 0 })
    for number in 0..<4 as Range<Int64> {
      let start = number * Self.chunkBytes
      _ = try first.read(start..<start + Self.chunkBytes)
    }
    // Its chunks are on disk then.
    bench.end(first)
    let count = stores[1].requests.count
    for number in 0..<4 as Range<Int64> {
      let start = number * Self.chunkBytes
      let read = try second.read(start..<start + Self.chunkBytes)
      #expect(isSame(read, bytes[Int(start)..<Int(start + Self.chunkBytes)]))
    }
    #expect(stores[1].requests.count == count)
    #expect(second.statistics.chunksLoadedFromDisk >= 4)
  }
}
