/// The part of a tar that a read asks for, filled from its front as the tar is walked.
///
/// The walk offers pieces with their places in the tar; what lies outside of the part is left out.
struct StreamPart: ~Copyable {
  private let bytes: UnsafeMutableRawBufferPointer

  /// Where it begins in the tar.
  let offset: Int64

  /// How much of it is there.
  private(set) var count = 0

  /// - Parameters:
  ///   - bytes: Room for all of it, which outlives this.
  ///   - offset: Where it begins in the tar, not negative.
  init(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int64) {
    self.bytes = bytes
    self.offset = offset
  }

  var isFull: Bool { count == bytes.count }

  /// Where in the tar ends what is there.
  var end: Int64 { offset + Int64(count) }

  /// What is there.
  var filled: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<count]) }

  /// What comes next of a piece of the tar; nil where that is nothing.
  func wanted(of piece: Range<Int64>) -> Range<Int64>? {
    let upper = min(piece.upperBound, offset + Int64(bytes.count))
    guard end >= piece.lowerBound, end < upper else { return nil }
    return end..<upper
  }

  /// Adds what of a piece comes next.
  mutating func append(_ piece: UnsafeRawBufferPointer, from place: Int64) {
    guard let wanted = wanted(of: place..<place + Int64(piece.count)) else { return }
    let first = Int(wanted.lowerBound - place)
    let source = UnsafeRawBufferPointer(rebasing: piece[first..<first + wanted.count])
    UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: source)
    count += source.count
  }

  mutating func appendZeros(from place: Int64, to placeEnd: Int64) {
    guard let wanted = wanted(of: place..<placeEnd) else { return }
    let room = UnsafeMutableRawBufferPointer(rebasing: bytes[count..<count + wanted.count])
    room.initializeMemory(as: UInt8.self, repeating: 0)
    count += room.count
  }
}
