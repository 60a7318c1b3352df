import TarIndex

extension OddTars {
  // MARK: Ends

  static let ends = [
    OddTar("only the end mark: no samples, no error") { $0.end() },
    OddTar("one zero block is enough", samples: before) {
      $0.samples(1)
      $0.end(blocks: 1)
    },
    OddTar("no end mark", samples: before, warnings: ["missing-eof": 1]) { $0.samples(1) },
    OddTar("no end mark and no padding", samples: ["1: a=3"], warnings: ["missing-eof": 1]) {
      $0.header(Array("1.a".utf8), size: 3)
      $0.raw([1, 2, 3])
    },
    OddTar(
      "cut within the padding",
      samples: ["100000: jpg=700 cls=0", "100001: jpg=713 cls=1"],
      error: "truncated-data"
    ) {
      $0.samples(2)
      $0.header(Array("2.a".utf8), size: 3)
      $0.raw([1, 2, 3, 0])
    },
    OddTar("bytes close behind the end mark", samples: before, warnings: ["trailing-data": 1]) {
      $0.samples(1)
      $0.end(blocks: 128)
      $0.samples(1)
    },
    OddTar("bytes far behind the end mark are not looked at", samples: before) {
      $0.samples(1)
      $0.end(blocks: 129)
      $0.samples(1)
    },
    OddTar("cut within data", samples: before, error: "truncated-data") {
      $0.samples(2)
      $0.header(Array("100001.b".utf8), size: 1000)
      $0.raw(TarWriter.data(999))
    },
    OddTar("cut within skipped data", samples: before, error: "truncated-data") {
      $0.samples(2)
      $0.header(Array("label".utf8), size: 1000, type: "V")
      $0.raw(TarWriter.data(999))
    },
    OddTar("cut within a header", samples: before, error: "truncated-header") {
      $0.samples(2)
      $0.raw(Array(repeating: 0x31, count: 300))
    },
    OddTar("cut within a pax body", samples: before, error: "truncated-header") {
      $0.samples(2)
      $0.header(Array("x".utf8), size: 100, type: "x")
      $0.raw(Array(repeating: 0x31, count: 99))
    },
    OddTar("zero block straight after a pax header", samples: before, error: "dangling-extension") {
      $0.samples(2)
      $0.pax([("path", "2.a")])
      $0.end()
    },
    OddTar("end of object straight after a long name", samples: before, error: "dangling-extension")
    {
      $0.samples(2)
      $0.longName("2.a")
    },
    OddTar("end of object straight after a long link", samples: before, error: "dangling-extension")
    {
      $0.samples(2)
      $0.longName("2.a", type: "K")
    },
    OddTar("a global header may come last", samples: before, warnings: ["missing-eof": 1]) {
      $0.samples(1)
      $0.pax([("comment", "x")], type: "g")
    },
  ]

  // MARK: Limits

  static let limits = [
    OddTar("extension headers in a row, as many as are allowed", samples: ["1: a=0"]) {
      for _ in 0..<32 { $0.pax([("comment", "x")]) }
      $0.member("1.a")
      $0.end()
    },
    damaged("one extension header too many", "too-many-extensions") {
      for _ in 0..<33 { $0.pax([("comment", "x")], type: "g") }
    },
    damaged("a pax header of 4 GiB", "too-large-header") {
      $0.header(Array("x".utf8), type: "x") { $0.put(TarWriter.base256(4 << 30), at: 124) }
    },
    damaged("a long name of 1 MiB and a byte", "too-large-header") {
      $0.header(Array("x".utf8), size: 1 << 20 + 1, type: "L", magic: .gnu)
    },
    OddTar("too many members", error: "too-many-members", limits: fewMembers) {
      $0.samples(1)
      $0.member("2.a")
      $0.end()
    },
    OddTar("a sparse map that is too long", error: "bad-sparse", limits: fewPieces) {
      OddTars.oldSparse([(0, 1), (2, 1), (4, 1)], real: 9, stored: 3)(&$0)
    },
  ]

  private static var fewMembers: TarLimits {
    var limits = TarLimits()
    limits.maxMembers = 2
    return limits
  }

  private static var fewPieces: TarLimits {
    var limits = TarLimits()
    limits.maxSparsePieces = 2
    return limits
  }
}
