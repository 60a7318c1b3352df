import Testing
import WDSFS

@Suite struct WorldSizeTests {
  private func resolve(
    _ options: [OptionName: [String]] = [:],
    _ environment: [String: String] = [:]
  ) throws(Failure) -> WorldSize {
    let given = try GivenOptions(commandLine: options, environment: environment)
    return try WorldSize(options: given, environment: environment)
  }

  @Test(
    "The nearest source says the size, and is named",
    arguments: [
      ([:], 1, "default"),
      (["OMPI_COMM_WORLD_SIZE": "2"], 2, "OMPI_COMM_WORLD_SIZE"),
      (["OMPI_COMM_WORLD_SIZE": "2", "SLURM_NTASKS": "3"], 3, "SLURM_NTASKS"),
      (["WORLD_SIZE": "4", "SLURM_NTASKS": "3"], 4, "WORLD_SIZE"),
      (["WORLD_SIZE": "4", "WDSFS_WORLD_SIZE": "5"], 5, "WDSFS_WORLD_SIZE"),
      (["WORLD_SIZE": "", "SLURM_NTASKS": "3"], 3, "SLURM_NTASKS"),
    ] as [([String: String], Int, String)]
  )
  func sources(_ environment: [String: String], _ size: Int, _ source: String) throws {
    let worldSize = try resolve([:], environment)
    #expect(worldSize.size == size)
    #expect(worldSize.source == source)
    let named = try resolve([.worldSize: ["7"]], environment)
    #expect(named.size == 7)
    #expect(named.source == "--world-size")
  }

  @Test func theCursorSaysTheSizeThatNobodySays() throws {
    let cursor = try SomeCursor.make([100, 0, 0])
    let given = try resolve([.worldSize: ["2"]])
    #expect(try given.resuming(cursor) == given)
    let bare = try resolve([.cursor: ["f"], .rank: ["2"]])
    let resumed = try bare.resuming(cursor)
    #expect(resumed.size == 3 && resumed.source == "the cursor" && resumed.onlyRank == 2)
    // Only now is it known that there is no such rank.
    #expect(throws: Failure.self) { try bare.resuming(nil) }
    #expect(throws: Failure.self) { try bare.resuming(try SomeCursor.make([1, 2])) }
    #expect(try resolve().resuming(nil).size == 1)
  }

  @Test func theLauncherSaysHowManyRanksReadHere() throws {
    let size: [String: String] = ["WORLD_SIZE": "8"]
    func count(_ more: [String: String], _ options: [OptionName: [String]] = [:]) throws -> Int {
      try resolve(options, size.merging(more) { $1 }).localCount
    }
    #expect(try count([:]) == 8)
    #expect(try count(["LOCAL_WORLD_SIZE": "4", "SLURM_NTASKS_PER_NODE": "2"]) == 4)
    #expect(try count(["SLURM_NTASKS_PER_NODE": "2"]) == 2)
    #expect(try count(["LOCAL_WORLD_SIZE": "99"]) == 8)
    #expect(try count(["LOCAL_WORLD_SIZE": "none"]) == 8)
    #expect(try count([:], [.rank: ["3"]]) == 1)
    // With a cursor's number of ranks.
    let cursor = try SomeCursor.make([100, 0, 0])
    #expect(try resolve().resuming(cursor).localCount == 3)
  }

  @Test func onlyTheOptionLimitsTheTreeToOneRank() throws {
    #expect(try resolve([:], ["WORLD_SIZE": "4", "RANK": "3"]).onlyRank == nil)
    #expect(try resolve([.rank: ["0"]], ["WORLD_SIZE": "4", "RANK": "3"]).onlyRank == 0)
    #expect(try resolve([:], ["WORLD_SIZE": "4", "WDSFS_RANK": "2"]).onlyRank == 2)
  }

  @Test(
    "What makes no sense ends with code 2, and names values and sources",
    arguments: [
      (["0"], [], [:], ["world size 0", "--world-size"]),
      ([], [], ["WORLD_SIZE": "0"], ["world size 0", "WORLD_SIZE"]),
      (["2000000"], [], [:], ["world size 2000000"]),
      (["-1"], [], [:], ["--world-size is '-1'"]),
      (["99999999999999999999"], [], [:], ["--world-size is '99999999999999999999'"]),
      (["4"], ["4"], [:], ["rank 4 from --rank", "world size 4 from --world-size"]),
      ([], ["1"], [:], ["rank 1 from --rank", "world size 1 from default"]),
      ([], ["x"], [:], ["--rank is 'x'"]),
      ([], [], ["WORLD_SIZE": "two"], ["WORLD_SIZE is 'two'"]),
      (
        [], [], ["SLURM_NTASKS": "2", "SLURM_PROCID": "2"],
        ["rank 2 from SLURM_PROCID", "world size 2 from SLURM_NTASKS"]
      ),
      (
        [], ["9"], ["WORLD_SIZE": "8", "RANK": "1"],
        ["rank 9 from --rank", "world size 8 from WORLD_SIZE"]
      ),
    ] as [([String], [String], [String: String], [String])]
  )
  func refusals(
    _ size: [String],
    _ rank: [String],
    _ environment: [String: String],
    _ words: [String]
  ) throws {
    let failure = try #require(throws: Failure.self) {
      try resolve([.worldSize: size, .rank: rank], environment)
    }
    #expect(failure.code == .usage)
    for word in words {
      #expect(failure.sentence.contains(word), "\(failure)")
    }
  }

  @Test func theRankOfAnotherLauncherIsNotHeldAgainstTheSize() throws {
    #expect(try resolve([.worldSize: ["2"]], ["WORLD_SIZE": "8", "RANK": "5"]).size == 2)
    #expect(try resolve([:], ["SLURM_PROCID": "5"]).size == 1)
  }

  @Test func slurmWithOneTaskANodeIsWarnedOf() throws {
    let oneANode = ["SLURM_NTASKS": "4", "SLURM_NNODES": "4"]
    #expect(try resolve([:], oneANode).warning?.contains("--world-size") == true)
    #expect(
      try resolve([:], ["SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "1"]).warning != nil
    )
    #expect(try resolve([:], ["SLURM_NTASKS": "32", "SLURM_NNODES": "4"]).warning == nil)
    #expect(try resolve([.worldSize: ["32"]], oneANode).warning == nil)
  }
}
