import Schema
import Testing

/// What is decoded to a size beside the whole image, resized slowly and in fractions.
@Suite struct ResamplingTests {
  @Test(
    "Each pixel is as the triangle has it, in the columns that are left out, too",
    arguments: [
      (30, 30), (33, 25), (21, 40), (96, 40), (60, 21), (95, 39), (7, 33), (50, 80), (200, 3),
    ]
  )
  func textured(width: Int, height: Int) throws {
    let whole = try ArrayFile(decode(Self.image, "npy")).data
    let resized = try ArrayFile(decode(Self.image, "npy:\(width)x\(height)")).data
    let wanted = Self.resized(whole, to: (width, height))
    try #require(resized.count == wanted.count)
    // Halves may be rounded either way.
    let farthest = zip(resized, wanted).map { abs(Double($0) - $1) }.max()
    #expect(farthest ?? 255 < 0.53)
  }

  private static let size = (width: 96, height: 40)

  /// As torchvision's `Resize`, with a triangle, and `CenterCrop`.
  private static func resized(_ pixels: [UInt8], to wanted: (width: Int, height: Int)) -> [Double] {
    var full = wanted
    if wanted.width * size.height >= wanted.height * size.width {
      full.height = max(wanted.height, wanted.width * size.height / size.width)
    } else {
      full.width = max(wanted.width, wanted.height * size.width / size.height)
    }
    let left = Int((Double(full.width - wanted.width) / 2).rounded(.toNearestOrEven))
    let top = Int((Double(full.height - wanted.height) / 2).rounded(.toNearestOrEven))
    let columns = weights(of: size.width, to: full.width)[left..<left + wanted.width]
    let rows = weights(of: size.height, to: full.height)[top..<top + wanted.height]
    var result: [Double] = []
    for row in rows {
      for column in columns {
        for color in 0..<3 {
          var sum = 0.0
          for y in row {
            for x in column {
              let pixel = Double(pixels[(y.place * size.width + x.place) * 3 + color])
              sum += y.weight * x.weight * pixel
            }
          }
          result.append(sum)
        }
      }
    }
    return result
  }

  private static func weights(
    of count: Int,
    to resizedCount: Int
  ) -> [[(place: Int, weight: Double)]] {
    let scale = Double(count) / Double(resizedCount)
    let reach = max(1, scale)
    return (0..<resizedCount).map { resized in
      let center = (Double(resized) + 0.5) * scale - 0.5
      var near: [(place: Int, weight: Double)] = []
      for place in 0..<count where abs(Double(place) - center) < reach {
        near.append((place, 1 - abs(Double(place) - center) / reach))
      }
      let sum = near.reduce(0.0) { $0 + $1.weight }
      return near.map { ($0.place, $0.weight / sum) }
    }
  }

  /// 96 by 40 pixels of waves and squares, its colours at half the size.
  private static let image = bytes(
    """
    ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f1320151312\
    1213271c1e17202e2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a5152\
    4fffdb0043010e0e0e131113261515264f352d354f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f\
    4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4fffc000110800280060030122000211010311\
    01ffc4001a000002030101000000000000000000000000050304060201ffc400281000010303030402020300\
    000000000000020001030405111221a113223181325114b1234142ffc4001b01000300030101000000000000\
    000000000405060001030702ffc4002911000103030302060301000000000000000102030400112131516105\
    411213223271b10614c181ffda000c03010002110311003f00d15ba946306d95d92508a33f4a169e100d9b94\
    86f572e90e237c67ca52c74e7a3bc1f74dc0db5ce38debb34d2e4336a8eeb716177c3ac99dc1c8f6755ee370\
    9a437efe11474ad2c8ddbcaa531933900b78f0eb7e7e2fb5011e22587aeaa6f40672eaf4aebd1948dbb29edf\
    6e7061d0d8cf94e86908437fd210f556a00fd758248db4ce78dea9a4ca4a58f4d64e2b6f76ecb4964a418f3b\
    7d2b12d34313fc7955ceac69b1d37c67ca0432f307cf59b81b6b9c71bd402a42e448f08ad44720451ff4b357\
    6b8308be1d579af1269d8d26b9cc32670dcac4c43d4960b78f0eb7e7e2fb5593304862eba5d55707233c3a82\
    090e4354aa633ea368db3e535b4d24a44d97e150225b3d3990c382e46da673c6f4b1b4a1a7ae29c15e1c9b66\
    e52fab33ac67f2d8f6a2a2a59a5c76f29cd3db9c19fa8d8cf84b1b71d0b0993ecef7161c671deaa0794c46f4\
    eb5997b59487f2e13bb4d2f73663e5330a4885f7fd2b9474cf163b79593659692041efadbd5f1bdbbd41489c\
    56fda9bdba904c1b6d3a7da96b2308a37efe1451558d303eb7c67c24b77bc47a5f0696478cd492172bde75b9\
    b1e318ed4f12cbaeb58d2a8dd2f0c2ef86e5232b8bd496cfa74fb4b6e134d21bedcae6dd19ebfe4db3e13b8c\
    d3c404cabf83bdc58719c77a0a3436da7afde9dc607237cf85e90149e4394d2d948242d97e1341b4908ee085\
    95253194041efadbd5f1bdbbd53c9969447b1accc36deb9eeda74fb5a2b65ac63c7770ba688295dfa9db9f0b\
    b0b8431ffbe1732a6a4b7e291ef3adcd8f18c76af3ff00d875d9364e95c5a2dbdad964daa6906301cb7da10b\
    e7acbaa2caafc7d8aa571e5a9bc9a4b5920479509dc185f674216ff1f6c282efc7f6a71a692a902f552b2e0e\
    4c387fb48eb643932842d4d42532956e3e857a4b0da5317150fe21492784de86dbdd1e45084f3adbaa10d56e\
    3ec542bcf2c48b0ad7dbe8c638db64cab4c220742148745254e2efc7f68f904ada17ac6deee0c24d87fb59f2\
    b8b916ce8426729a4f9eaff3e8509d318479a0dabfffd9
    """
  )

  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
  }
}
