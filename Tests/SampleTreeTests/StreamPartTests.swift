import Testing

@testable import SampleTree

/// A part of a tar, filled from pieces at their places.
@Suite struct StreamPartTests {
  /// Offers a tar of 300 bytes in pieces; every other one is given as zeros.
  private static func fill(_ part: inout StreamPart, pieceBytes: Int) {
    let tar = (0..<300).map { UInt8(truncatingIfNeeded: $0 / pieceBytes % 2 == 0 ? $0 + 1 : 0) }
    for start in stride(from: 0, to: 300, by: pieceBytes) {
      let piece = Array(tar[start..<min(300, start + pieceBytes)])
      if start / pieceBytes % 2 == 0 {
        piece.withUnsafeBytes { part.append($0, from: Int64(start)) }
      } else {
        part.appendZeros(from: Int64(start), to: Int64(start + piece.count))
      }
    }
  }

  @Test("any part of any pieces", arguments: [1, 7, 64, 299, 300])
  func parts(_ pieceBytes: Int) {
    for offset in [0, 1, 63, 64, 150, 299, 300, 1000] {
      for count in [0, 1, 5, 128, 300] {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        defer { room.deallocate() }
        var part = StreamPart(room, at: Int64(offset))
        Self.fill(&part, pieceBytes: pieceBytes)
        let wanted = (offset..<max(offset, min(300, offset + count))).map { place in
          UInt8(truncatingIfNeeded: place / pieceBytes % 2 == 0 ? place + 1 : 0)
        }
        #expect(Array(part.filled) == wanted)
        #expect(part.isFull == (wanted.count == count))
        #expect(part.end == Int64(offset + wanted.count))
      }
    }
  }
}
