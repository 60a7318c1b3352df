import FoundationEssentials
import TestSupport
import Testing

/// Equality with webdataset 1.0.2 itself, on healthy shards of chance.
@Suite struct ReferenceReaderTests {
  static let interpreter = ProcessInfo.processInfo.environment["WDSFS_TEST_PYTHON"]

  /// How many shards one script run writes before they are read and removed.
  static let batchShards = 1000

  struct Shard: Decodable {
    let file: String
    let samples: [Sample]
  }

  struct Sample: Decodable, Hashable {
    let key: String
    let fields: [Field]

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      key = try container.decode(String.self)
      fields = try container.decode([Field].self)
    }

    init(key: String, fields: [Field]) {
      self.key = key
      self.fields = fields
    }
  }

  struct Field: Decodable, Hashable {
    let name: String
    let size: Int64
    let sha256: String

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      name = try container.decode(String.self)
      size = try container.decode(Int64.self)
      sha256 = try container.decode(String.self)
    }

    init(_ field: ShardReading.Field) {
      name = hex(field.name)
      size = field.sizeBytes
      sha256 = field.sha256
    }
  }

  @Test(
    "random healthy shards give the samples that webdataset 1.0.2 gives",
    .enabled(
      if: interpreter != nil,
      "WDSFS_TEST_PYTHON does not name an interpreter with webdataset 1.0.2"
    )
  )
  func randomShards() throws {
    let interpreter = try #require(Self.interpreter)
    let isLong = ProcessInfo.processInfo.environment["WDSFS_TEST_LONG"] == "1"
    let shardCount = isLong ? 20_000 : 400
    let seed = UInt32.random(in: 1...1_000_000)
    var done = 0
    while done < shardCount {
      let count = min(Self.batchShards, shardCount - done)
      try compareBatch(interpreter, count: count, seed: Int(seed) + done)
      done += count
    }
  }

  private func compareBatch(_ interpreter: String, count: Int, seed: Int) throws {
    let folder = try TemporaryDirectory()
    let output = try PythonScript.run(
      PythonScript.packageRoot + "/Tests/Oracle/random_shards.py",
      arguments: [folder.path, String(count), String(seed)],
      interpreter: interpreter
    )
    let lines = output.split(separator: 0x0A)
    #expect(lines.count == count)
    for line in lines {
      let shard = try JSONDecoder().decode(Shard.self, from: Data(line))
      let reading = ShardReading(try folder.read(shard.file))
      let comment = Comment(rawValue: "seed \(seed), \(shard.file)")
      #expect(reading.errorClass == nil, comment)
      let samples = reading.samples.map { sample in
        Sample(key: hex(sample.key), fields: sample.fields.map(Field.init))
      }
      #expect(samples == shard.samples, comment)
      let leadsBack = reading.samples.allSatisfy { $0.fields.allSatisfy(\.listedLeadsBack) }
      #expect(leadsBack, comment)
    }
  }
}
