import Remote
import TarIndex
import Testing

@Suite struct ClassTests {
  /// Classes by sample, nil where there is none.
  static func classes(_ index: ShardIndex) -> [String?] {
    (0..<index.sampleCount).map { sample in
      index.classNumber(ofSample: sample).map { number in
        index.withClass(number) { PrintableName.text($0) }
      }
    }
  }

  static let odd = TarWriter {
    $0.member("0.jpg", [1])
    $0.member("0.cls", Array(" 7\r\n".utf8))
    $0.member("1.CLS", Array("7".utf8))
    $0.member("2.jpg", [1])
    $0.member("3.cls", Array(" \n\t".utf8))
    $0.member("4.cls", [])
    $0.member("5.cls", Array("red fox".utf8))
    $0.member("5.cls", Array("not this".utf8))
    $0.member("6.left.cls", Array("7".utf8))
    $0.member("7.cls", [UInt8](repeating: 0x61, count: 255))
    $0.member("8.cls", [UInt8](repeating: 0x61, count: 256))
    $0.member("9.cls", [0, 0xFF])
    $0.pax([("mtime", "1700000010.5")])
    $0.member("10.cls", Array("7".utf8))
    $0.end()
  }.bytes

  @Test("a class is the short text of `cls`, without the blanks around it")
  func texts() {
    let long = String(repeating: "a", count: 255)
    let wanted: [String?] = [
      "7", "7", nil, nil, nil, "red fox", nil, PrintableName.text(Array(long.utf8)), nil,
      "\\x00\\xFF", "7",
    ]
    #expect(Self.classes(Walk(Self.odd).index) == wanted)
    #expect(Walk(Self.odd).index.classCount == 4)
  }

  @Test("the bytes may come in any pieces")
  func pieces() {
    let whole = Walk(Self.odd).serialized
    for cut in 0...Self.odd.count { #expect(Walk(Self.odd, cuts: [cut]).serialized == whole) }
    let single = Array(stride(from: 1, to: Self.odd.count, by: 1))
    #expect(Walk(Self.odd, cuts: single).serialized == whole)
  }

  @Test("the index keeps them, however many", arguments: [1, 255, 256, 70_000])
  func roundTrip(count: Int) throws {
    var scanner = TarScanner(objectBytes: Int64.max)
    var offset: Int64 = 0
    func feed(_ bytes: [UInt8]) {
      bytes.withUnsafeBytes { scanner.feed($0, at: offset) }
      offset += Int64(bytes.count)
    }
    for number in 0..<count {
      feed(TarWriter { $0.member("\(number).cls", Array("class \(number)".utf8)) }.bytes)
    }
    feed(TarWriter { $0.member("last.txt", [1]) }.bytes)
    feed(TarWriter { $0.end() }.bytes)
    scanner.endObject(at: offset)
    let storage = scanner.snapshot().withSerialized { IndexStorage(copying: $0) }
    let index = try ShardIndex(validating: storage)
    #expect(index.classCount == count)
    #expect(index.sampleCount == count + 1)
    #expect(index.classNumber(ofSample: count) == nil)
    for number in 0..<count {
      let found = index.classNumber(ofSample: number)
      #expect(found == number)
      index.withClass(number) { #expect($0.elementsEqual("class \(number)".utf8)) }
    }
  }

  @Test("a shard without classes pays nothing for them")
  func none() {
    let index = Walk(TarWriter { $0.member("0.jpg", [1]) }.bytes).index
    #expect(index.classCount == 0)
    #expect(index.classNumber(ofSample: 0) == nil)
  }

  @Test("a stream that ends within a class is damaged, and its sample is left out")
  func cut() {
    let whole = TarWriter {
      $0.member("0.cls", Array("first".utf8))
      $0.member("1.cls", Array("second".utf8))
    }.bytes
    for end in 1537..<1542 {
      var scanner = TarScanner(objectBytes: Int64.max)
      Array(whole[..<end]).withUnsafeBytes { scanner.feed($0, at: 0) }
      scanner.endObject(at: Int64(end))
      let index = scanner.snapshot()
      #expect(index.damage == TarDamage(errorClass: .truncatedData, offset: 1024))
      #expect(Self.classes(index) == ["first"])
    }
  }

  @Test("an index whose class numbers or texts lead nowhere is refused")
  func malformed() throws {
    let good = Walk(Self.odd).serialized
    let classCount = 4
    let sampleCount = 11
    // Behind the class numbers are warnings and 8 bytes of padding, before them the texts.
    let warnings = Int(good[72 + 9 * 8])
    let numbers = good.count - 8 - warnings - sampleCount
    func refuses(_ change: (inout [UInt8]) -> Void) -> Bool {
      var bytes = good
      change(&bytes)
      ShardIndexTests.seal(&bytes)
      return bytes.withUnsafeBytes { bytes in
        do throws(ShardIndexError) {
          _ = try ShardIndex(validating: IndexStorage(copying: bytes))
          return false
        } catch {
          if case .malformed = error { return true }
          return false
        }
      }
    }
    #expect(!refuses { _ in })
    #expect(refuses { $0[numbers] = UInt8(classCount + 1) })
    #expect(!refuses { $0[numbers] = UInt8(classCount) })
    // One number less, one warning byte more.
    #expect(
      refuses {
        $0[72 + 8 * 8] -= 1
        $0[72 + 9 * 8] += 1
      }
    )
    let textBytes = 1 + 7 + 255 + 2
    #expect(refuses { $0[numbers - textBytes - classCount * 8] = 0 })
  }
}
