import FoundationEssentials
import TarIndex
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
    let key_hex: String
    let fields: [Field]
  }

  struct Field: Decodable {
    let name_hex: String
    let listed_name_hex: String
    let file_name_hex: String
    let size: Int64
    let sha256: String
    let may_fail: String?
    let file_name_shadowed: Bool?
  }

  @Test(
    "every case of the format description gives what its manifest states",
    .enabled(
      if: FileManager.default.fileExists(atPath: generator),
      "the format description's fixtures are not beside the package"
    )
  )
  func fixtures() throws {
    let folder = try TemporaryFolder()
    _ = try PythonScript.run(Self.generator, arguments: [folder.path])
    let manifest = try JSONDecoder().decode(
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
    #expect(reading.samples.map { hex($0.key) } == fixture.samples.map(\.key_hex), comment)
    for (sample, stated) in zip(reading.samples, fixture.samples) {
      #expect(sample.fields.count == stated.fields.count, comment)
      for (field, expected) in zip(sample.fields, stated.fields) {
        #expect(hex(field.name) == expected.name_hex, comment)
        #expect(hex(field.listedName) == expected.listed_name_hex, comment)
        #expect(hex(field.bareName) == expected.file_name_hex, comment)
        #expect(field.sizeBytes == expected.size, comment)
        #expect(field.isSparse == (expected.may_fail == "EOPNOTSUPP"), comment)
        #expect(field.isSparse || field.sha256 == expected.sha256, comment)
        #expect(field.listedLeadsBack, comment)
        #expect(field.bareLeadsBack == (expected.file_name_shadowed != true), comment)
      }
    }
  }
}
