import TarIndex

extension OddTars {
  // MARK: Names

  static let naming = [
    OddTar(
      "metadata is left out without a word",
      samples: ["__m__: jpg=0", "d/__meta__: json=0", "__x: jpg=0", "./__meta__/y: json=0"],
      warnings: ["no-extension": 1]
    ) {
      for name in [
        "__meta__", "__a.b__", "__", "___", "__meta__/info.json", "____/a.b", "__m__.jpg",
        "d/__meta__.json", "__x.jpg", "./__meta__/y.json", "___/x",
      ] { $0.member(name) }
      $0.end()
    },
    OddTar(
      "reserved fields are left out and end no sample",
      samples: ["1: jpg=0 cls=0"],
      warnings: ["reserved-field": 7]
    ) {
      $0.member("1.jpg")
      for field in ["key", "URL", "local_path", "Bad", "shard", "index"] {
        $0.member("1.__\(field)__")
      }
      $0.member("2.__key__")
      $0.member("1.cls")
      $0.end()
    },
    OddTar(
      "names without a field",
      samples: ["1: jpg=0"],
      warnings: ["no-extension": 6]
    ) {
      for name in ["README", ".hidden.txt", "./.x", "a.b/.y.z", "", "d/"] { $0.member(name) }
      $0.member("1.jpg")
      $0.end()
    },
    OddTar("fields are lower-cased, keys are not", samples: ["A: seg.png=0", "a: \u{E9}t\u{E9}=0"])
    {
      $0.member("A.Seg.PNG")
      $0.member("a.\u{C9}T\u{C9}")
      $0.end()
    },
    OddTar("a NUL in a pax path", samples: ["k\\x00y: j\\x00g=0"]) {
      $0.pax([("path", "k\u{0}y.J\u{0}g")])
      $0.member("x")
      $0.end()
    },
  ]

  // MARK: Grouping

  static let grouping = [
    OddTar(
      "left-out members do not end a sample",
      samples: ["1: a=0 b=0"],
      warnings: ["no-extension": 1, "link-skipped": 1]
    ) {
      $0.member("1.a")
      $0.member("LICENSE", [1])
      $0.header(Array("2.x".utf8), type: "2")
      $0.header(Array("3.x/".utf8), type: "5")
      $0.member("1.b")
      $0.end()
    },
    OddTar("a key that comes back starts a new sample", samples: ["1: a=0", "2: a=0", "1: a=0"]) {
      for name in ["1.a", "2.a", "1.a"] { $0.member(name) }
      $0.end()
    },
    OddTar(
      "of a field that comes twice the first stays",
      samples: ["1: jpg=1 cls=1", "2: jpg=0"],
      warnings: ["duplicate-field": 2]
    ) {
      $0.member("1.jpg", [1])
      $0.member("1.JPG", [1, 2])
      $0.member("1.cls", [1])
      $0.member("1.jpg", [1, 2, 3])
      $0.member("2.jpg")
      $0.end()
    },
    OddTar("keys that look alike are different keys", samples: ["\u{E9}: a=0", "e\u{301}: a=0"]) {
      $0.member("\u{E9}.a")
      $0.member("e\u{301}.a")
      $0.end()
    },
  ]
}
