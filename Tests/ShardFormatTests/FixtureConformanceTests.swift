import FoundationEssentials
import TarIndex
import TestSupport
import Testing

/// The format description's own cases, where they lie beside the package.
@Suite struct FixtureConformanceTests {
  static let generator = PythonScript.packageRoot + "/../shared/fixtures/make_bad_shards.py"

  struct Manifest: Decodable {
    let cases: [Case]
  }

  struct Case: Decodable {
    let name: String
    let file: String
    let outcome: String
    let error: String?
    let warnings: [String]
    let samples: [Sample]
  }

  struct Sample: Decodable {
    let keyHex: String
    let fields: [Field]
  }

  struct Field: Decodable {
    let nameHex: String
    let listedNameHex: String
    let fileNameHex: String
    let size: Int64
    let sha256: String
    let mayFail: String?
    let fileNameShadowed: Bool?
  }

  @Test(
    "every case of the format description gives what its manifest states",
    .enabled(
      if: FileManager.default.fileExists(atPath: generator),
      "the format description's fixtures are not beside the package"
    )
  )
  func fixtures() throws {
    let folder = try TemporaryDirectory()
    _ = try PythonScript.run(Self.generator, arguments: [folder.path])
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let manifest = try decoder.decode(
      Manifest.self,
      from: Data(folder.read("manifest.json"))
    )
    #expect(manifest.cases.count >= 70)
    for fixture in manifest.cases {
      let reading = ShardReading(try folder.read(fixture.file))
      check(reading, against: fixture)
    }
  }

  private func check(_ reading: ShardReading, against fixture: Case) {
    let comment = Comment(rawValue: fixture.name)
    #expect(reading.errorClass?.name == fixture.error, comment)
    let outcome =
      reading.errorClass.map { $0.rejectsShard ? "rejected" : "damaged" } ?? "ok"
    #expect(outcome == fixture.outcome, comment)
    #expect(reading.warnings.isSuperset(of: fixture.warnings), comment)
    #expect(reading.samples.map { hex($0.key) } == fixture.samples.map(\.keyHex), comment)
    for (sample, stated) in zip(reading.samples, fixture.samples) {
      #expect(sample.fields.count == stated.fields.count, comment)
      for (field, expected) in zip(sample.fields, stated.fields) {
        #expect(hex(field.name) == expected.nameHex, comment)
        #expect(hex(field.listedName) == expected.listedNameHex, comment)
        #expect(hex(field.bareName) == expected.fileNameHex, comment)
        #expect(field.sizeBytes == expected.size, comment)
        #expect(field.isSparse == (expected.mayFail == "EOPNOTSUPP"), comment)
        #expect(field.isSparse || field.sha256 == expected.sha256, comment)
        #expect(field.listedLeadsBack, comment)
        #expect(field.bareLeadsBack == (expected.fileNameShadowed != true), comment)
      }
    }
  }
}
