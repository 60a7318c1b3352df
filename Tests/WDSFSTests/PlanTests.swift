import SampleOrder
import Testing
import WDSFS

@Suite struct PlanTests {
  private static let megabyte: Int64 = 1_000_000

  private static func input(
    _ shardBytes: [Int64],
    samples: Int? = nil,
    _ change: (inout Plan.Input) -> Void = { _ in }
  ) -> Plan.Input {
    var input = Plan.Input()
    input.remote = "s3://b/p"
    input.splits = [.init(name: "train", shardBytes: shardBytes, sampleCount: samples)]
    input.cacheBytes = 1 << 40
    change(&input)
    return input
  }

  @Test func bytesAndShardsOfRanksAddUp() throws {
    let sizes = (0..<23).map { Int64(50 + $0) * Self.megabyte }
    for partition in OrderParameters.Partition.allCases {
      let plan = try Plan(
        Self.input(sizes, samples: 14_000) {
          $0.worldSize = 4
          $0.partition = partition
          $0.shuffle = .full
        }
      )
      let split = try #require(plan.splits.first)
      #expect(split.bytes == sizes.reduce(0, +))
      #expect(split.ranks.map(\.rank) == [0, 1, 2, 3])
      let bytes = split.ranks.map(\.bytes).reduce(0, +)
      #expect(abs(bytes - split.bytes) < Self.megabyte, "\(partition)")
      #expect(split.samples == 14_000)
      #expect(split.ranks.map(\.samples).reduce(0, +) == split.samples)
      if partition == .samples {
        let lengths = split.ranks.map(\.samples)
        #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
      } else {
        #expect(split.ranks.map(\.shards).reduce(0, +) == 23)
      }
    }
  }

  @Test func ranksOfSmallShardsAreNotTakenForEmpty() throws {
    let plan = try Plan(
      Self.input([12_000, 10_240, 11_000]) {
        $0.worldSize = 3
        $0.shuffle = .full
      }
    )
    let split = try #require(plan.splits.first)
    #expect(split.ranks.allSatisfy { $0.samples > 0 && $0.bytes > 0 })
    #expect(!plan.warnings.contains { $0.name == "empty-ranks" })
  }

  @Test func theCacheThatIsEnoughHoldsEveryOpenWindow() throws {
    let sizes = [Int64](repeating: 1000 * Self.megabyte, count: 128)
    let plan = try Plan(
      Self.input(sizes) {
        $0.shuffle = .full
        $0.worldSize = 2
        $0.localRanks = 2
        $0.lanes = 16
        $0.shuffleWindow = 2
      }
    )
    // 16 lanes of 2 shards of 1 GB, and 16 requests of 4 MiB.
    #expect(plan.neededCacheBytes == 32_000 * Self.megabyte + 16 * (4 << 20))
    #expect(plan.splits.first?.timesFetched == 1)
    #expect(!plan.warnings.contains { $0.name == "cache-too-small" })
    let alone = try Plan(
      Self.input(sizes) {
        $0.shuffle = .full
        $0.worldSize = 2
        $0.lanes = 16
        $0.shuffleWindow = 2
      }
    )
    #expect(alone.neededCacheBytes == 16_000 * Self.megabyte + 16 * (4 << 20))
  }

