import TarIndex

extension OddTars {
  // MARK: Sparse members

  static func oldSparse(
    _ pieces: [(Int, Int)],
    real: Int,
    stored: Int,
    more: [(Int, Int)] = []
  ) -> (inout TarWriter) -> Void {
    { writer in
      writer.header(Array("1.a".utf8), size: stored, type: "S", magic: .gnu) { block in
        for (number, piece) in pieces.enumerated() {
          block.put(TarWriter.octal(piece.0, 12), at: 386 + number * 24)
          block.put(TarWriter.octal(piece.1, 12), at: 398 + number * 24)
        }
        block[482] = more.isEmpty ? 0 : 1
        block.put(TarWriter.octal(real, 12), at: 483)
      }
      if !more.isEmpty {
        var block = [UInt8](repeating: 0, count: 512)
        for (number, piece) in more.enumerated() {
          block.put(TarWriter.octal(piece.0, 12), at: number * 24)
          block.put(TarWriter.octal(piece.1, 12), at: 12 + number * 24)
        }
        writer.raw(block)
      }
      writer.raw(TarWriter.data(stored))
      writer.pad()
      writer.member("1.b", [1])
      writer.end()
    }
  }

  private static func paxSparse(
    _ records: [(String, String)],
    data: [UInt8]
  ) -> (inout TarWriter) -> Void {
    { writer in
      writer.pax(records)
      writer.member("GNUSparseFile.0/1.a", data)
      writer.member("1.b", [1])
      writer.end()
    }
  }

  private static func map10(_ text: String, stored: Int, realBytes: Int = 5000) -> OddTar {
    var data = Array(text.utf8)
    data += Array(repeating: 0, count: (512 - data.count % 512) % 512)
    return OddTar(
      "sparse 1.0 with the map \(text.split(separator: "\n")), \(stored) bytes stored",
      samples: text == "2\n0\n512\n4096\n3\n" && stored == 515 ? ["1: a~\(realBytes) b=1"] : [],
      error: text == "2\n0\n512\n4096\n3\n" && stored == 515 ? nil : "bad-sparse",
      paxSparse(
        [
          ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "1.a"),
          ("GNU.sparse.realsize", String(realBytes)),
        ],
        data: data + TarWriter.data(stored)
      )
    )
  }

  static let sparse = [
    OddTar(
      "old GNU sparse",
      samples: ["1: a~5000 b=1"],
      oldSparse([(0, 512), (4096, 3), (5000, 0)], real: 5000, stored: 515)
    ),
    OddTar(
      "old GNU sparse with a second block",
      samples: ["1: a~9000 b=1"],
      oldSparse(
        [(0, 512), (1024, 512), (2048, 512), (3072, 512)],
        real: 9000,
        stored: 2049,
        more: [(8000, 1)]
      )
    ),
    OddTar(
      "old GNU sparse, pieces out of order",
      error: "bad-sparse",
      oldSparse([(4096, 512), (0, 512)], real: 5000, stored: 1024)
    ),
    OddTar(
      "old GNU sparse, pieces that overlap",
      error: "bad-sparse",
      oldSparse([(0, 512), (511, 512)], real: 5000, stored: 1024)
    ),
    OddTar(
      "old GNU sparse, a piece beyond the real size",
      error: "bad-sparse",
      oldSparse([(0, 512), (4990, 512)], real: 5000, stored: 1024)
    ),
    OddTar(
      "old GNU sparse, another sum than stored",
      error: "bad-sparse",
      oldSparse([(0, 512)], real: 5000, stored: 513)
    ),
    OddTar("old GNU sparse, cut within its second block", error: "truncated-header") {
      oldSparse([(0, 512)], real: 5000, stored: 512, more: [(1024, 0)])(&$0)
      let cut = Array($0.bytes[..<1000])
      $0 = TarWriter()
      $0.raw(cut)
    },
    OddTar(
      "sparse 0.0",
      samples: ["1: a~5000 b=1"],
      paxSparse(
        [
          ("GNU.sparse.size", "5000"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.offset", "0"),
          ("GNU.sparse.numbytes", "512"), ("GNU.sparse.offset", "4096"),
          ("GNU.sparse.numbytes", "3"), ("path", "1.a"),
        ],
        data: TarWriter.data(515)
      )
    ),
    OddTar(
      "sparse 0.0, an offset without its size",
      error: "bad-sparse",
      paxSparse(
        [
          ("GNU.sparse.size", "5000"), ("GNU.sparse.offset", "0"),
          ("GNU.sparse.numbytes", "512"), ("GNU.sparse.offset", "4096"), ("path", "1.a"),
        ],
        data: TarWriter.data(512)
      )
    ),
    OddTar(
      "sparse 0.1",
      samples: ["1: a~5000 b=1"],
      paxSparse(
        [
          ("GNU.sparse.size", "5000"), ("GNU.sparse.map", "0,512,4096,3"),
          ("GNU.sparse.name", "1.a"),
        ],
        data: TarWriter.data(515)
      )
    ),
    OddTar(
      "sparse 0.1, a map that is no map",
      error: "bad-sparse",
      paxSparse(
        [("GNU.sparse.size", "5000"), ("GNU.sparse.map", "0,512,x"), ("GNU.sparse.name", "1.a")],
        data: TarWriter.data(512)
      )
    ),
    OddTar(
      "sparse in a version that nobody knows",
      error: "bad-sparse",
      paxSparse(
        [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1")],
        data: [1]
      )
    ),
    map10("2\n0\n512\n4096\n3\n", stored: 515),
    map10("2\n0\n512\n4096\n3\n", stored: 514),
    map10("2\n0\n512\n4999\n3\n", stored: 515),
    map10("2\n4096\n3\n0\n512\n", stored: 515),
    map10("1000001\n0\n512\n", stored: 512),
    map10("99999999999999999999\n", stored: 512),
    map10("x\n", stored: 512),
    map10("\n0\n", stored: 512),
    map10("3\n0\n1\n", stored: 0),
  ]
}
