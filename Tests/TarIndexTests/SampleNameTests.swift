import Crypto
import TarIndex
import Testing

@Suite struct SampleNameTests {
  private func split(_ name: String) -> (key: String, field: String)? {
    let bytes = Array(name.utf8)
    guard case .field(let keyBytes) = bytes.withUnsafeBytes({ SampleName.split($0) }) else {
      return nil
    }
    return (
      String(decoding: bytes[..<keyBytes], as: UTF8.self),
      String(decoding: bytes[(keyBytes + 1)...], as: UTF8.self)
    )
  }

  @Test(
    "a name splits at the first dot of its last part",
    arguments: [
      ("a/b/0001.left.png", "a/b/0001", "left.png"), ("clip 2.0.mp3", "clip 2", "0.mp3"),
      ("train.v1/0001.jpg", "train.v1/0001", "jpg"), ("0001.", "0001", ""),
      ("./0001.x", "./0001", "x"), ("d/._0001.jpg", "d/", "_0001.jpg"),
      ("a.b/c/.y.z", "a.b/c/", "y.z"), ("/.x", "/", "x"), ("a.b//.x", "a.b//", "x"),
      ("d/.", "d/", ""), ("0001..jpg", "0001", ".jpg"),
    ]
  )
  func splits(_ name: String, _ key: String, _ field: String) {
    let found = split(name)
    #expect(found?.key == key)
    #expect(found?.field == field)
  }

  @Test(
    "other names give no field",
    arguments: ["README", ".hidden", "./.x", "a.b/.y", "d/", "", ".", "..", "a/b"]
  )
  func noField(_ name: String) {
    let verdict = Array(name.utf8).withUnsafeBytes { SampleName.split($0) }
    #expect(verdict == .noExtension)
  }

  private func lowercased(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    bytes.withUnsafeBytes { SampleName.appendLowercased($0, to: &result) }
    return result
  }

  @Test("lower case goes code point by code point, and leaves what is not UTF-8 alone")
  func lowerCase() {
    #expect(
      lowercased(Array("JPEG.\u{C9}\u{212A}\u{130}\u{3A3}".utf8))
        == Array("jpeg.\u{E9}k\u{69}\u{307}\u{3C3}".utf8)
    )
    // Latin-1; a surrogate; an overlong form; a sequence cut short; beyond Unicode.
    for odd: [UInt8] in [
      [0xC9], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xE2, 0x84], [0xF5, 0x80, 0x80, 0x80],
    ] {
      #expect(lowercased([0x41] + odd + [0x42]) == [0x61] + odd + [0x62])
    }
  }

  // MARK: File names

  private func fileName(_ name: [UInt8]) -> [UInt8] {
    var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
    let count = scratch.withUnsafeMutableBytes { target in
      name.withUnsafeBytes { bytes in
        let cut = bytes.count / 2
        return SampleName.writeFileName(
          UnsafeRawBufferPointer(rebasing: bytes[..<cut]),
          UnsafeRawBufferPointer(rebasing: bytes[cut...]),
          into: target
        )
      }
    }
    return Array(scratch[..<count])
  }

  @Test(
    "names that cannot stand in a directory are escaped",
    arguments: [
      ("jpg", "jpg"), ("", "%%"), (".", "%%%2E"), ("..", "%%%2E%2E"), ("...", "..."),
      ("%x", "%x"), ("%%x", "%%%25%25x"), ("a/b", "%%a%2Fb"), ("a\u{0}%", "%%a%00%25"),
    ]
  )
  func escaping(_ name: String, _ escaped: String) {
    #expect(String(decoding: fileName(Array(name.utf8)), as: UTF8.self) == escaped)
  }

  @Test("255 bytes are a name, 256 a digest; so is what grows beyond by escaping")
  func longNames() {
    let longest = [UInt8](repeating: 0x66, count: 255)
    #expect(fileName(longest) == longest)
    for name in [longest + [0x66], [UInt8](repeating: 0, count: 85), Array("%%".utf8) + longest] {
      let digest = SHA256.hash(data: name).map { byte in
        byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
      }
      #expect(fileName(name) == Array(("%%sha256-" + digest.joined()).utf8))
    }
    #expect(fileName([UInt8](repeating: 0, count: 84)).count == 254)
  }

  @Test("every file name that is listed leads back, and no other spelling does")
  func lookups() {
    let fields = [
      "jpg", "a.jpg", "", ".", "..", "%%x", "x%", "F\u{0}", String(repeating: "f", count: 300),
    ]
    let archive = TarWriter { writer in
      for field in fields {
        writer.pax([("path", "dir/a.\(field)")])
        writer.member("x", [1])
      }
      writer.end()
    }.bytes
    let index = Walk(archive).index
    var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
    for ordinal in fields.indices {
      let count = scratch.withUnsafeMutableBytes {
        index.writeListedName(ofField: ordinal, inSample: 0, into: $0)
      }
      #expect(
        scratch[..<count].withUnsafeBytes { index.ordinal(named: $0, inSample: 0) } == ordinal
      )
      let bareCount = scratch.withUnsafeMutableBytes {
        index.writeBareName(ofField: ordinal, inSample: 0, into: $0)
      }
      let found = scratch[..<bareCount].withUnsafeBytes { index.ordinal(named: $0, inSample: 0) }
      // The bare name of `a.jpg` is the listed one of `jpg`, which wins.
      #expect(found == (fields[ordinal] == "a.jpg" ? 0 : ordinal))
    }
    for name in [
      "", "jp", "a.jpgx", "JPG", "%%jpg", "%%%6Apg", "%%%", "%%%2", "%%a%2e", ".", "b.jpg", "/",
      "%%sha256-" + String(repeating: "0", count: 64), String(repeating: "f", count: 300),
    ] {
      let bytes = Array(name.utf8)
      #expect(bytes.withUnsafeBytes { index.ordinal(named: $0, inSample: 0) } == nil, "\(name)")
    }
    #expect(Walk.listedNames(0, of: index).prefix(3) == ["a.jpg", "a.a.jpg", "a."])
  }
}
