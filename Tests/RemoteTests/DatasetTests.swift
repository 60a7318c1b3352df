import Remote
import Testing

@Suite struct DatasetTests {
  private func splits(
    _ keys: [String],
    at remote: String = "s3://bucket/data/set",
    _ options: [String] = []
  ) throws -> [String: [String]] {
    let address = try RemoteAddress(parsing: remote)
    let prefix = String(decoding: address.keyPrefix, as: UTF8.self)
    let objects = keys.map { ObjectInfo(key: ObjectKey(prefix + $0), sizeBytes: 1, eTag: "e") }
    let dataset = try Dataset(
      of: objects,
      at: address,
      options: options.map { try SplitOption(parsing: $0) }
    )
    var splits: [String: [String]] = [:]
    for split in dataset.splits {
      splits[String(decoding: split.name.bytes, as: UTF8.self)] = split.shards.map {
        String(decoding: dataset.shards[$0].key.bytes.dropFirst(prefix.utf8.count), as: UTF8.self)
      }
    }
    return splits
  }

  @Test("each first-level folder that holds shards is a split, at whatever depth they lie")
  func folders() throws {
    #expect(
      try splits(["val/1.tar", "train/b/2.tgz", "train/a.TAR.GZ", "docs/readme.txt", "x.json"])
        == ["train": ["train/a.TAR.GZ", "train/b/2.tgz"], "val": ["val/1.tar"]]
    )
  }

  @Test("shards at the top form splits by their names; one name only is called after the remote")
  func stems() throws {
    let train = ["in-train-000.tar", "in-train-001.tar"]
    #expect(
      try splits(train + ["in-val-000.tar"]) == ["in-train": train, "in-val": ["in-val-000.tar"]]
    )
    #expect(try splits(train) == ["set": train])
    #expect(try splits(train, at: "s3://bucket") == ["bucket": train])
    #expect(try splits(train, at: "/mnt/data/") == ["data": train])
    #expect(try splits(train, at: "http://h/d/in-train-{000..001}.tar") == ["in-train": train])
    #expect(try splits(["0.tar"], at: "http://h/d/{0..1}.tar") == ["d": ["0.tar"]])
    #expect(try splits(["0.tar", "a-0.tar"]) == ["set": ["0.tar"], "a": ["a-0.tar"]])
  }

  @Test(
    "a stem is the name up to the shard number",
    arguments: [
      ("imagenet-train-001281.tar", "imagenet-train"), ("train_0.tar.gz", "train"),
      ("c4-00000-of-01024.tar", "c4"), ("train-00001-a8f3.tar", "train"), ("shard12.tgz", "shard"),
      ("000.tar", ""), ("x.tar", "x"), ("coco2017-train.tar", "coco2017-train"), (".tar", ""),
    ]
  )
  func stem(name: String, expected: String) {
    #expect(ShardName.stem(of: Array(name.utf8)) == Array(expected.utf8))
  }

  @Test("only tar suffixes make a shard, in either case")
  func shards() {
    let yes = [
      "a.tar", "a.tar.gz", "a.tgz", "a.tar.zst", "a.tar.lz4", "a.tar.bz2", "a.tar.xz", "A.TaR",
    ]
    let no = ["a.tar/", "a.tar.gz.idx", "tar", "a.zip", "", "a.tar.Z"]
    #expect(yes.allSatisfy { ShardName.isShard(Array($0.utf8)) })
    #expect(!no.contains { ShardName.isShard(Array($0.utf8)) })
  }

  @Test("--split NAME=GLOB overrides, repeats add up, NAME keeps one; unused shards are left out")
  func options() throws {
    let keys = ["train/0.tar", "train/1.tar", "train/sub/2.tar", "val/0.tar"]
    #expect(try splits(keys, ["t=train/*.tar"]) == ["t": ["train/0.tar", "train/1.tar"]])
    #expect(try splits(keys, ["t=train/**"]) == ["t": Array(keys[..<3])])
    #expect(
      try splits(keys, ["t=train/{0..1}.tar", "t=**/2.tar", "val"])
        == ["t": Array(keys[..<3]), "val": ["val/0.tar"]]
    )
    #expect(try splits(keys, ["val"]) == ["val": ["val/0.tar"]])
    #expect(try splits(keys, ["a=**", "b=**"]) == ["a": keys, "b": keys])
    #expect(throws: DatasetError.noSuchSplit(name: "x", available: ["train", "val"])) {
      try splits(keys, ["x"])
    }
    #expect(throws: DatasetError.emptySplit(name: "x", globs: ["*.tar"])) {
      try splits(keys, ["x=*.tar"])
    }
    for name in ["", ".", "..", "a/b", ".shards", "%%x", "a\0"] {
      #expect(throws: DatasetError.self) { try SplitOption(parsing: name + "=**") }
    }
    #expect(throws: DatasetError.self) { try SplitOption(parsing: "a=[b") }
  }

  @Test("folders that no directory can be called after get a spelling of their own")
  func oddFolders() throws {
    let names = try splits([".shards/0.tar", "/0.tar", "../0.tar", "%%a/0.tar", ".hidden/0.tar"])
    #expect(Set(names.keys) == ["%%.shards", "%%", "%%%2E%2E", "%%%25%25a", ".hidden"])
    let long = String(repeating: "x", count: 300)
    let cut = try splits(["\(long)a/0.tar", "\(long)b/0.tar"])
    #expect(cut.count == 2 && cut.keys.allSatisfy { $0.utf8.count <= 255 })
    // As text the two would be one.
    let composed = try Dataset(
      of: ["caf\u{E9}/0.tar", "cafe\u{301}/0.tar"].map {
        ObjectInfo(key: ObjectKey($0), sizeBytes: 1, eTag: "")
      },
      at: RemoteAddress(parsing: "s3://b")
    )
    #expect(composed.splits.count == 2)
  }

  @Test("shards are sorted by bytes, a pattern's keep its order; twice the same is an error")
  func order() throws {
    let keys = ["b.tar", "a.tar", "B.tar"].map {
      ObjectInfo(key: ObjectKey($0), sizeBytes: 1, eTag: "")
    }
    func sorted(_ remote: String) throws -> [String] {
      try Dataset(of: keys, at: RemoteAddress(parsing: remote)).shards.map(\.key.description)
    }
    #expect(try sorted("/d") == ["B.tar", "a.tar", "b.tar"])
    #expect(try sorted("http://h/{b,a,B}.tar") == ["b.tar", "a.tar", "B.tar"])
    #expect(throws: DatasetError.duplicateShard(key: ObjectKey("a.tar"))) {
      try Dataset(of: keys + [keys[1]], at: RemoteAddress(parsing: "/d"))
    }
    #expect(throws: DatasetError.noShards(remote: "/d", objectCount: 1)) {
      try Dataset(
        of: [ObjectInfo(key: ObjectKey("x"), sizeBytes: 1, eTag: "")],
        at: RemoteAddress(parsing: "/d")
      )
    }
  }

  @Test("two hundred thousand shards are sorted into splits at once")
  func large() throws {
    let objects = (0..<200_000).map { number in
      ObjectInfo(
        key: ObjectKey("\(number % 2 == 0 ? "train" : "val")/x-\(1_000_000 + number).tar"),
        sizeBytes: 1,
        eTag: ""
      )
    }
    let dataset = try Dataset(of: objects, at: RemoteAddress(parsing: "s3://b"))
    #expect(dataset.splits.map(\.shards.count) == [100_000, 100_000])
    #expect(dataset.splits[0].shards == Array(0..<100_000))
  }

  @Test(
    "globs",
    arguments: [
      ("*.tar", "a.tar", true), ("*.tar", "a/b.tar", false), ("**.tar", "a/b.tar", true),
      ("**/b.tar", "b.tar", true), ("**/b.tar", "a/c/b.tar", true), ("**/b.tar", "ab.tar", false),
      ("a/**/b", "a/b", true), ("?.tar", "\u{E9}.tar", true), ("?.tar", "ee.tar", false),
      ("?", "/", false), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("[]]", "]", true),
      ("[a-]", "-", true), ("a*b*c", "aXbYc", true), ("a*b*c", "aXbY", false), ("[*]", "*", true),
      ("x{1,2}*", "x2y", true), ("", "", true), ("a", "ab", false),
      ("*a*a*a*a*a*a*a*a*a*a*a*a*b", String(repeating: "a", count: 2000), false),
    ]
  )
  func glob(pattern: String, key: String, fits: Bool) throws {
    #expect(try KeyGlob(pattern).matches(Array(key.utf8)) == fits)
  }
}
