import TarIndex
import Testing

/// One odd archive: what it shows, its bytes, and what has to come of it.
struct OddTar: Sendable, CustomTestStringConvertible {
  let about: String
  let archive: [UInt8]
  let samples: [String]
  let error: String?
  let warnings: [String: Int]
  let limits: TarLimits

  init(
    _ about: String,
    samples: [String] = [],
    error: String? = nil,
    warnings: [String: Int] = [:],
    limits: TarLimits = TarLimits(),
    _ build: (inout TarWriter) -> Void
  ) {
    self.about = about
    self.samples = samples
    self.error = error
    self.warnings = warnings
    self.limits = limits
    archive = TarWriter(build).bytes
  }

  var testDescription: String { about }

  /// Between the cuts of a test that cuts an archive: each byte of a small one.
  ///
  /// Larger ones are rows of like blocks; a step that is odd meets every place in a block.
  var cutStep: Int { archive.count <= 2048 ? 1 : archive.count <= 16_384 ? 13 : 509 }
}

/// The catalogue of odd and damaged archives, by the section of the format description.
enum OddTars {
  static let all = headers + types + extensions + sparse + ends + limits + naming + grouping

  static let before = ["100000: jpg=700 cls=0"]

  static func damaged(
    _ about: String,
    _ error: String,
    limits: TarLimits = TarLimits(),
    _ build: (inout TarWriter) -> Void
  ) -> OddTar {
    // The sample that was being built, 100001, is dropped with the damage.
    OddTar(about, samples: before, error: error, limits: limits) {
      $0.samples(2)
      build(&$0)
      $0.samples(2, from: 2)
      $0.end()
    }
  }

  private static func withSize(_ field: String, error: String) -> OddTar {
    damaged("size field '\(field)'", error) {
      $0.header(Array("1.a".utf8)) { $0.put(Array(field.utf8), at: 124) }
    }
  }

  // MARK: Headers

  static let headers = [
    OddTar("plain ustar", samples: before) {
      $0.samples(1)
      $0.end()
    },
    OddTar("GNU magic", samples: before) {
      $0.samples(1, magic: .gnu)
      $0.end()
    },
    OddTar("V7, without any magic", samples: before) {
      $0.samples(1, magic: .v7)
      $0.end()
    },
    OddTar("checksum over signed bytes", samples: ["k\\xE9: a=3"]) {
      $0.header([0x6B, 0xE9, 0x2E, 0x61], size: 3, signedChecksum: true)
      $0.raw([1, 2, 3])
      $0.pad()
      $0.end()
    },
    OddTar("octal with blanks before, behind, and without an end", samples: ["1: a=9 b=8 c=7"]) {
      for (name, text) in [
        ("1.a", "         11\u{0}"), ("1.b", "10  \u{0}999999"), ("1.c", "000000000007"),
      ] {
        $0.header(Array(name.utf8)) { $0.put(Array(text.utf8), at: 124) }
        $0.raw(TarWriter.data(name == "1.a" ? 9 : name == "1.b" ? 8 : 7))
        $0.pad()
      }
      $0.end()
    },
    OddTar("an empty size field means 0", samples: ["1: a=0"]) {
      $0.header(Array("1.a".utf8)) { $0.put(Array(repeating: 0, count: 12), at: 124) }
      $0.end()
    },
    OddTar("base-256 size", samples: ["1: a=5 b=0"]) {
      $0.header(Array("1.a".utf8)) { $0.put(TarWriter.base256(5), at: 124) }
      $0.raw(TarWriter.data(5))
      $0.pad()
      $0.member("1.b")
      $0.end()
    },
    OddTar("fields that are not used may hold anything", samples: ["1: a=1"]) {
      $0.member("1.a", [9]) {
        for range in [100..<124, 136..<148, 157..<257, 265..<345] {
          $0.put(Array(repeating: 0xEE, count: range.count), at: range.lowerBound)
        }
      }
      $0.end()
    },
    OddTar("prefix and name, joined", samples: ["dir/sub/1: a=1"]) {
      $0.header(Array("1.a".utf8), size: 1, prefix: Array("dir/sub".utf8))
      $0.raw([1])
      $0.pad()
      $0.end()
    },
    OddTar("a GNU header has times where the prefix would be", samples: ["1: a=1"]) {
      $0.header(Array("1.a".utf8), size: 1, magic: .gnu, prefix: Array("14524770001\u{0}".utf8))
      $0.raw([1])
      $0.pad()
      $0.end()
    },
    OddTar(
      "a name of 100 bytes has no end mark",
      samples: [
        String(repeating: "k", count: 98) + ": a=0"
      ]
    ) {
      $0.member(String(repeating: "k", count: 98) + ".a")
      $0.end()
    },
    damaged("wrong checksum later on", "bad-checksum") {
      $0.header(Array("1.a".utf8))
      let place = $0.bytes.count - 512
      $0.flip(place)
    },
    damaged("a checksum that is no number", "bad-checksum") {
      $0.header(Array("1.a".utf8))
      $0.overwrite(Array("0z2345\u{0} ".utf8), at: $0.bytes.count - 512 + 148)
    },
    OddTar("no tar at all", error: "not-tar") { $0.raw(Array(repeating: 0x3C, count: 2000)) },
    OddTar("shorter than a header", error: "not-tar") { $0.raw(Array(repeating: 0, count: 511)) },
    OddTar("nothing", error: "empty") { _ in },
    withSize("00000000z12\u{0}", error: "bad-number"),
    withSize("00000000008\u{0}", error: "bad-number"),
    withSize("+0000000012\u{0}", error: "bad-number"),
    withSize("1_2\u{0}", error: "bad-number"),
    withSize("1 2\u{0}", error: "bad-number"),
    damaged("negative base-256 size", "negative-size") {
      $0.header(Array("1.a".utf8)) { $0.put(TarWriter.base256(-512, first: 0xFF), at: 124) }
    },
    damaged("a size beyond 64 bits", "size-overflow") {
      $0.header(Array("1.a".utf8)) {
        $0.put([0x80, 0, 0, 1] + Array(repeating: 0, count: 8), at: 124)
      }
    },
    damaged("an offset plus size beyond 64 bits", "size-overflow") {
      $0.header(Array("1.a".utf8)) { $0.put(TarWriter.base256(.max), at: 124) }
    },
  ]

