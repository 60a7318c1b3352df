import Remote
import Testing

@testable import WDSFS

@Suite struct CountFileTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test("The first line of an .idx file of wds2idx is the count")
  func dali() {
    #expect(CountFile.dali(bytes("v1.2 1000\njpg 512 9 a.jpg\n"))?.samples == 1000)
    #expect(CountFile.dali(bytes("v1.1 0\n"))?.samples == 0)
    for odd in ["", "v1.2 1000", "v1.2 -1\n", "v2 10\n", "1000\n", "v1.2 99999999999\n", "\n"] {
      #expect(CountFile.dali(bytes(odd)) == nil, "\(odd)")
    }
  }

  @Test("What img2dataset could fetch is in the shard, whatever it tried")
  func img2dataset() {
    let text = #"{"count": 10, "successes": 7, "status_dict": {"success": 7}, "duration": 1.5}"#
    #expect(CountFile.img2dataset(bytes(text))?.samples == 7)
    #expect(CountFile.img2dataset(bytes(#"{"count": 10}"#)) == nil)
    #expect(CountFile.img2dataset(bytes(#"{"successes": -7}"#)) == nil)
    #expect(CountFile.img2dataset(bytes("[[[[[")) == nil)
  }

  @Test(
    "webshart lists members, in an object without order or in a list; samples are runs of a key"
  )
  func webshart() {
    let table = """
      {"path": "a.tar", "filesize": 9000, "files": {
        "b.jpg": {"offset": 3000, "length": 5}, "a.jpg": {"offset": 512, "length": 5},
        "a.txt": {"offset": 1536, "length": 5}, "README": {"offset": 5000, "length": 5}}}
      """
    #expect(CountFile.webshart(bytes(table)) == CountFile.Count(samples: 2, shardBytes: 9000))
    let list = """
      {"filesize": 0, "files": [{"fname": "b.jpg", "offset": 3000, "size": 5},
        {"path": "a.jpg", "offset": 512, "length": 5}]}
      """
    #expect(CountFile.webshart(bytes(list)) == CountFile.Count(samples: 2, shardBytes: nil))
    #expect(CountFile.webshart(bytes(#"{"files": [{"offset": 1}]}"#)) == nil)
    #expect(CountFile.webshart(bytes(#"{"caption": "a dog"}"#)) == nil)
  }

  @Test("wids lists shards with their counts, and their sizes where it knows them")
  func wids() {
    let text = """
      {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "train", "shardlist": [
        {"url": "a.tar", "nsamples": 10, "filesize": 5120, "md5sum": "0"},
        {"url": "b.tar", "nsamples": 11}, {"url": "c.tar", "nsamples": -1}]}
      """
    #expect(
      CountFile.wids(bytes(text)) == [
        CountFile.Named(name: "a.tar", count: CountFile.Count(samples: 10, shardBytes: 5120)),
        CountFile.Named(name: "b.tar", count: CountFile.Count(samples: 11, shardBytes: nil)),
      ]
    )
    #expect(CountFile.beginsWIDS(Array(bytes(text).prefix(100))))
    #expect(CountFile.wids(bytes(text.replacing("-v1", with: "-v2"))) == nil)
    #expect(!CountFile.beginsWIDS(bytes(#"{"caption": "a dog"}"#)))
  }

  @Test("index.wds of streaming-wds is JSON within gzip; what is not states nothing")
  func streamingWDS() {
    // python3: gzip.compress(json.dumps({...}).encode(), mtime=0)
    let packed: [UInt8] = [
      31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 206, 72, 44, 74, 41, 86, 178, 82, 136, 174, 86,
      202, 78, 173, 4, 50, 148, 18, 245, 74, 18, 139, 148, 116, 20, 148, 242, 74, 115, 227, 139, 19,
      115, 11, 114, 82, 65, 10, 204, 107, 99, 107, 1, 144, 84, 92, 184, 48, 0, 0, 0,
    ]
    #expect(
      CountFile.streamingWDS(packed) == [
        CountFile.Named(name: "a.tar", count: CountFile.Count(samples: 7, shardBytes: nil))
      ]
    )
    #expect(CountFile.streamingWDS(bytes(#"{"shards": []}"#)) == nil)
    for place in packed.indices {
      var changed = packed
      changed[place] ^= 0x10
      _ = CountFile.streamingWDS(changed)
      _ = CountFile.streamingWDS(Array(packed.prefix(place)))
    }
  }
}

@Suite struct ShardFinderTests {
  private let finder = ShardFinder(
    ["set/train/0.tar", "set/train/1.a.tar", "set/train/1.b.tar", "set/val/0.tar", "set/val/9.tar"]
      .map { ObjectInfo(key: ObjectKey($0), sizeBytes: 1, eTag: "") }
  )

  @Test("A file lies beside a shard by the name up to its first dot, if only one has it")
  func beside() {
    func shard(_ key: String, _ ending: String) -> Int? {
      finder.shard(beside: Array(key.utf8), ending: ending)
    }
    #expect(shard("set/train/0.idx", ".idx") == 0)
    #expect(shard("set/val/0_stats.json", "_stats.json") == 3)
    #expect(shard("set/train/1.idx", ".idx") == nil)
    #expect(shard("set/0.idx", ".idx") == nil)
    #expect(shard(".idx", ".idx") == nil)
    #expect(shard("set/train/0.idx", ".json") == nil)
  }

  @Test("A list calls shards by key, by path or by URL, from its folder or from anywhere")
  func called() {
    func shard(_ name: String, in list: String = "set/index.json") -> Int? {
      finder.shard(called: name, inList: Array(list.utf8))
    }
    #expect(shard("0.tar", in: "set/val/index.json") == 3)
    #expect(shard("train/0.tar") == 0)
    #expect(shard("set/train/0.tar") == 0)
    #expect(shard("s3://bucket/set/val/0.tar") == 3)
    #expect(shard("/mnt/elsewhere/9.tar") == 4)
    #expect(shard("/mnt/elsewhere/0.tar") == nil)
    #expect(shard("0.tar") == nil)
    #expect(shard("nowhere.tar") == nil)
    #expect(shard("") == nil)
  }
}
