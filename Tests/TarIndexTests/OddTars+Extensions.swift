import TarIndex

extension OddTars {
  private static func badPax(_ about: String, _ body: String) -> OddTar {
    damaged("pax: \(about)", "bad-pax") { $0.extensionHeader("x", Array(body.utf8)) }
  }

  // MARK: pax and GNU extension headers

  static let extensions = [
    OddTar("pax path; a slash at its end is removed", samples: ["dir/1: a=2 b=0"]) {
      $0.pax([("path", "dir/1.a///")])
      $0.member("x", [1, 2])
      $0.pax([("comment", "no path")])
      $0.member("dir/1.b")
      $0.end()
    },
    OddTar("Solaris' X is a pax header", samples: ["1: a=2"]) {
      $0.pax([("path", "1.a")], type: "X")
      $0.member("x", [1, 2])
      $0.end()
    },
    OddTar("later records win", samples: ["1: b=0"]) {
      $0.pax([("path", "1.a"), ("path", "1.b")])
      $0.member("x")
      $0.end()
    },
    OddTar("of several pax headers the first wins, as in the reference", samples: ["1: a=0"]) {
      $0.pax([("path", "1.a")])
      $0.pax([("path", "2.b")])
      $0.member("x")
      $0.end()
    },
    OddTar("pax size replaces the header's", samples: ["1: a=3 b=0"]) {
      $0.pax([("size", "3")])
      $0.header(Array("1.a".utf8), size: 0)
      $0.raw([1, 2, 3])
      $0.pad()
      $0.member("1.b")
      $0.end()
    },
    OddTar("zero bytes after the last record are padding", samples: ["1: a=0"]) {
      $0.extensionHeader("x", TarWriter.record("path", Array("1.a".utf8)) + [0, 0, 0])
      $0.member("x")
      $0.end()
    },
    OddTar("an empty pax header says nothing", samples: ["1: a=0"]) {
      $0.extensionHeader("x", [])
      $0.member("1.a")
      $0.end()
    },
    OddTar("global headers are not used", samples: ["1: a=1"]) {
      $0.pax([("path", "9.z"), ("size", "77")], type: "g")
      $0.member("1.a", [1])
      $0.end()
    },
    OddTar(
      "GNU long name, up to its NUL; the first of two stays",
      samples: [
        String(repeating: "k", count: 150) + ": a=1"
      ]
    ) {
      $0.longName("t", type: "K")
      $0.longName(String(repeating: "k", count: 150) + ".a\u{0}rest")
      $0.longName("2.b")
      $0.member("x", [1], magic: .gnu)
      $0.end()
    },
    OddTar("a pax path wins over a long name", samples: ["1: a=0 b=0"]) {
      $0.longName("2.x")
      $0.pax([("path", "1.a")])
      $0.member("x")
      $0.pax([("path", "1.b")])
      $0.longName("2.x")
      $0.member("x")
      $0.end()
    },
    OddTar("a long name is for one member only", samples: ["1: a=0", "2: b=0"]) {
      $0.longName("1.a")
      $0.member("x")
      $0.member("2.b")
      $0.end()
    },
    badPax("a length of 0", "0 path=x\n"),
    badPax("a length that leaves the body", "99 path=x\n"),
    badPax("a length that does not end on a line feed", "8 path=x\n"),
    badPax("a length beyond any number", "99999999999999999999999 path=x\n"),
    badPax("no length", "path=x\n"),
    badPax("no blank", "7path=x\n"),
    badPax("no equals sign", "8 path\n\n"),
    badPax("a length that ends before its keyword", "2 \n"),
    badPax("bytes behind the padding", "11 path=ab\n\u{0}x"),
    badPax("a size that is not all digits", "11 size=1x\n"),
    badPax("an empty size", "8 size=\n"),
    damaged("pax: a malformed global header", "bad-pax") {
      $0.extensionHeader("g", Array("5 abc".utf8))
    },
    damaged("pax: a negative size", "negative-size") {
      $0.pax([("size", "-1")])
      $0.member("1.a")
    },
    damaged("pax: a size beyond 64 bits", "size-overflow") {
      $0.pax([("size", "99999999999999999999")])
      $0.member("1.a")
    },
  ]
}
