import Schema
import Testing

/// Images of known colours; how near others come to PIL is seen through the mount.
@Suite struct ImageDecoderTests {
  @Test("A PNG's pixels come row by row as red, green and blue")
  func png() throws {
    let array = try ArrayFile(decode(Self.png, "npy"))
    #expect(array.says("|u1", "(2, 2, 3)"))
    #expect(array.data == [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
  }

  @Test(
    "An image is brought to just the size that was asked for, and a plain one keeps its colour",
    arguments: [
      ("npy", 64, 48), ("npy:32x24", 32, 24), ("npy:5x40", 5, 40), ("npy:7x3", 7, 3),
      ("npy:1x1", 1, 1), ("npy:200x10", 200, 10), ("npy:short=24", 32, 24),
      ("npy:short=96", 128, 96), ("npy:short=7", 9, 7), ("npy:64x48", 64, 48),
    ]
  )
  func sizes(format: String, width: Int, height: Int) throws {
    for image in [Self.jpeg, Self.webp] {
      let array = try ArrayFile(decode(image, format))
      #expect(array.says("|u1", "(\(height), \(width), 3)"))
      #expect(array.data.count == width * height * 3)
      let wanted: [Int] = [200, 100, 50]
      let farthest = array.data.enumerated().map { abs(Int($1) - wanted[$0 % 3]) }.max()
      #expect(farthest ?? 255 <= 2)
    }
  }

  @Test("An image grows as PIL's triangle has it")
  func grows() throws {
    // From red to green in four steps: each the nearer pixel three times to the other's one.
    let array = try ArrayFile(decode(Self.png, "npy:4x4"))
    #expect(array.data[..<12].elementsEqual([255, 0, 0, 191, 64, 0, 64, 191, 0, 0, 255, 0]))
  }

  @Test("An image that ends early or is none is refused")
  func damaged() {
    for image in [Self.png, Self.jpeg, Self.webp] {
      for count in [12, image.count / 2, image.count - 14] {
        #expect(throws: DecodeError.self) { try decode(Array(image[..<count]), "npy:8x8") }
      }
    }
    #expect(throws: DecodeError.notReadable("it is no JPEG, PNG or WebP image")) {
      try decode("5", "npy:8x8")
    }
  }

  @Test("An image of more pixels than are allowed is refused before room is made for them")
  func huge() {
    #expect(throws: DecodeError.tooLarge("60000 x 60000 pixels are more than 64 Mi")) {
      try decode(Self.huge, "npy:8x8")
    }
  }

  @Test("An array that is larger than allowed is refused")
  func tooLarge() throws {
    #expect(throws: DecodeError.self) { try decode(Self.jpeg, "npy", maxBytes: 9343) }
    #expect(try decode(Self.jpeg, "npy", maxBytes: 9344).count == 9344)
  }

  /// Two by two pixels: red and green above blue and white.
  private static let png = bytes(
    """
    89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a730000001249444154789c63\
    f8cfc0c000c20cff8100001fee05fb0bd9688b0000000049454e44ae426082
    """
  )

  /// A header that speaks of 60000 by 60000 pixels.
  private static let huge = bytes(
    """
    89504e470d0a1a0a0000000d494844520000ea600000ea6008020000000fb0e2150000001249444154789c63\
    f8cfc0c000c20cff8100001fee05fb0bd9688b0000000049454e44ae426082
    """
  )

  /// 64 by 48 pixels of (200, 100, 50).
  private static let jpeg = bytes(
    """
    ffd8ffe000104a46494600010100000100010000ffdb00430002010101010102010101020202020204030202\
    02020504040304060506060605060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a\
    0affdb004301020202020202050303050a0706070a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\
    0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0affc000110800300040030111000211010311\
    01ffc4001500010100000000000000000000000000000005ffc4001410010000000000000000000000000000\
    0000ffc4001501010100000000000000000000000000000008ffc40014110100000000000000000000000000\
    000000ffda000c03010002110311003f009e95d6c00000000000000000000000000000000000000000000000\
    000000000000000000000000ffd9
    """
  )

  /// The same without loss.
  private static let webp = bytes(
    """
    5249464624000000574542505650384c170000002f3fc00b000750b22257a6ff012021fc5f2f46f43ff50300
    """
  )

  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
  }
}