  @Test func theWarningThatMattersMostComesFirst() throws {
    let plan = try Plan(
      Self.input([Int64](repeating: 1100 * Self.megabyte, count: 40), samples: 400_000) {
        $0.shuffle = .full
        $0.cacheBytes = 5 << 30
      }
    )
    #expect(plan.warnings.first?.name == "cache-too-small")
    let text = try #require(plan.warnings.first?.text)
    #expect(text.hasPrefix("train: 8 lanes × 1 shard are open at once, 8.80 GB, and do not fit"))
    #expect(
      text.contains("fetched about 4.4 times; use --cache-size 8868MB, or --lanes 4"),
      "\(text)"
    )
    // What it says helps.
    for change in [{ $0.cacheBytes = 8868 * Self.megabyte }, { $0.lanes = 4 }]
      as [(inout Plan.Input) -> Void]
    {
      let mended = try Plan(
        Self.input([Int64](repeating: 1100 * Self.megabyte, count: 40), samples: 400_000) {
          $0.shuffle = .full
          $0.cacheBytes = 5 << 30
          change(&$0)
        }
      )
      #expect(!mended.warnings.contains { $0.name == "cache-too-small" })
    }
  }

  @Test func aSetThatFitsAsAWholeIsFetchedOnce() throws {
    let plan = try Plan(
      Self.input([Int64](repeating: 2 * Self.megabyte, count: 10)) {
        $0.shuffle = .full
        $0.cacheBytes = 24 * Self.megabyte
      }
    )
    #expect(plan.splits.first?.timesFetched == 1)
    #expect(!plan.warnings.contains { $0.name == "cache-too-small" })
    // All of it with what surrounds it, though requests could take more.
    #expect(plan.neededCacheBytes == 10 * (2 * Self.megabyte + 2 * 4096))
    // No mount takes less.
    #expect(try Plan(Self.input([12_000])).neededCacheBytes == 16 << 20)
  }

  @Test func countsThatTheBucketStatesAreTaken() throws {
    let sizes = [30, 20, 10].map { $0 * Self.megabyte }
    func split(_ counts: [Int?], samples: Int? = nil) throws -> Plan.Split {
      let plan = try Plan(
        Self.input(sizes) {
          $0.shuffle = .full
          $0.splits = [
            .init(name: "z", shardBytes: sizes, sampleCount: samples, statedCounts: counts)
          ]
        }
      )
      return try #require(plan.splits.first)
    }
    let all = try split([7, 0, 400])
    #expect(all.samples == 407 && all.isSampleCountKnown)
    #expect(all.partition == "samples" && all.countingRequests == 0)
    let some = try split([7, nil, 400])
    #expect(!some.isSampleCountKnown && some.partition == "shards")
    // The user's word goes first; what the order needs is stated all the same.
    let said = try split([7, 0, 400], samples: 600)
    #expect(said.samples == 600 && said.countingRequests == 0)
  }

  @Test func whatHoldsForSeveralSplitsIsSaidOnce() throws {
    let plan = try Plan(
      Self.input([]) {
        $0.splits = ["a", "b", "c"].map { .init(name: $0, shardBytes: [100 * Self.megabyte]) }
      }
    )
    #expect(plan.warnings.map(\.name) == ["not-shuffled"])
    #expect(plan.warnings.first?.text.hasPrefix("a, b, c: samples come in the order") == true)
  }

  @Test("what else is worth a warning")
  func otherWarnings() throws {
    func names(_ sizes: [Int64], _ change: (inout Plan.Input) -> Void) throws -> [String] {
      try Plan(Self.input(sizes, change)).warnings.map(\.name)
    }
    let large = [Int64](repeating: 500 * Self.megabyte, count: 64)
    #expect(try names(large) { $0.shuffle = .full }.isEmpty)
    #expect(try names(large) { _ in } == ["not-shuffled"])
    #expect(try names(large) { $0.shuffle = .shards } == ["shards-only"])
    #expect(
      try names([100_000_000, 100_000_000]) {
        $0.shuffle = .full
        $0.worldSize = 3
      }.first == "empty-ranks"
    )
    #expect(
      try names(large + [1_000_000]) {
        $0.shuffle = .full
        $0.worldSize = 2
      } == ["uneven-ranks"]
    )
    #expect(
      try names(large + [1_000_000]) {
        $0.shuffle = .full
        $0.worldSize = 2
        $0.partition = .samples
      } == ["counts-wanted"]
    )
    #expect(
      try names([Int64](repeating: Self.megabyte, count: 64)) { $0.shuffle = .full }
        .contains("small-shards")
    )
    #expect(
      try names(large) {
        $0.shuffle = .full
        $0.splits = [.init(name: "z", shardBytes: large, compressedShardCount: 64)]
      } == ["compressed-shards"]
    )
  }

  @Test func emptyAndOddListingsAreTaken() throws {
    for sizes in [[], [0], [0, 0, 5], [Int64.max / 4], [-1]] as [[Int64]] {
      for shuffle in OrderParameters.Shuffle.allCases {
        let plan = try Plan(
          Self.input(sizes) {
            $0.shuffle = shuffle
            $0.worldSize = 3
            $0.localRanks = 3
          }
        )
        #expect(plan.splits.count == 1)
      }
    }
  }

  @Test func ordersThatCannotBeAreRefused() {
    #expect(throws: OrderError.self) { try Plan(Self.input([1]) { $0.shuffleWindow = 0 }) }
  }
}
