import TarIndex
import Testing

@Suite struct TarScannerTests {
  @Test("every odd archive gives what it is to give", arguments: OddTars.all)
  func catalogue(_ tar: OddTar) {
    let walk = Walk(tar.archive, limits: tar.limits)
    #expect(walk.samples == tar.samples)
    #expect(walk.errorName == tar.error)
    #expect(walk.index.isComplete)
    // Those that end with an error are about that error.
    if tar.error == nil { #expect(walk.warnings == tar.warnings) }
  }

  @Test("the catalogue holds every class that a tar can give")
  func catalogueIsWhole() {
    let elsewhere: Set = [
      "unsupported-compression", "corrupt-compression", "decompressed-too-large",
    ]
    let errors = Set(OddTars.all.compactMap(\.error)).union(elsewhere)
    #expect(errors == Set(TarErrorClass.allCases.map(\.name)))
    let warnings = Set(OddTars.all.flatMap(\.warnings.keys))
    #expect(warnings == Set(TarWarningClass.allCases.map(\.name)))
  }

  @Test("fed in two parts, cut at any byte, the index is equal", arguments: OddTars.all)
  func cutAnywhere(_ tar: OddTar) {
    let whole = Walk(tar.archive, limits: tar.limits).serialized
    for cut in stride(from: 0, through: tar.archive.count, by: tar.cutStep) {
      let parts = Walk(tar.archive, cuts: [cut], limits: tar.limits).serialized
      guard parts == whole else {
        Issue.record("another index when cut at \(cut)")
        return
      }
    }
  }

  @Test("fed byte by byte, the index is equal", arguments: OddTars.all)
  func byteByByte(_ tar: OddTar) {
    let whole = Walk(tar.archive, limits: tar.limits).serialized
    let cuts = Array(0..<tar.archive.count)
    #expect(Walk(tar.archive, cuts: cuts, limits: tar.limits).serialized == whole)
  }

  @Test("hopping over bodies, the index is equal", arguments: OddTars.all)
  func hops(_ tar: OddTar) {
    var scanner = TarScanner(objectBytes: Int64(tar.archive.count), limits: tar.limits)
    while !scanner.isDone {
      let offset = scanner.nextOffset
      let part = tar.archive[Int(offset)...].prefix(200)
      Array(part).withUnsafeBytes { scanner.feed($0, at: offset) }
      guard scanner.isDone || scanner.nextOffset > offset else {
        Issue.record("no way on from \(offset)")
        return
      }
    }
    let whole = Walk(tar.archive, limits: tar.limits).serialized
    #expect(scanner.snapshot().withSerialized { Array($0) } == whole)
  }

  @Test("the first sample is there as soon as the second one's header is, large bodies unseen")
  func firstSampleEarly() {
    let archive = TarWriter {
      $0.member("1.jpg", TarWriter.data(100_000))
      $0.member("1.cls", [1])
      $0.member("2.jpg", TarWriter.data(100_000))
      $0.end()
    }.bytes
    var scanner = TarScanner(objectBytes: Int64(archive.count))
    var headers: [Int64] = []
    while scanner.sampleCount == 0, !scanner.isDone {
      let offset = scanner.nextOffset
      headers.append(offset)
      Array(archive[Int(offset)..<Int(offset) + 512]).withUnsafeBytes {
        scanner.feed($0, at: offset)
      }
    }
    // The class is looked at, the picture is not.
    let place: Int64 = 512 + 100_352
    #expect(headers == [0, place, place + 512, place + 1024])
    let index = scanner.snapshot()
    #expect(!index.isComplete)
    #expect(Walk.describe(0, of: index) == "1: jpg=100000 cls=1")
  }

  @Test("bytes that were fed before are ignored, bytes beyond the object too")
  func overlap() {
    let archive = TarWriter {
      $0.samples(3)
      $0.end()
    }.bytes
    var scanner = TarScanner(objectBytes: Int64(archive.count))
    (archive + [1, 2, 3]).withUnsafeBytes { bytes in
      for start in stride(from: 0, to: archive.count, by: 100) {
        let end = min(bytes.count, start + 1000)
        scanner.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: Int64(start))
      }
    }
    #expect(scanner.snapshot().withSerialized { Array($0) } == Walk(archive).serialized)
  }

  @Test("times come from the header, or from a pax mtime, rounded down")
  func times() {
    let archive = TarWriter {
      $0.member("1.a")
      $0.pax([("mtime", "1600000000.987")])
      $0.member("1.b")
      $0.pax([("mtime", "-1.5")])
      $0.member("1.c")
      $0.pax([("mtime", "soon")])
      $0.member("1.d")
      $0.member("1.e") { $0.put(TarWriter.base256(1 << 40), at: 136) }
      $0.end()
    }.bytes
    let index = Walk(archive).index
    let times = (0..<5).map { index.member($0).modifiedSeconds }
    #expect(times == [1_700_000_000, 1_600_000_000, -2, 1_700_000_000, 1 << 40])
  }

  @Test("a warning keeps the first name, and no more of it than a log line needs")
  func firstNames() {
    let name = String(repeating: "n", count: 300)
    let archive = TarWriter {
      $0.longName(name)
      $0.member("x")
      $0.member("README")
      $0.end()
    }.bytes
    let warning = Walk(archive).index.warnings.first
    #expect(warning?.warningClass == .noExtension)
    #expect(warning?.count == 2)
    #expect(warning?.firstName == Array(name.utf8.prefix(255)))
  }

  @Test("damage names the header where the walk ended")
  func damageOffset() {
    let archive = TarWriter {
      $0.samples(2)
      $0.header(Array("1.a".utf8))
      $0.flip($0.bytes.count - 512)
    }.bytes
    let offset = Int64(archive.count - 512)
    #expect(Walk(archive).index.damage == TarDamage(errorClass: .badChecksum, offset: offset))
  }

  @Test("an object of any size can be asked about, up to the largest number")
  func hugeObject() {
    let header = TarWriter {
      $0.header(Array("1.a".utf8)) { $0.put(TarWriter.base256(.max - 2048), at: 124) }
    }.bytes
    for (objectBytes, error) in [(Int64.max, nil as TarErrorClass?), (1 << 60, .truncatedData)] {
      var scanner = TarScanner(objectBytes: objectBytes)
      header.withUnsafeBytes { scanner.feed($0, at: 0) }
      #expect(scanner.snapshot().damage?.errorClass == error)
    }
  }
}
