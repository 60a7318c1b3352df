import Decompression
import TarIndex
import Testing

@Suite struct ShardContentTests {
  private func detect(_ bytes: [UInt8]) -> ShardContent {
    bytes.withUnsafeBytes { ShardContent.detect(firstBytes: $0) }
  }

  @Test("streams are told by their marks", arguments: CompressionFormat.allCases)
  func streams(_ format: CompressionFormat) throws {
    #expect(detect(try Compressor.compress([1, 2, 3], format)) == .compressed(format))
  }

  @Test("a skippable frame counts as zstd, whichever it is")
  func skippable() {
    for mark: UInt8 in 0x50...0x5F {
      #expect(detect([mark, 0x2A, 0x4D, 0x18]) == .compressed(.zstd))
    }
    #expect(detect([0x60, 0x2A, 0x4D, 0x18]) == .notTar)
  }

  @Test("compress and lzop are known and not supported")
  func unsupported() {
    for mark: [UInt8] in [[0x1F, 0x9D], [0x1F, 0xA0], [0x89, 0x4C, 0x5A, 0x4F]] {
      #expect(detect(mark + [1, 2, 3]) == .unsupportedCompression)
      #expect(detect(mark).rejection == .unsupportedCompression)
    }
  }

  @Test("a valid header or a zero block is a tar, also where a mark would fit")
  func tars() {
    #expect(detect([UInt8](repeating: 0, count: 512)) == .tar)
    #expect(detect([UInt8](repeating: 0, count: 511)) == .notTar)
    var block = [UInt8](repeating: 0, count: 512)
    block.replaceSubrange(0..<2, with: [0x1F, 0x8B])
    let sum = 0x1F + 0x8B + 8 * 0x20
    let digits = String(sum, radix: 8)
    block.replaceSubrange(148..<148 + digits.utf8.count, with: Array(digits.utf8))
    #expect(detect(block) == .tar)
    block[0] = 0x20
    #expect(detect(block) == .notTar)
  }

  @Test("nothing is empty, and other bytes are no tar")
  func others() {
    #expect(detect([]) == .empty)
    #expect(detect([]).rejection == .empty)
    #expect(detect(Array("<!DOCTYPE html>".utf8)).rejection == .notTar)
    #expect(ShardContent.tar.rejection == nil)
  }
}
