import Remote
import SampleTree
import Testing

@Suite struct ShardNamesTests {
  private func names(_ keys: [String]) -> (names: [String], places: [Int?]) {
    let keys = keys.map { ObjectKey($0) }
    let table = ShardNames(keys: keys)
    let names = keys.map { table.name(of: $0) }
    let places = names.map { name in
      name.withUnsafeBytes { table.place(named: $0, count: keys.count) { keys[$0] } }
    }
    return (names.map { String(decoding: $0, as: UTF8.self) }, places)
  }

  @Test func aNameIsTheKeyBelowTheSharedFolder() {
    #expect(names(["p/train/a.tar", "p/train/b.tar"]).names == ["a.tar", "b.tar"])
    #expect(names(["a.tar", "b.tar"]).names == ["a.tar", "b.tar"])
    #expect(names(["p/ab/x.tar", "p/ac/x.tar"]).names == ["%%ab%2Fx.tar", "%%ac%2Fx.tar"])
    #expect(names(["p/x.tar"]).names == ["x.tar"])
  }

  @Test("names are one-to-one whatever the keys, and each finds its shard")
  func oneToOne() {
    let long = String(repeating: "l", count: 300)
    let keys = [
      "p/b.tar", "p/a.tar", "p/x/a.tar", "p/%%a.tar", "p/%%x%2Fa.tar", "p/x%2Fa.tar",
      "p/\(long).tar", "p/\(long)2.tar", "p/\(String(repeating: "m", count: 250)).tar",
      "p/\(String(repeating: "n", count: 249)).tar", "p/\(String(repeating: "/", count: 84)).tar",
      "p/.tar", "p/é.tar", "p/e\u{301}.tar",
    ]
    let (names, places) = names(keys)
    #expect(Set(names.map { Array($0.utf8) }).count == keys.count)
    #expect(names.allSatisfy { $0.utf8.count <= 253 && !$0.contains("/") })
    #expect(places == keys.indices.map { $0 })
    #expect(names[6].hasPrefix("%%sha256-") && names[8].hasPrefix("%%sha256-"))
    #expect(names[9].hasPrefix("nnn"))
  }

  @Test("another spelling of a name is no name")
  func canonical() {
    let keys = [ObjectKey("p/a.tar"), ObjectKey("p/x/a.tar")]
    let table = ShardNames(keys: keys)
    for name in ["%%a.tar", "%%x%2fa.tar", "x%2Fa.tar", "", "a.ta", "a.tarr", "p/a.tar", ".", "%%"]
    {
      let place = Array(name.utf8).withUnsafeBytes { bytes in
        table.place(named: bytes, count: 2) { keys[$0] }
      }
      #expect(place == nil, "\(name)")
    }
  }

  @Test func twoHundredThousandShardsAreSearchedNotWalked() {
    let keys = (0..<200_000).map { ObjectKey("train/s-\(1_000_000 + $0).tar") }
    let table = ShardNames(keys: keys)
    var looked = 0
    for place in stride(from: 0, to: keys.count, by: 997) {
      let found = table.name(of: keys[place]).withUnsafeBytes { name in
        table.place(named: name, count: keys.count) { number in
          looked += 1
          return keys[number]
        }
      }
      #expect(found == place)
    }
    #expect(looked <= 201 * 19)
  }
}