  // MARK: Types

  static let types = [
    OddTar("NUL and '7' are regular files", samples: ["1: a=1 b=2"]) {
      $0.member("1.a", [1], type: "\u{0}")
      $0.member("1.b", [1, 2], type: "7")
      $0.end()
    },
    OddTar("NUL and a slash at the end: a directory, without data", samples: ["1: a=1 b=1"]) {
      $0.member("1.a", [1])
      $0.header(Array("d.x/".utf8), size: 4096, type: "\u{0}", magic: .v7)
      $0.member("1.b", [1])
      $0.end()
    },
    OddTar(
      "a long name cut off at a slash is no directory",
      samples: [
        String(repeating: "d", count: 99) + "/1: a=3"
      ]
    ) {
      let name = String(repeating: "d", count: 99) + "/1.a"
      $0.pax([("path", name)])
      $0.member(name, [1, 2, 3], type: "\u{0}")
      $0.end()
    },
    OddTar("a pax path may mark a V7 directory", samples: ["1: a=1"]) {
      $0.pax([("path", "d.x/")])
      $0.header(Array("d.x".utf8), size: 512, type: "\u{0}")
      $0.member("1.a", [1])
      $0.end()
    },
    OddTar(
      "links and special members have no data, whatever their size field says",
      samples: ["1: a=1 b=1"],
      warnings: ["link-skipped": 2, "special-skipped": 3]
    ) {
      $0.member("1.a", [1])
      for type: Character in ["1", "2", "3", "4", "6", "5"] {
        $0.header(Array("1.x".utf8), size: 4096, type: type)
      }
      $0.member("1.b", [1])
      $0.end()
    },
    OddTar(
      "the data of unknown types is skipped",
      samples: ["1: a=1 b=1"],
      warnings: ["special-skipped": 5]
    ) {
      $0.member("1.a", [1])
      for type: Character in ["V", "M", "D", "N", "Z"] { $0.member("2.x", [1, 2], type: type) }
      $0.member("1.b", [1])
      $0.end()
    },
  ]
}

extension TarWriter {
  mutating func flip(_ offset: Int) {
    overwrite([bytes[offset] ^ 1], at: offset)
  }

  mutating func overwrite(_ more: [UInt8], at offset: Int) {
    let tail = Array(bytes[(offset + more.count)...])
    let head = Array(bytes[..<offset])
    self = TarWriter()
    raw(head + more + tail)
  }
}
