import ShardCache
import Synchronization
import TarIndex

/// Decides whether a reader's next small fields are given to the kernel before they are asked for.
///
/// Each file costs its reader a request, however small it is. A sample's largest field is always left
/// to be read, since reads tell what was consumed and how far ahead to fetch; and who stops reading
/// the largest ones gets no others pushed.
struct SmallFieldPushes {
  /// Samples of which the largest field and another were read, one after the other.
  private var wholeCount = 0

  /// Samples whose largest field has not been read since their others were pushed.
  private var openCount = 0
  private var last: (position: Int, isLargest: Bool)?

  /// So many samples must be read whole before it is taken for a habit.
  static let habitCount = 8

  /// More than so many readers of one pass do without.
  static let maxOpenCount = 16

  /// Takes up that the first bytes of a field are read.
  mutating func noteRead(of position: Int, isLargest: Bool) {
    if isLargest, openCount > 0 { openCount -= 1 }
    if let last, last.position == position, last.isLargest != isLargest { wholeCount += 1 }
    last = (position, isLargest)
  }

  /// Whether the next sample's small fields are to be pushed; counts it as open if so.
  mutating func begin() -> Bool {
    guard wholeCount >= Self.habitCount, openCount < Self.maxOpenCount else { return false }
    openCount += 1
    return true
  }
}

extension MountTree {
  /// A larger field is not small: pushing it saves little beside the copy.
  private static let maxPushedBytes: Int64 = 64 << 10

  /// With more fields than this the search for the largest would cost more than it gains.
  private static let maxFieldCount = 16

  /// Shows the body the small fields of a sample that its reader is about to read, as far as they
  /// are in memory.
  ///
  /// - Parameters:
  ///   - inode: Of a directory, of whatever kind.
  ///   - body: Gets the inode of a file, and all its bytes, which stay put meanwhile.
  package func forEachSmallField(
    of inode: UInt64,
    _ body: (UInt64, UnsafeRawBufferPointer) -> Void
  ) {
    guard case .sample(let number, let position) = Node(inode: inode),
      let pass = passes[number], let sample = try? locate(position, in: pass)
    else { return }
    let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
    // A sample that has nothing to push must not count as one whose largest field is to be read.
    guard let largest = Self.largestField(of: ordinals, sample.index),
      pass.pushes.withLock({ $0.begin() })
    else { return }
    let hidden = decoding(in: pass)?.shown(of: sample).hidden ?? []
    for ordinal in ordinals where ordinal != largest && !hidden.contains(ordinal) {
      let member = sample.index.member(ordinal)
      guard !member.isSparse, 1...Self.maxPushedBytes ~= member.sizeBytes else { continue }
      let range = member.dataOffset..<member.dataOffset + member.sizeBytes
      let field = Node.field(
        pass: number,
        position: position,
        field: ordinal - ordinals.lowerBound
      )
      _ = cache.withBytes(range, ofShard: sample.shard, plane: sample.plane) { first, second in
        // The few that lie across two chunks are left to be read.
        if second.isEmpty { body(field.inode, first) }
      }
    }
  }

  /// Takes up that a field's first bytes are read.
  func noteRead(of ordinal: Int, _ sample: Sample, _ position: Int, of pass: Pass) {
    let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
    // Of small samples there is nothing to skip, and no time to look.
    if sample.index.span(ofSample: sample.number).count >= FieldUse.largeBytes {
      let isOther = pass.fieldUse.withLock {
        $0.noteRead(of: ordinal, at: position, fields: ordinals, in: sample.index)
      }
      if isOther { pass.readings.withLock { $0.unsettle() } }
    }
    guard let largest = Self.largestField(of: ordinals, sample.index) else { return }
    pass.pushes.withLock { $0.noteRead(of: position, isLargest: ordinal == largest) }
  }

  /// The field that is always left to be read; nil where there is no other.
  private static func largestField(of ordinals: Range<Int>, _ index: ShardIndex) -> Int? {
    guard 2...maxFieldCount ~= ordinals.count else { return nil }
    var largest = ordinals.lowerBound
    var largestBytes: Int64 = -1
    for ordinal in ordinals {
      let bytes = index.member(ordinal).sizeBytes
      if bytes > largestBytes { (largest, largestBytes) = (ordinal, bytes) }
    }
    return largest
  }
}
